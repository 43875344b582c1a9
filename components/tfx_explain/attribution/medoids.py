"""A small weighted background that stands for many rows: k-medoids, so every row of it is a real one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata

from tfx_explain.errors import EstimationError

_MAX_ROUNDS = 50

FloatArray = npt.NDArray[np.float64]


def row_distances(
    numeric: Sequence[npt.ArrayLike] = (), categorical: Sequence[npt.ArrayLike] = ()
) -> npt.NDArray[np.float32]:
    """Gower distances between rows: mean over features, each within 0..1.

    Numeric features count by their ranks, so that neither scale nor outliers matter; a missing value (NaN) is at
    distance 1 from every present one and 0 from another missing one. Categorical ones are equal (0) or not (1).

    Args:
      numeric: (n,) arrays of numbers.
      categorical: (n,) arrays of codes.

    Returns:
      (n, n).

    Source: J. C. Gower, Biometrics 27 (1971) 857-871, similarity coefficient (5), with ranks.
    """
    n_features = len(numeric) + len(categorical)
    if not n_features:
        raise EstimationError("medoids need at least one feature to compare rows by; include one.")
    total: npt.NDArray[np.float32] | None = None
    for column in numeric:
        values = np.asarray(column, np.float64)
        missing = np.isnan(values)
        ranks = np.zeros(len(values), np.float32)
        present = np.flatnonzero(~missing)
        if len(present) > 1:
            ranks[present] = (rankdata(values[present]) - 1) / (len(present) - 1)
        distance = np.abs(ranks[:, None] - ranks[None, :])
        distance[missing[:, None] != missing[None, :]] = 1
        distance[missing[:, None] & missing[None, :]] = 0
        total = distance if total is None else total + distance
    for column in categorical:
        codes = np.asarray(column)
        differs = (codes[:, None] != codes[None, :]).astype(np.float32)
        total = differs if total is None else total + differs
    return np.asarray(total, np.float32) / np.float32(n_features)


def medoids(distances: npt.ArrayLike, n_medoids: int) -> tuple[npt.NDArray[np.int64], FloatArray]:
    """Rows that are nearest to all others on average, and the share of rows that each stands for.

    Deterministic: starts from the row in the middle and then the farthest ones, and alternates assigning and centring
    until nothing changes.

    Args:
      distances: (n, n) symmetric.
      n_medoids: how many; all rows, equally weighted, where there are no more than that.

    Returns:
      Indices (k,), ascending, and weights (k,), sum 1.

    Source: H.-S. Park, C.-H. Jun, "A simple and fast algorithm for K-medoids clustering", Expert Systems with
    Applications 36 (2009) 3336-3341; the start is ours.
    """
    distance = np.asarray(distances)
    n = len(distance)
    if n_medoids < 1:
        raise EstimationError(f"a background needs at least one row, got num_rows {n_medoids}.")
    if n <= n_medoids:
        return np.arange(n), np.full(n, 1 / n)
    chosen = _spread_out(distance, n_medoids)
    for _ in range(_MAX_ROUNDS):
        nearest = distance[:, chosen].argmin(axis=1)
        centred = np.array([_centre(distance, np.flatnonzero(nearest == k), chosen[k]) for k in range(n_medoids)])
        if (centred == chosen).all():
            break
        chosen = centred
    chosen = np.unique(chosen)
    counts = np.bincount(distance[:, chosen].argmin(axis=1), minlength=len(chosen))
    kept = counts > 0
    return chosen[kept], counts[kept] / n


def _spread_out(distance: FloatArray | npt.NDArray[np.float32], n_medoids: int) -> npt.NDArray[np.int64]:
    chosen = [int(distance.sum(axis=1).argmin())]
    nearest = distance[:, chosen[0]].copy()
    for _ in range(n_medoids - 1):
        chosen.append(int(nearest.argmax()))
        nearest = np.minimum(nearest, distance[:, chosen[-1]])
    return np.array(chosen)


def _centre(distance: FloatArray | npt.NDArray[np.float32], members: npt.NDArray[np.int64], before: int) -> int:
    if not len(members):
        return before
    return int(members[distance[np.ix_(members, members)].sum(axis=1).argmin()])
