"""Integrated gradients of a batch of rows by one model: a path from each reference to each row."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tfx_explain.config.path_methods import IntegratedGradientsConfig
from tfx_explain.methods.path_gradients.rows import AskedSide, PathEstimates
from tfx_explain.models import Inputs
from tfx_explain.models.path_gradients import Paths, Points
from tfx_explain.paths import Accuracy, Integrals, integrate, satterthwaite_dof

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

# Contributions of segments that are held at a time, 32 MiB, and segments of a path at first with what is made of them.
_FIGURES = 2**22
_SEGMENTS = 8
# Of outputs at both ends, and of sums of gradients.
_UNITS_OF_GAPS = 4.0


class IntegratedRows(NamedTuple):
    """What n rows come to.

    Attributes:
      estimates: their attributions.
      is_complete: (n,) whether they add up as accurately as asked for.
      n_steps: points that gradients were taken at.
      n_values: points where outputs were asked for.
    """

    estimates: PathEstimates
    is_complete: npt.NDArray[np.bool_]
    n_steps: int
    n_values: int


class _RowPaths:
    """A model along the paths from R references to n rows: path i R + r leads from reference r to row i.

    Args:
      paths: of the model.
      starts: R references.
      ends: n rows.
      outputs: (n, c) which outputs each row asks for.
    """

    def __init__(self, paths: Paths, starts: Points, ends: Points, outputs: IntArray) -> None:
        self._paths, self._starts, self._ends, self._outputs = paths, starts, ends, outputs

    def values(self, paths: IntArray, alphas: FloatArray) -> FloatArray:
        """See `paths.PathFunction`."""
        rows, references = np.divmod(paths, len(self._starts))
        return self._paths.values(self._starts.take(references), self._ends.take(rows), alphas, self._outputs[rows])

    def along(self, paths: IntArray, alphas: FloatArray, weights: FloatArray) -> FloatArray:
        """See `paths.PathFunction`."""
        rows, references = np.divmod(paths, len(self._starts))
        return self._paths.along(
            self._starts.take(references), self._ends.take(rows), alphas, weights, self._outputs[rows]
        )


def integrated_rows(
    paths: Paths,
    inputs: Inputs,
    starts: Points,
    weights: FloatArray,
    asked: AskedSide,
    settings: IntegratedGradientsConfig,
) -> IntegratedRows:
    """Weighted means over references of integrals along the paths from them.

    Args:
      paths: of the model.
      inputs: n rows.
      starts: R references.
      weights: (R,) of sum 1.
      asked: what the model says of the rows.
      settings: how accurate the integrals are to be.
    """
    (n, c), n_references = asked.outputs.shape, len(weights)
    estimates = PathEstimates.empty((n, paths.n_players, c), weights)
    is_complete, n_steps, n_values = np.ones(n, np.bool_), 0, 0
    at_once = max(_FIGURES // (n_references * _SEGMENTS * max(paths.n_players * c, 1)), 1)
    for rows in np.split(np.arange(n), range(at_once, n, at_once)) if n else []:
        part = asked.take(rows)
        function = _RowPaths(paths, starts, paths.enter(inputs.take(rows)), part.outputs)
        unit, floor = 1 + np.abs(part.prediction), _UNITS_OF_GAPS * part.floor
        each = (np.repeat(values, n_references, axis=0) for values in (unit, floor))
        found = integrate(function, Accuracy(settings.max_completeness_gap, settings.max_steps, *each))
        _take_over(estimates, rows, found, weights)
        gap = estimates.values[rows].sum(axis=1) - (part.prediction - part.base_value)
        near = np.abs(gap) <= settings.max_completeness_gap * unit + floor
        is_complete[rows] = found.is_complete.reshape(-1, n_references).all(axis=1) & near.all(axis=1)
        n_steps, n_values = n_steps + int(found.n_steps.sum()), n_values + int(found.n_values.sum())
    return IntegratedRows(estimates, is_complete, n_steps, n_values)


def _take_over(estimates: PathEstimates, rows: IntArray, found: Integrals, weights: FloatArray) -> None:
    """Writes what the paths of some rows come to; not finite where some output on the way is not.

    How references differ shows the error of these as a sample, and that of the integrals with it.
    """
    n_references = len(weights)
    shape = (len(rows), n_references, *found.contributions.shape[1:])
    contributions = np.where(np.isfinite(found.gap)[:, None], found.contributions, np.nan)
    each, variance = contributions.reshape(shape), found.variance.reshape(shape)
    values, design = np.einsum("r,nrdc->ndc", weights, each), np.einsum("r,nrdc->ndc", weights**2, variance)
    spread = np.einsum("r,nrdc->ndc", weights**2, np.square(each - values[:, None]))
    spread *= n_references / (n_references - 1) if n_references > 1 else 0.0
    of_paths = weights**2 * variance.sum(axis=(2, 3))
    estimates.values[rows], estimates.design_variance[rows] = values, design
    estimates.background_variance[rows] = np.maximum(spread - design, 0.0) if n_references > 1 else 0.0
    squares = (np.square(of_paths) / found.dof.reshape(of_paths.shape)).sum(axis=1)
    estimates.design_dof[rows] = satterthwaite_dof(of_paths.sum(axis=1), squares)
