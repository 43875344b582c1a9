"""Tables that BigQuery loads: its rules for names and types, held by every table that the page says it loads."""

import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import interop
from tfx_explain import tables
from tfx_explain.reader import ExplanationReader

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,299}")
RESERVED = ("_TABLE_", "_FILE_", "_PARTITION", "_ROW_TIMESTAMP", "__ROOT__", "_COLIDENTIFIER", "_CHANGE_")
PER_FEATURE = {tables.BACKGROUND.file, tables.REPORT_EXAMPLES.file}


def is_loaded(kind: pa.DataType) -> bool:
    """Whether BigQuery has a type for it: of a list of lists, and of shorter or unsigned numbers, it has none."""
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return is_loaded(kind.value_type) and not pa.types.is_nested(kind.value_type)
    simple = (pa.types.is_string, pa.types.is_large_string, pa.types.is_binary, pa.types.is_large_binary)
    return kind in (pa.float32(), pa.float64(), pa.int32(), pa.int64(), pa.bool_()) or any(one(kind) for one in simple)


def check(schema: pa.Schema) -> None:
    assert len({name.lower() for name in schema.names}) == len(schema.names)
    for field in schema:
        assert NAME.fullmatch(field.name), field
        assert not field.name.upper().startswith(RESERVED), field
        assert is_loaded(field.type), field


def test_tables_have_names_and_types_that_bigquery_loads(explanation: ExplanationReader) -> None:
    files = [file for file in Path(explanation.uri).glob("*.parquet") if file.name not in PER_FEATURE]
    assert {"importance.parquet", "profiles.parquet"} <= {file.name for file in files}
    described = {table.file: table.types for table in tables.TABLES}
    for file in files:
        schema = pq.read_schema(file)
        check(schema)
        # Of every explanation the same, so that one BigQuery table takes them all.
        found = {field.name: pa.string() if pa.types.is_large_string(field.type) else field.type for field in schema}
        assert found.items() <= described[file.name].items()


def test_attributions_have_a_row_for_each_example_and_feature(
    explanation: ExplanationReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(Path(explanation.uri).parent)
    exec(interop.program("write_attributions.py"), {})
    table = pq.read_table("attributions.parquet")
    check(table.schema)
    rows = table.to_pandas()
    assert len(rows) == interop.N_EVAL * len(explanation.players)
    of_income = rows[rows["player"] == "income"].set_index("example_id")["attribution"]
    expected = explanation.attributions().set_index("example_id")["attribution_income"]
    assert of_income.sort_index().equals(expected.sort_index().rename("attribution"))
    sums = rows.groupby("example_id")["attribution"].sum()
    told = rows.groupby("example_id")[["prediction", "base_value"]].first()
    np.testing.assert_allclose(sums, told["prediction"] - told["base_value"], atol=1e-5)  # of float32
