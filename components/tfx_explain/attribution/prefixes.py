"""Coalitions that permutations pass through, made where they are asked for."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from tfx_explain.attribution.sampling import Coalitions

Places = int | slice | npt.NDArray[np.int64] | npt.NDArray[np.intp]
Positions = npt.NDArray[np.int16] | npt.NDArray[np.int32]


class CoalitionTable(Protocol):
    """Coalitions of each block: a boolean array, (n_blocks, n_coalitions, n_players), or what gives parts of one."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(n_blocks, n_coalitions, n_players)."""

    @property
    def size(self) -> int:
        """How many booleans it has."""

    def __getitem__(self, places: Places | tuple[Places, Places], /) -> Coalitions:
        """Those at some places, by blocks or by blocks and coalitions, as NumPy counts them; True = present."""


@dataclass(frozen=True, eq=False)
class PrefixCoalitions:
    """The first 1, 2, ..., d - 1 players of each permutation, one after the other; then all their complements.

    As an array they would take d^2 booleans for each permutation, of which a call of a model needs few at a time; their
    positions take d integers.

    Attributes:
      positions: (n_blocks, n_permutations, d) the place of each player in each permutation.
    """

    positions: Positions

    dtype = np.dtype(np.bool_)

    @classmethod
    def of(cls, permutations: npt.NDArray[np.int64]) -> PrefixCoalitions:
        """Those of permutations, (n_blocks, n_permutations, d) players in their order."""
        order, is_short = np.argsort(permutations, axis=2), permutations.shape[2] <= np.iinfo(np.int16).max
        positions: Positions = order.astype(np.int16) if is_short else order.astype(np.int32)
        positions.setflags(write=False)
        return cls(positions)

    @property
    def shape(self) -> tuple[int, ...]:
        """(n_blocks, n_coalitions, d)."""
        n_blocks, n_permutations, n_players = self.positions.shape
        return n_blocks, 2 * n_permutations * (n_players - 1), n_players

    @property
    def size(self) -> int:
        """How many booleans all of them would be."""
        return math.prod(self.shape)

    def __getitem__(self, places: Places | tuple[Places, Places], /) -> Coalitions:
        """Those at some places; see `CoalitionTable`."""
        n_blocks, n_coalitions, n_players = self.shape
        block = np.broadcast_to(np.arange(n_blocks)[:, None], (n_blocks, n_coalitions))[places]
        column = np.broadcast_to(np.arange(n_coalitions), (n_blocks, n_coalitions))[places]
        permutation, last = np.divmod(column % (n_coalitions // 2), n_players - 1)
        flat = self.positions.reshape(-1, n_players)
        positions = flat.take(block * self.positions.shape[1] + permutation, axis=0)
        present = positions <= np.asarray(last, flat.dtype)[..., None]
        present ^= np.asarray(column >= n_coalitions // 2)[..., None]
        return np.asarray(present)

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> npt.NDArray[np.generic]:
        """All of them."""
        return np.asarray(self[:, :], dtype)
