"""Where a guided path goes next: first along the columns that the output hardly depends on there.

A straight path crosses places where gradients are large though the model was never trained there, and these add noise
to what columns add up to. A guided path takes the columns with the smallest gradients first, as many in each step as it
takes to come nearer to the end by as much as the straight path does, and stays near the straight path.

Source: A. Kapishnikov et al., "Guided integrated gradients: an adaptive path method for removing noise", CVPR 2021.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

# Distances are sums of rounded numbers.
_ROUNDING = 1e-9


def guided_points(
    points: FloatArray,
    ends: tuple[FloatArray, FloatArray],
    gradients: FloatArray,
    share: float,
    fraction: float,
    max_distance: float,
) -> FloatArray:
    """(P, w) where P paths are after a step.

    Args:
      points: (P, w) where they are.
      ends: (P, w) where they start, and where they end.
      gradients: (P, w) at the points.
      share: of the distance (L1) between start and end that lies behind each path after the step, above 0.
      fraction: of the columns that move at a time, those with the smallest gradients; of equal ones all.
      max_distance: how far a column may be ahead of the straight path, or behind it, as a part of its way.
    """
    starts, stops = ends
    if share >= 1.0:
        return stops.copy()
    moves = np.where(stops == starts, 0.0, stops - starts)
    last = starts + max(share - max_distance, 0.0) * moves
    first = np.where(share + max_distance >= 1.0, stops, starts + min(share + max_distance, 1.0) * moves)
    # Columns that are too far behind catch up, whatever their gradients.
    is_behind = np.abs(points - starts) < np.abs(last - starts)
    made = np.where(is_behind, last, points)
    total = np.abs(moves).sum(axis=1)
    nearest = int(fraction * (points.shape[1] - 1))
    sizes = np.where((made == first) | (moves == 0.0), np.inf, np.abs(gradients))
    for _ in range(points.shape[1]):
        to_go = np.abs(np.where(moves == 0.0, 0.0, stops - made)).sum(axis=1) - total * (1.0 - share)
        is_open = to_go > _ROUNDING * total
        if not is_open.any():
            break
        threshold = np.partition(sizes, nearest, axis=1)[:, nearest, None]
        chosen = (sizes <= threshold) & np.isfinite(sizes) & is_open[:, None]
        room = np.where(chosen, np.abs(first - made), 0.0).sum(axis=1)
        part = np.divide(to_go, room, out=np.ones_like(room), where=(room > to_go) & is_open)[:, None]
        made = np.where(chosen, np.where(part >= 1.0, first, made + part * (first - made)), made)
        sizes = np.where(chosen, np.inf, sizes)
        if not (chosen.any(axis=1) | ~is_open).all():
            # No column of some path is free: gradients that are no numbers.
            break
    return made
