"""From the values of a design's coalitions to attributions and their standard errors: a few matrix products."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tfx_explain.attribution.between_blocks import n_effective_blocks, variance_between_blocks
from tfx_explain.attribution.design import Design
from tfx_explain.attribution.maps import FloatArray
from tfx_explain.attribution.result import Attributions
from tfx_explain.errors import EstimationError

# What the design's part of the error is taken for where it cannot be told from the background's.
_UNSEPARATED = 0.5
# So many values, and what is made of them, stay in the cache.
_VALUES_AT_ONCE = 2**16
EVERY = slice(None)


class BlockSolutions(NamedTuple):
    """Attributions of each block for itself.

    Attributes:
      values: (n_blocks, c, d) of c = n * K cases, an example and an output each.
      variance: (n_blocks, c, d) of the design.
      dof: degrees of freedom of the variance of one block; 0 where it cannot be told from the background's.
    """

    values: FloatArray
    variance: FloatArray
    dof: float


class PairValues(NamedTuple):
    """Values of coalitions in pairs, and what is known of both ends.

    Attributes:
      half: (n_blocks, c, n_pairs) of one half of each pair; c = n * K cases, an example and an output each.
      complement: (n_blocks, c, n_pairs) of the other.
      totals: (n_blocks, c, 1) what the attributions of each block add up to.
    """

    half: FloatArray
    complement: FloatArray
    totals: FloatArray


@dataclass(frozen=True, eq=False, kw_only=True)
class SolvableDesign(Design, ABC):
    """A design whose values alone give attributions, block by block."""

    @abstractmethod
    def solve_blocks(self, values: PairValues, blocks: slice = EVERY) -> BlockSolutions:
        """Attributions of some blocks; few passes over the values, which are many and leave no cache as they were.

        Args:
          values: of the coalitions.
          blocks: which of the design's they are.
        """

    def solve_interactions(self, values: PairValues, ends: FloatArray, blocks: slice = EVERY) -> FloatArray | None:
        """(n_blocks, c, n_interactions) pairwise interactions of some blocks; None where none were asked for.

        Args:
          values: of the coalitions.
          ends: (n_blocks, c, 1) mean of the values of the empty and the full coalition.
          blocks: which of the design's these are.
        """
        return None

    @property
    def noise_ratio(self) -> float:
        """Of the actual design error to its estimate, for attributions near 0."""
        return 1.0

    # Values that are not finite are the caller's to report; here they only have to stay within their example.
    @np.errstate(invalid="ignore", over="ignore")
    def solve(
        self,
        block_values: npt.ArrayLike,
        prediction: npt.ArrayLike,
        background_predictions: npt.ArrayLike,
        chosen: npt.NDArray[np.int64] | None = None,
    ) -> Attributions:
        """Turns the values of the design's coalitions into attributions with standard errors.

        Args:
          block_values: (n, n_blocks, n_coalitions, K) model outputs, averaged over the rows of each block with
            `background_weight` normalised within the block.
          prediction: (n, K) outputs of the examples.
          background_predictions: (B, K) outputs of all background rows.
          chosen: (n, c) which of the K outputs each example asks for; block values and prediction have these c alone,
            and so have the attributions. None = all.

        Returns:
          Attributions. An example whose values are not finite has no finite attributions; others are not affected.

        Raises:
          EstimationError: a shape does not fit the design.

        Blocks are independent, so variances add with squared block weights. The spread BETWEEN blocks holds design and
        background error; what exceeds the design variance is the background's.

        A player that matters in a few contexts only, with an attribution far below 1 % of the largest, has an unbiased
        variance, but its interval may cover less than its confidence: the few contexts are often missed altogether.

        Degrees of freedom count blocks as if they were (sum w^2)^2 / sum w^4 blocks of equal weight.

        Source: the split is ours.
        """
        block_values, outputs, backgrounds = self._checked(block_values, prediction, background_predictions, chosen)
        n, n_outputs = outputs.shape
        weights = self.background_weight.sum(axis=1)
        block_base = self._block_base(backgrounds)
        base_value = weights @ block_base
        own_base = block_base[:, None] if chosen is None else block_base[:, chosen]
        solved, of_pairs = self._solved(block_values, outputs, own_base)
        attributions = np.einsum("g,gcd->cd", weights, solved.values)
        total_variance = variance_between_blocks(self.background_weight, solved.values, attributions)
        separated = solved.dof > 0
        n_effective = n_effective_blocks(weights)
        design_variance = np.einsum("g,gcd->cd", weights**2, solved.variance) if separated else total_variance

        def per_example(per_case: FloatArray) -> FloatArray:
            return np.ascontiguousarray(per_case.reshape(n, n_outputs, per_case.shape[1]).transpose(0, 2, 1))

        interactions = None if of_pairs is None else np.einsum("g,gci->ci", weights, of_pairs)
        result = per_example(attributions)
        return Attributions(
            values=result,
            design_std_error=per_example(np.sqrt(design_variance)),
            background_std_error=per_example(np.sqrt(np.maximum(total_variance - design_variance, 0.0))),
            base_value=base_value,
            completeness_gap=result.sum(axis=1) - (outputs - (base_value if chosen is None else base_value[chosen])),
            design_dof=n_effective * solved.dof if separated else n_effective - 1,
            background_dof=n_effective - 1,
            interactions=None if interactions is None else per_example(interactions),
            noise_ratio=self.noise_ratio if separated else _UNSEPARATED,
        )

    def effects_of_blocks(
        self, block_values: npt.ArrayLike, prediction: npt.ArrayLike, background_predictions: npt.ArrayLike
    ) -> tuple[FloatArray, FloatArray]:
        """Attributions of n examples for each block of the background alone; arguments as of `solve`.

        Returns:
          (n, n_blocks, d, K) attributions and their design variances.
        """
        block_values, outputs, backgrounds = self._checked(block_values, prediction, background_predictions)
        solved, _ = self._solved(block_values, outputs, self._block_base(backgrounds)[:, None])
        shape = (self.n_blocks, *outputs.shape, self.n_players)
        effects, variances = (part.reshape(shape).transpose(1, 0, 3, 2) for part in (solved.values, solved.variance))
        return np.ascontiguousarray(effects), np.ascontiguousarray(variances)

    def _solved(
        self, block_values: FloatArray, outputs: FloatArray, block_base: FloatArray
    ) -> tuple[BlockSolutions, FloatArray | None]:
        """Attributions of each block, and interactions, (n_blocks, c, n_interactions), where they were asked for.

        Args:
          block_values: (n, n_blocks, n_coalitions, K).
          outputs: (n, K).
          block_base: (n_blocks, n or 1, K) mean outputs over the rows of each block.
        """
        solved, of_pairs = [], []
        n_at_once = max(_VALUES_AT_ONCE // max(outputs.size * self.n_coalitions, 1), 1)
        for start in range(0, self.n_blocks, n_at_once):
            blocks = slice(start, start + n_at_once)
            values = self._in_pairs(block_values[:, blocks], outputs, block_base[blocks])
            solved.append(self.solve_blocks(values, blocks))
            ends = (outputs + block_base[blocks]).reshape(values.totals.shape) / 2
            of_pairs.append(self.solve_interactions(values, ends, blocks))
        found, variances = (np.concatenate([getattr(part, name) for part in solved]) for name in ("values", "variance"))
        known = [part for part in of_pairs if part is not None]
        return BlockSolutions(found, variances, solved[0].dof), np.concatenate(known) if known else None

    def _block_base(self, backgrounds: FloatArray) -> FloatArray:
        """(n_blocks, K) mean outputs over each block's rows."""
        base = np.einsum("gr,grk->gk", self.background_weight, backgrounds[self.background_index])
        return np.asarray(base / self.background_weight.sum(axis=1)[:, None])

    def _in_pairs(self, block_values: FloatArray, outputs: FloatArray, block_base: FloatArray) -> PairValues:
        """With the outputs of each block, (n_blocks, n or 1, K).

        For a single output the values are views: they are many, and copies would cost more than the solve.
        """
        n_blocks, n_cases, half = len(block_base), outputs.size, self.n_coalitions // 2
        cases = block_values.transpose(1, 0, 3, 2).reshape(n_blocks, n_cases, self.n_coalitions)
        totals = (outputs - block_base).reshape(n_blocks, n_cases, 1)
        return PairValues(cases[:, :, :half], cases[:, :, half:], totals)

    def _checked(
        self,
        block_values: npt.ArrayLike,
        prediction: npt.ArrayLike,
        background_predictions: npt.ArrayLike,
        chosen: npt.NDArray[np.int64] | None = None,
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        values = np.asarray(block_values, dtype=np.float64)
        outputs = np.asarray(prediction, dtype=np.float64)
        backgrounds = np.asarray(background_predictions, dtype=np.float64)
        if outputs.ndim != 2:
            raise EstimationError(f"predictions must have the shape (examples, outputs), got {outputs.shape}.")
        n, n_outputs = outputs.shape
        n_known = n_outputs if chosen is None else backgrounds.shape[-1]
        for name, array, expected in (
            ("block values", values, (n, self.n_blocks, self.n_coalitions, n_outputs)),
            ("background predictions", backgrounds, (self.n_background, n_known)),
            ("chosen outputs", outputs if chosen is None else chosen, (n, n_outputs)),
        ):
            if array.shape != expected:
                raise EstimationError(
                    f"{name} have the shape {array.shape}, but design and predictions need {expected}."
                )
        return values, outputs, backgrounds
