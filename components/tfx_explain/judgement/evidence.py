"""What rules judge: the importance of one (slice, output) of one explanation, and what belongs to it."""

from __future__ import annotations

import dataclasses
import difflib
import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from tfx_explain.errors import ConfigError, InputError
from tfx_explain.judgement.details import (
    Faithfulness,
    Interactions,
    PartPlace,
    PartShare,
    SignedMeans,
    SliceContrast,
    Steps,
)
from tfx_explain.judgement.wording import count, joined
from tfx_explain.summary.ratio import Array

ONLY_NOISE = (
    "Noise leaves nothing of the total importance, so that no share of it can be told: explain more examples, or with "
    "a larger budget."
)
"""What rules say where importance is there, but its sum over players is not above 0."""


def positions(known: Sequence[str], players: Sequence[str], naming: str = "a rule") -> list[int]:
    """Positions of the named players, each once.

    Args:
      known: the players that there are.
      players: names.
      naming: who names them, for people.

    Raises:
      ConfigError: a name is not among the players.
    """
    for name in players:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean `{near[0]}`? " if near else ""
            raise ConfigError(
                f"{naming} names the player `{name}`, which the explanation does not have; {hint}"
                f"players: {', '.join(known)}."
            )
    return [list(known).index(name) for name in dict.fromkeys(players)]


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
      faithfulness: of the attributions; None = it was not measured.
      parts: place inside a feature -> how much lies there; None = it cannot be looked up.
      contrast: the slice against all other rows; None = this is the whole data, or there were no slices.
      method: whose table of attributions it is about; empty where it is of none.
      cut_off: (d,) what was cut off of means that noise made negative, 0 or below; see `uncut`.
      has_attributions: whether a method attributes; importance is unknown where none does, and rules that need none
        of it are judged all the same.
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
    faithfulness: Faithfulness | None = None
    parts: Callable[[PartPlace], PartShare | None] | None = None
    method: str = ""
    cut_off: Array | float = 0.0
    has_attributions: bool = True

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

    @property
    def weighed_examples(self) -> float:
        """The (effective) number of examples."""
        return self.n_examples if self.n_effective is None else self.n_effective

    @property
    def degrees_of_freedom(self) -> float:
        """Of the covariances: the (effective) number of examples - 1."""
        return self.weighed_examples - 1

    @property
    def uncut(self) -> Array:
        """(d,) the means before they were cut off at 0: what sums over players are made of.

        A sum of what noise leaves above 0 alone is too large, the more so the more players there are.
        """
        return np.asarray(self.mean_abs, np.float64) + self.cut_off

    @property
    def total(self) -> float:
        """The importance of all players together; not above 0 where noise leaves nothing of it."""
        return float(np.sum(self.uncut))

    @property
    def positive_total(self) -> float | None:
        """The total; None where it is not above 0, so that nothing is a part of it."""
        return self.total if self.total > 0 else None

    @property
    def total_std_error(self) -> float:
        """The standard error of `total` over examples."""
        return math.sqrt(max(float(np.sum(np.asarray(self.mean_abs_covariance, np.float64))), 0.0))

    @property
    def has_no_effect(self) -> npt.NDArray[np.bool_]:
        """(d,) whether a player's attributions are 0 in every example."""
        variances = np.diag(np.asarray(self.mean_abs_covariance, np.float64))
        return np.asarray((np.asarray(self.mean_abs) == 0) & (variances == 0))

    def index(self, players: Sequence[str] | None) -> list[int]:
        """Positions of the named players, each once; of all where None.

        Raises:
          ConfigError: a name is not among the players.
        """
        return positions(self.players, self.players if players is None else players)

    def lacks(self, min_examples: int) -> str:
        """Why nothing can be said about importance at all, as a sentence; empty where something can."""
        least = max(min_examples, 2)
        if self.n_examples < least:
            were = "1 example was" if self.n_examples == 1 else f"{count(self.n_examples)} examples were"
            return (
                f"Only {were} explained and this rule needs {count(least)}: explain more or lower `min_slice_examples`."
            )
        if not self.has_attributions:
            return ""
        if np.isnan(self.mean_abs).all():
            return (
                f"The {count(self.n_examples)} examples of this slice have no tables of their own: lower "
                "`min_slice_examples` of the ExplainConfig and explain the model again."
            )
        unknown = ~np.isfinite(self.mean_abs) | ~np.isfinite(self.mean_abs_covariance).all(axis=1)
        if unknown.any():
            names = joined([name for name, bad in zip(self.players, unknown, strict=True) if bad])
            return (
                f"The importance of {names} or its error is not known: explain the model again with a larger budget or "
                "background."
            )
        if not np.sum(self.mean_abs) > 0:
            if not self.has_no_effect.all():
                return ONLY_NOISE
            return (
                "No feature has any importance, since the output is the same for every example and background row: "
                "check that the right model and output were explained."
            )
        return ""
