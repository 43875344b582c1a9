"""What a rule says of one (slice, output): `Finding`."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, Literal

from typing_extensions import Self

from tfx_explain.errors import InputError

Outcome = Literal["pass", "fail", "insufficient_evidence", "skipped"]

_FIGURES = ("value", "ci_low", "ci_high", "threshold")


@dataclasses.dataclass(frozen=True)
class Finding:
    """What one rule found in one (slice, output).

    Attributes:
      rule: name of the rule, as in the configuration.
      settings: its settings, as in the configuration.
      slice_key: the part of the data.
      output: the model output.
      outcome: `pass`, `fail`, or `insufficient_evidence` where the data show neither that the rule holds nor that it is
        broken; `skipped` where the rule compares with a baseline and there is none yet, as on a first run.
      value: the figure that the rule is about; NaN where there is none.
      ci_low: lower bound of the true figure, on its own right with `confidence`.
      ci_high: upper bound, likewise.
      threshold: what the figure was compared with.
      message: one sentence: the figure, its bounds, the threshold, and what to do.
      about: the players that the figure is about; empty where it is about none or all.
      confidence: of the outcome: more than the configured one where it was corrected for the number of findings. None
        where the figure is known exactly, or nothing could be judged.
    """

    rule: str
    settings: Mapping[str, Any]
    slice_key: str
    output: str
    outcome: Outcome
    value: float
    ci_low: float
    ci_high: float
    threshold: float
    message: str
    about: tuple[str, ...] = ()
    confidence: float | None = None

    def to_dict(self) -> dict[str, object]:
        """Plain data for JSON; a figure that is not finite becomes None, `slice_key` is written as `slice`."""
        data = dataclasses.asdict(self)
        data.update({name: data[name] if math.isfinite(data[name]) else None for name in _FIGURES})
        return {"rule": data.pop("rule"), "settings": data.pop("settings"), "slice": data.pop("slice_key"), **data}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Reads what `to_dict` wrote.

        Raises:
          InputError: a key is missing.
        """
        try:
            figures = {name: math.nan if data[name] is None else float(data[name]) for name in _FIGURES}
            others = {name: data[name] for name in ("rule", "settings", "output", "outcome", "message", "confidence")}
            fields: dict[str, Any] = {
                "slice_key": data["slice"],
                "about": tuple(data["about"]),
                **others,
                **figures,
            }
        except KeyError as error:
            raise InputError(f"a finding has no {error}; write findings with `Finding.to_dict`.") from None
        return cls(**fields)
