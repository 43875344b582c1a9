"""A surrogate of each player's effect between an example and a background row, whose mean over a background is exact.

It takes a few numbers ("codes") of either row. For a new example its mean over all background rows costs nothing, and
the model has to be asked only for what it misses.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tfx_explain.attribution.maps import FloatArray
from tfx_explain.attribution.row_products import row_products
from tfx_explain.attribution.sampling import RandomWords

# More directions, or rectified ones, are not worth the coefficients they need; and many codes need many already.
_MAX_DIRECTIONS = 64
_MAX_RECTIFIED = 100
_MAX_OF_MANY = 32
# The ridge is the same for all, so this prefers what is linear in the codes.
_RECTIFIED_SCALE = 0.5


@dataclass(frozen=True, eq=False)
class Context:
    """What slopes depend on: directions of the codes, and rectified random mixtures of them.

    Attributes:
      directions: (q, c).
      mixtures: (q, r).
      offsets: (r,).

    Source: Rahimi & Recht 2007 (random features).
    """

    directions: FloatArray
    mixtures: FloatArray
    offsets: FloatArray

    @classmethod
    def of(cls, codes: FloatArray, random: RandomWords) -> Context:
        """All codes where they are few, else their main directions among these (B, q)."""
        n_codes = codes.shape[1]
        directions, n_rectified = np.eye(n_codes), min(_MAX_RECTIFIED, len(codes))
        if n_codes > _MAX_DIRECTIONS:
            main = np.linalg.svd(codes - codes.mean(axis=0), full_matrices=False)[2]
            directions, n_rectified = np.ascontiguousarray(main[:_MAX_OF_MANY].T), min(_MAX_OF_MANY, len(codes))
        # Uniform, with the variance of mixtures that are as large as the codes, if these are independent.
        uniform = random.words(n_codes + 1, n_rectified) / 2.0**63 - 1
        uniform *= _RECTIFIED_SCALE * np.sqrt(3)
        return cls(directions, uniform[:-1] / np.sqrt(max(n_codes, 1)), uniform[-1])

    def __call__(self, codes: FloatArray) -> FloatArray:
        """(n, c + r) of rows with these codes, (n, q)."""
        rectified = np.maximum(row_products(codes, self.mixtures) + self.offsets, 0.0)
        return np.concatenate([row_products(codes, self.directions), rectified], axis=1)


@dataclass(frozen=True, eq=False)
class Surrogate:
    """Effects c_p(x, b) of players p between an example x and a background row b.

    c_p(x, b) = sum over the codes a of p of (x_a - b_a) (U_a(x) + V_a(b)), with U and V linear in the rows' context.
    It has all order-2 models that are bilinear in the codes.

    Attributes:
      owners: (q,) the player of each code; a player may have none.
      context: what U and V are linear in.
      intercept: (K, q) constant part of U.
      of_example: (K, c + r, q) rest of U, applied to an example's context.
      of_background: (K, c + r, q) V, applied to a background row's context.
      background_codes: (B, q).
      spread: (d,) how much a player's effect, less the surrogate, varies between background rows, as a ratio of
        variances to the noise of one pair of coalitions.
    """

    owners: npt.NDArray[np.int64]
    context: Context
    intercept: FloatArray
    of_example: FloatArray
    of_background: FloatArray
    background_codes: FloatArray
    spread: FloatArray

    def example_slopes(self, codes: FloatArray, outputs: npt.NDArray[np.int64] | slice = slice(None)) -> FloatArray:
        """U, (K', n, q), of examples with these codes, (n, q), for some outputs."""
        products = row_products(self.context(codes)[None], self.of_example[outputs])
        return np.asarray(self.intercept[outputs, None] + products)

    def background_slopes(self) -> FloatArray:
        """V, (K, B, q), of the background rows."""
        return np.matmul(self.context(self.background_codes), self.of_background)
