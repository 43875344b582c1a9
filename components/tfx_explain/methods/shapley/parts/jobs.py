"""The spans of one row's text as a game: the rows that a model is asked about for it, and what its answers say."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tfx_explain.attribution import SolvableDesign
from tfx_explain.attribution.solvable import PairValues
from tfx_explain.methods.shapley.parts.contexts import Contexts
from tfx_explain.regions.texts import SpanTexts

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class SpanGame:
    """One row with a text of k > 1 spans, in C contexts.

    Each context has the n coalitions of its block of the design, then all spans present, then none: n + 2 model rows.

    Attributes:
      row: which it is.
      texts: that its spans can make.
      contexts: of its other features.
      design: one block per context.
    """

    row: int
    texts: SpanTexts
    contexts: Contexts
    design: SolvableDesign

    @property
    def n_per_context(self) -> int:
        """Model rows of each context."""
        return self.design.n_coalitions + 2

    @property
    def n_model_rows(self) -> int:
        """Model rows of all contexts."""
        return self.n_per_context * len(self.contexts)

    @property
    def context_of_block(self) -> IntArray:
        """(C,) which context each block of the design is."""
        return self.design.background_index[:, 0].astype(np.int64)

    def coalitions(self, start: int, stop: int) -> npt.NDArray[np.bool_]:
        """(stop - start, k) of these model rows."""
        block, place = np.divmod(np.arange(start, stop), self.n_per_context)
        n = self.design.n_coalitions
        inner = self.design.coalitions[block, np.minimum(place, n - 1)]
        return np.asarray(np.where(place[:, None] < n, inner, place[:, None] == n))

    def solve(self, values: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Shapley values of the spans in each context, (C, k, K), and their variances there, from (n_model_rows, K)."""
        n, n_outputs = self.design.n_coalitions, values.shape[1]
        by_block = values.reshape(len(self.contexts), self.n_per_context, n_outputs).transpose(0, 2, 1)
        totals = by_block[:, :, n : n + 1] - by_block[:, :, n + 1 :]
        pairs = PairValues(by_block[:, :, : n // 2], by_block[:, :, n // 2 : n], totals)
        solved = self.design.solve_blocks(pairs)
        order = np.argsort(self.context_of_block)
        variance = np.broadcast_to(solved.variance, solved.values.shape)
        return solved.values[order].transpose(0, 2, 1), variance[order].transpose(0, 2, 1)


def span_values(
    per_context: FloatArray, variance: FloatArray, feature: FloatArray, feature_error: FloatArray, floor: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Attributions (k, K) of the spans of a text, which add up to that of the text, and their standard errors.

    What the contexts leave of the feature's own attribution is spread evenly over the spans that have any effect: those
    that change no output by more than rounding get 0. With several contexts the error is the spread between pairs of
    them, which holds that of the design; with a single one it is the design's.

    Args:
      per_context: (C, k, K).
      variance: (C, k, K) of the design.
      feature: (K,) attribution of the text.
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
