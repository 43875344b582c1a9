"""What goes wrong with configurations: keys, types, sizes, characters; in the tree and in its text."""

from __future__ import annotations

import copy
import datetime
import decimal
from collections.abc import Callable
from typing import Any

import numpy as np

from fuzzing.case import pick

_WEIRD: list[Callable[[], Any]] = [
    lambda: None,
    lambda: True,
    lambda: 0,
    lambda: -1,
    lambda: -0.0,
    lambda: 10**400,
    lambda: -(2**63) - 1,
    lambda: 2**64,
    lambda: 1e308,
    lambda: 5e-324,
    lambda: float("nan"),
    lambda: float("inf"),
    lambda: -float("inf"),
    lambda: "",
    lambda: " \t",
    lambda: "0",
    lambda: "1e3",
    lambda: "nan",
    lambda: "null",
    lambda: "a\nb",
    lambda: "\x00",
    lambda: "\x1b[31mred\x1b[0m\x07",
    lambda: "\u202egnp.exe",
    lambda: "\u2028",
    lambda: "<script>alert(1)</script>",
    lambda: "%s {0} {x!r} $(id) `id`",
    lambda: "\ud800",
    lambda: "🦊" * 10,
    lambda: "long " * 2_000,
    lambda: "x" * 1_000_000,
    list,
    dict,
    lambda: [[]],
    lambda: {"": {}},
    lambda: {"key\nwith\x1b": 1},
    lambda: ["age"] * 10_000,
    lambda: [f"f{i}" for i in range(20_000)],
    lambda: list(range(50_000)),
    lambda: {f"k{i}": i for i in range(5_000)},
    lambda: _nested(40),
    lambda: _nested(200),
    lambda: _nested_mappings(100),
]
_KEYS = ["", " ", "valeu", "Rules", "__class__", "self", "data", "model_config", "ключ", "a\nb", "\x1b[2J", "k" * 5_000]


def _nested(depth: int) -> Any:
    made: Any = "deep"
    for _ in range(depth):
        made = [made]
    return made


def _nested_mappings(depth: int) -> Any:
    made: Any = "deep"
    for _ in range(depth):
        made = {"rules": made}
    return made


def mutate(data: Any, rng: np.random.Generator) -> Any:
    """The same data with one thing wrong somewhere."""
    data = copy.deepcopy(data)
    places = list(_places(data))
    if not places or rng.random() < 0.03:
        return pick(rng, _WEIRD)() if rng.random() < 0.5 else {pick(rng, _KEYS): data}
    holder, key = pick(rng, places)
    pick(rng, _CHANGES)(holder, key, rng)
    return data


def _places(data: Any, budget: int = 3_000) -> Any:
    """(holder, key or index) of every value in the tree."""
    waiting = [data]
    while waiting and budget > 0:
        holder = waiting.pop()
        for key in list(holder) if isinstance(holder, dict) else range(len(holder)) if isinstance(holder, list) else ():
            yield holder, key
            budget -= 1
            waiting.append(holder[key])


def _replace(holder: Any, key: Any, rng: np.random.Generator) -> None:
    holder[key] = pick(rng, _WEIRD)()


def _delete(holder: Any, key: Any, rng: np.random.Generator) -> None:
    del holder[key]


def _rename(holder: Any, key: Any, rng: np.random.Generator) -> None:
    if isinstance(holder, dict):
        new = pick(rng, [*_KEYS, f"{key}s", str(key)[:-1], str(key).upper(), f"{key} "])
        holder[new] = holder.pop(key)
    else:
        _replace(holder, key, rng)


def _odd_key(holder: Any, key: Any, rng: np.random.Generator) -> None:
    if isinstance(holder, dict):
        holder[pick(rng, [1, None, 1.5, True, (1, 2), b"key", datetime.date(2020, 1, 1)])] = holder[key]
    else:
        holder.insert(0, pick(rng, _WEIRD)())


def _extra_key(holder: Any, key: Any, rng: np.random.Generator) -> None:
    if isinstance(holder, dict):
        holder[pick(rng, _KEYS)] = pick(rng, _WEIRD)()
    else:
        holder.append(pick(rng, _WEIRD)())


def _repeat(holder: Any, key: Any, rng: np.random.Generator) -> None:
    if isinstance(holder, list):
        holder.extend(copy.deepcopy(holder[key]) for _ in range(int(pick(rng, [1, 5, 300, 3_000]))))
    else:
        holder[key] = [holder[key]] * int(pick(rng, [1, 2, 500]))


def _wrap(holder: Any, key: Any, rng: np.random.Generator) -> None:
    holder[key] = pick(rng, [[holder[key]], {"value": holder[key]}, str(holder[key]), [[holder[key]]]])


def _unwrap(holder: Any, key: Any, rng: np.random.Generator) -> None:
    value = holder[key]
    if isinstance(value, dict | list) and value:
        holder[key] = next(iter(value.values() if isinstance(value, dict) else value))
    else:
        _replace(holder, key, rng)


def _scale(holder: Any, key: Any, rng: np.random.Generator) -> None:
    value = holder[key]
    if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 2**64:
        holder[key] = pick(rng, [-value, value * 10**9, float(value), str(value), value + 0.5, bool(value)])
    elif isinstance(value, str):
        holder[key] = pick(
            rng, [value.upper(), f" {value}", value + "\u200b", value[::-1], value.encode("utf-8", "replace"), [value]]
        )
    else:
        _replace(holder, key, rng)


_CHANGES = [_replace, _replace, _delete, _rename, _odd_key, _extra_key, _repeat, _wrap, _unwrap, _scale, _scale]


_FOREIGN: list[Callable[[], Any]] = [
    object,
    lambda: _nested(5_000),
    lambda: _nested_mappings(5_000),
    lambda: b"bytes",
    lambda: {1, 2},
    lambda: decimal.Decimal("0.1"),
    lambda: np.float32(0.5),
    lambda: np.int64(3),
    lambda: np.arange(3.0),
    lambda: datetime.datetime(2020, 1, 1),
    lambda: (value for value in "ab"),
    lambda: int,
    lambda: ("age", "income"),
    lambda: 1j,
]


def foreign_values(data: Any, rng: np.random.Generator) -> Any:
    """Now and then, something in the tree that only Python has."""
    if rng.random() < 0.75 or not isinstance(data, dict):
        return data
    data = copy.deepcopy(data)
    places = list(_places(data))
    if places:
        holder, key = pick(rng, places)
        holder[key] = pick(rng, _FOREIGN)()
    return data


def mutate_text(text: str, rng: np.random.Generator, form: str) -> bytes:
    """The text damaged, as bytes, or text of the kind that parsers stumble on."""
    content = text.encode("utf-8", "surrogatepass")
    if rng.random() < 0.3:
        tricks = _JSON_TRICKS if form == "json" else _YAML_TRICKS
        return pick(rng, tricks)(content)
    return pick(rng, _DAMAGE)(content, rng)


def _flip(content: bytes, rng: np.random.Generator) -> bytes:
    changed = bytearray(content or b" ")
    for _ in range(int(rng.integers(1, 4))):
        changed[int(rng.integers(len(changed)))] = int(rng.integers(256))
    return bytes(changed)


def _cut(content: bytes, rng: np.random.Generator) -> bytes:
    return content[: int(rng.integers(len(content) + 1))]


def _insert(content: bytes, rng: np.random.Generator) -> bytes:
    at = int(rng.integers(len(content) + 1))
    bits = [
        b"\x00",
        b"\t",
        b"\n",
        b"{",
        b"]",
        b"'",
        b'"',
        b": ",
        b"- ",
        b"&a ",
        b"*a",
        b"!!",
        b"#",
        b"\xff\xfe",
        b"\xc3",
    ]
    return content[:at] + pick(rng, bits) + content[at:]


def _splice(content: bytes, rng: np.random.Generator) -> bytes:
    low, high = sorted(rng.integers(0, len(content) + 1, 2).tolist())
    return content[:high] + content[low:]


_DAMAGE = [_flip, _flip, _cut, _insert, _insert, _splice]

_JSON_TRICKS: list[Callable[[bytes], bytes]] = [
    lambda c: b"\xef\xbb\xbf" + c,
    lambda c: c + c,
    lambda c: b"[" * 100_000,
    lambda c: b'{"a":' * 50_000,
    lambda c: b"NaN",
    lambda c: b'{"seed": 1e999}',
    lambda c: b'{"seed": ' + b"9" * 5_000 + b"}",
    lambda c: b'{"rules": [], "rules": ' + c + b"}",
    lambda c: b'{"seed": 1, "seed": 2}',
    lambda c: b"",
    lambda c: b'"text"',
    lambda c: b'{"label_key": "\\ud800"}',
    lambda c: b"// comment\n" + c,
]


def _laughs(levels: int, width: int) -> bytes:
    lines = ["a0: &a0 [x]"]
    for level in range(1, levels):
        lines.append(f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * width)}]")
    return "\n".join([*lines, f"rules: *a{levels - 1}", f"splits: *a{levels - 1}"]).encode()


_YAML_TRICKS: list[Callable[[bytes], bytes]] = [
    lambda c: _laughs(9, 9),
    lambda c: _laughs(30, 2),
    lambda c: b"rules: &r [*r]",
    lambda c: b"rules: &r\n  - max_share: {players: *r, value: 0.1}",
    lambda c: b"rules: &r [max_share: {players: [a], value: 0.1}, *r]",
    lambda c: b"? [a, b]\n: 1",
    lambda c: b"? {a: b}\n: 1",
    lambda c: b"rules: !!python/object/apply:os.system ['true']",
    lambda c: b"rules: !!binary |\n  R0lGODlhDAAMAIQAAP",
    lambda c: b"splits: [2020-01-01, 1:30, 0o17, 0x1F, 1_000, yes, off, ~]",
    lambda c: b"seed: 2020-13-45",
    lambda c: b"seed: 0b2",
    lambda c: b"seed: " + b"9" * 5_000,
    lambda c: b"seed: .nan\nmax_failed_fraction: .inf",
    lambda c: b"<<: {seed: 1}\nseed: 2",
    lambda c: b"<<: [1, 2]",
    lambda c: b"seed: 1\nseed: 2",
    lambda c: b"rules: [{max_share: {players: [a], value: 0.1}}]\nrules: [{min_examples: {value: 1}}]",
    lambda c: b"---\na: 1\n---\nb: 2",
    lambda c: b"%YAML 9.9\n---\n" + c,
    lambda c: b"[" * 5_000,
    lambda c: b"- " * 3_000,
    lambda c: b"{" * 5_000,
    lambda c: b"\tseed: 1",
    lambda c: c.decode("utf-8", "replace").encode("utf-16"),
    lambda c: c + b"\xff\xfe\xff",
    lambda c: b"\x00" + c,
    lambda c: b"",
    lambda c: b"# nothing",
    lambda c: b"just text",
    lambda c: b'label_key: "\\x1b[2J"\nid_kye: 1',
    lambda c: b'label_key: "\\ud800"',
    lambda c: b'"\\ud800": 1',
    lambda c: b"seed: !!float 'abc'",
    lambda c: b"seed: !!int 'abc'",
    lambda c: b"seed: !!timestamp 'abc'",
    lambda c: b"seed: !unknown 1",
    lambda c: b"seed: !!set {a, b}",
    lambda c: b"splits: !!omap [a: 1]",
    lambda c: b"seed: 1:60:99:" + b"59:" * 500 + b"1",
]
