"""Orders in which parts of rows are taken away, and the areas under the curves that the model's outputs make.

Rows have different numbers of parts: arrays are as wide as the row with the most, and a part that a row does not have
has the size 0 and stands last in every order.

Source: Petsiuk, Das and Saenko, "RISE: randomized input sampling for explanation of black-box models", BMVC 2018
(deletion and insertion); Bhatt, Weller and Moura, "Evaluating and aggregating feature-based model explanations", IJCAI
2020 (mu-fidelity).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tfx_explain.content_sample import copy_keys, stream_of
from tfx_explain.rows import HashArray

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

N_CHUNKS = 5
"""Into so many parts a random order is cut for mu-fidelity: each has a fifth of the parts of a row."""

# A spread below this part of the largest figure is none: models compute in 32 bits.
_ROUNDING = 1e-6


def ranks_of(scores: FloatArray, sizes: FloatArray, ties: IntArray) -> IntArray:
    """(n, c, U) place of each part where the largest score stands first.

    Args:
      scores: (n, U, c), of the unit of size.
      sizes: (n, U) of the parts; 0 = the row has no such part.
      ties: (n, U) places by which parts of equal scores stand: a fixed order of them might know something.
    """
    keys = np.where(sizes[:, None, :] > 0, -scores.transpose(0, 2, 1), np.inf)
    return _places(np.lexsort((np.broadcast_to(ties[:, None, :], keys.shape), keys), axis=2))


def random_ranks(hashes: HashArray, sizes: FloatArray, n_orders: int, seed: int, name: str) -> IntArray:
    """(n, n_orders, U) place of each part in random orders, which follow from seed, name and content of the row alone.

    Args:
      hashes: (n,) of the rows.
      sizes: (n, U); 0 = the row has no such part.
      n_orders: of each row.
      seed: of the job.
      name: of what is ordered.
    """
    counters = np.arange(n_orders)[:, None] * 2**20 + np.arange(sizes.shape[1])
    keys = copy_keys(hashes[:, None, None], counters[None], stream_of(seed, f"faithfulness {name}"))
    keys = np.where(sizes[:, None, :] > 0, keys >> np.uint64(1), np.uint64(2**64 - 1))
    return _places(np.argsort(keys, axis=2, kind="stable"))


def _places(orders: IntArray) -> IntArray:
    places = np.empty_like(orders)
    np.put_along_axis(places, orders, np.broadcast_to(np.arange(orders.shape[2]), orders.shape), axis=2)
    return places


def cuts_of(ranks: IntArray, sizes: FloatArray, n_steps: int) -> tuple[IntArray, FloatArray]:
    """Where orders are cut, so that parts taken together come nearest to 0, 1 / n_steps, ..., 1 of the whole row.

    Args:
      ranks: (n, o, U) place of each part.
      sizes: (n, U) of the parts.
      n_steps: steps of a curve.

    Returns:
      (n, o, n_steps + 1) how many parts come before each cut, and what part of the whole these are.
    """
    ordered = np.take_along_axis(np.broadcast_to(sizes[:, None], ranks.shape), np.argsort(ranks, axis=2), axis=2)
    total = np.maximum(sizes.sum(axis=1), 1e-300)[:, None, None]
    before = np.concatenate([np.zeros((*ranks.shape[:2], 1)), np.cumsum(ordered, axis=2)], axis=2) / total
    wanted = np.arange(n_steps + 1) / n_steps
    cuts = np.stack([np.abs(before - share).argmin(axis=2) for share in wanted], axis=2)
    cuts[..., -1] = (sizes > 0).sum(axis=1)[:, None]
    return cuts, np.take_along_axis(before, cuts, axis=2)


def areas(shares: FloatArray, values: FloatArray) -> FloatArray:
    """(...,) areas under curves by the trapezoid rule, from (..., s) abscissae in [0, 1] and ordinates."""
    return np.asarray((np.diff(shares, axis=-1) * (values[..., 1:] + values[..., :-1]) / 2).sum(axis=-1))


def at_steps(shares: FloatArray, values: FloatArray) -> FloatArray:
    """(n, s) ordinates at 0, 1 / (s - 1), ..., 1 of n piecewise linear curves, from (n, s) abscissae and ordinates."""
    wanted = np.linspace(0.0, 1.0, shares.shape[1])
    # The last abscissa that is not above the wanted one, and the next.
    below = np.clip((shares[:, None, :] <= wanted[:, None] + 1e-12).sum(axis=2) - 1, 0, shares.shape[1] - 2)
    x0, x1 = (np.take_along_axis(shares, below + i, axis=1) for i in (0, 1))
    y0, y1 = (np.take_along_axis(values, below + i, axis=1) for i in (0, 1))
    width = x1 - x0
    part = np.divide(wanted - x0, width, out=np.ones_like(width), where=width > 0)
    return np.asarray(y0 + np.clip(part, 0.0, 1.0) * (y1 - y0))


def chunks_of(ranks: IntArray, sizes: FloatArray) -> tuple[BoolArray, BoolArray]:
    """Parts of each random order, one after the other, of a fifth of the row's parts.

    Args:
      ranks: (n, o, U) place of each part in random orders.
      sizes: (n, U) of the parts.

    Returns:
      (n, o, N_CHUNKS, U) which parts are in which; (n, N_CHUNKS) whether the row has so many parts.
    """
    counts = (sizes > 0).sum(axis=1)
    length = np.maximum(np.rint(counts / N_CHUNKS).astype(np.int64), 1)
    of_chunk = ranks // length[:, None, None]
    inside = (of_chunk[:, :, None, :] == np.arange(N_CHUNKS)[:, None]) & (sizes > 0)[:, None, None, :]
    return inside, (np.arange(N_CHUNKS) + 1) * length[:, None] <= counts[:, None]


def correlation(first: FloatArray, second: FloatArray, weights: FloatArray) -> FloatArray:
    """(n,) Pearson's correlation of (n, m) figures with weights (n, m); NaN where either does not vary."""
    total = np.maximum(weights.sum(axis=1), 1e-300)
    centred, variances, vary = [], [], np.ones(len(first), np.bool_)
    for values in (first, second):
        mean = (values * weights).sum(axis=1) / total
        centred.append(values - mean[:, None])
        variances.append((np.square(centred[-1]) * weights).sum(axis=1) / total)
        size = (np.abs(values) * weights).max(axis=1, initial=0.0)
        vary &= variances[-1] > (_ROUNDING * size) ** 2
    covariance = (centred[0] * centred[1] * weights).sum(axis=1) / total
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(vary, covariance / np.sqrt(variances[0] * variances[1]), np.nan)
