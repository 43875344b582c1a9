"""What happens to written explanations: files cut, flipped, swapped; tables, records and manifests changed."""

from __future__ import annotations

import dataclasses
import gzip
import json
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import tensorflow as tf

from fuzzing.case import pick

MANIFEST = "manifest.json"


@dataclasses.dataclass(frozen=True)
class Damage:
    """What was done.

    Attributes:
      what: in words.
      files: the files that are no longer what they were, relative to the explanation.
      harmless: whether the figures are still those that the job wrote, as when rows only changed places.
    """

    what: str
    files: tuple[str, ...]
    harmless: bool = False

    def __str__(self) -> str:
        return self.what


def damage(root: Path, rng: np.random.Generator, other: Path, wanted: set[str]) -> Damage:
    """Does one thing to an explanation.

    Args:
      root: its directory; the files in it may be links to others, and are replaced, never written to.
      rng: chooses.
      other: another explanation, whose files may take the place of these.
      wanted: the files to choose among; all where it is empty.
    """
    files = sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())
    files = [name for name in files if not wanted or name in wanted] or files
    tables = [name for name in files if name.endswith(".parquet")]
    shards = [name for name in files if name.endswith(".gz")]
    draw = rng.random()
    while True:
        if draw < 0.3:
            return pick(rng, _OF_BYTES)(root, pick(rng, files), rng, other)
        if draw < 0.65 and tables:
            done = pick(rng, _OF_TABLES)(root, pick(rng, tables), rng)
        elif draw < 0.75 and shards:
            done = _of_records(root, pick(rng, shards), rng)
        else:
            done = _of_manifest(root, rng)
        if done is not None:
            return done
        draw = rng.random()


def _replace(path: Path, content: bytes) -> None:
    path.unlink()
    path.write_bytes(content)


# --- bytes ----------------------------------------------------------------------------------------------------------


def _flipped(root: Path, name: str, rng: np.random.Generator, other: Path) -> Damage:
    content = bytearray((root / name).read_bytes())
    at = sorted(rng.integers(0, len(content), int(rng.integers(1, 5))).tolist()) if content else []
    for position in at:
        content[position] ^= int(rng.integers(1, 256))
    _replace(root / name, bytes(content))
    return Damage(f"bytes {at} of {name} changed", (name,))


def _cut(root: Path, name: str, rng: np.random.Generator, other: Path) -> Damage:
    content = (root / name).read_bytes()
    kept = int(rng.integers(len(content)))
    _replace(root / name, content[:kept])
    return Damage(f"{name} cut to {kept} bytes", (name,))


def _emptied(root: Path, name: str, rng: np.random.Generator, other: Path) -> Damage:
    _replace(root / name, b"")
    return Damage(f"{name} emptied", (name,))


def _removed(root: Path, name: str, rng: np.random.Generator, other: Path) -> Damage:
    (root / name).unlink()
    return Damage(f"{name} removed", (name,))


def _appended(root: Path, name: str, rng: np.random.Generator, other: Path) -> Damage:
    _replace(root / name, (root / name).read_bytes() + rng.bytes(int(rng.integers(1, 40))))
    return Damage(f"bytes appended to {name}", (name,))


def _noise(root: Path, name: str, rng: np.random.Generator, other: Path) -> Damage:
    _replace(root / name, rng.bytes(int(rng.integers(1, 500))))
    return Damage(f"{name} replaced by noise", (name,))


def _directory(root: Path, name: str, rng: np.random.Generator, other: Path) -> Damage:
    (root / name).unlink()
    (root / name).mkdir()
    return Damage(f"{name} is a directory", (name,))


def _dangling(root: Path, name: str, rng: np.random.Generator, other: Path) -> Damage:
    (root / name).unlink()
    (root / name).symlink_to(root / "nowhere")
    return Damage(f"{name} is a link to nowhere", (name,))


def _from_other(root: Path, name: str, rng: np.random.Generator, other: Path) -> Damage:
    source = other / name
    if not source.is_file() or source.read_bytes() == (root / name).read_bytes():
        return _cut(root, name, rng, other)
    (root / name).unlink()
    shutil.copyfile(source, root / name)
    return Damage(f"{name} taken from another explanation", (name,))


def _swapped(root: Path, name: str, rng: np.random.Generator, other: Path) -> Damage:
    names = sorted(str(p.relative_to(root)) for p in root.rglob("*") if p.suffix == Path(name).suffix and p.is_file())
    second = pick(rng, names)
    if second == name:
        return _flipped(root, name, rng, other)
    first_content, second_content = (root / name).read_bytes(), (root / second).read_bytes()
    _replace(root / name, second_content)
    _replace(root / second, first_content)
    return Damage(f"{name} and {second} swapped", (name, second))


_OF_BYTES = [
    _flipped, _flipped, _flipped, _cut, _cut, _emptied, _removed, _appended, _noise, _directory, _dangling, _from_other,
    _from_other, _swapped,
]  # fmt: skip


# --- tables ---------------------------------------------------------------------------------------------------------

Change = Callable[[pd.DataFrame, np.random.Generator], pd.DataFrame]


def _table(what: str, change: Change, *, harmless: bool = False) -> Callable[..., Damage | None]:
    def apply(root: Path, name: str, rng: np.random.Generator) -> Damage | None:
        table = pd.read_parquet(root / name)
        try:
            changed = change(table.copy(), rng)
        except (TypeError, ValueError, IndexError, KeyError):
            return None
        if changed.equals(table):
            return None
        (root / name).unlink()
        changed.to_parquet(root / name, index=False)
        return Damage(f"{name}: {what}", (name,), harmless)

    return apply


def _numbers(table: pd.DataFrame) -> list[str]:
    return [name for name in table if table[name].dtype.kind in "fi" and table[name].notna().any()]


def _texts(table: pd.DataFrame) -> list[str]:
    return [name for name in table if table[name].dtype == object]


def _column(table: pd.DataFrame, rng: np.random.Generator, change: Callable[[Any], Any]) -> pd.DataFrame:
    name = pick(rng, _numbers(table))
    table[name] = change(table[name])
    return table


def _one_cell(table: pd.DataFrame, rng: np.random.Generator, values: list[Any]) -> pd.DataFrame:
    name = pick(rng, _numbers(table))
    table[name] = table[name].astype(float)
    table.loc[int(rng.integers(len(table))), name] = pick(rng, values)
    return table


def _renamed_text(table: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    name = pick(rng, _texts(table))
    old = pick(rng, list(table[name].dropna().unique()))
    table[name] = table[name].replace(old, pick(rng, ["", f"{old} ", "other", str(old).upper(), "overall"]))
    return table


def _swapped_columns(table: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    first, second = rng.choice(_numbers(table), 2, replace=False).tolist()
    return table.rename(columns={first: second, second: first})


_OF_TABLES = [
    _table("rows dropped", lambda t, rng: t.drop(index=rng.choice(len(t), max(1, len(t) // 5), replace=False))),
    _table("one row dropped", lambda t, rng: t.drop(index=int(rng.integers(len(t))))),
    _table("all rows dropped", lambda t, rng: t.iloc[:0]),
    _table("rows repeated", lambda t, rng: pd.concat([t, t.iloc[: int(rng.integers(1, len(t) + 1))]])),
    _table(
        "rows in another order", lambda t, rng: t.sample(frac=1.0, random_state=int(rng.integers(2**31))), harmless=True
    ),
    _table("a column scaled", lambda t, rng: _column(t, rng, lambda c: c * pick(rng, [0.0, -1.0, 0.5, 1.01, 1e6]))),
    _table("a column shifted", lambda t, rng: _column(t, rng, lambda c: c + pick(rng, [1.0, -0.1, 1e9]))),
    _table("a column rolled", lambda t, rng: _column(t, rng, lambda c: np.roll(c, 1))),
    _table("a column set to NaN", lambda t, rng: _column(t, rng, lambda c: c * np.nan)),
    _table("a column infinite", lambda t, rng: _column(t, rng, lambda c: c * 0.0 + np.inf)),
    _table("a cell changed", lambda t, rng: _one_cell(t, rng, [np.nan, np.inf, -np.inf, -1.0, 0.0, 1e300, 0.123])),
    _table("a column as text", lambda t, rng: _column(t, rng, lambda c: c.astype(str))),
    _table("a column of nulls", lambda t, rng: _column(t, rng, lambda c: None)),
    _table("a column of lists", lambda t, rng: _column(t, rng, lambda c: [[v] for v in c])),
    _table("a column renamed", lambda t, rng: t.rename(columns={pick(rng, list(t)): "renamed"})),
    _table("a column dropped", lambda t, rng: t.drop(columns=pick(rng, list(t)))),
    _table("two columns swapped", _swapped_columns),
    _table("a name changed", _renamed_text),
    _table("a name missing", lambda t, rng: t.assign(**{pick(rng, _texts(t)): None})),
]


# --- records --------------------------------------------------------------------------------------------------------


def _of_records(root: Path, name: str, rng: np.random.Generator) -> Damage | None:
    records = [record.numpy() for record in tf.data.TFRecordDataset(str(root / name), "GZIP")]
    if not records:
        return None
    at = int(rng.integers(len(records)))
    what = pick(
        rng, ["dropped", "repeated", "scaled", "noise", "without a column", "none", "shuffled", "of two values"]
    )
    if what == "dropped":
        del records[at]
    elif what == "repeated":
        records.append(records[at])
    elif what == "noise":
        records[at] = rng.bytes(20)
    elif what == "none":
        records = []
    elif what == "shuffled":
        records = [records[i] for i in rng.permutation(len(records))]
    else:
        example = tf.train.Example.FromString(records[at])
        keys = sorted(key for key in example.features.feature if key.startswith(("attribution_", "prediction")))
        if not keys:
            return None
        values = example.features.feature[pick(rng, keys)].float_list.value
        if what == "scaled":
            values[0] = values[0] * 3.0 + 1.0
        elif what == "of two values":
            values.append(0.0)
        else:
            del example.features.feature[pick(rng, keys)]
        records[at] = example.SerializeToString()
    path = root / name
    path.unlink()
    with tf.io.TFRecordWriter(str(path), "GZIP") as writer:
        for record in records:
            writer.write(record)
    if rng.random() < 0.2:
        content = gzip.decompress(path.read_bytes())
        path.write_bytes(gzip.compress(content + struct.pack("<Q", 2**62) + b"junk"))
        what += ", and a record of 2**62 bytes announced"
    return Damage(f"{name}: records {what}", (name,), what == "shuffled")


# --- manifest -------------------------------------------------------------------------------------------------------


def _of_manifest(root: Path, rng: np.random.Generator) -> Damage:
    path = root / MANIFEST
    manifest = json.loads(path.read_bytes())
    if rng.random() < 0.08:
        manifest = pick(rng, [[], {}, None, 3, "text", [manifest]])
        _replace(path, json.dumps(manifest).encode())
        return Damage(f"manifest is {str(manifest)[:20]}", (MANIFEST,))
    holder: Any = manifest
    keys: list[Any] = []
    while isinstance(holder, dict | list) and holder:
        key = pick(rng, list(holder) if isinstance(holder, dict) else list(range(len(holder))))
        keys.append(key)
        if not isinstance(holder[key], dict | list) or not holder[key] or rng.random() < 0.35:
            break
        holder = holder[key]
    what = _change(holder, keys[-1], rng)
    _replace(path, json.dumps(manifest).encode())
    return Damage(f"manifest {'.'.join(map(str, keys))} {what}", (MANIFEST,))


def _change(holder: Any, key: Any, rng: np.random.Generator) -> str:
    value = holder[key]
    draw = rng.random()
    if draw < 0.25:
        del holder[key]
        return "removed"
    if draw < 0.5 or value is None:
        holder[key] = pick(
            rng, [None, 0, -1, 1.5, "text", [], {}, [1], {"a": 1}, True, float("nan"), 10**30, "\x1b[2J"]
        )
        return f"set to {holder[key]!r}"
    if isinstance(value, bool):
        holder[key] = not value
    elif isinstance(value, int | float):
        holder[key] = pick(rng, [value * 2, value - 1, -value, value / 1000, 0])
    elif isinstance(value, str):
        holder[key] = pick(rng, [value[:-1], value + "x", value.upper(), "", value[::-1]])
    elif isinstance(value, list):
        holder[key] = pick(
            rng, [value[1:], value + value[:1], value[::-1], [*value, "new"], {str(v): 1 for v in value}]
        )
    else:
        names = list(value)
        holder[key] = pick(rng, [{f"{n}x": v for n, v in value.items()}, {n: value[n] for n in names[1:]}, list(names)])
    return f"changed to {str(holder[key])[:40]!r}"
