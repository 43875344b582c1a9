"""What rules judge (`Evidence`) and what they say about it (`Finding`)."""

from __future__ import annotations

import dataclasses
import difflib
import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from typing_extensions import Self

from tfx_explain.errors import ConfigError, InputError
from tfx_explain.judgement.details import Interactions, SignedMeans, SliceContrast, Steps
from tfx_explain.summary.importance import ImportanceSummary
from tfx_explain.summary.ratio import Array

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

    def to_dict(self) -> dict[str, Any]:
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


@dataclasses.dataclass(frozen=True)
class Evidence:
    """The importance of one (slice, output), as far as rules need it; d players.

    A feature that the data has but the model does not read belongs here too, with mean, variance and covariances of
    exactly 0, so that a rule about it can say that it carries nothing.

    Attributes:
      players: (d,) names.
      n_examples: examples behind the means.
      mean_abs: (d,) mean |attribution|.
      mean_abs_covariance: (d, d) covariance of those means over examples.
      max_relative_completeness_gap: largest |completeness gap| / (1 + |prediction|) of any example.
      slice_key: the part of the data.
      output: the model output.
      n_effective: effective number of examples where they are weighted; None = n_examples.
      unused: the players that the model does not read.
      skewness: (d,) of |attribution| over examples; NaN, or None for all players, where it is unknown.
      signed: mean attributions; None = not known.
      interactions: of pairs of players; None = not computed.
      steps: (method, feature) -> what its profile changes by; None = no profiles were computed.
      contrast: the slice against all other rows; None = this is the whole data, or there were no slices.
    """

    players: tuple[str, ...]
    n_examples: int
    mean_abs: Array
    mean_abs_covariance: Array
    max_relative_completeness_gap: float
    slice_key: str = "overall"
    output: str = ""
    n_effective: float | None = None
    unused: tuple[str, ...] = ()
    skewness: Array | None = None
    signed: SignedMeans | None = None
    interactions: Interactions | None = None
    steps: Mapping[tuple[str, str], Steps] | None = None
    contrast: SliceContrast | None = None

    def __post_init__(self) -> None:
        """Checks that the parts fit.

        Raises:
          InputError: shapes do not fit or a name occurs twice.
        """
        d = len(self.players)
        if np.shape(self.mean_abs) != (d,) or np.shape(self.mean_abs_covariance) != (d, d):
            raise InputError(
                f"evidence about {d} players needs means ({d},) and covariances ({d}, {d}), "
                f"got {np.shape(self.mean_abs)} and {np.shape(self.mean_abs_covariance)}."
            )
        if len(set(self.players)) < d:
            raise InputError(f"evidence names a player twice: {', '.join(self.players)}.")

    @classmethod
    def from_summary(
        cls, summary: ImportanceSummary, players: Sequence[str], *, slice_key: str = "overall", output: str = ""
    ) -> Self:
        """The evidence in a summary; `players` in the order in which attributions were added."""
        return cls(
            tuple(players),
            summary.n_examples,
            summary.mean_abs,
            summary.mean_abs_covariance,
            summary.max_relative_completeness_gap,
            slice_key,
            output,
            summary.n_effective,
            skewness=summary.skewness,
            signed=SignedMeans(
                summary.mean_signed,
                summary.mean_signed_std_error,
                summary.mean_design_std_error,
                summary.signed_skewness,
            ),
        )

    @property
    def weighed_examples(self) -> float:
        """The (effective) number of examples."""
        return self.n_examples if self.n_effective is None else self.n_effective

    @property
    def degrees_of_freedom(self) -> float:
        """Of the covariances: the (effective) number of examples - 1."""
        return self.weighed_examples - 1

    def index(self, players: Sequence[str]) -> list[int]:
        """Positions of the named players, each once.

        Raises:
          ConfigError: a name is not among the players.
        """
        for name in players:
            if name not in self.players:
                near = difflib.get_close_matches(name, self.players, n=1)
                hint = f"did you mean `{near[0]}`? " if near else ""
                raise ConfigError(
                    f"a rule names the player `{name}`, which the explanation does not have; {hint}"
                    f"players: {', '.join(self.players)}."
                )
        return [self.players.index(name) for name in dict.fromkeys(players)]
