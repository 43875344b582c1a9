"""Matrix products whose rows come out the same, to the last bit, however many rows there are.

Libraries of linear algebra add up in another order where a matrix has another number of rows: a single row is a product
with a vector, and small matrices have kernels of their own. A row's attributions may not depend on how many rows are
beside it, so every product is one of `_ROWS` rows. Of those, any of the libraries that NumPy comes with treats each row
alike, by one thread.
"""

from __future__ import annotations

import numpy as np

from tfx_explain.attribution.maps import FloatArray

_ROWS = 8


def row_products(rows: FloatArray, matrix: FloatArray) -> FloatArray:
    """`rows @ matrix`, a few rows at a time.

    Args:
      rows: (..., n, k).
      matrix: (..., k, m), with as many leading axes, of the same sizes or 1.

    Returns:
      (..., n, m).
    """
    # Of values that lie apart NumPy adds up the products itself, in another order.
    rows = np.ascontiguousarray(rows)
    *leading, n, k = rows.shape
    whole = n - n % _ROWS
    made = np.empty((*np.broadcast_shapes(tuple(leading), matrix.shape[:-2]), n, matrix.shape[-1]))
    of_groups = (*leading, whole // _ROWS, _ROWS, k)
    if whole:
        groups = np.matmul(rows[..., :whole, :].reshape(of_groups), matrix[..., None, :, :])
        made[..., :whole, :] = groups.reshape(*made.shape[:-2], whole, made.shape[-1])
    if whole < n:
        padded = np.zeros((*leading, _ROWS, k))
        padded[..., : n - whole, :] = rows[..., whole:, :]
        made[..., whole:, :] = np.matmul(padded, matrix)[..., : n - whole, :]
    return made
