"""Whether an explanation on disk is as `tfx_explain.tables` describes it: nothing unknown, nothing missing."""

import functools
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tfx_explain import tables
from tfx_explain.reader import ExplanationReader
from tfx_explain.tables import Column, Kind, Table
from tfx_explain.tables.manifest import ENTRIES


def _is_list_of(dtype: pa.DataType, *values: pa.DataType) -> bool:
    return (pa.types.is_list(dtype) or pa.types.is_large_list(dtype)) and dtype.value_type in values


_STORED_AS: dict[Kind, Callable[[pa.DataType], bool]] = {
    Kind.TEXT: lambda dtype: dtype in (pa.string(), pa.large_string()),
    Kind.NUMBER: lambda dtype: dtype == pa.float64(),
    Kind.WHOLE: lambda dtype: dtype == pa.int64(),
    Kind.FLAG: lambda dtype: dtype == pa.bool_(),
    Kind.NUMBERS: lambda dtype: _is_list_of(dtype, pa.float32()),
    Kind.WHOLES: lambda dtype: _is_list_of(dtype, pa.int64()),
    Kind.BYTES: lambda dtype: _is_list_of(dtype, pa.binary(), pa.large_binary()),
}
"""What a Parquet file holds cells of each kind in."""


def check_files(explanation: ExplanationReader, *, old: bool = False) -> None:
    """Every Parquet file and every attribution record against its description."""
    directory, manifest = Path(explanation.uri), explanation.manifest
    described = {table.file: table for table in tables.TABLES}
    written = {path.name for path in directory.glob("*.parquet")}
    assert written <= set(described), "files without a description"
    baseline = manifest["baseline_model"] is not None
    players, own, methods = explanation.players, _own_features(explanation), explanation.methods
    for name in sorted(written):
        table = pq.read_table(directory / name)
        check_table(described[name], table, players, own, baseline=baseline, old=old, methods=methods)
    check_manifest(manifest)
    for batch in explanation.attribution_batches():
        table = pa.Table.from_batches([batch])
        check_table(tables.ATTRIBUTION_RECORDS, table, players, own, baseline=baseline, old=old, methods=methods)


def check_table(
    table: Table,
    written: pa.Table,
    players: Sequence[str] = (),
    own: Collection[str] = (),
    *,
    baseline: bool = True,
    old: bool = False,
    methods: Sequence[str] = ("",),
) -> None:
    """One table against its description; `own` are features of the examples, `old` tables lack what came later."""
    frame = written.to_pandas()
    expected = {
        name
        for column in table.columns
        if (baseline or not column.of_baseline) and column.is_filled_in(frame)
        if not column.when and not (old and column.since)
        for name in column.names(players, methods)
    }
    described = set(table.names(players, baseline=baseline, methods=methods))
    found = set(written.column_names) - (set(own) if table.own else set())
    assert expected <= found <= described, f"{table.file}: {sorted(found ^ expected)}"
    for column in table.columns:
        for name in column.names(players, methods):
            if name in found:
                _check_cells(f"{table.file}: {name}", column, written, name)
    if table.key:
        keys = frame[list(table.key)]
        if "kind" in keys:  # copies of a row have the same single curves
            keys = keys[keys["kind"] != "ice"]
        assert not keys.duplicated().any(), f"{table.file}: its key is there twice"


def _check_cells(what: str, column: Column, written: pa.Table, name: str) -> None:
    cells = written[name]
    if cells.null_count < len(cells):  # a column of gaps alone has no type
        assert _STORED_AS[column.kind](cells.type), f"{what} is {cells.type}"
    if column.kind is Kind.NUMBER:
        assert not pc.any(pc.is_nan(cells)).as_py(), f"{what} has NaN, which is not NULL"
    if column.of:
        of_others = pc.invert(pc.is_in(written[column.of[0]], pa.array(column.of[1])))
        filled = pc.is_valid(cells)
        assert not pc.any(pc.and_(of_others, filled)).as_py(), f"{what} is filled in other rows"
        cells = cells.filter(pc.invert(of_others))
    assert column.empty or not cells.null_count, f"{what} has empty cells"


def check_manifest(manifest: Mapping[str, Any]) -> None:
    """Every entry of the manifest has a description, and every description that holds for all has an entry."""
    for entry in ENTRIES:
        if entry.is_required:
            value: Any = functools.reduce(lambda part, key: part[key], entry.name.split("."), manifest)
            assert isinstance(value, entry.kinds), f"{entry.name} is {value!r}"
    # Of an object that is described as a whole the keys differ from one explanation to the next.
    parents = {entry.name.rpartition(".<")[0] for entry in ENTRIES}
    whole = {entry.name for entry in ENTRIES} - parents
    patterns = [_pattern(entry.name) for entry in ENTRIES]
    for name in _names_of(manifest, whole):
        assert any(re.fullmatch(pattern, name) for pattern in patterns), f"{name} is not described"


def _names_of(value: Any, whole: Collection[str], name: str = "") -> Iterator[str]:
    """Names of the entries, objects that are described as a whole by their own."""
    if not isinstance(value, dict) or name in whole:
        yield name
        return
    for key, part in value.items():
        yield from _names_of(part, whole, f"{name}.{key}".lstrip("."))


def _pattern(name: str) -> str:
    parts = re.split(r"(<\w+>)", name)
    return "".join("[^.]+" if part.startswith("<") else re.escape(part) for part in parts)


def _own_features(explanation: ExplanationReader) -> set[str]:
    """Names of the examples' features, from the rows of the background, which nothing is added to but weights."""
    names = set(pq.read_schema(Path(explanation.uri) / tables.BACKGROUND.file).names)
    return names - set(tables.BACKGROUND.names())
