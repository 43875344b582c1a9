"""Slices: the same rows as a loop over rows finds, names that read well, and clear refusals."""

import itertools
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import worlds
from tfx_explain import ConfigError, records
from tfx_explain.config import SlicingSpec
from tfx_explain.slicing import check_slice_count, in_spec, slice_examples, slice_name, spec_name

VALUES = {
    "sex": st.sampled_from([b"female", b"male"]),
    "age": st.integers(0, 2),
    "size": st.sampled_from([0.5, 1.0, float("nan"), -0.0, 0.0]),
    "tag": st.sampled_from([b"", b"a", b"b"]),
}
ROW = st.fixed_dictionaries({name: st.lists(values, max_size=3) for name, values in VALUES.items()})
SPEC = st.builds(
    SlicingSpec,
    feature_keys=st.lists(st.sampled_from(["sex", "age", "absent"]), unique=True, max_size=2),
    feature_values=st.dictionaries(st.sampled_from(["size", "tag"]), st.sampled_from(["a", "1", 0, 0.5, "x"])),
)


def decode(rows: list[dict[str, Any]]) -> pa.RecordBatch:
    # A record without any feature is no row.
    (batch,), failures = records.decode_examples([worlds.to_example({**row, "row": 0.0}) for row in rows])
    assert not failures
    return batch


def text(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode()
    return str(int(value)) if value == int(value) else str(value)


def by_loop(rows: list[dict[str, Any]], spec: SlicingSpec) -> dict[Any, list[int]]:
    """The definition, row by row."""
    found: dict[Any, list[int]] = {}
    for index, row in enumerate(rows):
        choices = []
        for name in sorted(spec.features):
            texts = {text(value) for value in row.get(name, []) if value == value}
            if name in spec.feature_values:
                texts &= {text(v) if not isinstance(v, str) else v for v in [spec.feature_values[name]]}
            choices.append([(name, value) for value in texts])
        for key in itertools.product(*choices):
            found.setdefault(key, []).append(index)
    return found


@settings(max_examples=100, deadline=None)
@given(st.lists(ROW, min_size=1, max_size=12), SPEC)
def test_slices_are_those_of_a_loop_over_rows(rows: list[dict[str, Any]], spec: SlicingSpec) -> None:
    rows = [{name: values for name, values in row.items() if values} for row in rows]
    got = slice_examples(decode(rows), [spec])
    assert {key: found.tolist() for key, found in got.items()} == by_loop(rows, spec)
    assert all(in_spec(key, spec) for key in got)


def test_slices_asked_for_twice_are_there_once() -> None:
    batch = decode([{"a": b"x", "b": 1}, {"a": b"y", "b": 2}])
    twice = [
        SlicingSpec(feature_keys=("a", "b")),
        SlicingSpec(feature_keys=("b", "a")),
        SlicingSpec(feature_values={"a": "x", "b": "1.0"}),
        SlicingSpec(),
        SlicingSpec(),
    ]
    names = [slice_name(key) for key in slice_examples(batch, twice)]
    assert names == ["a=x,b=1", "a=y,b=2", "overall"]


def test_no_rows_have_no_slices() -> None:
    empty = decode([{"a": 1}]).slice(0, 0)
    assert slice_examples(empty, [SlicingSpec(), SlicingSpec(feature_keys=("a",))]) == {}


def test_numbers_read_the_same_whatever_their_type() -> None:
    for values in ([1, 7], [1.0, 7.0], [b"1", b"7"]):
        names = [slice_name(key) for key in slice_examples(decode([{"a": v} for v in values]), [BY_A])]
        assert names == ["a=1", "a=7"]
    names = [slice_name(key) for key in slice_examples(decode([{"a": v} for v in (0.1, -2.5, 1e10, 1e20)]), [BY_A])]
    assert names == ["a=0.1", "a=-2.5", "a=10000000000", "a=1e+20"]


BY_A = SlicingSpec(feature_keys=("a",))


@pytest.mark.parametrize("wanted", [0.1, "0.1", np.pi])
def test_wanted_fractions_meet_the_features_precision(wanted: Any) -> None:
    batch = decode([{"a": float(wanted)}, {"a": 3.0}])
    found = slice_examples(batch, [SlicingSpec(feature_values={"a": wanted})])
    assert [rows.tolist() for rows in found.values()] == [[0]]


def test_names_of_different_slices_differ() -> None:
    odd = [b"x", b"x,b=y", b'"x"', b"", b" ", b"x ", b"=", b"\\", b"\n", b"\xff", b"New York", "Zürich".encode()]
    found = slice_examples(
        decode([{"a": value, "b": b"y"} for value in odd]), [SlicingSpec(feature_keys=("a", "b")), BY_A]
    )
    names = [slice_name(key) for key in found]
    assert len(set(names)) == 2 * len(odd)
    assert {"a=New York", "a=Zürich", 'a="x,b=y"', "a=x,b=y", 'a=""'} <= set(names)
    assert not any("\n" in name for name in names)


def test_specifications_have_names() -> None:
    assert spec_name(SlicingSpec()) == "overall"
    assert spec_name(SlicingSpec(feature_keys=("sex",), feature_values={"island": "Biscoe"})) == "island=Biscoe,sex=*"


def test_too_many_slices_are_refused() -> None:
    check_slice_count(3, 3)
    with pytest.raises(ConfigError, match=r"into more than 3 slices; .* raise `max_slices`"):
        check_slice_count(4, 3)
