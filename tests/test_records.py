"""The bytes on disk, read by others than those who wrote them."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow as tf

import worlds
from tfx_explain import InputError, load, records, storage, tables
from tfx_explain.attribution_records import MethodFigures, RecordLayout, attribution_batch, attribution_frames
from tfx_explain.methods.background import feature_distances
from tfx_explain.record_reader import attributions_root
from tfx_explain.report.text import cell


def test_records_that_are_no_examples_are_set_aside_and_rows_of_other_types_are_not() -> None:
    rows = [
        worlds.to_example({"a": 1.0}),
        b"",
        worlds.to_example({"a": 2.0}),
        b"\x00 no example",
        worlds.to_example({"a": 3}),
        worlds.to_example({"a": 4.0}),
    ]
    batches, failures = records.decode_examples(rows)
    assert [batch.to_pydict() for batch in batches] == [{"a": [[1.0], [2.0], [4.0]]}, {"a": [[3]]}]
    assert [record for record, _ in failures] == [rows[1], rows[3]]
    assert "no features" in failures[0][1]
    assert "not a tf.Example" in failures[1][1]


def test_a_column_without_values_in_any_row_is_written_and_read() -> None:
    # As CsvExampleGen writes an empty column: a feature without a kind.
    example = tf.train.Example(features=tf.train.Features(feature={"gap": tf.train.Feature()}))
    example.features.feature["a"].float_list.value.append(1.0)
    (batch,), _ = records.decode_examples([example.SerializeToString()])
    assert [tf.train.Example.FromString(one) for one in records.encode_examples(batch)] == [example]
    assert records.rows_to_frame(batch)["gap"].isna().all()


def test_attribution_records_parse_as_plain_tf_examples() -> None:
    (batch,), _ = records.decode_examples([worlds.to_example({"a": 1.0, "b": b"x"}), worlds.to_example({"b": b"y"})])
    zeros, layout = np.zeros((2, 2)), RecordLayout(("a", "b"), 2)
    attributions = np.array([[[1.0, 10.0], [2.0, 20.0]], [[3.0, 30.0], [4.0, 40.0]]])
    added = attribution_batch(
        batch,
        layout,
        [b"first", b"second"],
        [np.array([[5.0, 6.0], [7.0, 8.0]])],
        [MethodFigures(zeros, attributions, np.full((2, 2, 2), 0.5), zeros)],
    )
    parsed = [tf.train.Example.FromString(record).features.feature for record in records.encode_examples(added)]
    assert list(parsed[0]["attribution_a"].float_list.value) == [1.0, 10.0]
    assert list(parsed[1]["attribution_b"].float_list.value) == [4.0, 40.0]
    assert list(parsed[1]["prediction"].float_list.value) == [7.0, 8.0]
    assert list(parsed[0]["a"].float_list.value) == [1.0]
    assert not parsed[1]["a"].float_list.value
    assert parsed[1]["example_id"].bytes_list.value[0] == b"second"
    frames = attribution_frames(added, layout, ["low", "high"])
    assert frames["high"]["attribution_b"].tolist() == [20.0, 40.0]
    assert frames["low"]["b"].tolist() == ["x", "y"]
    assert np.isnan(frames["low"]["a"][1])


def test_records_are_read_as_tensorflow_wrote_them(tmp_path: Path) -> None:
    content = [b"one", b"", b"three" * 1_000]
    for name, compression in (("plain", ""), ("zipped.gz", "GZIP")):
        with tf.io.TFRecordWriter(str(tmp_path / name), compression) as writer:
            for record in content:
                writer.write(record)
        assert list(records.read_records(str(tmp_path / name))) == content


def test_lists_of_several_values_stay_lists() -> None:
    (batch,), _ = records.decode_examples(
        [worlds.to_example({"tags": [b"a", b"b"], "n": 1}), worlds.to_example({"n": 2})]
    )
    frame = records.rows_to_frame(batch)
    assert frame["tags"].tolist() == [["a", "b"], None]
    assert frame["n"].tolist() == [1, 2]


def test_tables_and_json_come_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frame = pd.DataFrame({"player": ["a", "b"], "value": [1.0, np.nan]})
    records.write_table(str(tmp_path / "deep" / "t.parquet"), frame)
    pd.testing.assert_frame_equal(records.read_table(str(tmp_path / "deep" / "t.parquet")), frame)
    monkeypatch.setattr(records, "_ROWS_AT_ONCE", 2)
    longer = pd.DataFrame({"text": [None, None, "c", "d", None], "value": range(5), "other": [None] * 4 + [0.5]})
    for name, table in (("longer", longer), ("empty", longer[:0].astype({"text": object}))):
        records.write_table(str(tmp_path / name), table)
        pd.testing.assert_frame_equal(records.read_table(str(tmp_path / name)), table, check_index_type=False)
    assert records.table_bytes(iter([longer[:3], longer[3:]])) == records.table_bytes(longer)
    empty = pd.DataFrame({"text": [None, None], "figure": [None, None], "other": [None, None], "value": [1, 2]})
    types = {"text": pa.string(), "figure": pa.float64(), "value": pa.string()}
    records.write_table(str(tmp_path / "typed"), empty, types)
    assert pq.read_schema(tmp_path / "typed").types == [pa.string(), pa.float64(), pa.null(), pa.int64()]
    records.write_json(str(tmp_path / "m.json"), {"b": 1, "a": [1.5, None]})
    assert records.read_json(str(tmp_path / "m.json")) == {"b": 1, "a": [1.5, None]}
    with pytest.raises(ValueError, match=r"[Oo]ut of range float"):
        records.write_json(str(tmp_path / "nan.json"), {"a": float("nan")})


def test_a_directory_without_manifest_is_no_explanation(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"holds no explanation"):
        load(str(tmp_path))
    records.write_json(str(tmp_path / tables.MANIFEST), {"format_version": 99})
    with pytest.raises(InputError, match=r"has format 99"):
        load(str(tmp_path))


def test_reading_needs_neither_tensorflow_nor_beam_nor_tfx() -> None:
    program = (
        "import sys, tfx_explain; tfx_explain.load\n"
        "print([m for m in ('tensorflow', 'apache_beam', 'tfx') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_manifests_lead_to_no_other_place_than_the_explanations() -> None:
    def where(uri: str, root: str, split: str = "eval") -> str:
        return attributions_root(uri, {"attributions_uri": root, "examples": {"splits": [split]}})

    assert where("/e", "attributions") == "/e/attributions"
    assert where("e", "attributions") == "e/attributions"
    assert where("file:///e", "/pipeline/attributions/5") == "/pipeline/attributions/5"
    assert where("gs://bucket/e", "gs://bucket/attributions/5") == "gs://bucket/attributions/5"
    for uri, root, split in (
        ("/e", "http://127.0.0.1:1/x", "eval"),
        ("/e", "https://127.0.0.1:1/x", "eval"),
        ("/e", "ftp://127.0.0.1/x", "eval"),
        ("/e", "gs://bucket/x", "eval"),
        ("/e", "simplecache::http://127.0.0.1:1/x", "eval"),
        ("/e", "zip://x::http://127.0.0.1:1/x", "eval"),
        ("/e", "file:///x::http://127.0.0.1:1/x", "eval"),
        ("/e", "x::http://127.0.0.1:1", "eval"),
        ("/e", "../other", "eval"),
        ("/e", "/pipeline/../etc", "eval"),
        ("/e", "attributions", "../../x"),
        ("/e", "attributions", "a/b"),
        ("/e", "attributions", "a::http://127.0.0.1:1"),
        ("gs://bucket/e", "gs://other/x", "eval"),
        ("gs://bucket/e", "/etc", "eval"),
        ("https://one/e", "https://two/x", "eval"),
    ):
        with pytest.raises(InputError, match=r"leads to no place|are said to be on another storage"):
            where(uri, root, split)


def test_local_names_are_no_chains_of_protocols(tmp_path: Path) -> None:
    path = tmp_path / "a::http" / "b::memory"
    storage.write_bytes(str(path), b"x")
    assert storage.find(str(tmp_path)) == [f"file://{path}"]
    assert storage.read_bytes(storage.find(str(tmp_path))[0]) == b"x"


def test_a_name_with_a_nul_in_one_row_hides_no_feature_of_the_others() -> None:
    """The decoder cuts names at a NUL; two columns of one name would be found by neither."""
    good = [worlds.to_example({"age": 1.5}), worlds.to_example({"age": 3.5, "income": 2.0})]
    poison = worlds.to_example({"age": 2.5, "age\0": 7.0})
    batches, failures = records.decode_examples([good[0], poison, good[1]])
    assert [row for batch in batches for row in batch.column("age").to_pylist()] == [[1.5], [3.5]]
    assert [record for record, _ in failures] == [poison]
    assert "up to a NUL" in failures[0][1]


def test_whole_numbers_with_gaps_stay_what_they_are() -> None:
    ids = [2**53 + 1, 2**53 + 2, -(2**63)]
    rows = [worlds.to_example({"big": i, "small": 7, "row": 0}) for i in ids]
    (batch,), _ = records.decode_examples([*rows, worlds.to_example({"row": 0})])
    frame = records.rows_to_frame(batch)
    assert frame["big"].tolist() == [*ids, pd.NA]
    assert frame["small"].tolist()[:3] == [7.0] * 3
    assert np.isnan(frame["small"][3])
    assert cell(frame["big"][3]) == "missing"
    assert np.isnan(feature_distances(batch, ["big"])).sum() == 0
