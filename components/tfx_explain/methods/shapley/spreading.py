"""How rows are spread over designs, and over parts that are explained at a time."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from tfx_explain.attribution import Design, ExactDesign, SurrogateDesign
from tfx_explain.rows import ROWS_PER_BATCH, HashArray
from tfx_explain.summary.sizes import MAX_DESIGNS

IntArray = npt.NDArray[np.int64]

_MIN_DESIGNS = 2
_SURROGATE_DESIGNS = 4
_DISTINCT_COALITIONS = 4_096
_DESIGN_ELEMENTS = 2**22
# Blocks have coalitions of their own: where a row sees many, few designs already make the mean over rows differ.
_DISTINCT_BLOCKS = 128
# 8 MiB of coalition values at a time in each part, however large budget and background are.
_VALUE_ELEMENTS = 2**20
# Masks of large designs are made anew for each part, so that there the parts are larger: 64 MiB.
_LARGE_DESIGN = 2**24
_VALUE_ELEMENTS_OF_LARGE = 2**23


def design_count(design: Design) -> int:
    """How many designs rows are spread over: fewer large ones, so that memory does not grow with the budget."""
    if isinstance(design, ExactDesign):
        return 1
    wanted = min(MAX_DESIGNS, -(-_DISTINCT_BLOCKS // design.n_blocks))
    if isinstance(design, SurrogateDesign):
        # Its blocks have too few coalitions to differ by themselves.
        wanted = min(_SURROGATE_DESIGNS, _DISTINCT_COALITIONS // (design.n_blocks * design.n_coalitions))
    return max(_MIN_DESIGNS, min(wanted, _DESIGN_ELEMENTS // design.n_elements))


def design_ids_of(hashes: HashArray, design: Design) -> IntArray:
    """(n,) which of the designs explains each row."""
    return np.asarray((hashes % np.uint64(design_count(design))).astype(np.int64))


def part_count(n_rows: int, design: Design, n_values: int) -> int:
    """In how many parts rows are explained, so that there is room for the values of each."""
    per_row = max(design.n_blocks * design.n_coalitions * n_values, 1)
    room = _VALUE_ELEMENTS if design.coalitions.size <= _LARGE_DESIGN else _VALUE_ELEMENTS_OF_LARGE
    return -(-n_rows // max(room // per_row, 1))


def typical_parts(design: Design, n_values: int) -> tuple[int, ...]:
    """How many rows a part of a full batch has: rows fall to designs at random."""
    mean = ROWS_PER_BATCH / design_count(design)
    counts = [mean] if mean == ROWS_PER_BATCH else [mean - math.sqrt(mean), mean, mean + math.sqrt(mean)]
    return tuple(math.ceil(count / part_count(math.ceil(count), design, n_values)) for count in counts)
