"""What a batch of rows was found to be: attributions with their errors, and the outputs that they were made from."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from tfx_explain.attribution import ExactDesign
from tfx_explain.attribution.loss_game import JACKKNIFE_BLOCKS, merge_blocks

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@dataclasses.dataclass(frozen=True)
class CoalitionValues:
    """Outputs of every coalition, from which Shapley values were made.

    Attributes:
      design: whose coalitions they are.
      values: (n, n_blocks, n_coalitions, K) means over blocks of the background.
      weights: (n_blocks,) each block's share.
      base: (n_blocks, K) mean outputs over the blocks themselves.
    """

    design: ExactDesign
    values: FloatArray
    weights: FloatArray
    base: FloatArray

    @classmethod
    def of(cls, design: ExactDesign, values: FloatArray, base: FloatArray) -> CoalitionValues:
        """Blocks of the design merged to as many as are needed.

        Args:
          design: whose coalitions they are.
          values: (n, design.n_blocks, n_coalitions, K).
          base: (n_background, K) outputs of the background rows.
        """
        shares = design.background_weight.sum(axis=1)
        of_blocks = np.einsum("gr,grk->gk", design.background_weight, base[design.background_index]) / shares[:, None]
        merged, weights = merge_blocks(values, shares, JACKKNIFE_BLOCKS)
        return cls(design, merged, weights, merge_blocks(of_blocks, shares, JACKKNIFE_BLOCKS, axis=0)[0])

    @classmethod
    def joined(cls, parts: Sequence[CoalitionValues]) -> CoalitionValues:
        """The rows of all parts, which share a design, one after the other."""
        return dataclasses.replace(parts[0], values=np.concatenate([part.values for part in parts]))

    def take(self, rows: IntArray | npt.NDArray[np.bool_]) -> CoalitionValues:
        """The given rows, (k,) integers or (n,) booleans."""
        return dataclasses.replace(self, values=self.values[rows])


@dataclasses.dataclass(frozen=True)
class Estimates:
    """Attributions of n examples to d players for the c outputs that each asks for, of the K of a model, in its units.

    Attributes:
      prediction: (n, K).
      values: (n, d, c).
      design_std_error: (n, d, c) error of the estimate for this background.
      background_std_error: (n, d, c) error of this background as a sample.
      completeness_gap: (n, c).
      interactions: (n, n_pairs, c); n_pairs is 0 where none were asked for.
      noise_ratio: (n,) of the estimates' actual error, as near as can be, to `design_std_error`, which may be on the
        safe side.
      design_dof: (n,) degrees of freedom of `design_std_error`; infinite where there is no such error.
      background_dof: (n,) of `background_std_error`.
      design_ids: (n,) number of each example's design; those of one share its coalitions.
      known: (n, c) whether each of these outputs is one that is explained.
      n_model_rows: what all of them cost together, the plain predictions not counted.
      n_padding_rows: what the model evaluated beside these, so that calls have the same shape.
      n_refined: examples that were explained again with a larger budget.
      n_imprecise: examples whose error is still above `max_relative_error`.
      coalition_values: what the values were made from, where that was asked for and every coalition was evaluated.
    """

    prediction: FloatArray
    values: FloatArray
    design_std_error: FloatArray
    background_std_error: FloatArray
    completeness_gap: FloatArray
    interactions: FloatArray
    noise_ratio: FloatArray
    design_dof: FloatArray
    background_dof: FloatArray
    design_ids: IntArray
    known: npt.NDArray[np.bool_]
    n_model_rows: int = 0
    n_padding_rows: int = 0
    n_refined: int = 0
    n_imprecise: int = 0
    coalition_values: CoalitionValues | None = None

    def relative_error(self) -> FloatArray:
        """Estimated relative L2 error of each example's attributions, (n,), the worst output it asks for; 0 for 0 / 0.

        Not known, NaN, where such an output is not finite.
        """
        error = np.sqrt(np.square(self.design_std_error).sum(axis=1))
        size = np.sqrt(np.square(self.values).sum(axis=1))
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.where(error == 0, 0.0, error / size)
        return np.asarray(np.where(self.known, ratio, np.nan).max(axis=1))
