"""What the spread between blocks of the background says of the error of their weighted mean."""

from __future__ import annotations

import numpy as np

from tfx_explain.attribution.maps import FloatArray

MIN_DOF = 3
"""With fewer degrees of freedom a variance is not worth stating."""


def n_effective_blocks(weights: FloatArray) -> float:
    """As how many blocks of equal weight blocks of these weights (n_blocks,) count: (sum w^2)^2 / sum w^4."""
    return (weights**2).sum() ** 2 / (weights**4).sum()


def variance_between_blocks(background_weight: FloatArray, per_block: FloatArray, mean: FloatArray) -> FloatArray:
    """Variance of the weighted mean over blocks, from the spread between them; nan for fewer than 4 blocks.

    A block's variance is taken to be proportional to the sum of squares of its rows' shares. With that, the estimate is
    unbiased for any weights and block sizes; for equal ones it is the familiar squared standard error of a mean.

    Args:
      background_weight: (n_blocks, n_block_rows), sums to 1 over everything.
      per_block: (n_blocks, c, d) estimates.
      mean: (c, d) their weighted mean.

    Returns:
      (c, d) variances.
    """
    if len(background_weight) <= MIN_DOF:
        return np.full_like(mean, np.nan)
    weights = background_weight.sum(axis=1)
    # With V_g the variance of block g and m = sum_h w_h x_h, E (x_g - m)^2 = V_g (1 - 2 w_g) + sum_h w_h^2 V_h. The
    # spread sums that with weights w_g^2, so its ratio to sum_h w_h^2 V_h, the variance of m, is known up to the scale
    # of V, which cancels.
    block_variance = (background_weight**2).sum(axis=1) / weights**2
    mean_variance = weights**2 @ block_variance
    expected = weights**2 @ (block_variance * (1 - 2 * weights) + mean_variance)
    spread = np.einsum("g,gcd->cd", weights**2, np.square(per_block - mean))
    return np.asarray(spread * (mean_variance / expected), dtype=np.float64)
