"""What rules about drift compare: the importance of the same players in two explanations."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from tfx_explain.errors import InputError
from tfx_explain.judgement.evidence import positions
from tfx_explain.judgement.wording import count
from tfx_explain.summary.ratio import Array, parts_of

DRIFT_RULE = "a drift rule"
"""Who names players, for people."""


@dataclasses.dataclass(frozen=True)
class Moments:
    """The importance of d players in one explanation, in units of the model's output.

    Attributes:
      n_examples: examples behind the means.
      n_effective: (sum w)^2 / sum w^2; equals n_examples without weights.
      mean_abs: (d,) mean |attribution|.
      covariance: (d, d) of those means over examples.
      mean_signed: (d,) mean attribution.
      mean_signed_std_error: (d,) its standard error.
      cut_off: (d,) what was cut off of means that noise made negative, 0 or below.
    """

    n_examples: int
    n_effective: float
    mean_abs: Array
    covariance: Array
    mean_signed: Array
    mean_signed_std_error: Array
    cut_off: Array | float = 0.0

    @classmethod
    def unknown(cls, n_players: int, n_examples: int = 0) -> Moments:
        """The moments of a part of the data that has no table: too few rows, or none."""
        unknown = np.full(n_players, np.nan)
        return cls(n_examples, n_examples, unknown, np.full((n_players, n_players), np.nan), unknown, unknown)

    @property
    def uncut(self) -> Array:
        """(d,) the means before they were cut off at 0: what sums over players are made of."""
        return self.mean_abs + self.cut_off

    @property
    def total(self) -> float:
        """Sum of all mean |attribution|; not above 0 where noise leaves nothing of it."""
        return float(self.uncut.sum())

    @property
    def is_only_noise(self) -> bool:
        """Whether no share can be told, although attributions are not 0."""
        return not self.total > 0 and bool(self.mean_abs.any() or self.covariance.any())

    @property
    def total_std_error(self) -> float:
        """Standard error of `total`."""
        return float(np.sqrt(max(self.covariance.sum(), 0.0)))

    @property
    def degrees_of_freedom(self) -> float:
        """Of the covariances."""
        return self.n_effective - 1

    def is_known(self) -> bool:
        """Whether every figure is a number."""
        parts = (self.mean_abs, self.covariance, self.mean_signed, self.mean_signed_std_error)
        return all(np.isfinite(part).all() for part in parts)

    def shares(self) -> Array:
        """(d,) shares of the total; 0 where there is none."""
        return parts_of(self.mean_abs, self.total)

    def share_covariance(self) -> Array:
        """(d, d) covariance of the shares by the delta method; 0 where there is no total."""
        if not self.total > 0:
            return np.zeros_like(self.covariance)
        contrast = np.eye(len(self.mean_abs)) - self.shares()[:, None]
        return np.asarray(contrast @ self.covariance @ contrast.T / self.total**2)


@dataclasses.dataclass(frozen=True)
class Comparison:
    """A candidate's importance against a baseline's, in one (slice, output).

    Attributes:
      players: (d,) names, those of both.
      candidate: what is judged.
      baseline: what it is compared with.
      slice_key: the part of the data.
      output: the model output.
      difference_covariance: (d, d) covariance of mean |candidate| - mean |baseline| where both are about the same
        rows; None where the rows are different ones.
      method: whose tables of attributions it is about; empty where it is of none.
    """

    players: tuple[str, ...]
    candidate: Moments
    baseline: Moments
    slice_key: str = "overall"
    output: str = ""
    difference_covariance: Array | None = None
    method: str = ""

    def __post_init__(self) -> None:
        """Checks that the parts fit.

        Raises:
          InputError: they do not.
        """
        for side in (self.candidate, self.baseline):
            if np.shape(side.mean_abs) != (len(self.players),):
                raise InputError(f"importance of {np.shape(side.mean_abs)} players cannot be of {len(self.players)}.")

    def index(self, players: Sequence[str] | None) -> list[int]:
        """Positions of the named players; of all where None.

        Raises:
          ConfigError: a name is not among the players.
        """
        return positions(self.players, self.players if players is None else players, DRIFT_RULE)

    def lacks(self, min_examples: int) -> str:
        """Why the two cannot be compared, as a sentence; empty where they can."""
        least = max(min_examples, 2)
        for name, side in (("The explanation", self.candidate), ("Its baseline", self.baseline)):
            if side.n_examples < least:
                return too_few(name, side.n_examples, least)
            if not side.is_known():
                where = name[:1].lower() + name[1:]
                return f"The importance in {where} or its error is not a number: explain the model again."
        if not self.baseline.mean_abs.any() and not self.candidate.mean_abs.any():
            return "No player has any importance on either side: check that the right model and output were explained."
        return ""

    def draws(self, n_draws: int, rng: np.random.Generator) -> tuple[Array, Array]:
        """What both importances might have been estimated as: (n_draws, d) each, multivariate t about the estimates.

        They are not cut off at 0.
        """
        d = len(self.players)
        mean = np.concatenate([self.candidate.mean_abs, self.baseline.mean_abs])
        values, vectors = np.linalg.eigh(self._joint_covariance())
        noise = rng.standard_normal((n_draws, 2 * d)) @ (vectors * np.sqrt(np.maximum(values, 0.0))).T
        degrees = max(min(self.candidate.degrees_of_freedom, self.baseline.degrees_of_freedom), 1.0)
        noise *= np.sqrt(degrees / rng.chisquare(degrees, (n_draws, 1)))
        drawn = mean + noise
        return drawn[:, :d], drawn[:, d:]

    def drawn_shares(self, n_draws: int, rng: np.random.Generator) -> tuple[Array, Array]:
        """The shares that come of `draws`, (n_draws, d) each; importances are cut off at 0, their totals are not."""
        ours, theirs = (
            parts_of(np.maximum(drawn, 0.0), drawn.sum(axis=1, keepdims=True) + np.sum(side.cut_off))
            for drawn, side in zip(self.draws(n_draws, rng), (self.candidate, self.baseline), strict=True)
        )
        return ours, theirs

    def _joint_covariance(self) -> Array:
        """(2d, 2d) of candidate and baseline."""
        ours, theirs = self.candidate.covariance, self.baseline.covariance
        cross = np.zeros_like(ours)
        if self.difference_covariance is not None:
            # Only the symmetric part follows from the differences; it is all that differences of the two depend on.
            cross = (ours + theirs - self.difference_covariance) / 2
        return np.block([[ours, cross], [cross.T, theirs]])

    def difference_std_error(self) -> Array:
        """(d,) standard error of mean |candidate| - mean |baseline|."""
        variance = np.diag(self.candidate.covariance) + np.diag(self.baseline.covariance)
        if self.difference_covariance is not None:
            variance = np.diag(self.difference_covariance)
        return np.asarray(np.sqrt(np.maximum(variance, 0.0)))


def too_few(name: str, n_examples: int, least: int) -> str:
    """That one side, by its name, has too few examples, and what to do."""
    return (
        f"{name} has only {count(n_examples)} examples here and this rule needs {count(least)}: explain more or lower "
        "`min_slice_examples`."
    )
