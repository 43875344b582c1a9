"""The background in blocks, each of which meets coalitions of its own: which rows, and out of which random stream."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tfx_explain.attribution.maps import FloatArray
from tfx_explain.attribution.sampling import RandomWords
from tfx_explain.errors import EstimationError

# A job holds several designs, so each is kept small: 2^22 doubles are 32 MiB, 2^26 booleans 64 MiB.
_MAX_MAP_ELEMENTS = 2**22
_MAX_COALITION_ELEMENTS = 2**26
# Fewer blocks have no standard error for the background, so memory gives way to these.
_MIN_BLOCKS = 4
_PARTITION_STREAM = 2**63


@dataclass(frozen=True)
class DesignStream:
    """Names the random streams of one design."""

    seed: int
    n_players: int
    budget: int
    design_id: int

    def block(self, block: int) -> RandomWords:
        """The stream of one block."""
        return RandomWords(self.seed, self.n_players, self.budget, block, self.design_id)


def checked_weights(background_weights: npt.ArrayLike) -> FloatArray:
    """(B,) the weights, which sum to 1 exactly.

    Raises:
      EstimationError: they are no weights.
    """
    weights = np.asarray(background_weights, dtype=np.float64)
    if weights.ndim != 1 or not weights.size:
        raise EstimationError(f"background weights must be a non-empty vector, got shape {weights.shape}.")
    if not (np.isfinite(weights).all() and (weights >= 0).all() and abs(weights.sum() - 1) <= 1e-6):
        raise EstimationError(
            f"background weights must be non-negative and sum to 1, got a sum of {weights.sum():g} and a least "
            f"weight of {weights.min():g}; divide them by their sum."
        )
    return np.asarray(weights / weights.sum(), dtype=np.float64)


def n_blocks_with_maps(n_elements: int) -> int:
    """How many blocks there is memory for, where each has matrices of so many doubles."""
    return max(_MAX_MAP_ELEMENTS // n_elements, _MIN_BLOCKS)


def n_blocks_with_coalitions(n_elements: int) -> int:
    """How many blocks there is memory for, where each has coalitions of so many booleans."""
    return max(_MAX_COALITION_ELEMENTS // n_elements, _MIN_BLOCKS)


def partition(weights: FloatArray, max_blocks: int, stream: DesignStream) -> tuple[npt.NDArray[np.int32], FloatArray]:
    """Splits the background rows at random into at most `max_blocks` blocks of nearly equal size.

    Random, because the spread between blocks has to stand for the spread between backgrounds, in whatever order rows
    come. The number of blocks is the largest that needs little padding, but not below `_MIN_BLOCKS` where that can be.

    Args:
      weights: (B,) of the rows; those of weight 0 are in no block.
      max_blocks: see above.
      stream: of the design.

    Returns:
      (n_blocks, n_block_rows) rows and their weights; shorter blocks repeat a row with weight 0.
    """
    rows = np.flatnonzero(weights)
    rows = rows[stream.block(_PARTITION_STREAM).orders(1, len(rows))[0]]
    n_block_rows = math.ceil(len(rows) / max_blocks)
    least = min(_MIN_BLOCKS, max_blocks, len(rows))
    blocks = np.array_split(rows, max(math.ceil(len(rows) / n_block_rows), least))
    index = np.array([np.resize(block, n_block_rows) for block in blocks], dtype=np.int32)
    filled = np.arange(n_block_rows) < np.array([[len(block)] for block in blocks])
    return index, np.where(filled, weights[index], 0.0)
