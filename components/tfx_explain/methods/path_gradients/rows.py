"""Attributions by gradients of a batch of rows, and which rows have none."""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt

from tfx_explain.methods.attribution_rows import AttributionRows
from tfx_explain.methods.background import LARGEST_OUTPUT, SideBackground
from tfx_explain.methods.batch import BatchSide
from tfx_explain.methods.refusals import TOO_LARGE
from tfx_explain.methods.rounding import rounding_floor, without_rounding
from tfx_explain.rows import HashArray
from tfx_explain.summary.sizes import MAX_DESIGNS

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

_NOT_FINITE = "the model's output or its gradient is NaN or infinite on the way from a reference row to this row"


@dataclasses.dataclass(frozen=True)
class AskedSide:
    """What one model says of n rows and of the references, for the outputs that each row asks for.

    Attributes:
      outputs: (n, c) which of the model's outputs.
      prediction, base_value: (n, c).
      floor: (n, c) one unit in the last place of the outputs of row and references.
    """

    outputs: IntArray
    prediction: FloatArray
    base_value: FloatArray
    floor: FloatArray

    @classmethod
    def of(cls, side: BatchSide, references: SideBackground, chosen: IntArray) -> AskedSide:
        """Of rows that ask for these, (n, c), of the outputs that are explained."""
        prediction = references.asked(side.prediction)
        floor = rounding_floor(prediction, references.asked(references.predictions))
        base = np.broadcast_to(references.base_values, prediction.shape)
        asked = (np.take_along_axis(values, chosen, axis=1) for values in (prediction, base, floor))
        return cls(references.outputs[chosen], *asked)

    def take(self, rows: IntArray | npt.NDArray[np.bool_]) -> AskedSide:
        """The given rows, (k,) integers or (n,) booleans."""
        return AskedSide(**{name: values[rows] for name, values in vars(self).items()})


@dataclasses.dataclass
class PathEstimates:
    """Attributions of n rows by gradients, as they were found; rows may be found again.

    Attributes:
      values: (n, d, c).
      design_variance: (n, d, c) of their errors for these references.
      background_variance: (n, d, c) of the errors of these references as a sample.
      design_dof: (n,) degrees of freedom of the first.
      background_dof: of the other.
    """

    values: FloatArray
    design_variance: FloatArray
    background_variance: FloatArray
    design_dof: FloatArray
    background_dof: float

    @classmethod
    def empty(cls, shape: tuple[int, int, int], weights: FloatArray) -> PathEstimates:
        """Nothing yet for n rows, d players and c outputs, from references of these weights."""
        values, design, background = (np.full(shape, np.nan) for _ in range(3))
        dof = max(1 / float(np.square(weights).sum()) - 1, 1.0)
        return cls(values, design, background, np.ones(shape[0]), dof)

    def put(self, rows: IntArray, found: PathEstimates) -> None:
        """Takes over what was found of some rows, (k,) integers, of its first players."""
        n_players = self.values.shape[1]
        for name in ("values", "design_variance", "background_variance"):
            getattr(self, name)[rows] = getattr(found, name)[:, :n_players]
        self.design_dof[rows] = found.design_dof

    def relative_error(self) -> FloatArray:
        """(n,) relative L2 error of each row's attributions, of the worst output; 0 for 0 / 0."""
        error, size = np.sqrt(self.design_variance.sum(axis=1)), np.sqrt(np.square(self.values).sum(axis=1))
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(np.where(error == 0, 0.0, error / size).max(axis=1))

    def errors(self) -> dict[int, str]:
        """Row -> what is wrong with its attributions."""
        flat = self.values.reshape(len(self.values), -1)
        not_finite = ~(np.isfinite(flat) & np.isfinite(self.design_variance.reshape(flat.shape))).all(axis=1)
        with np.errstate(invalid="ignore"):
            too_large = ~not_finite & (np.abs(flat) > LARGEST_OUTPUT).any(axis=1)
        reasons = ((_NOT_FINITE, not_finite), (TOO_LARGE, too_large))
        return {row: reason for reason, bad in reasons for row in np.flatnonzero(bad).tolist()}

    def rows(self, asked: AskedSide, hashes: HashArray, kept: npt.NDArray[np.bool_]) -> AttributionRows:
        """Those rows that are kept, (n,) booleans; attributions that are nothing but rounding are 0.

        The noise of rows is independent, but rows of different numbers are told apart, so that what importance is made
        of learns that from the rows themselves.
        """
        asked, found = asked.take(kept), self.values[kept]
        gap = found.sum(axis=1) - (asked.prediction - asked.base_value)
        # No error is known better than to the last place of what it was made from.
        least = np.where(gap != 0, asked.floor, 0.0)[:, None]
        design_error = np.maximum(np.sqrt(self.design_variance[kept]), least)
        background_error = np.sqrt(self.background_variance[kept])
        attributions = without_rounding(found, design_error, asked.floor)
        nothing = (attributions == 0) & (design_error <= asked.floor[:, None])
        n, _, n_outputs = found.shape
        return AttributionRows(
            attributions=attributions,
            design_std_error=np.where(nothing, 0.0, design_error),
            background_std_error=np.where(nothing, 0.0, background_error),
            prediction=asked.prediction,
            base_value=asked.base_value,
            completeness_gap=gap + (attributions - found).sum(axis=1),
            interactions=np.zeros((n, 0, n_outputs)),
            noise_ratio=np.ones(n),
            design_dof=self.design_dof[kept],
            background_dof=np.full(n, self.background_dof),
            design_ids=(hashes[kept] % np.uint64(MAX_DESIGNS)).astype(np.int64),
        )
