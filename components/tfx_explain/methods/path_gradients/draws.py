"""Where the steps of expected gradients are: at random places that follow from seed and row alone."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tfx_explain.content_sample import copy_keys, stream_of, uniform_of
from tfx_explain.rows import HashArray

FloatArray = npt.NDArray[np.float64]


def stratified_alphas(hashes: HashArray, references: npt.NDArray[np.int64], n_strata: int, seed: int) -> FloatArray:
    """(n, B, n_strata) points of [0, 1), ascending: one at random in each of n_strata equal parts.

    Args:
      hashes: (n,) of the rows' contents.
      references: (B,) numbers of the rows that paths start from.
      n_strata: steps of each path.
      seed: of the job.
    """
    strata = np.arange(n_strata)
    counters = references[:, None] * n_strata + strata
    # Other numbers of strata are other draws.
    keys = copy_keys(hashes[:, None, None], counters[None], stream_of(seed, f"expected_gradients {n_strata}"))
    return np.asarray((strata + uniform_of(keys)) / n_strata)
