"""The parts of one row's feature as a game: the rows that a model is asked about for it, and what its answers say."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tfx_explain.attribution import SolvableDesign
from tfx_explain.attribution.solvable import PairValues
from tfx_explain.methods.shapley.parts.contexts import Contexts
from tfx_explain.methods.shapley.parts.unions import Around
from tfx_explain.methods.shapley.parts.values import PartValues

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class PartsGame:
    """One row with a feature of k parts, in C contexts.

    Each context has the n coalitions of its block of the design, then all parts present, then none, then, where there
    is a rest and several contexts tell what it does, the feature of the background: n + 2 or n + 3 model rows.

    Attributes:
      row: which it is.
      values: that the feature can have.
      contexts: of its other features.
      design: one block per context.
      has_rest: see `RowParts`.
      around: pieces of the feature that are no players of this game; None where all are.
    """

    row: int
    values: PartValues
    contexts: Contexts
    design: SolvableDesign
    has_rest: bool = False
    around: Around | None = None

    @property
    def n_per_context(self) -> int:
        """Model rows of each context."""
        return self.design.n_coalitions + 2 + self._asks_for_rest

    @property
    def n_model_rows(self) -> int:
        """Model rows of all contexts."""
        return self.n_per_context * len(self.contexts)

    @property
    def context_of_block(self) -> IntArray:
        """(C,) which context each block of the design is."""
        return self.design.background_index[:, 0].astype(np.int64)

    @property
    def _asks_for_rest(self) -> bool:
        return self.has_rest and len(self.contexts) > 1

    def coalitions(self, start: int, stop: int) -> BoolArray:
        """(stop - start, k) of these model rows; all pieces of the feature where there are others around."""
        block, place = np.divmod(np.arange(start, stop), self.n_per_context)
        n = self.design.n_coalitions
        present = np.broadcast_to((place == n)[:, None], (stop - start, self.design.n_players)).copy()
        is_inner = place < n
        present[is_inner] = self.design.coalitions[block[is_inner], place[is_inner]]
        return present if self.around is None else self.around.among(present, self.context_of_block[block])

    def has_gone(self, start: int, stop: int) -> BoolArray:
        """(stop - start,) in which of these model rows the feature is that of the background."""
        return np.asarray(np.arange(start, stop) % self.n_per_context == self.design.n_coalitions + 2)

    def solve(self, values: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Shapley values of the parts in each context, (C, k, K), and their variances there, from (n_model_rows, K).

        With a rest it is the last of k + 1 parts where several contexts tell what it does: as it comes before the
        others, what all of them absent make of the background's feature (Faigle & Kern 1992, The Shapley value for
        cooperative games under precedence constraints).
        """
        n, n_outputs = self.design.n_coalitions, values.shape[1]
        by_block = values.reshape(len(self.contexts), self.n_per_context, n_outputs).transpose(0, 2, 1)
        totals = by_block[:, :, n : n + 1] - by_block[:, :, n + 1 : n + 2]
        solved = self.design.solve_blocks(PairValues(by_block[:, :, : n // 2], by_block[:, :, n // 2 : n], totals))
        found = [solved.values, by_block[:, :, n + 1 : n + 2] - by_block[:, :, n + 2 :]]
        variance = [np.broadcast_to(solved.variance, solved.values.shape), np.zeros_like(found[1])]
        order = np.argsort(self.context_of_block)
        both = [np.concatenate(parts, axis=2)[order].transpose(0, 2, 1) for parts in (found, variance)]
        return both[0], both[1]

    def attributions(
        self, values: FloatArray, feature: FloatArray, feature_error: FloatArray, floor: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Attributions of all parts, the rest among them, which add up to that of the feature, and their errors.

        Args:
          values: (n_model_rows, K) what the model gives.
          feature: (K,) attribution of the feature.
          feature_error: (K,) its standard error.
          floor: (K,) rounding of the outputs.
        """
        per_context, variance = self.solve(values)
        if not self.has_rest or self._asks_for_rest:
            return part_values(per_context, variance, feature, feature_error, floor)
        # What is not the parts' is the rest's, and so is the error of what stands in its place.
        found = np.concatenate([per_context[0], (feature - per_context[0].sum(axis=0))[None]])
        return found, np.concatenate([np.sqrt(variance[0]), feature_error[None]])


def part_values(
    per_context: FloatArray, variance: FloatArray, feature: FloatArray, feature_error: FloatArray, floor: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Attributions (k, K) of the parts of a feature, which add up to that of the feature, and their standard errors.

    What the contexts leave of the feature's own attribution is spread evenly over the parts that have any effect: those
    that change no output by more than rounding get 0. With several contexts the error is the spread between pairs of
    them, which holds that of the design; with a single one it is the design's.

    Args:
      per_context: (C, k, K).
      variance: (C, k, K) of the design.
      feature: (K,) attribution of the feature.
      feature_error: (K,) its standard error.
      floor: (K,) rounding of the outputs.
    """
    with np.errstate(invalid="ignore"):
        is_still = ((np.abs(per_context) <= floor) & ~(np.sqrt(variance) > floor)).all(axis=0)
    moves = ~is_still | is_still.all(axis=0)
    n_moving = moves.sum(axis=0)
    n_pairs = len(per_context) // 2
    pairs = per_context if not n_pairs else (per_context[:n_pairs] + per_context[n_pairs:]) / 2
    centred = np.where(moves, pairs - (pairs * moves).sum(axis=1, keepdims=True) / n_moving, 0.0)
    spread = centred.var(axis=0, ddof=1) / n_pairs if n_pairs else variance[0]
    values = np.where(moves, centred.mean(axis=0) + feature / n_moving, 0.0)
    errors = np.where(moves, np.sqrt(spread + np.square(feature_error / n_moving)), 0.0)
    return values, errors
