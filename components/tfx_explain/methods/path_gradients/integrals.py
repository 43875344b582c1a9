"""Integrated gradients of a batch of rows by one model: a path from each reference to each row."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from concurrent.futures import Executor
from functools import partial
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tfx_explain.config.path_methods import IntegratedGradientsConfig
from tfx_explain.methods.path_gradients.base import PathSide
from tfx_explain.methods.path_gradients.insides import PathInsides
from tfx_explain.methods.path_gradients.rows import PathEstimates
from tfx_explain.models.calls import calls_at_once
from tfx_explain.models.path_gradients import Paths, PathSegments, Points
from tfx_explain.part_records import PartRows
from tfx_explain.paths import (
    Accuracy,
    Integrals,
    Refined,
    Rule,
    Steps,
    Swept,
    integrate,
    satterthwaite_dof,
    sweep,
)
from tfx_explain.rows import take_rows

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

# Contributions of segments that are held at a time, 32 MiB, and segments of a path at first with what is made of them.
_FIGURES = 2**22
_SEGMENTS = 8
# Floats of rows at the cut that are held at a time: 64 MiB.
_POINTS = 2**24
# Of outputs at both ends, and of sums of gradients.
_UNITS_OF_GAPS = 4.0


class IntegratedRows(NamedTuple):
    """What n rows come to.

    Attributes:
      estimates: their attributions.
      is_complete: (n,) whether they add up as accurately as asked for.
      n_steps: points that gradients were taken at.
      n_values: points where outputs were asked for.
      parts: feature that is looked into -> its parts.
      reasons: row -> why it has none.
    """

    estimates: PathEstimates
    is_complete: npt.NDArray[np.bool_]
    n_steps: int
    n_values: int
    parts: Mapping[str, PartRows]
    reasons: Mapping[int, str]

    def errors(self) -> dict[int, str]:
        """Row -> what is wrong with its attributions, or with their parts."""
        return {**self.reasons, **self.estimates.errors()}


class _RowPaths:
    """A model along paths from R references to n rows.

    Args:
      paths: of the model.
      starts: R references.
      ends: n rows.
      outputs: (n, c) which outputs each row asks for.
      numbers: (P,) which paths: i R + r leads from reference r to row i.
    """

    def __init__(self, paths: Paths, starts: Points, ends: Points, outputs: IntArray, numbers: IntArray) -> None:
        self.n_players = paths.n_players
        self._paths, self._starts, self._ends, self._outputs, self._numbers = paths, starts, ends, outputs, numbers

    def refine(self, paths: IntArray, low: FloatArray, high: FloatArray, rule: Rule) -> Refined:
        """See `paths.PathFunction`."""
        segments = self._segments(paths, low, high)
        return self._paths.refine(self._starts, self._ends, segments, self._outputs, rule)

    def first_sweep(self, paths: IntArray, steps: Steps) -> Swept:
        """See `paths.SweptFunction`."""
        return Swept(*self._swept(paths, steps))

    def sweep(self, paths: IntArray, steps: Steps) -> FloatArray:
        """See `paths.SweptFunction`."""
        (sums,) = self._swept(paths, steps)
        return sums

    def part(self, paths: IntArray) -> _RowPaths:
        """See `paths.SweptFunction`."""
        return _RowPaths(self._paths, self._starts, self._ends, self._outputs, self._numbers[paths])

    def _swept(self, paths: IntArray, steps: Steps) -> list[FloatArray]:
        segments = self._segments(paths, np.zeros(len(paths)), np.ones(len(paths)))
        return self._paths.sweep(self._starts, self._ends, segments, self._outputs, steps)

    def _segments(self, paths: IntArray, low: FloatArray, high: FloatArray) -> PathSegments:
        rows, references = np.divmod(self._numbers[paths], len(self._starts))
        return PathSegments(references, rows, low, high)


class _SomeRows(NamedTuple):
    """What k of the rows come to.

    Attributes:
      rows: (k,) their numbers.
      ends: the same at the cut.
      estimates: of players and slots.
      is_complete: (k,) whether they add up as accurately as asked for.
      n_steps: points that gradients were taken at.
      n_values: points where outputs were asked for.
    """

    rows: IntArray
    ends: Points
    estimates: PathEstimates
    is_complete: npt.NDArray[np.bool_]
    n_steps: int
    n_values: int


def integrated_rows(
    side: PathSide, settings: IntegratedGradientsConfig, threads: Executor, insides: PathInsides | None = None
) -> IntegratedRows:
    """Weighted means over references of integrals along the paths from them.

    Args:
      side: n rows and a model.
      settings: how accurate the integrals are to be.
      threads: while one is at NumPy, TensorFlow works for the other.
      insides: of features that are looked into.
    """
    (n, c), paths = side.asked.outputs.shape, side.paths
    n_figures = paths.n_players + (insides.n_slots if insides else 0)
    estimates, inner = PathEstimates.empty((n, paths.n_players, c), side.weights), _Inner(insides, [], {})
    is_complete, n_steps, n_values = np.ones(n, np.bool_), 0, 0
    at_once = max(_FIGURES // (len(side.weights) * _SEGMENTS * max(n_figures * c, 1)), 1)
    at_once = min(at_once, max(_POINTS // max(side.starts.moving.shape[1], 1), 1))
    for first in range(0, n, at_once):
        rows = np.arange(first, min(first + at_once, n))
        ends = paths.enter(side.inputs.take(rows))
        parts = np.array_split(np.arange(len(rows)), min(calls_at_once(), len(rows)) if paths.is_compiled else 1)
        for some in threads.map(partial(_some_rows, side, settings, n_figures, rows, ends), parts):
            estimates.put(some.rows, some.estimates)
            inner.add(some.rows, side, some.ends, some.estimates)
            is_complete[some.rows] = some.is_complete
            n_steps, n_values = n_steps + some.n_steps, n_values + some.n_values
    return IntegratedRows(estimates, is_complete, n_steps, n_values, inner.joined(), inner.reasons)


def _some_rows(
    side: PathSide,
    settings: IntegratedGradientsConfig,
    n_figures: int,
    entered: IntArray,
    at_cut: Points,
    places: IntArray,
) -> _SomeRows:
    """Some rows of a side.

    Args:
      side: all rows and a model.
      settings: how accurate the integrals are to be.
      n_figures: players and slots.
      entered: (m,) numbers of rows.
      at_cut: the same m rows.
      places: (k,) which of these.
    """
    n_references, paths, rows, ends = len(side.weights), side.paths, entered[places], at_cut.take(places)
    part = side.asked.take(rows)
    function = _RowPaths(paths, side.starts, ends, part.outputs, np.arange(len(rows) * n_references))
    unit, floor = 1 + np.abs(part.prediction), _UNITS_OF_GAPS * part.floor
    each = [np.repeat(values, n_references, axis=0) for values in (unit, floor)]
    accuracy = Accuracy(settings.max_completeness_gap, settings.max_steps, unit=each[0], floor=each[1])
    # Paths that the first sweep does not bring near enough need another, or as many steps on segments.
    is_swept = 0 < 3 * paths.first_steps <= settings.max_steps
    found = sweep(function, accuracy, paths.first_steps) if is_swept else integrate(function, accuracy)
    estimates = PathEstimates.empty((len(rows), n_figures, part.outputs.shape[1]), side.weights)
    _take_over(estimates, found, side.weights, paths.n_players)
    gap = estimates.values[:, : paths.n_players].sum(axis=1) - (part.prediction - part.base_value)
    near = np.abs(gap) <= settings.max_completeness_gap * unit + floor
    is_complete = found.is_complete.reshape(-1, n_references).all(axis=1) & near.all(axis=1)
    return _SomeRows(rows, ends, estimates, is_complete, int(found.n_steps.sum()), int(found.n_values.sum()))


@dataclasses.dataclass(frozen=True)
class _Inner:
    """The insides of rows so far.

    Attributes:
      insides: of one model; None where nothing is looked into.
      found: feature -> parts, of some rows after the other.
      reasons: row -> why it has none.
    """

    insides: PathInsides | None
    found: list[Mapping[str, PartRows]]
    reasons: dict[int, str]

    def add(self, rows: IntArray, side: PathSide, ends: Points, estimates: PathEstimates) -> None:
        """Those of some more rows, (k,) integers, of estimates of players and slots."""
        if self.insides is None:
            return
        cut, n_players = self.insides.cut(take_rows(side.rows, rows), ends), side.paths.n_players
        # Errors of slots go together, as all follow one path.
        variance = estimates.design_variance[:, n_players:] + estimates.background_variance[:, n_players:]
        self.found.append(self.insides.parts(cut, estimates.values[:, n_players:], np.sqrt(variance)))
        for of_feature in cut.values():
            self.reasons.update({int(rows[row]): reason for row, reason in of_feature.reasons.items()})

    def joined(self) -> dict[str, PartRows]:
        """Of all rows; nothing where there are no rows."""
        features = self.found[0] if self.found else {}
        return {feature: PartRows.joined([of_some[feature] for of_some in self.found]) for feature in features}


def _take_over(estimates: PathEstimates, found: Integrals, weights: FloatArray, n_players: int) -> None:
    """Writes what the paths of rows come to; not finite where some output on the way is not.

    How references differ shows the error of these as a sample, and that of the integrals with it.
    """
    n_references = len(weights)
    shape = (len(estimates.values), n_references, *found.contributions.shape[1:])
    contributions = np.where(np.isfinite(found.gap)[:, None], found.contributions, np.nan)
    each, variance = contributions.reshape(shape), found.variance.reshape(shape)
    values, design = np.einsum("r,nrdc->ndc", weights, each), np.einsum("r,nrdc->ndc", weights**2, variance)
    spread = np.einsum("r,nrdc->ndc", weights**2, np.square(each - values[:, None]))
    spread *= n_references / (n_references - 1) if n_references > 1 else 0.0
    of_paths = weights**2 * variance[:, :, :n_players].sum(axis=(2, 3))
    estimates.values[:], estimates.design_variance[:] = values, design
    estimates.background_variance[:] = np.maximum(spread - design, 0.0) if n_references > 1 else 0.0
    squares = (np.square(of_paths) / found.dof.reshape(of_paths.shape)).sum(axis=1)
    estimates.design_dof[:] = satterthwaite_dof(of_paths.sum(axis=1), squares)
