"""Whose the columns are that move along paths, and what a player's columns add up to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import tensorflow as tf

from tfx_explain.models.graph import FrozenGraph
from tfx_explain.models.side_by_side import Owner


@dataclass(frozen=True)
class Moving:
    """Columns that move along a path, port by port.

    Attributes:
      ports: numbers of the ports, in the order of their columns.
      widths: per port, how many columns it has.
      owners: per column, the player whose it is; None is nobody, whose columns stay as they are at a path's end.
      n_players: how many players there are.
      slots: per column, the slot of its player that it is of, counted over all players; None where it has none.
      n_slots: how many slots there are.
    """

    ports: tuple[int, ...]
    widths: tuple[int, ...]
    owners: tuple[Owner, ...]
    n_players: int
    slots: tuple[Owner, ...] = ()
    n_slots: int = 0

    @classmethod
    def of(cls, graph: FrozenGraph, owners: Mapping[int, tuple[Owner, ...]], n_players: int) -> Moving:
        """The columns of a graph's ports.

        Args:
          graph: the graph past the cut.
          owners: number of a port that moves -> the owner of each of its columns, or of all.
          n_players: how many players there are.
        """
        widths = tuple(int(np.prod(graph.ports[port].spec.shape)) for port in owners)
        per_column = (
            own if len(own) == width else own * width for own, width in zip(owners.values(), widths, strict=True)
        )
        return cls(tuple(owners), widths, tuple(owner for own in per_column for owner in own), n_players)

    def with_slots(self, slots: Mapping[int, tuple[Owner, ...]], n_slots: int) -> Moving:
        """The same with the slots of the columns of some ports."""
        none: dict[int, tuple[Owner, ...]] = {port: (None,) * width for port, width in self.columns}
        return replace(
            self, slots=tuple(slot for port in self.ports for slot in {**none, **slots}[port]), n_slots=n_slots
        )

    def by_player_and_slot(self, columns: tf.Tensor) -> tf.Tensor:
        """(..., n_players + n_slots) sums of the columns (..., width) of each player, then of each slot."""
        of_players = self.by_player(columns)
        if not self.n_slots:
            return of_players
        of_slots = replace(self, owners=self.slots, n_players=self.n_slots).by_player(columns)
        return tf.concat([of_players, of_slots], axis=-1)

    @property
    def columns(self) -> list[tuple[int, int]]:
        """Per port, its number and how many columns it has."""
        return list(zip(self.ports, self.widths, strict=True))

    def places(self, player: int) -> list[int]:
        """Which columns are a player's."""
        return [place for place, owner in enumerate(self.owners) if owner == player]

    def with_still(self, starts: tf.Tensor, ends: tf.Tensor) -> tf.Tensor:
        """Starts (..., width), with the columns that do not move taken from the ends."""
        if None not in self.owners:
            return starts
        return tf.where([owner is not None for owner in self.owners], starts, ends)

    def by_player(self, columns: tf.Tensor) -> tf.Tensor:
        """(..., n_players) sums of the columns (..., width) of each player, those of as many columns at a time."""
        places: dict[int, list[int]] = {}
        for place, owner in enumerate(self.owners):
            if owner is not None:
                places.setdefault(owner, []).append(place)
        sums, order = [], []
        for width in sorted({len(own) for own in places.values()}):
            alike = [player for player, own in places.items() if len(own) == width]
            chosen = [place for player in alike for place in places[player]]
            part = columns if chosen == list(range(len(self.owners))) else tf.gather(columns, chosen, axis=-1)
            if width > 1:
                part = tf.reduce_sum(tf.reshape(part, [*columns.shape[:-1], len(alike), width]), axis=-1)
            sums.append(part)
            order += alike
        sums.append(tf.zeros([*columns.shape[:-1], 1], columns.dtype))
        joined = tf.concat(sums, axis=-1)
        if order == list(range(self.n_players)):
            return joined[..., :-1]
        number = {player: place for place, player in enumerate(order)}
        return tf.gather(joined, [number.get(player, len(order)) for player in range(self.n_players)], axis=-1)
