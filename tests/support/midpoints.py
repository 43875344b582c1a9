"""What players add along straight paths, by the midpoint rule."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tfx_explain.models.path_gradients import Paths, PathSegments, Points
from tfx_explain.paths import Rule


def whole(n: int) -> PathSegments:
    """Path i from start i to end i, as a single segment each."""
    return PathSegments(np.arange(n), np.arange(n), np.zeros(n), np.ones(n))


def midpoint_sums(
    paths: Paths, starts: Points, ends: Points, n_steps: int, outputs: npt.NDArray[np.int64]
) -> npt.NDArray[np.float64]:
    """(P, n_players + n_slots, c) contributions from start i to end i, of outputs (P, c)."""
    return paths.refine(starts, ends, whole(len(starts)), outputs, Rule(n_steps, 1)).sums.sum(axis=1)
