"""Pieces of paths, and what the gradients at a few points of each say of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from tfx_explain.paths.rules import Rule

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

# Of a path, that there is room for at first: room that is not used takes no memory.
_SEGMENTS = 32


class Refined(NamedTuple):
    """What gradients and outputs on q segments come to, each cut into k pieces.

    Attributes:
      outputs: (q, e, c) at the edges of the rule.
      whole: (q, d, c) integrals over the segments by their own rule; (q, 0, c) where there is none.
      sums: (q, k, d, c) integrals over the pieces.
      unrest: (q, k, d, c) squares of how far both halves of a piece's nodes are apart in what they add to its integral.
    """

    outputs: FloatArray
    whole: FloatArray
    sums: FloatArray
    unrest: FloatArray


class PathFunction(Protocol):
    """A function of d players along paths, with c outputs.

    Behind what players change may come what parts of players do, as many more figures; those of a player's parts add
    up to its own, and count for no sum.
    """

    @property
    def n_players(self) -> int:
        """How many of the figures are of players; these come first."""

    def refine(self, paths: IntArray, low: FloatArray, high: FloatArray, rule: Rule) -> Refined:
        """Integrals of what each player changes per unit of alpha, and outputs.

        Args:
          paths: (q,) which paths the segments are of; the same one may come again.
          low: (q,) where they start, in [0, 1].
          high: (q,) where they end.
          rule: how they are cut.
        """


@dataclasses.dataclass(frozen=True)
class Segments:
    """s pieces of paths.

    Attributes:
      path: (s,) of which path.
      low, high: (s,) where it starts and ends.
      at_low, at_high: (s, c) outputs there.
      gap: (s, c) the error of the sum of the players' contributions.
      variance: (s, c) sums over players of those of the errors of their contributions.
      place: (s,) where the ledger has it.
    """

    path: IntArray
    low: FloatArray
    high: FloatArray
    at_low: FloatArray
    at_high: FloatArray
    gap: FloatArray
    variance: FloatArray
    place: IntArray

    def take(self, rows: IntArray | npt.NDArray[np.bool_]) -> Segments:
        """Some of them, (k,) integers or (s,) booleans."""
        return Segments(**{name: values[rows] for name, values in vars(self).items()})

    @classmethod
    def joined(cls, parts: Sequence[Segments]) -> Segments:
        """All segments of some parts, in order."""
        names = [field.name for field in dataclasses.fields(cls)]
        return cls(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in names})


class PathSums:
    """Adds up what there is of the segments of each path, in their order.

    Args:
      path: (s,) of which path each is.
      n_paths: P.
    """

    def __init__(self, path: IntArray, n_paths: int) -> None:
        self._order, self._n_paths = np.argsort(path, kind="stable"), n_paths
        self._present, self._firsts = np.unique(path[self._order], return_index=True)

    def __call__(self, values: FloatArray, places: IntArray | None = None) -> FloatArray:
        """(P, ...) sums over rows (s, ...), or over those of them at places (s,)."""
        order = self._order if places is None else places[self._order]
        sums = np.zeros((self._n_paths, *values.shape[1:]))
        if len(order):
            sums[self._present] = np.add.reduceat(values[order], self._firsts, axis=0)
        return sums


class Ledger:
    """Contributions of all segments that there have been, and the variances of their errors.

    Segments come and go by the round, and these are most of what there is of them: here they stay where they are.

    Args:
      n: how many segments there is room for at first.
      shape: (d, c) of a segment's.
    """

    def __init__(self, n: int, shape: tuple[int, ...]) -> None:
        self._shape, self._size = shape, 0
        self._tables = [np.empty((n, int(np.prod(shape)))) for _ in range(2)]

    def add(self, sums: FloatArray, variance: FloatArray) -> IntArray:
        """(n,) places of n more segments, (n, d, c)."""
        first, self._size = self._size, self._size + len(sums)
        if self._size > len(self._tables[0]):
            spare = max(len(sums), len(self._tables[0]))
            self._tables = [np.concatenate([table, np.empty((spare, table.shape[1]))]) for table in self._tables]
        for table, values in zip(self._tables, (sums, variance), strict=True):
            table[first : self._size] = values.reshape(len(values), table.shape[1])
        return np.arange(first, self._size)

    def contributions(self, places: IntArray) -> FloatArray:
        """(k, d, c) of some segments."""
        return self._tables[0][places].reshape(len(places), *self._shape)

    def totals(self, segments: Segments, add_up: PathSums) -> Iterator[FloatArray]:
        """(P, d, c) contributions of paths, then variances."""
        for table in self._tables:
            sums = add_up(table, segments.place)
            yield sums.reshape(len(sums), *self._shape)


def whole_paths(function: PathFunction, n_paths: int, rule: Rule) -> tuple[Segments, Ledger]:
    """Paths cut into pieces by a rule that integrates the whole, too."""
    path, low, high = np.arange(n_paths), np.zeros(n_paths), np.ones(n_paths)
    found = function.refine(path, low, high, rule)
    ledger = Ledger(_SEGMENTS * n_paths, found.sums.shape[2:])
    return _pieces(function.n_players, (path, low, high), found, found.outputs, rule, ledger), ledger


def pieces(function: PathFunction, segments: Segments, rule: Rule, ledger: Ledger) -> Segments:
    """Segments cut into pieces, and errors: from what these differ by from the whole."""
    found = function.refine(segments.path, segments.low, segments.high, rule)
    found = found._replace(whole=ledger.contributions(segments.place))
    outputs = np.concatenate([segments.at_low[:, None], found.outputs, segments.at_high[:, None]], axis=1)
    return _pieces(function.n_players, (segments.path, segments.low, segments.high), found, outputs, rule, ledger)


def _pieces(
    n_players: int,
    of: tuple[IntArray, FloatArray, FloatArray],
    found: Refined,
    outputs: FloatArray,
    rule: Rule,
    ledger: Ledger,
) -> Segments:
    """The pieces of q segments.

    Args:
      n_players: whose contributions count.
      of: (q,) paths, where the segments start, and where they end.
      found: what they come to, `whole` included.
      outputs: (q, k + 1, c) at the ends of all pieces.
      rule: how they are cut.
      ledger: gets the pieces' contributions.
    """
    path, low, high = of
    q, k, _, c = found.sums.shape
    variance = _variances(found, rule)
    edges = low[:, None] + (high - low)[:, None] * (np.arange(k + 1) / k)
    edges[:, -1] = high
    gap = found.sums[:, :, :n_players].sum(axis=2) - (outputs[:, 1:] - outputs[:, :-1])
    return Segments(
        path=np.repeat(path, k),
        low=edges[:, :-1].ravel(),
        high=edges[:, 1:].ravel(),
        at_low=outputs[:, :-1].reshape(q * k, c),
        at_high=outputs[:, 1:].reshape(q * k, c),
        gap=gap.reshape(q * k, c),
        variance=variance[:, :, :n_players].sum(axis=2).reshape(q * k, c),
        place=ledger.add(*(values.reshape(q * k, *values.shape[2:]) for values in (found.sums, variance))),
    )


def _variances(found: Refined, rule: Rule) -> FloatArray:
    """(q, k, d, c) of the errors of the pieces' contributions.

    Which piece the error is of, its own nodes say, of each player and output: a kink sets them apart. The gap does not,
    since players' errors may cancel in it.
    """
    # The difference has the error of the whole and that of its pieces.
    together = np.square(found.sums.sum(axis=1) - found.whole) / (1.0 + rule.improvement**2)
    total = found.unrest.sum(axis=1)
    is_even = ~(total > 0)
    share = np.divide(together, total, out=np.zeros_like(total), where=~is_even)
    variance = found.unrest * share[:, None]
    if (is_even & (together != 0)).any():
        variance += np.where(is_even, together / rule.n_pieces, 0.0)[:, None]
    return np.asarray(variance)
