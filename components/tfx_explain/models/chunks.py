"""How blocks of coalitions are cut into calls of the model.

The chunk sizes depend on the blocks and the model alone, never on how many examples come in one call: every call of the
model then has the same shape, and an example's values are the same bits whatever its neighbours.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

# Measured on two cores, masked rows of small networks: 128k rows a call are a third faster than 32k, 256k a tenth more.
_MAX_ROWS = 2**18
# Compiled calls run these one after the other: what the layers of a small network make of them stays in the cache.
_ROWS_PER_TILE = 2**15
# What a call costs besides, in rows of such a network.
_ROWS_PER_CALL = 2**13
# Values that a call gives back: 8 MiB, however many outputs a row has.
MAX_VALUES = 2**20
_MAX_BYTES = 32 * 2**20
_MAX_MULTIPLICATIONS = 2**31
# Multiples of what processors with and without AVX-512 take at a time, for several threads; and few enough for one.
_ROW_BLOCK = 48
_FEW_ROWS = np.array([1, 2, 3, 4, 6, 12, 16, 24])


@dataclass(frozen=True)
class Chunks:
    """Examples, blocks and coalitions that one call of the model covers."""

    n_examples: int
    n_blocks: int
    n_coalitions: int


def rows_per_call(width: int, n_weights: int) -> int:
    """Model rows for one call.

    Args:
      width: values that one row feeds to the model.
      n_weights: constants of the model, each taken to cost one multiplication per row.
    """
    bound = min(_MAX_BYTES // (4 * max(width, 1)), _MAX_MULTIPLICATIONS // max(n_weights, 1), _MAX_ROWS)
    return max(bound, 16)


def rows_that_round_alike(n: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """How many rows a call has, n or more, so that a row's bits do not depend on where it stands among them.

    Products of matrices by oneDNN round the last rows otherwise where these fill no whole block: on processors without
    AVX-512 blocks are of 6 rows, shared out among threads. Compiled calls have no need of it.
    """
    few = _FEW_ROWS[np.searchsorted(_FEW_ROWS[:-1], n)]
    return np.where(few >= n, few, -(-np.asarray(n) // _ROW_BLOCK) * _ROW_BLOCK)


@functools.lru_cache(maxsize=256)
def plan_chunks(
    n_blocks: int, n_coalitions: int, n_block_rows: int, max_rows: int, typical: tuple[int, ...] = ()
) -> Chunks:
    """The largest chunks of at most `max_rows` model rows that make whole tiles, or the smallest there can be.

    Where it is known how many examples come at once, the chunks that cover them with the least waste.

    Args:
      n_blocks: how many there are.
      n_coalitions: of each block.
      n_block_rows: background rows of each block.
      max_rows: of one call.
      typical: numbers of examples that are as likely as each other; () = not known.
    """
    per_block = max(n_coalitions * n_block_rows, 1)
    if per_block * n_blocks <= max_rows:
        per_example = per_block * n_blocks
        most = max_rows // per_example
        per_tile = min(max(_ROWS_PER_TILE // per_example, 1), most)
        n_examples = _least_waste(typical, most, per_tile, per_example) if typical else most - most % per_tile
        return Chunks(n_examples, n_blocks, n_coalitions)
    if per_block <= max_rows:
        return Chunks(1, _even(n_blocks, max_rows // per_block, per_block), n_coalitions)
    return Chunks(1, 1, _even(n_coalitions, max(1, max_rows // n_block_rows), n_block_rows))


def _least_waste(typical: tuple[int, ...], most: int, per_tile: int, per_example: int) -> int:
    """The chunk size for which these numbers of examples take the least time; in equal tiles, at least half full."""
    tiles = range(-(-per_tile // 2), per_tile + 1)
    sizes = np.unique([tile * n_tiles for tile in tiles for n_tiles in range(1, most // tile + 1)])
    n_calls = -(-np.array(typical)[:, None] // sizes)
    cost = (n_calls * (rows_that_round_alike(sizes * per_example) + _ROWS_PER_CALL)).mean(axis=0)
    return int(sizes[np.argmin(cost)])


def tile_size(n: int, rows_per_item: int) -> int:
    """How many of n items a tile of a compiled call takes: a part of them that divides n, or all."""
    most = max(_ROWS_PER_TILE // rows_per_item, 1)
    size = next(size for size in range(min(most, n), 0, -1) if n % size == 0)
    return size if 4 * size * rows_per_item >= _ROWS_PER_TILE else n


def _even(total: int, most: int, rows_per_item: int) -> int:
    """The chunk size, at most `most`, that covers `total` with the least padding, in few chunks."""
    sizes = np.arange(1, most + 1)
    per_call = rows_that_round_alike(sizes * rows_per_item) + most * rows_per_item / 16
    return int(sizes[np.argmin(-(-total // sizes) * per_call)])


def padded_range(start: int, size: int, total: int) -> npt.NDArray[np.intp]:
    """`size` indices from `start`; those past the end repeat the last one."""
    return np.minimum(np.arange(start, start + size), total - 1)
