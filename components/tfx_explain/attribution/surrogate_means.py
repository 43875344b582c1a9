"""What a surrogate says of a whole background: mean effects of blocks of its rows, and variances over the rows.

A surrogate's effect of code a is (x_a - b_a) (U_a(x) + V_a(b)) = x_a U_a + x_a V_a - b_a U_a - b_a V_a. Of the
background row b it takes V, b and the product b V alone, so their means and covariances over rows are all that has to
be kept.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tfx_explain.attribution.maps import FloatArray, centre
from tfx_explain.attribution.row_products import row_products
from tfx_explain.attribution.sampling import Coalitions
from tfx_explain.attribution.surrogate import Surrogate
from tfx_explain.attribution.surrogate_design import SurrogateDesign


class BlockMeans(NamedTuple):
    """The background in the surrogate's formula, and outputs less the base value; means over each block.

    An effect is linear in an example's terms: per code a, x_a U_a and x_a and U_a; then its total and 1.

    Attributes:
      parts: (K, n_blocks, 3, q) of V, b and b V.
      outputs: (n_blocks, K).
    """

    parts: FloatArray
    outputs: FloatArray

    @classmethod
    def of(cls, design: SurrogateDesign, surrogate: Surrogate, outputs: FloatArray) -> BlockMeans:
        """From (B, K) outputs of the background rows."""
        shares = design.background_weight / design.background_weight.sum(axis=1, keepdims=True)
        rows = _background_parts(surrogate)[:, design.background_index]
        return cls(
            np.einsum("gr,kgrcq->kgcq", shares, rows), np.einsum("gr,grk->gk", shares, outputs[design.background_index])
        )

    def of_pairs(self, output: int, halves: Coalitions, owners: npt.NDArray[np.int64]) -> FloatArray:
        """(all pairs, 3 q + 2): what the surrogate and an even share of the total give each pair as its odd part."""
        by_code = centre(halves)[:, :, owners]
        share = halves.mean(axis=2)[:, :, None] - 0.5
        slope, code, product = (self.parts[output][:, None, part] for part in range(3))
        constant = -(by_code * product).sum(axis=2, keepdims=True) - share * self.outputs[:, output, None, None]
        terms = np.concatenate([by_code, by_code * slope, -by_code * code, share, constant], axis=2)
        return np.asarray(terms.reshape(halves.shape[0] * halves.shape[1], -1))

    def over_all(self, weights: FloatArray) -> FloatArray:
        """(K, 3 q + 2, q): the mean effect of each code over the whole background."""
        of_outputs = []
        for slope, code, product in np.einsum("g,kgcq->kcq", weights, self.parts):
            unit, none = np.eye(len(slope)), np.zeros((1, len(slope)))
            of_outputs.append(np.concatenate([unit, np.diag(slope), -np.diag(code), none, -product[None]]))
        return np.asarray(of_outputs)


def _background_parts(surrogate: Surrogate) -> FloatArray:
    """(K, B, 3, q) V, b and b V of each background row."""
    slopes = surrogate.background_slopes()
    codes = np.broadcast_to(surrogate.background_codes, slopes.shape)
    return np.stack([slopes, codes, codes * slopes], axis=2)


class RowVariance(NamedTuple):
    """Variances over the background of x V - U b - b V, summed over the codes of each player.

    Attributes:
      pairs: (2, p) codes of the same player, each with itself and, both ways round, with others.
      covariances: (K, 3, 3, p) of V, b and b V of the first code with those of the second.
      owners: (p, d) whose pairs they are.
    """

    pairs: npt.NDArray[np.int64]
    covariances: FloatArray
    owners: FloatArray

    @classmethod
    def of(cls, surrogate: Surrogate, weights: FloatArray, n_players: int) -> RowVariance:
        """From (B,) weights of the background rows."""
        pairs = np.array(np.nonzero(surrogate.owners[:, None] == surrogate.owners))
        rows = _background_parts(surrogate)
        centred = rows - np.einsum("b,kbcq->kcq", weights, rows)[:, None]
        first, second = centred[..., pairs[0]], centred[..., pairs[1]]
        covariances = np.einsum("b,kbcp,kbep->kcep", weights, first, second, optimize=True)
        return cls(pairs, covariances, np.eye(n_players)[surrogate.owners[pairs[0]]])

    def __call__(self, output: int, codes: FloatArray, slopes: FloatArray) -> FloatArray:
        """(n, d) of examples with these codes and slopes U, (n, q)."""
        factors = [codes, -slopes, np.full_like(codes, -1.0)]
        variances = np.zeros((len(codes), self.pairs.shape[1]))
        for i, first in enumerate(factors):
            for j, second in enumerate(factors):
                variances += first[:, self.pairs[0]] * second[:, self.pairs[1]] * self.covariances[output, i, j]
        return np.maximum(row_products(variances, self.owners), 0.0)
