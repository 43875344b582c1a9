"""What words add on average, over the rows that have them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

_FEW = 2


class WordSums:
    """Sums by word, over rows that each may have a word several times."""

    def __init__(self) -> None:
        self._words = np.zeros(0, object)
        self._sums = np.zeros((0, 6))

    def add(self, words: npt.NDArray[np.object_], rows: npt.NDArray[np.int64], values: Array, weights: Array) -> None:
        """Adds the words of n rows.

        Args:
          words: (N,) text.
          rows: (N,) which of the rows each stands in.
          values: (N,) what it adds there.
          weights: (n,) of the rows, 0 or more; a row of weight 0 does not count.
        """
        counts = weights[rows] > 0
        words, rows, values = words[counts], rows[counts], values[counts]
        names, code = np.unique(words, return_inverse=True)
        pairs, pair = np.unique(code * len(weights) + rows, return_inverse=True)
        number, total = np.bincount(pair), np.bincount(pair, values)
        w = weights[pairs % len(weights)] if len(weights) else weights
        figures = np.stack([np.ones(len(pairs)), w * number, w * total, *_squares(w * number, w * total)], axis=1)
        self._merge(names, _summed(figures, pairs // max(len(weights), 1), len(names)))

    def _merge(self, words: npt.NDArray[np.object_], sums: Array) -> None:
        names, code = np.unique(np.concatenate([self._words, words]), return_inverse=True)
        self._sums = _summed(np.concatenate([self._sums, sums]), code, len(names))
        self._words = names

    def result(self, min_examples: int) -> dict[str, npt.NDArray[np.object_] | Array]:
        """Columns of the words of at least so many rows, the largest means first.

        The mean is over all places where a word stands; its standard error takes the places of one row together, as a
        ratio of two sums over rows. It needs two rows or more.

        Source: Cochran 1977, section 2.11 (the variance of a ratio).
        """
        kept = self._sums[:, 0] >= min_examples
        n, number, total, number_squared, total_squared, product = self._sums[kept].T
        mean = total / number
        variance = np.maximum(total_squared - 2 * mean * product + np.square(mean) * number_squared, 0.0)
        with np.errstate(divide="ignore", invalid="ignore"):
            error = np.where(n >= _FEW, np.sqrt(variance * n / (n - 1)) / number, np.nan)
        order = np.argsort(-np.abs(mean), kind="stable")
        columns = {"word": self._words[kept], "mean": mean, "std_error": error, "num_examples": n.astype(np.int64)}
        return {name: column[order] for name, column in columns.items()}


def _squares(number: Array, total: Array) -> tuple[Array, Array, Array]:
    return np.square(number), np.square(total), number * total


def _summed(figures: Array, code: npt.NDArray[np.int64], n: int) -> Array:
    """(n, q) sums of figures (N, q) by code (N,)."""
    columns = [np.bincount(code, figures[:, place], minlength=n) for place in range(figures.shape[1])]
    return np.stack(columns, axis=1)
