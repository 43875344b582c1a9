"""Which rows a model takes, and why it does not take the others."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from tfx_explain.errors import InputError
from tfx_explain.models import FeatureSpec, load_model
from tfx_explain.models.reading import Reader


def batch(**columns):
    return pa.RecordBatch.from_arrays(list(columns.values()), list(columns))


def floats(rows, dtype=None):
    return pa.array(rows, dtype or pa.large_list(pa.float32()))


DENSE = [FeatureSpec("x", "float32", "dense", (2,)), FeatureSpec("y", "float32", "dense", (), np.float32(3))]


def test_good_rows_have_no_errors():
    assert Reader(DENSE, casts_integers=False).row_errors(batch(x=floats([[1, 2]]), y=floats([[1]]))) == {}


def test_each_bad_row_gets_its_reason():
    reader = Reader(DENSE, casts_integers=False)
    rows = batch(x=floats([[1, 2], None, [1], [], [1, 2, 3], [1, 2]]), y=floats([None, [1], [1], [1], [1], [1, 2]]))
    assert reader.row_errors(rows) == {
        1: "feature 'x' is missing and the model has no default for it.",
        2: "feature 'x' has 1 values where the model takes 2.",
        3: "feature 'x' is missing and the model has no default for it.",
        4: "feature 'x' has 3 values where the model takes 2.",
        5: "feature 'y' has 2 values where the model takes 1.",
    }
    with pytest.raises(InputError, match="Row 1 of the batch cannot be explained: feature 'x' is missing"):
        reader.inputs(rows)


@pytest.mark.parametrize("y", [None, floats([None, []]), pa.nulls(2), floats([None, None], pa.float32())])
def test_missing_in_every_way_becomes_the_default(y):
    columns = {"x": floats([[1, 2], [3, 4]])} | ({} if y is None else {"y": y})
    inputs = Reader(DENSE, casts_integers=False).inputs(batch(**columns))
    np.testing.assert_array_equal(inputs.columns["y"], np.float32([3, 3]))


@pytest.mark.parametrize("list_type", [pa.list_, pa.large_list])
def test_slices_and_list_types(list_type):
    column = floats([[9, 9], [1, 2], [3, 4], [5, 6]], list_type(pa.float32()))
    inputs = Reader(DENSE[:1], casts_integers=False).inputs(batch(x=column).slice(1, 2))
    np.testing.assert_array_equal(inputs.columns["x"], np.float32([[1, 2], [3, 4]]))


def test_flat_columns_count_as_lists_of_one():
    inputs = Reader(DENSE[1:], casts_integers=False).inputs(batch(y=pa.array([1.5, None, 2.5], pa.float64())))
    np.testing.assert_array_equal(inputs.columns["y"], np.float32([1.5, 3, 2.5]))


def test_nulls_inside_lists_are_no_values():
    spec = FeatureSpec("v", "float32", "sparse")
    column = Reader([spec], casts_integers=False).inputs(batch(v=floats([[1, None], [None], [2, 3]]))).columns["v"]
    assert (column.values.tolist(), column.lengths.tolist()) == ([1, 2, 3], [1, 0, 2])


@pytest.mark.parametrize(
    ("dtype", "column", "words"),
    [
        (
            "float32",
            pa.array([[b"a"], None], pa.large_list(pa.large_binary())),
            "holds strings where the model takes floats",
        ),
        ("int64", floats([[1.5], None]), "holds floats where the model takes integers"),
        ("string", pa.array([[1], None]), "holds integers where the model takes strings"),
        ("float32", pa.array([[{"a": 1}], None]), "holds struct"),
    ],
)
def test_wrong_types(dtype, column, words):
    spec = FeatureSpec("x", dtype, "sparse")
    errors = Reader([spec], casts_integers=True).row_errors(batch(x=column))
    assert list(errors) == [0]
    assert words in errors[0]


def test_integers_for_floats_only_where_allowed():
    rows, spec = batch(y=pa.array([[1]], pa.large_list(pa.int64()))), DENSE[1:]
    assert Reader(spec, casts_integers=True).row_errors(rows) == {}
    assert "holds integers" in Reader(spec, casts_integers=False).row_errors(rows)[0]


def test_integers_that_overflow():
    spec = FeatureSpec("k", "int32", "dense")
    rows = batch(k=pa.array([[1], [2**40], [-1]], pa.large_list(pa.int64())))
    assert Reader([spec], casts_integers=True).row_errors(rows) == {1: "feature 'k' overflows int32."}


def test_a_model_refuses_what_its_parse_op_would_refuse(mixed_model_dir, mixed_data, tools):
    model, call = load_model(mixed_model_dir), tools.call_on_examples(mixed_model_dir, "p")
    rows = [{"age": [1]}, {"age": [1.0, 2.0]}, {"color": [1.5]}, {"codes": [b"x"]}, {"rate": [0.5]}]
    for i, row in enumerate(rows):
        name, (value, *_) = next(iter(row.items()))
        kind = {int: pa.int64(), float: pa.float32(), bytes: pa.large_binary()}[type(value)]
        refused = bool(model.row_errors(batch(**{name: pa.array([row[name]], pa.large_list(kind))})))
        try:
            call([row])
            assert not refused, rows[i]
        except Exception:  # noqa: BLE001
            assert refused, rows[i]
