"""Labels of rows: numbers as they are, text by what the classes are called."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from tfx_explain.errors import InputError
from tfx_explain.methods.labels import Labels
from tfx_explain.methods.outputs import places

NAMES = (b"setosa", b"virginica", b"versicolor")


def rows(values: list[list[object] | None], kind: pa.DataType) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays([pa.array(values, pa.large_list(kind))], names=["species"])


def test_text_is_the_place_of_its_class() -> None:
    batch = rows([[b"virginica"], None, [b"setosa"], [], [b"unknown"], [b"setosa", b"setosa"]], pa.large_binary())
    np.testing.assert_array_equal(Labels("species", NAMES).of(batch), [1, np.nan, 0, np.nan, np.nan, np.nan])


def test_numbers_stay_what_they_are() -> None:
    batch = rows([[2], None, [0], [7], [1, 1]], pa.int64())
    np.testing.assert_array_equal(Labels("species", NAMES).of(batch), [2, np.nan, 0, 7, np.nan])


def test_rows_of_a_slice_of_a_batch_have_their_own_labels() -> None:
    batch = rows([[b"setosa"], None, [b"virginica"], [b"versicolor"]], pa.large_binary())
    np.testing.assert_array_equal(Labels("species", NAMES).of(batch.slice(1, 2)), [np.nan, 1])


def test_a_column_that_is_not_there_has_no_labels() -> None:
    assert np.isnan(Labels("genus", NAMES).of(rows([[b"setosa"], None], pa.large_binary()))).all()


def test_text_without_names_of_classes_is_refused() -> None:
    batch = rows([None, [b"setosa"]], pa.large_binary())
    with pytest.raises(InputError, match="`species` of split `eval` is text; give the index of the class, or say what"):
        Labels("species").check(batch, "method `sage`", "eval")
    Labels("species", NAMES).check(batch, "method `sage`", "eval")
    Labels("species", NAMES).check_known(batch, "eval")


def test_lists_are_no_labels_but_some_rows_may_have_them() -> None:
    """One-hot labels, for instance."""
    one_hot = rows([[0, 1, 0], [], [1, 0, 0]], pa.int64())
    with pytest.raises(InputError, match="needs one label for each row, but `species` of split `eval` has 3 values"):
        Labels("species").check(one_hot, "method `sage`", "eval")
    for batch in (rows([[0, 1], [1]], pa.int64()), rows([None, []], pa.int64())):
        Labels("species").check(batch, "method `sage`", "eval")


def test_a_name_that_is_no_class_is_said() -> None:
    batch = rows([[b"setosa"], [b"rubra"]], pa.large_binary())
    with pytest.raises(InputError, match="label `species` is `rubra` in split `eval`, which is none of the 3"):
        Labels("species", NAMES).check_known(batch, "eval")


def test_a_row_without_a_label_asks_for_no_output() -> None:
    np.testing.assert_array_equal(places(np.array([0, 2]), np.array([[2], [-1], [0], [1]])), [[1], [-1], [0], [-1]])
