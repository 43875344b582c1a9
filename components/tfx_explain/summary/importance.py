"""Global importance from per-example attributions, as a mergeable accumulator.

One accumulator belongs to one (slice, output). Its state is a handful of sums, so any split of the examples, in any
order, over any number of workers, gives the same summary to the bit.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt

from tfx_explain.errors import ConfigError, InputError
from tfx_explain.summary.importance_summary import ImportanceSummary
from tfx_explain.summary.importance_sums import FewExamples, ImportanceSums
from tfx_explain.summary.ratio import Array, share_interval, t_quantile
from tfx_explain.summary.sizes import NoisyMoments


@dataclasses.dataclass(frozen=True)
class Noise:
    """What is known of the errors that n examples' attributions have from the coalitions that were drawn.

    Attributes:
      std: (n, d) standard deviations, as near as can be; None = `design_std_error`, which may be on the safe side.
      design_ids: (n,) numbers, below `sizes.MAX_DESIGNS`, of the coalitions that an example shares with others; None =
        one for all.
    """

    std: npt.ArrayLike | None = None
    design_ids: npt.NDArray[np.int64] | None = None


_MOST_FEW = 64
"""Examples that are kept as they are; more where there are more players."""


class ImportanceAccumulator:
    """Sums over the examples of one (slice, output), for players in a fixed order.

    Attributes:
      n_players: d.
      n_examples: examples of positive weight.
      max_completeness_gap: largest |completeness gap| of any example.
      max_relative_completeness_gap: largest |completeness gap| / (1 + |prediction|) of any example.

    Example:
      >>> accumulator = ImportanceAccumulator(n_players=2)
      >>> zeros = np.zeros((3, 2))
      >>> accumulator.add(np.array([[1.0, 0.0], [-1.0, 0.0], [4.0, 0.0]]), zeros, zeros, np.zeros(3), np.ones(3))
      >>> accumulator.result().mean_abs
      array([2., 0.])
    """

    def __init__(self, n_players: int) -> None:
        """Starts with no examples.

        Args:
          n_players: d, at least 1.

        Raises:
          ConfigError: there is no player.
        """
        if n_players < 1:
            raise ConfigError(f"importance needs at least one player, got {n_players}; include at least one feature.")
        self.n_players = n_players
        self.n_examples = 0
        # Few examples take less memory than sums, and less time the more there are at a time.
        self._few = FewExamples.none(n_players)
        self._summed: ImportanceSums | None = None
        self.max_completeness_gap = 0.0
        self.max_relative_completeness_gap = 0.0

    def add(
        self,
        attributions: npt.ArrayLike,
        design_std_error: npt.ArrayLike,
        background_std_error: npt.ArrayLike,
        completeness_gap: npt.ArrayLike,
        prediction: npt.ArrayLike,
        weights: npt.ArrayLike | None = None,
        noise: Noise | None = None,
    ) -> None:
        """Adds a batch of n examples.

        Args:
          attributions: (n, d), finite.
          design_std_error: (n, d); NaN where unknown.
          background_std_error: (n, d); NaN where unknown.
          completeness_gap: (n,) sum of attributions - (prediction - base value).
          prediction: (n,) in the same units.
          weights: (n,) example weights >= 0; None = all 1. An example of weight 0 counts only for the completeness gap.
          noise: what more is known of the estimates' errors; None = nothing.

        Raises:
          InputError: shapes do not fit, an attribution, gap or prediction is not finite, or a weight is unusable.
        """
        phi = self._checked("attributions", attributions, finite=True, wide=True)
        n = len(phi)
        design_error = self._checked("design_std_error", design_std_error, n=n, wide=True)
        background_error = self._checked("background_std_error", background_std_error, n=n, wide=True)
        gap = np.abs(self._checked("completeness_gap", completeness_gap, n=n, finite=True))
        scale = 1.0 + np.abs(self._checked("prediction", prediction, n=n, finite=True))
        w = np.ones(n) if weights is None else self._checked("weights", weights, n=n, finite=True)
        if (w < 0).any():
            raise InputError("an example weight is negative; example weights must be 0 or more.")
        if n:
            self.max_completeness_gap = max(self.max_completeness_gap, float(gap.max()))
            self.max_relative_completeness_gap = max(self.max_relative_completeness_gap, float((gap / scale).max()))
        known = Noise() if noise is None else noise
        errors = design_error if known.std is None else self._checked("noise", known.std, n=n, wide=True)
        shared = np.zeros(n, np.int64) if known.design_ids is None else known.design_ids
        kept = w > 0
        self.n_examples += int(kept.sum())
        self._take(FewExamples(np.stack([phi, design_error, background_error, errors])[:, kept], w[kept], shared[kept]))

    def merge(self, other: ImportanceAccumulator) -> None:
        """Adds everything that another accumulator has seen.

        Raises:
          InputError: the other accumulator has other players.
        """
        if other.n_players != self.n_players:
            raise InputError(
                f"cannot merge the importance of {other.n_players} players into that of {self.n_players}; "
                "summarise each model's players on their own."
            )
        self.n_examples += other.n_examples
        if other._summed is not None:
            self._summed = self._summed or ImportanceSums(self.n_players)
            self._summed.merge(other._summed)
        self._take(other._few)
        self.max_completeness_gap = max(self.max_completeness_gap, other.max_completeness_gap)
        self.max_relative_completeness_gap = max(
            self.max_relative_completeness_gap, other.max_relative_completeness_gap
        )

    def _take(self, examples: FewExamples) -> None:
        """Adds examples to the few, or where they are no longer few all of them to the sums."""
        self._few = self._few.followed_by(examples)
        # So many take about the memory of the sums, which have covariances of all pairs of players.
        if len(self._few.weights) > max(2 * self.n_players, _MOST_FEW):
            self._all_summed()

    def _all_summed(self) -> ImportanceSums:
        """The sums, with the few examples in them."""
        self._summed = self._summed or ImportanceSums(self.n_players)
        if len(self._few.weights):
            self._summed.add(self._few)
            self._few = FewExamples.none(self.n_players)
        return self._summed

    @property
    def absolute(self) -> NoisyMoments:
        """Moments of sizes of attributions, with covariances; not to be changed."""
        return self._all_summed().absolute

    def ranks(self) -> npt.NDArray[np.int64]:
        """(d,) as `result` has them, without covariances."""
        return _ranks(np.maximum(self.absolute.mean_or_nan(), 0.0))

    def result(self, confidence: float = 0.95) -> ImportanceSummary:
        """The summary of all examples so far; every mean is NaN where there were none.

        Args:
          confidence: of the two-sided intervals, in (0, 1).

        Raises:
          ConfigError: the confidence is not between 0 and 1.
        """
        if not 0 < confidence < 1:
            raise ConfigError(f"confidence must be between 0 and 1, got {confidence}.")
        summed = self._all_summed()
        # Below 0 by chance, where noise is all there is.
        unbounded = summed.absolute.mean_or_nan()
        mean_abs = np.maximum(unbounded, 0.0)
        covariance = summed.absolute.covariance_of_mean()
        std_error = np.sqrt(np.diag(covariance))
        n_effective = summed.absolute.n_effective
        quantile = t_quantile(0.5 + confidence / 2, n_effective - 1)
        signed = summed.signed
        mean_signed, signed_variance = signed.mean_or_nan(), signed.covariance_of_mean()
        variance, matters = np.diag(covariance), mean_abs > _ROUNDING * mean_abs.sum()
        share, share_std_error = _shares(mean_abs, covariance)
        share_low, share_high = _share_bounds(mean_abs, float(unbounded.sum()), covariance, quantile)
        of_players = summed.of_players.total().reshape(4, -1) / (summed.absolute.weight or np.nan)
        squares, error_squares, design_error, background_error = of_players
        return ImportanceSummary(
            n_examples=self.n_examples,
            n_effective=n_effective,
            mean_abs=mean_abs,
            cut_off=unbounded - mean_abs,
            mean_abs_covariance=covariance,
            mean_signed=mean_signed,
            mean_signed_std_error=np.sqrt(signed_variance),
            rms=np.sqrt(squares),
            rms_debiased=np.sqrt(np.maximum(squares - error_squares, 0.0)),
            std_error=std_error,
            skewness=np.where(matters, summed.absolute.moments.skewness(variance), np.nan),
            signed_skewness=np.where(matters, signed.moments.skewness(signed_variance), np.nan),
            ci_low=np.maximum(mean_abs - quantile * std_error, 0.0),
            ci_high=mean_abs + quantile * std_error,
            rank=_ranks(mean_abs),
            share=share,
            share_std_error=share_std_error,
            share_ci_low=np.minimum(share_low, share),
            share_ci_high=np.maximum(share_high, share),
            mean_design_std_error=design_error,
            mean_background_std_error=background_error,
            max_completeness_gap=self.max_completeness_gap,
            max_relative_completeness_gap=self.max_relative_completeness_gap,
        )

    def _checked(
        self, name: str, values: npt.ArrayLike, *, n: int | None = None, finite: bool = False, wide: bool = False
    ) -> Array:
        """The values as float64 of the expected shape."""
        array = np.asarray(values, dtype=np.float64)
        rows = n if n is not None else (len(array) if array.ndim else 0)
        expected = (rows, self.n_players) if wide else (rows,)
        if array.shape != expected:
            raise InputError(f"`{name}` must have shape {expected}, got {array.shape}.")
        if finite and not np.isfinite(array).all():
            row = int(np.flatnonzero(~np.isfinite(array).reshape(rows, -1).all(1))[0])
            raise InputError(f"`{name}` is not finite in row {row} of the batch; leave out examples that failed.")
        return array


_ROUNDING = 1e-6


def _shares(mean_abs: Array, covariance: Array) -> tuple[Array, Array]:
    """Shares of the total and their standard errors by the delta method; both (d,)."""
    total = mean_abs.sum()
    if not total > 0:
        return np.zeros_like(mean_abs) + 0.0 * total, np.full_like(mean_abs, np.nan)
    share = mean_abs / total
    contrast = np.eye(len(share))
    contrast -= share[:, None]
    variance = np.einsum("ij,jk,ik->i", contrast, covariance, contrast, optimize=True)
    return share, np.sqrt(np.maximum(variance, 0.0)) / total


def _share_bounds(mean_abs: Array, total: float, covariance: Array, quantile: float) -> tuple[Array, Array]:
    """Ends of the interval of each player's part of a total, (d,) each.

    The total is that of `uncut`: noise that is cut off at 0 in many players would make the sum of `mean_abs` too large.
    """
    return share_interval(mean_abs, total, np.diag(covariance), covariance.sum(1), float(covariance.sum()), quantile)


def _ranks(mean_abs: Array) -> npt.NDArray[np.int64]:
    """1 = largest; ties share the best rank; all 1 where nothing is known."""
    return np.asarray(1 + (mean_abs[None, :] > mean_abs[:, None]).sum(axis=1), dtype=np.int64)
