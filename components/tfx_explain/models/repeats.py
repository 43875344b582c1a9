"""Mixed rows that are the same row, evaluated once.

Where an example agrees with a background row, it makes no difference which of the two a player's features come from. Of
all coalitions only the subsets of the players that differ are then different rows: with 6 of 10 players in common, one
row in 64. This pays where blocks enumerate the coalitions; drawn ones seldom meet twice.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from tfx_explain.attribution.prefixes import CoalitionTable
from tfx_explain.models.features import Array, Column, Inputs, Ragged

Masks = npt.NDArray[np.int64]
"""Sets of players, bit p for player p."""

_MAX_PLAYERS = 14
_MIN_SAVING = 2
# Below this a call of the model takes several examples, and so costs less than making a list of their rows.
_MIN_ROWS = 4_096
# The values of one example's rows are held at once: 64 MiB per output at most.
_MAX_ROWS = 2**23


def enumerated_masks(coalitions: CoalitionTable) -> Masks | None:
    """The coalitions of every block, (n_coalitions,), if they are all 2^d - 2 there are; None where they are not.

    Args:
      coalitions: (n_blocks, n_coalitions, n_players), True = present.
    """
    _, n_coalitions, n_players = coalitions.shape
    if n_players > _MAX_PLAYERS or n_coalitions != 2**n_players - 2:
        return None
    first, every = coalitions[0], coalitions[:]
    if not (every == first).all():
        return None
    masks = np.asarray(first @ (1 << np.arange(n_players, dtype=np.int64)))
    return masks if len(np.unique(masks)) == n_coalitions else None


def differing_players(examples: Inputs, background: Inputs, players: Sequence[Sequence[str]]) -> Masks:
    """(n_examples, n_background): the players for which an example and a background row are not surely the same."""
    masks = np.zeros((len(examples), len(background)), np.int64)
    for player, names in enumerate(players):
        for name in names:
            if name in examples.columns and name in background.columns:
                masks |= _differ(examples.columns[name], background.columns[name]).astype(np.int64) << player
            elif name in examples.columns or name in background.columns:
                masks |= 1 << player
    return masks


def _differ(own: Column, other: Column) -> npt.NDArray[np.bool_]:
    if isinstance(own, Ragged) and isinstance(other, Ragged):
        # Longer lists count as different without being looked at.
        lengths = own.lengths[:, None], other.lengths[None]
        same = (lengths[0] == lengths[1]) & (lengths[0] <= 1)
        return np.asarray(~(same & ((lengths[0] == 0) | ~_unequal(_first(own), _first(other)))))
    own, other = np.asarray(own), np.asarray(other)
    flat = own.reshape(len(own), -1), other.reshape(len(other), -1)
    differ = np.zeros((len(own), len(other)), bool)
    for i in range(flat[0].shape[1]):
        differ |= _unequal(flat[0][:, i], flat[1][:, i])
    return differ


def _first(ragged: Ragged) -> Array:
    if not len(ragged.values):
        return np.zeros(len(ragged), ragged.values.dtype)
    return np.asarray(ragged.values[np.minimum(ragged.row_splits[:-1], len(ragged.values) - 1)])


def _unequal(own: Array, other: Array) -> npt.NDArray[np.bool_]:
    codes = pd.factorize(np.concatenate([own, other]))[0]  # a missing value is -1, and equals another
    return np.asarray(codes[: len(own), None] != codes[None, len(own) :])


def is_worth_it(differing: Masks, n_players: int) -> npt.NDArray[np.bool_]:
    """(n_examples,) whether at most half of an example's rows are different ones. Depends on each example alone."""
    n_rows = differing.shape[1] * 2**n_players
    subsets = 2 ** ((np.arange(2**n_players)[:, None] >> np.arange(n_players)) & 1).sum(axis=1)
    distinct = subsets[differing].sum(axis=1)
    return np.asarray((distinct * _MIN_SAVING <= n_rows) & (_MIN_ROWS <= n_rows <= _MAX_ROWS))


def distinct_values(
    evaluate: Callable[[npt.NDArray[np.bool_], npt.NDArray[np.int64]], npt.NDArray[np.float64]],
    differing: Masks,
    masks: Masks,
    n_players: int,
) -> npt.NDArray[np.float64]:
    """One example's outputs for all coalitions and background rows, each different row evaluated once.

    Args:
      evaluate: from present players, (n, n_players), and background rows, (n,), to outputs, (n, n_outputs).
      differing: (n_background,) of this example.
      masks: (n_coalitions,).
      n_players: number of players.

    Returns:
      (n_background, n_coalitions, n_outputs).
    """
    every = np.arange(2**n_players)
    wanted = (every & ~differing[:, None]) == 0
    # No such coalition is empty or full, and where all players differ none turns into one that is.
    wanted[np.ix_(differing == every[-1], [0, -1])] = False
    rows, subsets = np.nonzero(wanted)
    values = evaluate(((subsets[:, None] >> np.arange(n_players)) & 1).astype(bool), rows)
    table = np.zeros((*wanted.shape, values.shape[1]))
    table[rows, subsets] = values
    return np.asarray(np.take_along_axis(table, (masks & differing[:, None])[..., None], axis=1))
