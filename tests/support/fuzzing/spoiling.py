"""What is wrong with records: values, kinds, counts, names, and the bytes of the protocol buffer itself."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

import worlds
from fuzzing.case import pick

Rng = np.random.Generator
_READ = ["age", "income", "debt", "race", "codes", "notes"]
_OTHERS = ["approve", "segment", "weight", "unused", "application_id"]
_FLOATS = [float("nan"), float("inf"), -float("inf"), 1e-45, 3.4e38, -3.4e38, -0.0, 0.0, 1e-30, 2.0**24 + 1]
_INTS = [2**63 - 1, -(2**63), 0, -1, 2**31, -(2**31) - 1, 2**53 + 1, 2**62]
_BYTES = [
    b"",
    b"\xff\xfe",
    b"\x00",
    b"\xed\xa0\x80",
    "\u202eabc".encode(),
    b"b" * 100_000,
    b"b\x00",
    b"%s",
    b"B",
    b"<b>",
]


def spoil_all(rows: list[dict[str, Any]], rng: Rng) -> tuple[list[bytes], list[str]]:
    """A record of each row, most with something wrong, and what that is."""
    records, told = [], []
    budget = {"huge": 3}
    for row in rows:
        change = pick(rng, _CHANGES)
        if change in _HUGE:
            budget["huge"] -= 1
            if budget["huge"] < 0:
                change = _other_value
        records.append(change(row, rng))
        told.append(change.__name__.strip("_").replace("_", " "))
    return records, told


def _proto(row: dict[str, Any]) -> Any:
    return tf.train.Example.FromString(worlds.to_example(row))


def _any_name(rng: Rng) -> str:
    return pick(rng, _READ if rng.random() < 0.75 else _OTHERS)


def _set(feature: Any, values: list[Any]) -> None:
    feature.Clear()
    if values and isinstance(values[0], bytes):
        feature.bytes_list.value.extend(values)
    elif values and isinstance(values[0], int):
        feature.int64_list.value.extend(values)
    else:
        feature.float_list.value.extend(values)


def _untouched(row: dict[str, Any], rng: Rng) -> bytes:
    return worlds.to_example(row)


def _other_value(row: dict[str, Any], rng: Rng) -> bytes:
    example = _proto(row)
    name = _any_name(rng)
    feature = example.features.feature[name]
    values = {"float_list": _FLOATS, "int64_list": _INTS, "bytes_list": _BYTES}[feature.WhichOneof("kind")]
    _set(feature, [pick(rng, values)])
    return example.SerializeToString(deterministic=True)


def _other_kind(row: dict[str, Any], rng: Rng) -> bytes:
    example = _proto(row)
    _set(example.features.feature[_any_name(rng)], [pick(rng, [*_FLOATS, *_INTS, *_BYTES[:5]])])
    return example.SerializeToString(deterministic=True)


def _missing(row: dict[str, Any], rng: Rng) -> bytes:
    gone = set(rng.choice(_READ, int(rng.integers(1, 4))).tolist())
    return worlds.to_example({name: value for name, value in row.items() if name not in gone})


def _nothing_but_the_id(row: dict[str, Any], rng: Rng) -> bytes:
    return worlds.to_example({"row_id": row["row_id"]})


def _empty_list(row: dict[str, Any], rng: Rng) -> bytes:
    example = _proto(row)
    feature = example.features.feature[_any_name(rng)]
    feature.Clear()
    getattr(feature, pick(rng, ["float_list", "int64_list", "bytes_list"])).SetInParent()
    return example.SerializeToString(deterministic=True)


def _no_kind(row: dict[str, Any], rng: Rng) -> bytes:
    example = _proto(row)
    example.features.feature[_any_name(rng)].Clear()
    return example.SerializeToString(deterministic=True)


def _several_values(row: dict[str, Any], rng: Rng) -> bytes:
    example = _proto(row)
    feature = example.features.feature[_any_name(rng)]
    values = list(getattr(feature, feature.WhichOneof("kind")).value)
    _set(feature, values * int(rng.integers(2, 20)))
    return example.SerializeToString(deterministic=True)


def _long_list(row: dict[str, Any], rng: Rng) -> bytes:
    example = _proto(row)
    feature = example.features.feature[_any_name(rng)]
    values = list(getattr(feature, feature.WhichOneof("kind")).value)
    _set(feature, values * 50_000)
    return example.SerializeToString(deterministic=True)


def _extra_feature(row: dict[str, Any], rng: Rng) -> bytes:
    example = _proto(row)
    names = ["extra", "größe", "a/b", "", "attribution_x", "predictions", "x" * 3_000, "\n"]
    _set(example.features.feature[pick(rng, names)], [pick(rng, [1.0, 7, b"text"])])
    return example.SerializeToString(deterministic=True)


def _many_features(row: dict[str, Any], rng: Rng) -> bytes:
    example = _proto(row)
    for i in range(3_000):
        _set(example.features.feature[f"extra_{i}"], [pick(rng, [1.0, 7, b"text"])])
    return example.SerializeToString(deterministic=True)


# --- bytes ----------------------------------------------------------------------------------------------------------


def _flipped(row: dict[str, Any], rng: Rng) -> bytes:
    content = bytearray(worlds.to_example(row))
    for _ in range(int(rng.integers(1, 4))):
        content[int(rng.integers(len(content)))] ^= 1 << int(rng.integers(8))
    return bytes(content)


def _cut(row: dict[str, Any], rng: Rng) -> bytes:
    content = worlds.to_example(row)
    return content[: int(rng.integers(len(content)))]


def _noise(row: dict[str, Any], rng: Rng) -> bytes:
    return rng.bytes(int(rng.integers(0, 60)))


def _nothing(row: dict[str, Any], rng: Rng) -> bytes:
    return pick(rng, [b"", b"\n\x00", b"\x0a\x02\x0a\x00"])


def _other_message(row: dict[str, Any], rng: Rng) -> bytes:
    sequence = tf.train.SequenceExample(context=_proto(row).features)
    step = sequence.feature_lists.feature_list["steps"].feature.add()
    step.float_list.value.append(1.0)
    return sequence.SerializeToString(deterministic=True)


def _appended(row: dict[str, Any], rng: Rng) -> bytes:
    return worlds.to_example(row) + pick(
        rng, [b"\x00", b"junk", _field(15, b"unknown"), b"\x7b\x7c", b"\x7b" * 200, _varint_field(9, 2**64 - 1)]
    )


def _merged(row: dict[str, Any], rng: Rng) -> bytes:
    """Two messages after each other, which readers merge."""
    name = pick(rng, _READ)
    return worlds.to_example(row) + worlds.to_example({name: pick(rng, [1.5, 3, b"b", [2, 3], [0.5, 0.25]])})


def _twice(row: dict[str, Any], rng: Rng) -> bytes:
    """One name twice in the map, of which the last counts."""
    name = pick(rng, _READ)
    kept = {key: value for key, value in row.items() if key != name}
    entries = [
        _entry(key.encode(), _feature([value] if not isinstance(value, list) else value)) for key, value in kept.items()
    ]
    other = pick(rng, [[1.5], [3], [b"b"], [2.5, 3.5]])
    own = row[name] if isinstance(row[name], list) else [row[name]]
    both = [_entry(name.encode(), _feature(own)), _entry(name.encode(), _feature(other))]
    return _field(1, b"".join([*entries, *(both if rng.random() < 0.5 else both[::-1])]))


def _two_kinds(row: dict[str, Any], rng: Rng) -> bytes:
    name = pick(rng, _READ)
    values = [pick(rng, [[1.5], [3], [b"b"]]) for _ in range(2)]
    return _with(row, name, b"".join(_feature(value) for value in values))


def _unpacked(row: dict[str, Any], rng: Rng) -> bytes:
    """Numbers one by one, as protobuf 2 wrote them."""
    if rng.random() < 0.5:
        return _with(row, "age", _field(2, b"\x0d" + struct.pack("<f", 2.5)))
    return _with(row, "debt", _field(3, b"\x08" + _varint(5)))


def _odd_packing(row: dict[str, Any], rng: Rng) -> bytes:
    packed = pick(
        rng, [b"\x0a\x03abc", b"\x0a\x05" + struct.pack("<f", 1.0) + b"x", b"\x0a\x7f", b"\x0b\x0c", b"\x0d\x00"]
    )
    return _with(row, "age", _field(2, packed))


def _odd_varint(row: dict[str, Any], rng: Rng) -> bytes:
    numbers = pick(rng, [b"\xff" * 12, b"\x80", b"\x85\x80\x80\x00", b"\xff" * 9 + b"\x01", b"\xff" * 9 + b"\x7f"])
    return _with(row, "debt", _field(3, _field(1, numbers)))


def _odd_name(row: dict[str, Any], rng: Rng) -> bytes:
    name = pick(rng, [b"\xff\xfe", b"age\x00", b"", b"\xed\xa0\x80", b"ag\xc3"])
    return _field(1, _inner(row) + _entry(name, _feature([1.0])))


def _half_an_entry(row: dict[str, Any], rng: Rng) -> bytes:
    return _field(1, _inner(row) + _field(1, pick(rng, [b"", _field(1, b"age"), _field(2, _feature([9.0])), b"\x0a"])))


def _varint(value: int) -> bytes:
    made = bytearray()
    while value > 127:
        made.append(value & 127 | 128)
        value >>= 7
    return bytes([*made, value])


def _field(number: int, content: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def _varint_field(number: int, value: int) -> bytes:
    return _varint(number << 3) + _varint(value)


def _feature(values: list[Any]) -> bytes:
    feature = tf.train.Feature()
    _set(feature, values)
    return feature.SerializeToString(deterministic=True)


def _entry(name: bytes, feature: bytes) -> bytes:
    return _field(1, _field(1, name) + _field(2, feature))


def _inner(row: dict[str, Any], without: str = "") -> bytes:
    kept = {name: value for name, value in row.items() if name != without}
    return tf.train.Example.FromString(worlds.to_example(kept)).features.SerializeToString(deterministic=True)


def _with(row: dict[str, Any], name: str, feature: bytes) -> bytes:
    return _field(1, _inner(row, without=name) + _entry(name.encode(), feature))


_HUGE: list[Callable[[dict[str, Any], Rng], bytes]] = [_long_list, _many_features]
_CHANGES: list[Callable[[dict[str, Any], Rng], bytes]] = [
    _untouched, _other_value, _other_value, _other_value, _other_kind, _other_kind, _missing, _missing, _empty_list,
    _no_kind, _several_values, _extra_feature, _nothing_but_the_id, _flipped, _flipped, _flipped, _cut, _cut, _noise,
    _nothing, _other_message, _appended, _merged, _twice, _two_kinds, _unpacked, _odd_packing, _odd_varint, _odd_name,
    _half_an_entry, *_HUGE,
]  # fmt: skip
