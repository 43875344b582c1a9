"""How faithful attributions are, over rows: areas against random orders, correlations, and errors of all of these."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from scipy import special

from tfx_explain.summary.moments import WeightedMoments
from tfx_explain.summary.ratio import Array, t_quantile

BoolArray = npt.NDArray[np.bool_]

DELETION, INSERTION, MU_FIDELITY, RANDOMISATION = "deletion", "insertion", "mu_fidelity", "randomisation"
RANDOM_LOGIT, POINTING_GAME = "random_logit", "pointing_game"
CURVES = (DELETION, INSERTION)


_COUNTS = ("n_left_out", "n_curves", "n_fidelity", "_n_similar", "_n_contrasted", "_n_pointed", "_n_without_box")


def wilson_interval(share: float, n: float, confidence: float) -> tuple[float, float]:
    """Both ends of the interval for a share of n rows, which may be what weighted rows are worth.

    Source: E. B. Wilson, "Probable inference, the law of succession, and statistical inference", Journal of the
    American Statistical Association 22 (1927) 209-212.
    """
    z2 = float(special.ndtri(0.5 + confidence / 2)) ** 2
    middle = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = math.sqrt(z2 * (share * (1 - share) / n + z2 / (4 * n**2))) / (1 + z2 / n)
    return max(middle - half, 0.0), min(middle + half, 1.0)


@dataclasses.dataclass(frozen=True)
class Measured:
    """One measure of how faithful attributions are.

    Attributes:
      measure: its name.
      value: the estimate.
      std_error: of it; NaN where it is not known.
      degrees_of_freedom: of that error.
      num_examples: rows that it is made of.
      area, random_area: mean areas under the curves by attributions and in random order; NaN of other measures.
      change: mean size of what the output changes by when everything is taken away; NaN of other measures.
      chance: what the pointing game gives where maps know nothing: the mean area in boxes; NaN of other measures.
    """

    measure: str
    value: float
    std_error: float
    degrees_of_freedom: float
    num_examples: int
    area: float = float("nan")
    random_area: float = float("nan")
    change: float = float("nan")
    chance: float = float("nan")

    def interval(self, confidence: float = 0.95) -> tuple[float, float]:
        """Both ends of the two-sided interval: Wilson's of a share of rows, else Student's t."""
        if self.measure == POINTING_GAME:
            return wilson_interval(self.value, self.degrees_of_freedom + 1, confidence)
        half = t_quantile(0.5 + confidence / 2, self.degrees_of_freedom) * self.std_error
        return self.value - half, self.value + half


@dataclasses.dataclass(frozen=True)
class CurveMeans:
    """A mean curve over rows; s + 1 points.

    Attributes:
      curve: its name.
      values, std_errors: (s + 1,) by attributions.
      random_values, random_std_errors: (s + 1,) in random order.
    """

    curve: str
    values: Array
    std_errors: Array
    random_values: Array
    random_std_errors: Array


class FaithfulnessAccumulator:
    """Sums over the rows of one (slice, output), of one method.

    Args:
      n_points: of a curve.
      n_models: with random weights.
    """

    def __init__(self, n_points: int, n_models: int) -> None:
        self.n_left_out = self.n_curves = self.n_fidelity = 0
        # What the orders gain over chance for each curve, what all that is taken away changes, the three areas.
        self._areas = WeightedMoments.empty(6, full=True)
        self._curves = WeightedMoments.empty(3 * n_points, full=False)
        self._fidelity = WeightedMoments.empty(1, full=False)
        self._similarity = [WeightedMoments.empty(1, full=False) for _ in range(n_models)]
        self._n_similar = self._n_contrasted = self._n_pointed = self._n_without_box = 0
        self._contrast = WeightedMoments.empty(1, full=False)
        # Hits, and the area in boxes.
        self._pointed = WeightedMoments.empty(2, full=False)

    def add(
        self,
        areas: Array,
        ends: Array,
        curves: Array,
        others: tuple[Array, Array, BoolArray],
        weights: Array,
        extra: tuple[Array, Array, Array, BoolArray],
    ) -> None:
        """Adds rows.

        Args:
          areas: (n, 3) under the curves: taken away and put back by attributions, and in random order.
          ends: (n, 2) outputs with everything and with nothing.
          curves: (n, 3, n_points).
          others: (n,) mu-fidelity; (n, n_models) similarity to attributions of models with random weights; (n,) which
            rows have parts enough for curves. What is NaN in any of these is left out.
          weights: (n,) of the rows.
          extra: (n,) similarity to attributions of another output; hits of the pointing game, and the area in boxes;
            and which rows have regions and no box.
        """
        fidelity, similarity, has_parts = others
        counted = weights > 0
        known = np.isfinite(areas).all(axis=1) & np.isfinite(ends).all(axis=1) & np.isfinite(curves).all(axis=(1, 2))
        self.n_left_out += int((counted & has_parts & ~known).sum())
        deleted, inserted, random = areas[known].T
        change = np.abs(ends[known, 0] - ends[known, 1])
        columns = np.stack([random - deleted, inserted - random, change, deleted, inserted, random], axis=1)
        self._areas.add(columns, weights[known])
        self._curves.add(curves[known].reshape(len(columns), math.prod(curves.shape[1:])), weights[known])
        self.n_curves += int((counted & known).sum())
        has_fidelity = np.isfinite(fidelity)
        self._fidelity.add(fidelity[has_fidelity, None], weights[has_fidelity])
        self.n_fidelity += int((counted & has_fidelity).sum())
        for model, moments in enumerate(self._similarity):
            there = np.isfinite(similarity[:, model])
            moments.add(similarity[there, model : model + 1], weights[there])
        self._n_similar += int((counted & np.isfinite(similarity).any(axis=1)).sum())
        contrast, hits, box_areas, has_no_box = extra
        there = np.isfinite(contrast)
        self._contrast.add(contrast[there, None], weights[there])
        self._n_contrasted += int((counted & there).sum())
        there = np.isfinite(hits)
        self._pointed.add(np.stack([hits, box_areas], axis=1)[there], weights[there])
        self._n_pointed += int((counted & there).sum())
        self._n_without_box += int((counted & has_no_box).sum())

    def left_out(self, measure: str) -> int:
        """Rows that were not measured: of the pointing game those without a box, else those without curves."""
        return self._n_without_box if measure == POINTING_GAME else self.n_left_out

    def merge(self, other: FaithfulnessAccumulator) -> None:
        """Adds everything that another accumulator has seen."""
        for name in _COUNTS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for name in ("_areas", "_curves", "_fidelity", "_contrast", "_pointed"):
            getattr(self, name).merge(getattr(other, name))
        for ours, theirs in zip(self._similarity, other._similarity, strict=True):
            ours.merge(theirs)

    def measures(self) -> Iterator[Measured]:
        """All that there is something of."""
        if self.n_curves:
            yield from map(self._of_curve, CURVES)
        if self.n_fidelity:
            error = float(np.sqrt(self._fidelity.covariance_of_mean()[0]))
            mean, dof = float(self._fidelity.mean[0]), self._fidelity.n_effective - 1
            yield Measured(MU_FIDELITY, mean, error, dof, self.n_fidelity)
        # Random weights may turn all signs around, and attributions that they turn around are alike.
        means = np.abs([moments.mean[0] for moments in self._similarity if moments.weight])
        if len(means):
            # Rows share the models, so that these are what differs from one draw to the next.
            error = float(means.std(ddof=1) / np.sqrt(len(means))) if len(means) > 1 else float("nan")
            yield Measured(RANDOMISATION, float(means.mean()), error, len(means) - 1.0, self._n_similar)
        if self._n_contrasted:
            error = float(np.sqrt(self._contrast.covariance_of_mean()[0]))
            mean, dof = float(self._contrast.mean[0]), self._contrast.n_effective - 1
            yield Measured(RANDOM_LOGIT, mean, error, dof, self._n_contrasted)
        if self._n_pointed:
            share, area = map(float, self._pointed.mean)
            n = self._pointed.n_effective
            error = math.sqrt(max(share * (1 - share), 0.0) / n)
            yield Measured(POINTING_GAME, share, error, n - 1, self._n_pointed, chance=area)

    def _of_curve(self, curve: str) -> Measured:
        """Means of gains, as part of the mean change: a ratio of means, so that rows of small changes stay harmless."""
        place, moments = CURVES.index(curve), self._areas
        gain, change = float(moments.mean[place]), float(moments.mean[2])
        areas = {"area": float(moments.mean[3 + place]), "random_area": float(moments.mean[5]), "change": change}
        dof = moments.n_effective - 1
        if not change > 0:
            return Measured(curve, float("nan"), float("nan"), dof, self.n_curves, **areas)
        covariance = moments.covariance_of_mean()[np.ix_([place, 2], [place, 2])]
        slope = np.array([1.0, -gain / change]) / change
        error = math.sqrt(max(float(slope @ covariance @ slope), 0.0))
        return Measured(curve, gain / change, error, dof, self.n_curves, **areas)

    def curves(self) -> Iterator[CurveMeans]:
        """Both mean curves, if there is any row of them."""
        if self.n_curves:
            values = self._curves.mean.reshape(3, -1)
            errors = np.sqrt(self._curves.covariance_of_mean()).reshape(3, -1)
            for place, curve in enumerate(CURVES):
                # In random order, what is put back is what was not taken away.
                random = slice(None, None, -1 if curve == INSERTION else 1)
                yield CurveMeans(curve, values[place], errors[place], values[2][random], errors[2][random])
