"""Attributions of a batch of rows for the outputs that were asked for, and what they add to summaries."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from tfx_explain.attribution.result import population_dof
from tfx_explain.methods.attribution_tables import INTERACTIONS, SIZES
from tfx_explain.methods.method import Contributed, SliceRows
from tfx_explain.part_records import PartRows
from tfx_explain.summary.importance import ImportanceAccumulator, Noise
from tfx_explain.summary.interactions import InteractionAccumulator
from tfx_explain.summary.ratio import Array
from tfx_explain.summary.sizes import NoisyMoments, debiased_sizes

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@dataclasses.dataclass(frozen=True)
class AttributionRows:
    """Attributions of n examples for the outputs that were asked for, n_outputs of them, in units of the output space.

    What a method of attributions, whatever it is called, says of the rows of a batch by one model.

    Attributes:
      attributions: (n_examples, n_players, n_outputs).
      design_std_error: the same shape: error of the estimate for this background.
      background_std_error: the same shape: error of this background as a sample.
      prediction, base_value, completeness_gap: (n_examples, n_outputs); the last two NaN where attributions are no
        shares of the output.
      interactions: (n_examples, n_pairs, n_outputs); n_pairs is 0 where none were asked for.
      noise_ratio: (n_examples,) of the actual error, as near as can be, to `design_std_error`.
      design_dof, background_dof: (n_examples,) degrees of freedom of the errors.
      design_ids: (n_examples,) number of each example's design; those of one share what the estimate's noise is from.
      parts: feature -> what is inside it, where the method looks there.
    """

    attributions: FloatArray
    design_std_error: FloatArray
    background_std_error: FloatArray
    prediction: FloatArray
    base_value: FloatArray
    completeness_gap: FloatArray
    interactions: FloatArray
    noise_ratio: FloatArray
    design_dof: FloatArray
    background_dof: FloatArray
    design_ids: IntArray
    parts: Mapping[str, PartRows] = dataclasses.field(default_factory=dict)

    @property
    def std_error(self) -> FloatArray:
        """Both errors together."""
        return np.hypot(self.design_std_error, self.background_std_error)

    @property
    def degrees_of_freedom(self) -> FloatArray:
        """Of `std_error`; of an error of 0, or one that is not known, as of the row's least certain one."""
        of_design, of_background = self.design_dof[:, None, None], self.background_dof[:, None, None]
        dof = population_dof(self.background_std_error, of_design, of_background)
        known = self.std_error > 0
        least = np.where(known, dof, np.inf).min(axis=(1, 2), keepdims=True, initial=np.inf)
        return np.where(known, dof, np.where(np.isfinite(least), least, 1.0))

    def take(self, rows: IntArray) -> AttributionRows:
        """The given rows, (k,) integers."""
        taken = {name: array[rows] for name, array in vars(self).items() if name != "parts"}
        return AttributionRows(**taken, parts={feature: parts.take(rows) for feature, parts in self.parts.items()})

    def noise(self, index: int, rows: IntArray) -> Array:
        """(k, n_players) standard deviations of some rows' errors for one output."""
        return np.asarray(self.design_std_error[..., index][rows] * self.noise_ratio[rows, None])

    def importance(self, index: int, rows: IntArray, weights: FloatArray) -> tuple[Any, ...]:
        """What `ImportanceAccumulator.add` takes of some rows for one output."""
        names = ("attributions", "design_std_error", "background_std_error", "completeness_gap", "prediction")
        figures = [getattr(self, name)[..., index][rows] for name in names]
        # What is no share of the output has no gap.
        figures[3] = np.nan_to_num(figures[3], nan=0.0)
        return (*figures, weights, Noise(self.noise(index, rows), self.design_ids[rows]))


def change_of_sizes(
    ours: AttributionRows, theirs: AttributionRows, index: int, rows: IntArray, weights: FloatArray
) -> tuple[Any, ...]:
    """What `NoisyMoments.add` takes of the paired differences of sizes; what is alike in both has the same bias."""
    values = [side.attributions[..., index][rows] for side in (ours, theirs)]
    noise = [side.noise(index, rows) for side in (ours, theirs)]
    (our_sizes, our_doubt), (their_sizes, their_doubt) = map(debiased_sizes, values, noise)
    doubt = np.minimum(our_doubt + their_doubt, np.abs(values[0] - values[1]))
    return our_sizes - their_sizes, weights, noise[0] ** 2 + noise[1] ** 2, doubt, ours.design_ids[rows]


def attribution_contributions(rows: AttributionRows, outputs: Sequence[str], part: SliceRows) -> Iterator[Contributed]:
    """Importance, and interactions where there are any, of each output; as `Method.contributions`."""
    n_players, n_pairs = rows.attributions.shape[1], rows.interactions.shape[1]
    for index, output in enumerate(outputs):
        empty = partial(ImportanceAccumulator, n_players)
        yield Contributed(SIZES, output, (empty, rows.importance(index, part.places, part.weights)))
        if n_pairs:
            pairs = rows.interactions[..., index][part.places]
            yield Contributed(INTERACTIONS, output, (partial(InteractionAccumulator, n_pairs), (pairs, part.weights)))


def attribution_differences(
    ours: AttributionRows, theirs: AttributionRows, outputs: Sequence[str], part: SliceRows
) -> Iterator[Contributed]:
    """Paired differences of the sizes of attributions; as `Method.differences`."""
    empty = partial(NoisyMoments.empty, ours.attributions.shape[1], full=True)
    for index, output in enumerate(outputs):
        change = change_of_sizes(ours, theirs, index, part.places, part.weights)
        yield Contributed(SIZES, output, (empty, change))
