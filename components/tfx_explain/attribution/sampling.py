"""Drawing coalitions and permutations: reproducible everywhere, without replacement, in fixed numbers per size."""

from __future__ import annotations

import functools
import itertools
import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tfx_explain.errors import EstimationError

Coalitions = npt.NDArray[np.bool_]  # (n_rows, n_players), True = present

_WORD = 2**64 - 1
_TABLE_FACTOR = 4


class RandomWords:
    """Random 64-bit words of one stream, equal on every machine and numpy version.

    Philox is counter based: the stream is named by its key and the upper words of its counter, so streams with
    different names never overlap. Only raw words are used, because numpy promises stable bits, but not stable
    `Generator` methods.

    Source: Salmon et al. 2011, Parallel random numbers: as easy as 1, 2, 3.
    """

    def __init__(self, seed: int, n_players: int, budget: int, block: int, design_id: int) -> None:
        """Names the stream; negative integers are taken modulo 2^64."""
        key = np.array([seed & _WORD, design_id & _WORD], dtype=np.uint64)
        counter = np.array([0, block & _WORD, budget & _WORD, n_players], dtype=np.uint64)
        self._bits = np.random.Philox(key=key, counter=counter)

    def words(self, *shape: int) -> npt.NDArray[np.uint64]:
        """The next words of the stream, in an array of this shape."""
        return np.asarray(self._bits.random_raw(math.prod(shape)), dtype=np.uint64).reshape(shape)

    def orders(self, n_orders: int, n_items: int) -> npt.NDArray[np.int64]:
        """Uniform random permutations of range(n_items), shape (n_orders, n_items)."""
        return np.argsort(self.words(n_orders, n_items), axis=1, kind="stable")


@dataclass(frozen=True)
class Strata:
    """How many pairs {S, complement of S} are drawn of each size. One stratum per size of the smaller half.

    Attributes:
      n_players: number of players d.
      counts: pairs drawn with min(|S|, d - |S|) = 1, 2, ..., d // 2.
    """

    n_players: int
    counts: tuple[int, ...]

    @property
    def populations(self) -> tuple[int, ...]:
        """Pairs that exist of each size, as Python integers: they pass 2^63 from 67 players on."""
        return tuple(n_pairs_of_size(self.n_players, size) for size in range(1, self.n_players // 2 + 1))

    def per_pair(self, values: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Repeats one value per stratum to one value per drawn pair, (n_pairs,)."""
        return np.repeat(np.asarray(values, dtype=np.float64), self.counts)


def n_pairs_of_size(n_players: int, size: int) -> int:
    """Number of pairs {S, complement} whose smaller half has this size."""
    n_sets = math.comb(n_players, size)
    return n_sets // 2 if 2 * size == n_players else n_sets


def allocate_pairs(n_players: int, n_pairs: int) -> Strata:
    """Spreads pairs over sizes as leverage scores do: every coalition size equally often.

    The leverage score of S in the Shapley regression is 1 / C(d, |S|), so sizes are uniform; a pair covers two sizes,
    except in the middle of an even d, which gets half. Strata with fewer pairs than that are taken whole and the rest
    is spread again. Counts are fixed rather than random, and at least two, so that each stratum has a variance.

    Source: Musco & Witter 2024 (arXiv 2410.01917), section 3; fixed counts are ours.

    Args:
      n_players: number of players d, at least 2.
      n_pairs: pairs to spread, at most 2^(d-1) - 1.

    Returns:
      The strata; their counts sum to `n_pairs`.

    Raises:
      EstimationError: there are not so many pairs.
    """
    if n_pairs > 2 ** (n_players - 1) - 1:
        raise EstimationError(f"{n_players} players have fewer than {n_pairs} pairs of coalitions; lower `budget`.")
    sizes = range(1, n_players // 2 + 1)
    shares = np.array([0.5 if 2 * size == n_players else 1.0 for size in sizes])
    # Capped at n_pairs, so that populations beyond int64 stay comparable.
    caps = np.array([min(n_pairs_of_size(n_players, size), n_pairs) for size in sizes], dtype=np.int64)
    quota = np.zeros(len(caps))
    open_strata = np.ones(len(caps), dtype=bool)
    while open_strata.any():
        left = n_pairs - quota[~open_strata].sum()
        wanted = left * shares / shares[open_strata].sum()
        full = open_strata & (wanted >= caps)
        quota[open_strata] = np.where(full, caps, np.maximum(wanted, np.minimum(caps, 2)))[open_strata]
        if not full.any():
            break
        open_strata &= ~full
    return Strata(n_players, tuple(int(count) for count in _round_to(quota, caps, n_pairs)))


def _round_to(quota: npt.NDArray[np.float64], caps: npt.NDArray[np.int64], total: int) -> npt.NDArray[np.int64]:
    """Largest-remainder rounding of `quota` to integers that sum to `total` and stay within [min(caps, 2), caps]."""
    counts = np.floor(quota + 1e-9).astype(np.int64)
    order = np.argsort(-(quota - counts), kind="stable")
    while (gap := total - int(counts.sum())) != 0:
        room = counts < caps if gap > 0 else counts > np.minimum(caps, 2)
        chosen = [stratum for stratum in (order if gap > 0 else order[::-1]) if room[stratum]][: abs(gap)]
        counts[chosen] += 1 if gap > 0 else -1
    return np.asarray(counts, dtype=np.int64)


def draw_pairs(random: RandomWords, strata: Strata) -> Coalitions:
    """Draws one half of each pair, uniformly without replacement within each stratum.

    Small strata are drawn from the list of their members, large ones by redrawing whatever came up before. In the
    middle stratum of an even d, player 0 is always present, which names each pair once.

    Args:
      random: stream to draw from.
      strata: pairs per size.

    Returns:
      (n_pairs, n_players) bool, ordered by stratum; no row equals another or another's complement.
    """
    d = strata.n_players
    listed: dict[int, Coalitions] = {}
    sampled: list[int] = []
    for size, (count, population) in enumerate(zip(strata.counts, strata.populations, strict=True), start=1):
        if population <= _TABLE_FACTOR * count:
            table = _all_of_size(d, size)
            listed[size] = table[random.orders(1, len(table))[0, :count]]
        else:
            sampled += [size] * count
    drawn = _draw_distinct(random, d, np.array(sampled, dtype=np.int64))
    sizes = np.array(sampled, dtype=np.int64)
    parts = [listed[size] if size in listed else drawn[sizes == size] for size in range(1, len(strata.counts) + 1)]
    return np.concatenate(parts)


def _draw_distinct(random: RandomWords, n_players: int, sizes: npt.NDArray[np.int64]) -> Coalitions:
    """One coalition per entry of `sizes`, all different."""
    drawn = np.zeros((len(sizes), n_players), dtype=bool)
    todo = np.arange(len(sizes))
    while len(todo):
        keys = random.words(len(todo), n_players)
        keys[2 * sizes[todo] == n_players, 0] = 0
        last_in = np.take_along_axis(np.sort(keys, axis=1), sizes[todo, None] - 1, axis=1)
        drawn[todo] = keys <= last_in
        _, first = np.unique(np.packbits(drawn, axis=1), axis=0, return_index=True)
        todo = np.setdiff1d(np.arange(len(sizes)), first)
    return drawn


@functools.lru_cache(maxsize=256)
def _all_of_size(n_players: int, size: int) -> Coalitions:
    """All coalitions of one size; for half of the players, those with player 0."""
    if 2 * size == n_players:
        members = [(0, *rest) for rest in itertools.combinations(range(1, n_players), size - 1)]
    else:
        members = list(itertools.combinations(range(n_players), size))
    table = np.zeros((len(members), n_players), dtype=bool)
    np.put_along_axis(table, np.array(members, dtype=np.int64), True, axis=1)
    table.setflags(write=False)
    return table


def draw_permutations(random: RandomWords, n_players: int, n_permutations: int) -> npt.NDArray[np.int64]:
    """Uniform permutations whose first and last players are all different while there are enough players.

    A permutation and its reverse evaluate the coalitions of its first and of its last player, so equal ends would
    evaluate one coalition twice. The rule treats all players alike: each permutation alone stays uniform.

    Args:
      random: stream to draw from.
      n_players: number of players d.
      n_permutations: how many.

    Returns:
      (n_permutations, n_players) int.
    """
    orders = random.orders(n_permutations, n_players)
    if 2 * n_permutations > n_players:
        return orders
    ends = random.orders(1, n_players)[0, : 2 * n_permutations].reshape(n_permutations, 2)
    rows = np.arange(n_permutations)
    for column, position in ((0, 0), (1, n_players - 1)):
        wanted = ends[:, column]
        at = np.argmax(orders == wanted[:, None], axis=1)
        orders[rows, at] = orders[rows, position]
        orders[rows, position] = wanted
    return orders
