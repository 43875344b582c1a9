"""What places inside features add on average, over the rows that have them: words of texts, windows of series.

How many different places there will be is not known before all rows were seen. Memory is bounded all the same: of more
than `MAX_PLACES` (fewer where there are many columns) those of the fewest rows are given up. What was given up is
remembered in a filter of 1 MiB and stays so, in whatever else is merged: the sums of every place that is kept are of
all rows that have it. The price is that some places have no figures: rare ones but for unusual orders of the rows, and
of the others those that the filter takes for them, fewer than 1 % where no more than 400,000 were given up. How many
there are is counted.

Source: B. H. Bloom, "Space/time trade-offs in hash coding with allowable errors", CACM 13 (1970), for the filter;
S. J. Swamidass, P. Baldi, "Mathematical correction for fingerprint similarity measures to improve chemical retrieval",
J. Chem. Inf. Model. 47 (2007), for how many went into it.
"""

from __future__ import annotations

import dataclasses
import hashlib
import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy import sparse

from tfx_explain.summary.grouped_moments import GroupedMoments
from tfx_explain.summary.ratio import Array

IntArray = npt.NDArray[np.int64]

MAX_PLACES = 2**15
_MOST_FIGURES = 2**20
"""Of all places and columns: three sums of 34 bytes each, 102 MiB."""

_FILTER_BITS = 2**23
_N_HASHES = 2


@dataclasses.dataclass(frozen=True)
class RowPlaces:
    """Places inside a feature of n rows, N in all; a row may have one several times.

    Attributes:
      names: of P different places.
      codes: (N,) which of them each is.
      rows: (N,) which of the rows it is in.
      values: (N, q) figures.
    """

    names: Sequence[str]
    codes: IntArray
    rows: IntArray
    values: Array


@dataclasses.dataclass(frozen=True)
class PlaceMeans:
    """Means over all rows that have a place.

    Attributes:
      names: (P,) of the places, those of the most rows first.
      num_examples: (P,) rows of positive weight that have it.
      means: (P, q), over all times that it is there; times in one row count once each, with the row's weight.
      std_errors: (P, q) over rows, those of one row together, as of a ratio of two sums; NaN below two rows.
    """

    names: tuple[str, ...]
    num_examples: IntArray
    means: Array
    std_errors: Array


class PlaceMoments:
    """Sums by place, the same to the bit however rows are split and in whichever order they come.

    Args:
      n_columns: q figures of each place.
      most: places that are kept; None = `MAX_PLACES`, or as many as memory is meant for.

    Source: Cochran 1977, section 2.11 (the variance of a ratio), as weighted moments of the rows' own means.
    """

    def __init__(self, n_columns: int, most: int | None = None) -> None:
        self._most = most or min(MAX_PLACES, max(_MOST_FIGURES // n_columns, 1))
        self._index: dict[str, int] = {}
        self._gone: npt.NDArray[np.uint8] | None = None
        self._n_rows = np.zeros(0, np.int64)
        self._sums = GroupedMoments(0, n_columns)

    def add(self, places: RowPlaces, weights: Array) -> None:
        """Adds n rows.

        Args:
          places: of the rows.
          weights: (n,) of the rows, 0 or more; a row of weight 0 does not count.
        """
        counts = weights[places.rows] > 0
        codes, rows, values = places.codes[counts], places.rows[counts], places.values[counts]
        if not len(codes):
            return
        pairs, pair, number = np.unique(codes * len(weights) + rows, return_inverse=True, return_counts=True)
        means = _grouped(pair.reshape(-1), len(pairs)) @ values / number[:, None]
        by_code, row = np.divmod(pairs, len(weights))
        there, place = np.unique(by_code, return_inverse=True)
        sums = GroupedMoments(len(there), values.shape[1])
        sums.add(means, weights[row] * number, place.reshape(-1))
        n_rows = np.bincount(place.reshape(-1), minlength=len(there))
        self._take([places.names[code] for code in there.tolist()], n_rows, sums)

    def merge(self, other: PlaceMoments) -> None:
        """Adds everything that another one has seen."""
        if other._gone is not None:
            self._gone = other._gone.copy() if self._gone is None else self._gone | other._gone
            self._keep([name for name in self._index if not self._is_gone(name)])
        self._take(list(other._index), other._n_rows, other._sums)

    def result(self, min_examples: int, most: int) -> PlaceMeans:
        """Those of at least so many rows, and of these the ones of the most rows, by name where that is equal."""
        counts = self._n_rows
        names = np.array(list(self._index), object)
        order = sorted(
            np.flatnonzero(counts >= min_examples).tolist(), key=lambda place: (-counts[place], names[place])
        )
        kept = np.array(order[:most], np.int64)
        sums = self._sums.take(kept)
        std_errors = np.sqrt(sums.covariance_of_mean(counts[kept].astype(np.float64)))
        return PlaceMeans(tuple(names[kept].tolist()), counts[kept], sums.mean, std_errors)

    @property
    def n_places(self) -> int:
        """How many different ones there were; where some were given up, nearly so many."""
        return len(self._index) + self._n_gone()

    def _take(self, names: Sequence[str], n_rows: IntArray, sums: GroupedMoments) -> None:
        """Adds numbers of rows (P,), and their sums, of different places."""
        if self._gone is not None:
            kept = [place for place, name in enumerate(names) if name in self._index or not self._is_gone(name)]
            chosen = np.array(kept, np.int64)
            names, n_rows, sums = [names[place] for place in kept], n_rows[chosen], sums.take(chosen)
        # A dictionary, since it takes far less than sorting texts.
        places = np.array([self._index.setdefault(name, len(self._index)) for name in names], np.int64)
        more = len(self._index) - len(self._n_rows)
        if more:
            self._n_rows = np.concatenate([self._n_rows, np.zeros(more, np.int64)])
            self._sums = self._sums.grown(len(self._index))
        self._n_rows[places] += n_rows
        self._sums.merge_at(places, sums)
        if len(self._index) > self._most:
            self._give_up()

    def _give_up(self) -> None:
        """Half of those that are kept at most, of the fewest rows."""
        names = list(self._index)
        order = np.argsort(-self._n_rows, kind="stable")
        if self._gone is None:
            self._gone = np.zeros(_FILTER_BITS // 8, np.uint8)
        for place in order[self._most // 2 :].tolist():
            for bit in _bits(names[place]):
                self._gone[bit >> 3] |= 1 << (bit & 7)
        self._keep([names[place] for place in np.sort(order[: self._most // 2]) if not self._is_gone(names[place])])

    def _keep(self, names: Sequence[str]) -> None:
        kept = np.array([self._index[name] for name in names], np.int64)
        self._n_rows, self._sums = self._n_rows[kept], self._sums.take(kept)
        self._index = {name: place for place, name in enumerate(names)}

    def _is_gone(self, name: str) -> bool:
        gone = self._gone
        return gone is not None and all(gone[bit >> 3] >> (bit & 7) & 1 for bit in _bits(name))

    def _n_gone(self) -> int:
        """How many different ones went into the filter, by how full it is."""
        if self._gone is None:
            return 0
        full = min(int(np.unpackbits(self._gone).sum()) / _FILTER_BITS, 1 - 1 / _FILTER_BITS)
        return round(-_FILTER_BITS / _N_HASHES * math.log1p(-full))


def _grouped(group: IntArray, n: int) -> sparse.csr_matrix:
    """(n, M) 1 where one of M things is of a group, so that a product with it adds up by group."""
    return sparse.csr_matrix((np.ones(len(group)), (group, np.arange(len(group)))), (n, len(group)))


def _bits(name: str) -> tuple[int, ...]:
    """Where a name shows in the filter."""
    digest = hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    whole = int.from_bytes(digest, "little")
    return whole % _FILTER_BITS, (whole >> 32) % _FILTER_BITS
