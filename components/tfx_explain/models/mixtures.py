"""Mixed rows made one by one, to be held against those that the engines make."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tfx_explain.models.features import Column, Inputs, Ragged, concat_rows, take_rows

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]


def joined(parts: Sequence[Inputs]) -> Inputs:
    """The rows of all parts, one after the other.

    Where a model's features are not known, parts have the columns that their rows have values for; the others are
    taken to be empty there.
    """
    likes = {name: column for part in parts for name, column in part.columns.items()}
    columns: dict[str, Column] = {}
    for name, like in likes.items():
        for part in parts:
            column = part.columns.get(name)
            if column is None and isinstance(like, Ragged):
                column = Ragged(like.values[:0], np.zeros(len(part) + 1, np.int64))
            if column is not None:
                columns[name] = concat_rows(columns[name], column) if name in columns else column
    return Inputs(sum(map(len, parts)), columns)


@dataclass(frozen=True)
class Mixtures:
    """n mixtures of two rows each.

    Attributes:
      own: (n,) rows that present players, and features of no player, come from.
      other: (n,) rows that absent players come from.
      present: (n, n_players).
    """

    own: IntArray
    other: IntArray
    present: BoolArray

    def __len__(self) -> int:
        return len(self.own)

    def take(self, which: npt.NDArray[np.intp]) -> Mixtures:
        """Some of them."""
        return Mixtures(self.own[which], self.other[which], self.present[which])

    def inputs(self, rows: Inputs, players: Sequence[Sequence[str]]) -> Inputs:
        """The mixtures as rows.

        Args:
          rows: what `own` and `other` count.
          players: per player, the names of its features.
        """
        owners: Mapping[str, int] = {name: player for player, names in enumerate(players) for name in names}
        columns = {}
        for name, column in rows.columns.items():
            player = owners.get(name)
            source = self.own if player is None else np.where(self.present[:, player], self.own, self.other)
            columns[name] = take_rows(column, source)
        return Inputs(len(self), columns)
