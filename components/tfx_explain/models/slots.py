"""Where a text is a row of tokens in a graph: tensors with one place, a slot, per token, of one number of them.

A slot is what one token is to the model: its number, which a table, a hash or a list of words gave it. The floats that
are made of it alone (its embedding, an indicator, a mask) are the earliest that can move along a path.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from tfx_explain.errors import ModelError
from tfx_explain.models.path_choice import OneOwner, named_tensors, numbers_of
from tfx_explain.models.side_by_side import Owner

# Ops that give for each token what they make of it, whatever the others are.
_ARITHMETIC = frozenset(["Identity", "Cast", "AddV2", "Add", "Sub", "Mul", "Maximum", "Minimum", "FloorMod"])
_LOGIC = frozenset(["NotEqual", "Equal", "Greater", "GreaterEqual", "Less", "LessEqual", "LogicalNot", "LogicalAnd"])
_CHOICE = frozenset(["LogicalOr", "Select", "SelectV2", "OneHot", "ExpandDims", "StringLower", "LookupTableFindV2"])
_HASHES = frozenset(["StringToHashBucketFast", "StringToHashBucketStrong", "StringToHashBucket"])
_ONE_BY_ONE = _ARITHMETIC | _LOGIC | _CHOICE | _HASHES
_GATHERS = {"GatherV2": 1, "Gather": 1, "ResourceGather": 1}


@dataclass(frozen=True)
class SlotTensors:
    """The tensors of one text, or series, that have slots.

    Attributes:
      floats: tensors that can move, one row of them per slot -> how many slots they have.
      sources: the tensors that these are made of: numbers, words, or whether there is a token -> the same.
      is_text: whether it is one, and no series.
    """

    floats: Mapping[str, int]
    sources: Mapping[str, int]
    is_text: bool = True

    def of_length(self, n_slots: int) -> tuple[str, ...]:
        """The sources of so many slots."""
        return tuple(sorted(name for name, n in self.sources.items() if n == n_slots))


@dataclass(frozen=True)
class Slots:
    """The slots of one player at a cut.

    Attributes:
      lengths: how many there are: of texts, of each way in which one is cut into tokens; of numbers, a single entry.
      sources: per length, the tensors that tell which token stands in which slot; none of numbers.
      floats: tensor at the cut -> the slot of each of its columns, counted over all lengths.
      feature: whose they are.
    """

    lengths: tuple[int, ...]
    sources: tuple[tuple[str, ...], ...]
    floats: Mapping[str, tuple[int, ...]]
    feature: str

    @property
    def n_slots(self) -> int:
        """How many there are in all."""
        return sum(self.lengths)

    @classmethod
    def of_text(cls, found: SlotTensors, moving: Mapping[str, tuple[int, ...]], feature: str) -> Slots:
        """Of tensors at the cut, with the shapes of their rows, all of which have slots."""
        lengths = tuple(sorted({found.floats[name] for name in moving}))
        firsts = dict(zip(lengths, np.cumsum([0, *lengths[:-1]]).tolist(), strict=True))
        floats = {}
        for name, shape in moving.items():
            n_slots = found.floats[name]
            slots = np.repeat(np.arange(n_slots), int(np.prod(shape[1:]))) + firsts[n_slots]
            floats[name] = tuple(slots.tolist())
        return cls(lengths, tuple(found.of_length(n) for n in lengths), floats, feature)

    @classmethod
    def of_numbers(cls, name: str, shape: tuple[int, ...], feature: str) -> Slots:
        """Of a tensor at the cut that holds a feature's own numbers: a slot each."""
        width = int(np.prod(shape))
        return cls((width,), ((),), {name: tuple(range(width))}, feature)


def apart_tensors(
    part: OneOwner, units: Mapping[str, int], tensors: Mapping[str, Collection[Owner]]
) -> dict[str, SlotTensors]:
    """Feature that is looked into -> its tensors with slots: of a text, one per token; else, one per number.

    Args:
      part: the graph up to where features meet.
      units: features that are looked into -> whom their tensors depend on.
      tensors: tensor -> whom it depends on.
    """
    strings = {port.spec.name for port in part.entries.values() if port.spec.dtype == "string"}
    numbers = numbers_of(part)
    found = {}
    for feature, unit in units.items():
        own = {name for name, of_tensor in tensors.items() if set(of_tensor) == {unit} and name in part.tensors}
        whole = {name: int(np.prod(part.whole[name])) for name in own & numbers if name in part.whole}
        found[feature] = slot_tensors(part, own) if feature in strings else SlotTensors(whole, {}, is_text=False)
    return found


def slots_at(moving: Mapping[str, tuple[int, ...]], found: SlotTensors, feature: str, what: str) -> Slots:
    """The slots of a feature at a cut.

    Args:
      moving: its tensors there that move, with the shapes of their rows.
      found: its tensors that have slots.
      feature: its name.
      what: the model, for messages.

    Raises:
      ModelError: there are none, or others move too.
    """
    others = [name for name in moving if name not in found.floats]
    if found.is_text:
        if moving and not others:
            return Slots.of_text(found, moving, feature)
        if found.floats and others:
            raise ModelError(
                f"The text {feature!r} also reaches the output of {what} by {others[0]!r}, which is of no single "
                "token, so its parts would not add up along a path; use `parts` of `shapley`."
            )
        raise ModelError(
            f"{what} makes no tensor of the text {feature!r} that has one row per token, as many of them for every "
            "text, and gradients (as embedded numbers of words are, padded to a fixed number of words), so a path says "
            "nothing of its parts; use `parts` of `shapley`."
        )
    if len(moving) == 1 and not others:
        ((name, shape),) = moving.items()
        return Slots.of_numbers(name, shape, feature)
    raise ModelError(
        f"{what} makes no single tensor of the series {feature!r} that holds its values, as many for every row, and "
        "has gradients, so a path says nothing of its parts; use `parts` of `shapley`."
    )


def slot_tensors(part: OneOwner, names: Collection[str]) -> SlotTensors:
    """Those among some tensors, all of one text.

    Args:
      part: the graph up to where features meet.
      names: tensors that depend on the text alone.
    """
    slots = _tokens(part, names)
    floats, sources = dict[str, int](), dict[str, int]()
    for op in part.graph.get_operations():
        own = [tensor.name for tensor in op.inputs if tensor.name in names]
        if not own or not all(name in slots for name in own):
            continue
        n_slots = slots[own[0]]
        for out in op.outputs:
            is_apart = _is_one_by_one(op, own) and part.whole.get(out.name, ())[:1] == (n_slots,)
            if not is_apart or out.name in slots:
                continue
            if out.dtype.is_floating:
                floats[out.name] = n_slots
                sources.update(dict.fromkeys(own, n_slots))
            elif part.whole[out.name][1:] in ((), (1,)):
                slots[out.name] = n_slots
    return SlotTensors(floats, sources)


def _tokens(part: OneOwner, names: Collection[str]) -> dict[str, int]:
    """Tensors of one word, or one word's number, per slot -> how many slots they have: two or more."""
    named = named_tensors(part)
    found = {}
    for name in names:
        shape, dtype = part.whole.get(name, ()), part.graph.get_tensor_by_name(name).dtype
        if len(shape) == 1 and shape[0] > 1 and (dtype == tf.string or (dtype.is_integer and name in named)):
            found[name] = shape[0]
    return found


def _is_one_by_one(op: tf.Operation, own: Collection[str]) -> bool:
    if op.type in _GATHERS:
        axis = tf.get_static_value(op.inputs[2]) if op.type == "GatherV2" else 0
        return [i for i, tensor in enumerate(op.inputs) if tensor.name in own] == [_GATHERS[op.type]] and axis == 0
    if op.type == "OneHot":
        # Along another axis rows are what a slot may be, not slots.
        return op.get_attr("axis") in (-1, op.inputs[0].shape.rank)
    return op.type in _ONE_BY_ONE
