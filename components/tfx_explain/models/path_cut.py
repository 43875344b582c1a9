"""Where a graph is cut for paths: float tensors of one player each, from which the output has a gradient."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import tensorflow as tf

from tfx_explain.models.features import Inputs
from tfx_explain.models.graph import FrozenGraph, Port
from tfx_explain.models.hoist import frontier_of, players_of, rebuild, whole_tensors
from tfx_explain.models.path_choice import OneOwner, choose_tensors, is_picture, named_tensors
from tfx_explain.models.path_derivatives import differentiate, with_derivatives
from tfx_explain.models.path_ops import OpGradients
from tfx_explain.models.path_refusals import FeatureCut, note_on, rough_way
from tfx_explain.models.path_slide import slide
from tfx_explain.models.path_ways import Beyond, follow
from tfx_explain.models.ports import PortValue
from tfx_explain.models.side_by_side import Owner
from tfx_explain.models.slots import Slots, SlotTensors, apart_tensors, slots_at

# Calls of different numbers of rows round differently; paths are made of calls of one.
_ROUNDING = 1e-5


@dataclass(frozen=True)
class Cut:
    """A graph past a cut, and the way there.

    Attributes:
      graph: the graph past the cut; its ports are the tensors at the cut.
      whole: the graph that was cut.
      kept: which of the ports of that are ports still; they come first.
      enter: from the values of the entry ports to those of the new ports that come after; None where there are none.
      moving: number of a port that moves -> the player of each of its columns, or the one of all; None is nobody, whose
        columns stay as they are at a path's end.
      pictures: player -> shape of the picture that its columns are, row after row of pixels; only of players all of
        whose columns are one picture.
      note: empty, or one sentence: what reaches the output past an op without a gradient.
      slots: player that is looked into -> its slots.
    """

    graph: FrozenGraph
    whole: FrozenGraph
    kept: tuple[int, ...]
    enter: Callable[[Sequence[PortValue]], list[tf.Tensor]] | None
    moving: Mapping[int, tuple[Owner, ...]]
    pictures: Mapping[int, tuple[int, ...]]
    note: str = ""
    slots: Mapping[int, Slots] = field(default_factory=dict)

    @property
    def entry_ports(self) -> tuple[Port, ...]:
        """Where features enter the whole graph."""
        return self.whole.ports


def find_cut(
    graph: FrozenGraph, players: Sequence[Sequence[str]], background: Inputs, what: str, inside: Collection[str] = ()
) -> Cut:
    """Cuts a graph for paths, feature by feature; features of a player that meet before they are floats, together.

    Args:
      graph: a graph with ports.
      players: per player, the names of its features.
      background: rows to try tensors on.
      what: the model, for messages.
      inside: features, players of their own, to cut where their tokens or their numbers are apart.

    Raises:
      ModelError: no path leads through the tensors of some feature, or these are not apart.
    """
    graph = with_derivatives(graph)
    owners = {name: player for player, names in enumerate(players) for name in names}
    joined: set[int] = set()
    while True:
        trial = _Trial.of(graph, owners, joined, background, inside)
        meeting = trial.players_meeting() - joined
        if not meeting:
            return trial.cut(what)
        joined |= meeting


@dataclass(frozen=True)
class _Trial:
    """A cut, and what comes after it.

    Attributes:
      graph: the graph with its ports.
      imported: the same, to look at.
      owners: feature -> player.
      units: feature -> the first of the features that come to the cut together with it.
      tensors: tensor -> the numbers of the features, or of the first of several, that it depends on.
      shapes: tensor that has one row per row -> shape of a row.
      names: the tensors at the cut.
      named: tensors that are names' numbers -> the op that numbered them.
      beyond: the graph behind the cut.
      probe: a row to try the graph on.
      apart: features that are looked into -> their tensors that have slots.
    """

    graph: FrozenGraph
    imported: tf.Graph
    owners: Mapping[str, int]
    units: Mapping[str, int]
    tensors: Mapping[str, set[Owner]]
    shapes: Mapping[str, tuple[int, ...]]
    names: Sequence[str]
    named: Mapping[str, str]
    beyond: Beyond
    probe: Inputs
    apart: Mapping[str, SlotTensors]

    @classmethod
    def of(
        cls,
        graph: FrozenGraph,
        owners: Mapping[str, int],
        joined: set[int],
        background: Inputs,
        inside: Collection[str],
    ) -> _Trial:
        """The best cut where features of the players `joined` come together."""
        imported, gradients = graph.import_graph(), OpGradients()
        entries = {name: port for port in graph.ports for name in port.tensors}
        used = graph.reachable([graph.output], stops=entries)
        units = _units([port.spec.name for port in graph.ports], owners, joined)
        tensors = players_of(imported, entries, units, used)
        alone = [name for name, of_tensor in tensors.items() if len(of_tensor) == 1]
        try:
            shapes = whole_tensors(graph, imported, entries, alone, background, _ROUNDING)
        except (tf.errors.OpError, ValueError):
            shapes = {name: port.spec.shape for name, port in entries.items() if port.encoding == "dense"}
        last = frontier_of(imported, graph.output, set(shapes), set(entries))
        owned = {name for name in alone if tensors[name] != {None}}
        part = OneOwner(imported, graph.output, entries, owned, shapes, last)
        apart = apart_tensors(part, {name: units[name] for name in inside if name in units}, tensors)
        names = choose_tensors(part, gradients, [name for of_one in apart.values() for name in of_one.floats])
        cut = {name: _can_move(imported, name, shapes) for name in names if name in owned}
        beyond = follow(imported, graph.output, cut, set(shapes), tensors, gradients)
        probe = background.take(np.arange(1))
        return cls(graph, imported, owners, units, tensors, shapes, names, named_tensors(part), beyond, probe, apart)

    def players_meeting(self) -> set[int]:
        """Players of which features come together, and with no others, before one of them can move."""
        players = {self.units[name]: player for name, player in self.owners.items() if name in self.units}
        meeting = set()
        for name in self.names:
            if name in self.beyond.meetings and not _can_move(self.imported, name, self.shapes):
                owners = {players.get(unit) if unit is not None else None for unit in self.beyond.meetings[name][1]}
                meeting |= owners if len(owners) == 1 else set()
        return {player for player in meeting if player is not None}

    def cut(self, what: str) -> Cut:
        """The cut, once every feature is seen to be able to move.

        Raises:
          ModelError: one is not.
        """
        rough = {}
        for feature in self._features():
            way = rough_way(feature, self.beyond, self.named, self.imported, what)
            if way:
                rough[feature.feature] = way
        owners = {name: (self._player(name),) for name in self.names if name in self.shapes}
        hoisted = rebuild(self.graph, self.imported, self.names, self.shapes, owners, self.owners)
        smooth = [i for i, port in enumerate(hoisted.graph.ports) if port.tensors[0] in self.beyond.output.smooth]
        differentiate(hoisted, smooth, self.graph.ports, self.probe, what)
        slots, pictures, note = self._slots(what), self._pictures(), note_on(rough, what)
        movable = {name: owner for name, owner in owners.items() if _can_move(self.imported, name, self.shapes)}
        # What is made of a picture may hold its pixels twice, as two copies of it do.
        floats: dict[str, tuple[Owner, ...]] = {
            name: owner for name, owner in movable.items() if owner[0] not in {*pictures, *slots}
        }
        shapes = dict(self.shapes)
        slide(self.graph, self.imported, shapes, floats, self.tensors)
        floats.update(movable)
        entries = {name for port in self.graph.ports for name in port.tensors}
        last = frontier_of(self.imported, self.graph.output, {*floats, *self.names}, entries)
        hoisted = rebuild(self.graph, self.imported, last or self.names, shapes, {**owners, **floats}, self.owners)
        moving = {
            number: owner
            for number, (port, owner) in enumerate(zip(hoisted.graph.ports, hoisted.owners, strict=True))
            if port.tensors[0] in floats
        }
        return Cut(hoisted.graph, self.graph, hoisted.kept, hoisted.enter, moving, pictures, note, slots)

    def _pictures(self) -> dict[int, tuple[int, ...]]:
        """Player -> shape of the only tensor of it that moves, where that is a picture."""
        shapes: dict[Owner, list[tuple[int, ...]]] = {}
        for name in self.names:
            if _can_move(self.imported, name, self.shapes):
                shapes.setdefault(self._player(name), []).append(self.shapes[name])
        return {
            player: own[0]
            for player, own in shapes.items()
            if player is not None and len(own) == 1 and is_picture(own[0])
        }

    def _slots(self, what: str) -> dict[int, Slots]:
        """Player that is looked into -> its slots.

        Raises:
          ModelError: they are not apart at the cut.
        """
        moving = {name: self.shapes[name] for name in self.names if _can_move(self.imported, name, self.shapes)}
        found = {}
        for feature, of_feature in self.apart.items():
            own = {name: shape for name, shape in moving.items() if self.tensors[name] == {self.units[feature]}}
            found[self.owners[feature]] = slots_at(own, of_feature, feature, what)
        return found

    def _player(self, name: str) -> Owner:
        (unit,) = self.tensors[name]
        return next((self.owners[feature] for feature, own in self.units.items() if own == unit), None)

    def _features(self) -> list[FeatureCut]:
        made = []
        for unit in dict.fromkeys(self.units.values()):
            features = ", ".join(repr(name) for name, own in self.units.items() if own == unit)
            names = [name for name in self.names if self.tensors[name] == {unit}]
            moving = [name for name in names if _can_move(self.imported, name, self.shapes)]
            made.append(FeatureCut(features, moving, [name for name in names if name not in moving]))
        return made


def _units(features: Sequence[str], owners: Mapping[str, int], joined: set[int]) -> dict[str, int]:
    """Feature of a player -> a number of its own, or of the first feature of its player."""
    first: dict[int, int] = {}
    units = {}
    for number, feature in enumerate(features):
        if feature in owners:
            player = owners[feature]
            units[feature] = first.setdefault(player, number) if player in joined else number
    return units


def _can_move(imported: tf.Graph, name: str, shapes: Mapping[str, tuple[int, ...]]) -> bool:
    return name in shapes and imported.get_tensor_by_name(name).dtype.is_floating
