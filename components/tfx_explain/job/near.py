"""Which rows of the background split are near the cut-off that the configuration names."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from scipy import special

from tfx_explain.config import ExplainConfig
from tfx_explain.errors import ConfigError, InputError
from tfx_explain.job.split_rows import background_name
from tfx_explain.methods.outputs import names_of
from tfx_explain.models import Model

NEAR, USABLE = "near", "usable"
"""What is counted of the background split: rows near the cut-off, and rows whose output is known."""

_EPSILON = float(np.finfo(np.float32).eps)

BoolArray = npt.NDArray[np.bool_]


@dataclasses.dataclass(frozen=True)
class Near:
    """A cut-off, and what is near it.

    Attributes:
      index: of the output, among all that the model has.
      cut_off: of the output.
      within: how far from it an output may be.
      link: what makes probabilities of the outputs: "sigmoid", "softmax", or "" where they are taken as they are.
      unit: of both, for people.
      name: of the output.
    """

    index: int
    cut_off: float
    within: float
    link: str
    unit: str
    name: str

    def holds(self, predictions: npt.NDArray[np.float64]) -> BoolArray:
        """(n,) which of (n, K) outputs of the model, in its output space, are near.

        What is as far as may be is near whatever rounding, which differs from batch to batch, makes of it.
        """
        if self.link == "softmax":
            predictions = special.softmax(predictions, axis=1)
        found = special.expit(predictions) if self.link == "sigmoid" else predictions
        room = self.within + _EPSILON * (abs(self.cut_off) + self.within)
        return np.asarray(np.abs(found[:, self.index] - self.cut_off) <= room)


def settle_near(config: ExplainConfig, model: Model) -> Near | None:
    """The cut-off of a job; None where its background is drawn from all rows.

    Raises:
      ConfigError: the output is not one of the model's, has no probability, or the cut-off is none.
    """
    near = config.background.near
    if near is None:
        return None
    names = names_of(model, range(model.n_outputs))
    name = near.of if near.of is not None else names[0] if len(names) == 1 else None
    if name not in names:
        close = difflib.get_close_matches(name or "", names, n=1)
        asked = f"names `{name}`" if name else f"does not say which of {len(names)} outputs"
        hint = f"did you mean `{close[0]}`?" if close else f"name one of {', '.join(names)}."
        raise ConfigError(f"`background.near.of` {asked}; {hint}")
    is_probability = near.unit == "probability"
    if is_probability and model.output_space == "raw":
        raise ConfigError(
            "`background.near.unit: probability` needs outputs that are log-odds or probabilities, but those of the "
            "model are explained as they are; set `model.output_is`, or leave `unit` out."
        )
    if (is_probability or model.output_space == "probability") and not 0 <= near.output <= 1:
        raise ConfigError(f"`background.near.output: {near.output:g}` is no probability; give one from 0 to 1.")
    link = "sigmoid" if model.n_outputs == 1 else model.link
    unit = "probability" if is_probability else model.output_space
    is_linked = is_probability and model.output_space == "logit"
    return Near(names.index(name), near.output, near.within, link if is_linked else "", unit, name)


def near_counts(split: str, counts: Mapping[tuple[str, str], int]) -> tuple[int, int]:
    """How many rows are near, of how many, by what was counted."""
    near, usable = (counts.get((background_name(split), what), 0) for what in (NEAR, USABLE))
    return near, usable


def check_near(config: ExplainConfig, near: Near, counts: Mapping[tuple[str, str], int]) -> None:
    """Refuses a cut-off that too few rows are near.

    Raises:
      InputError: there are fewer than `min_rows`.
    """
    asked = config.background
    n_near, n_rows = near_counts(asked.split, counts)
    least = min(asked.num_rows, asked.near.min_rows if asked.near else 1)
    if n_near < least:
        raise InputError(
            f"{n_near:,} of {n_rows:,} rows of split `{asked.split}` have an output `{near.name}` within "
            f"{near.within:g} of {near.cut_off:g} ({near.unit}), fewer than the {least:,} that `background.near` "
            "needs; raise `within`, or lower `min_rows`."
        )
