"""Pieces of paths, and what the gradients at a few points of each say of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt
from scipy import sparse, special

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


class PathFunction(Protocol):
    """A function of d players along paths, with c outputs.

    Behind what players change may come what parts of players do, as many more figures; those of a player's parts add
    up to its own, and count for no sum.
    """

    @property
    def n_players(self) -> int:
        """How many of the figures of `along` are of players; these come first."""

    def values(self, paths: IntArray, alphas: FloatArray) -> FloatArray:
        """(q, e, c) outputs of q paths, which may be the same, at points alphas (q, e) in [0, 1]."""

    def along(self, paths: IntArray, alphas: FloatArray, weights: FloatArray) -> FloatArray:
        """(q, d, c) sums over points, alphas (q, m), of weight x what each player changes there per unit of alpha."""


@dataclasses.dataclass(frozen=True)
class Segments:
    """s pieces of paths.

    Attributes:
      path: (s,) of which path.
      low, high: (s,) where it starts and ends.
      at_low, at_high: (s, c) outputs there.
      gap: (s, c) the error of the sum of the players' contributions.
      contributions: (s, d, c) integrals over it, those of players' parts among them.
      unrest: (s, d, c) how far both halves of its points are apart in what they add to the integral.
      variance: (s, d, c) of the errors of the integrals, as far as known.
    """

    path: IntArray
    low: FloatArray
    high: FloatArray
    at_low: FloatArray
    at_high: FloatArray
    gap: FloatArray
    contributions: FloatArray
    unrest: FloatArray
    variance: FloatArray

    def take(self, rows: IntArray | npt.NDArray[np.bool_]) -> Segments:
        """Some of them, (k,) integers or (s,) booleans."""
        return Segments(**{name: values[rows] for name, values in vars(self).items()})

    @classmethod
    def joined(cls, parts: Sequence[Segments]) -> Segments:
        """All segments of some parts, in order."""
        names = [field.name for field in dataclasses.fields(cls)]
        return cls(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in names})

    def sums(self, values: FloatArray, n_paths: int) -> FloatArray:
        """(n_paths, ...) sums over the segments of each path of values (s, ...)."""
        s = len(self.path)
        adds = sparse.csr_matrix((np.ones(s), (self.path, np.arange(s))), shape=(n_paths, s))
        return np.asarray(adds @ values.reshape(s, -1)).reshape(n_paths, *values.shape[1:])


def whole_paths(function: PathFunction, n_paths: int, n_nodes: int, n_segments: int) -> Segments:
    """Paths cut into equal segments; their errors are not known yet."""
    edges = np.linspace(0.0, 1.0, n_segments + 1)
    outputs = function.values(np.arange(n_paths), np.tile(edges, (n_paths, 1)))
    path = np.repeat(np.arange(n_paths), n_segments)
    low, high = np.tile(edges[:-1], n_paths), np.tile(edges[1:], n_paths)
    flat = (n_paths * n_segments, outputs.shape[2])
    at_low, at_high = outputs[:, :-1].reshape(flat), outputs[:, 1:].reshape(flat)
    integrals = _quadrature(function, path, low, high, n_nodes)
    gap = integrals[0][:, : function.n_players].sum(axis=1) - (at_high - at_low)
    return Segments(path, low, high, at_low, at_high, gap, *integrals, np.full_like(integrals[0], np.nan))


def pieces(function: PathFunction, segments: Segments, counts: IntArray, n_nodes: int) -> Segments:
    """Each segment in so many equal pieces, counts (s,) >= 2, and errors: from what these differ by from the whole.

    Which piece the error is of, its own points say, of each player and output: a kink sets them apart. The gap does
    not, since players' errors may cancel in it.
    """
    parent = np.repeat(np.arange(len(counts)), counts)
    number = np.arange(len(parent)) - np.repeat(np.cumsum(counts) - counts, counts)
    path, is_first = segments.path[parent], number == 0
    step = ((segments.high - segments.low) / counts)[parent]
    low = segments.low[parent] + number * step
    high = np.where(number + 1 == counts[parent], segments.high[parent], low + step)
    at_low, at_high = segments.at_low[parent], segments.at_high[parent]
    at_low[~is_first] = function.values(path[~is_first], low[~is_first, None])[:, 0]
    at_high[:-1][~is_first[1:]] = at_low[1:][~is_first[1:]]
    contributions, unrest = _quadrature(function, path, low, high, n_nodes)
    starts = np.flatnonzero(is_first)
    difference = np.add.reduceat(contributions, starts) - segments.contributions
    # A kink costs a whole segment `counts` times the error that it costs a piece; the difference has both.
    variance = np.square(difference) / (1.0 + np.square(counts.astype(np.float64)))[:, None, None]
    squares = np.square(unrest)
    total = np.add.reduceat(squares, starts)[parent]
    even = np.broadcast_to(1 / counts[parent, None, None], squares.shape)
    shares = np.divide(squares, total, out=even.copy(), where=total > 0)
    gap = contributions[:, : function.n_players].sum(axis=1) - (at_high - at_low)
    return Segments(path, low, high, at_low, at_high, gap, contributions, unrest, shares * variance[parent])


def _quadrature(
    function: PathFunction, path: IntArray, low: FloatArray, high: FloatArray, n_nodes: int
) -> tuple[FloatArray, FloatArray]:
    """(s, d, c) integrals, and how far the first points and the last ones are apart in what they add to them.

    By Gauss-Legendre rules, exact for gradients that are polynomials up to degree 2 n_nodes - 1.
    """
    nodes, weights = special.roots_legendre(n_nodes)
    width = (high - low)[:, None]
    alphas, shares = low[:, None] + width * (nodes + 1) / 2, width * weights / 2
    if n_nodes == 1:
        only = function.along(path, alphas, shares)
        return only, only
    # Both halves in one call.
    places, parts = (np.concatenate(np.split(values, 2, axis=1)) for values in (alphas, shares))
    first, last = np.split(function.along(np.tile(path, 2), places, parts), 2)
    return first + last, last - first
