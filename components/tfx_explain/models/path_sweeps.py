"""How the figures of paths that are swept as wholes lie, and what they say."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from tfx_explain.models.graph import FrozenGraph
from tfx_explain.models.path_gradients import FloatArray
from tfx_explain.models.path_tiles import MAX_FIGURES
from tfx_explain.models.row_values import values_per_row
from tfx_explain.paths import N_BLOCKS, Steps

# Of a tile, measured on two cores with a call of each: what the ops of a small network make of these stays in the
# caches, and few paths of a later sweep fill no larger ones up.
_ROWS_OF_FIRST = 2**14
_ROWS_OF_LATER = 2**13
# Of a call: half a batch.
_MAX_PATHS = 2**9
# Measured with networks of 10 to 300 features on two cores: sweeps of larger ones take longer than segments do.
_MAX_WEIGHTS = 2**15
_MAX_VALUES = 2**11
# Of networks up to here more steps take less time than another sweep of some rows.
_FEW_WEIGHTS = 2**13
_KINKED = frozenset(
    ["Abs", "LeakyRelu", "Max", "Maximum", "Min", "Minimum", "Relu", "Relu6", "Select", "SelectV2", "Selu"]
)


@dataclass(frozen=True)
class SweepLayout:
    """In the first sweep outputs at both ends, contributions, variances, and those of blocks; then blocks' sums.

    Last, in the first sweep, come the blocks' integrals.

    Attributes:
      steps: where gradients are taken.
      n_owners: players and slots.
    """

    steps: Steps
    n_owners: int

    @property
    def n_points(self) -> int:
        """Where gradients are taken, of a path."""
        return self.steps.n_points

    @property
    def n_figures(self) -> int:
        """Of a path, per output."""
        return sum(math.prod(shape) for shape in self._shapes)

    @property
    def tile(self) -> int:
        """Paths of a tile: a power of two, as most batches have rows."""
        rows = _ROWS_OF_FIRST if self.steps.is_first else _ROWS_OF_LATER
        return 1 << (max(min(rows // self.n_points, MAX_FIGURES // self.n_figures), 1).bit_length() - 1)

    def n_tiles(self, tile: int, n_outputs: int) -> int:
        """How many tiles of so many paths the largest call takes."""
        return max(min(_MAX_PATHS // tile, MAX_FIGURES // (tile * self.n_figures * n_outputs)), 1)

    def unpacked(self, figures: FloatArray) -> list[FloatArray]:
        """Part by part what (q, n_figures, c) say."""
        ends = np.cumsum([math.prod(shape) for shape in self._shapes])[:-1]
        parts = zip(self._shapes, np.split(figures, ends, axis=1), strict=True)
        return [part.reshape(len(figures), *shape, figures.shape[2]) for shape, part in parts]

    @property
    def _shapes(self) -> list[tuple[int, ...]]:
        d = self.n_owners
        sums = [(N_BLOCKS, d)]
        return [(2,), (d,), (d,), (N_BLOCKS,), *sums, *sums] if self.steps.is_first else [*sums]


def first_steps(graph: FrozenGraph) -> int:
    """How many steps paths are swept with at first; 0 where a gradient costs more than to keep account of a segment.

    Integrals over smooth functions need few; kinks cost accuracy wherever they are.
    """
    n_weights = graph.n_weights()
    if n_weights > _MAX_WEIGHTS or values_per_row(graph) > _MAX_VALUES:
        return 0
    feeds = {name for port in graph.ports for name in port.tensors}
    used = {name.rpartition(":")[0] for name in graph.reachable([graph.output], stops=feeds) - feeds}
    is_kinked = any(node.op in _KINKED for node in graph.graph_def.node if node.name in used)
    return 162 if is_kinked and n_weights <= _FEW_WEIGHTS else 54
