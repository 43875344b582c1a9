"""Where the steps of expected gradients are: at random places that follow from seed and row alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tfx_explain.content_sample import copy_keys, stream_of, uniform_of
from tfx_explain.rows import HashArray

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class StratifiedPlaces:
    """Places on the paths from B references to n rows, see `stratified_alphas`; made where they are asked for.

    Attributes:
      hashes: (n,) of the rows' contents.
      references: (B,) numbers of the rows that paths start from.
      n_steps: of each path.
      seed: of the job.
    """

    hashes: HashArray
    references: IntArray
    n_steps: int
    seed: int

    def of(self, rows: IntArray, references: IntArray) -> FloatArray:
        """(p, q, n_steps) of some rows and references, counted from 0."""
        return stratified_alphas(self.hashes[rows], self.references[references], self.n_steps, self.seed)


def stratified_alphas(hashes: HashArray, references: IntArray, n_strata: int, seed: int) -> FloatArray:
    """(n, B, n_strata) points of [0, 1), ascending: one at random in each of n_strata equal parts.

    Args:
      hashes: (n,) of the rows' contents.
      references: (B,) numbers of the rows that paths start from.
      n_strata: steps of each path.
      seed: of the job.
    """
    strata = np.arange(n_strata)
    counters = (references[:, None] * n_strata + strata).reshape(1, -1)
    # Other numbers of strata are other draws.
    keys = copy_keys(hashes[:, None], counters, stream_of(seed, f"expected_gradients {n_strata}"))
    places = uniform_of(keys)
    places += np.tile(strata, len(references))
    places /= n_strata
    return places.reshape(len(hashes), len(references), n_strata)
