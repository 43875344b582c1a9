"""Blocks of mixtures: which coalitions of players meet which background rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from tfx_explain.attribution.prefixes import CoalitionTable


class CoalitionBlocks(Protocol):
    """Blocks, in each of which every background row meets every coalition; what `Model.block_values` evaluates.

    The designs of `attribution` are such blocks, and so are those that lend each row something of its own.
    """

    @property
    def coalitions(self) -> CoalitionTable:
        """(n_blocks, n_coalitions, n_players), True = present."""

    @property
    def background_index(self) -> npt.NDArray[np.int32]:
        """(n_blocks, n_block_rows) rows of the background."""

    @property
    def background_weight(self) -> npt.NDArray[np.float64]:
        """(n_blocks, n_block_rows)."""


@dataclass(frozen=True)
class SingleRowBlocks:
    """Blocks of one background row each, so that nothing is averaged.

    Attributes:
      coalitions: (n_blocks, n_coalitions, n_players), True = present.
      background_index: (n_blocks, 1).
      background_weight: (n_blocks, 1) ones.
    """

    coalitions: npt.NDArray[np.bool_]
    background_index: npt.NDArray[np.int32]
    background_weight: npt.NDArray[np.float64]

    @classmethod
    def of(cls, coalitions: npt.NDArray[np.bool_], rows: npt.NDArray[np.int64]) -> SingleRowBlocks:
        """Each of the background rows (n_blocks,) with coalitions of its own, (n_blocks, n_coalitions, n_players)."""
        return cls(coalitions, rows.astype(np.int32)[:, None], np.ones((len(rows), 1)))

    @classmethod
    def of_lenders(cls, lent: npt.NDArray[np.bool_]) -> SingleRowBlocks:
        """All background rows in their order, each lending the values of these players, (n_blocks, n_players)."""
        return cls.of(~lent[:, None], np.arange(len(lent)))


def block_weights(blocks: CoalitionBlocks) -> npt.NDArray[np.float64]:
    """(n_blocks, n_block_rows) background weights that sum to one in each block."""
    weights = np.asarray(blocks.background_weight, np.float64)
    return weights / weights.sum(axis=1, keepdims=True)
