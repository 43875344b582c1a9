"""What is summed up of parts of rows, and the tables that are made of it, without a job."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pytest

from tfx_explain import tables
from tfx_explain.config import ExplainConfig
from tfx_explain.methods.context import JobContext
from tfx_explain.methods.method import BASELINE, CANDIDATE, DIFFERENCE, Accumulated, Key, SliceRows
from tfx_explain.methods.part_tables.images import ImageRows
from tfx_explain.methods.part_tables.made import all_tables
from tfx_explain.methods.part_tables.places import PlaceRows, window_rows, word_rows
from tfx_explain.methods.part_tables.targets import Target, TargetRows
from tfx_explain.part_records import PartRows, PartsOf
from tfx_explain.regions import encode_labels

SPANS = PartsOf("spans", ("start", "stop", "seen"))
WINDOWS = PartsOf("windows", ("start", "stop", "channel"))
REGIONS = PartsOf("regions", ("pixels",), has_maps=True)
CONFIG = ExplainConfig(methods=["shapley"], min_word_examples=1)


def parts_of(where: Sequence[Sequence[int]], lengths: Sequence[int], seed: int = 0) -> PartRows:
    values = np.random.default_rng(seed).normal(size=(len(where), 2))
    return PartRows(np.array(lengths), np.array(where).reshape(len(where), -1), values, np.zeros_like(values))


def made(
    sides: dict[str, TargetRows], of: PartsOf, n: int, weights: npt.NDArray[np.float64] | None = None
) -> dict[str, pd.DataFrame]:
    """Tables of n rows in one batch, for two outputs."""
    target, found = Target("method", "a feature"), {}
    part = SliceRows(np.arange(n), np.ones(n) if weights is None else weights, np.zeros(n, np.uint64))
    for side, rows in sides.items():
        for what, output, (empty, arguments) in rows.contributions(target, ("y", "z"), part):
            key = Key("part_tables", side, what, "overall", output)
            found.setdefault(key, empty()).add(*arguments)
    return all_tables(
        Accumulated(found), {target: of}, JobContext(CONFIG, {"a feature": ("a feature",)}, None, ("y", "z"))
    )


def text_rows(seed: int = 0, unseen: int = 6) -> PlaceRows:
    texts = [b"Good, GOOD bad", None, b"\xff! the", b"good"]
    spans = [(0, 6), (6, 11), (11, 14), (0, 1), (1, 3), (3, 6), (0, 4)]
    where = [(*span, place != unseen) for place, span in enumerate(spans)]
    column = pa.array([None if text is None else [text] for text in texts], pa.large_list(pa.large_binary()))
    rows = pa.RecordBatch.from_arrays([column], names=["a feature"])
    return word_rows(rows, "a feature", SPANS, parts_of(where, [3, 0, 3, 1], seed))


def test_words_are_what_spans_say_of_those_that_are_seen() -> None:
    rows = text_rows()
    table = made({CANDIDATE: rows}, SPANS, 4)[tables.WORDS.file]
    first = table[table["output"] == "y"].set_index("word")
    assert first["num_examples"].to_dict() == {"good": 1, "bad": 1, "the": 1, "\ufffd": 1}
    values = parts_of([[0]] * 7, [7]).attributions
    # Twice in the first row; the last row's is not seen.
    assert first.loc["good", "mean"] == pytest.approx(values[:2, 0].mean())
    second = table[table["output"] == "z"].set_index("word")
    assert second.loc["the", "mean"] == pytest.approx(values[5, 1])
    for output, found in enumerate((first, second)):
        assert found.loc["good", "mean_abs"] == pytest.approx(np.abs(values[:2, output]).mean())
    assert set(zip(table["method"], table["feature"], strict=True)) == {("method", "a feature")}
    assert list(table) == [column.name for column in tables.WORDS.columns if not column.of_baseline]


def test_words_are_compared_where_both_models_see_them() -> None:
    ours, theirs = text_rows(), text_rows(1, unseen=2)
    less = ours.minus(theirs)
    assert less is not None
    sides = {CANDIDATE: ours, BASELINE: theirs, DIFFERENCE: less}
    table = made(sides, SPANS, 4)[tables.WORDS.file].query("output == 'y'").set_index("word")
    assert np.isnan(table.loc["bad", ["baseline_mean", "difference"]].astype(float)).all()
    assert table.loc["the", "difference"] == pytest.approx(table.loc["the", "mean"] - table.loc["the", "baseline_mean"])
    # The baseline model sees a third one, of which the model says nothing.
    assert table.loc["good", "difference"] != pytest.approx(
        table.loc["good", "mean"] - table.loc["good", "baseline_mean"]
    )
    other = PlaceRows(ours.table, ours.names, ours.codes[:-1], np.array([3, 0, 2, 1]), ours.values[:-1])
    assert ours.minus(other) is None


def test_rows_that_are_taken_keep_their_places() -> None:
    rows = text_rows(unseen=-1)
    taken = rows.take(np.array([3, 0]))
    assert [rows.names[code] for code in taken.codes] == ["good", "good", "good", "bad"]
    assert taken.lengths.tolist() == [1, 3]
    np.testing.assert_array_equal(taken.values, rows.values[[6, 0, 1, 2]])


def test_windows_are_places_whatever_the_number_of_steps() -> None:
    where = [(0, 2, -1), (2, 4, -1), (4, 4, -1), (0, 2, -1), (2, 3, -1), (3, 3, -1), (0, 2, -1), (2, 2, -1)]
    table = made({CANDIDATE: window_rows(WINDOWS, parts_of(where, [3, 3, 2]))}, WINDOWS, 3)[tables.SERIES.file]
    counts = table[table["output"] == "z"].set_index(["start", "stop"])["num_examples"].to_dict()
    assert counts == {(0, 2): 2, (2, 4): 1, (2, 3): 1, (-1, -1): 3, (0, -1): 1}
    assert set(table["channel"]) == {-1}
    crossed = made(
        {CANDIDATE: window_rows(WINDOWS, parts_of([(0, 5, 0), (0, 5, 1), (0, 2, 0), (0, 2, 1)], [2, 2]))}, WINDOWS, 2
    )
    found = crossed[tables.SERIES.file].query("output == 'y'")
    assert found[["start", "stop", "channel", "num_examples"]].to_numpy().tolist() == [[0, -1, 0, 2], [0, -1, 1, 2]]


def image_rows(labels: Sequence[npt.NDArray[np.int64]], seed: int = 0) -> ImageRows:
    # Without a map there may be what is left of an image.
    lengths = [int(of_row.max()) + 1 if of_row.size else 1 for of_row in labels]
    parts = parts_of([[1]] * sum(lengths), lengths, seed)
    maps = np.array([encode_labels(of_row) if of_row.size else b"" for of_row in labels], object)
    return ImageRows.of(PartRows(parts.lengths, parts.where, parts.attributions, parts.std_errors, maps))


HALVES = np.repeat([[0, 1]], 4, axis=0).repeat(2, axis=1)
QUARTERS = np.kron([[0, 1], [2, 3]], np.ones((2, 2), int))
SMALL, NONE = np.array([[0, 1]]), np.zeros((0, 0), int)


def test_the_size_of_most_maps_is_taken_and_others_are_counted() -> None:
    found = made({CANDIDATE: image_rows([SMALL, HALVES, NONE, QUARTERS])}, REGIONS, 4)
    cells = found[tables.IMAGE_MAPS.file]
    assert len(cells) == 2 * 16
    assert (cells["num_examples"] == 2).all()
    assert (cells["num_left_out"] == 1).all()
    values = np.delete(parts_of([[1]] * 9, [9]).attributions, 4, axis=0)
    for place, output in enumerate(("y", "z")):
        own = cells[cells["output"] == output].pivot(index="row", columns="column", values="mean").to_numpy()
        expected = values[2:4, place][HALVES] / 8 + values[4:, place][QUARTERS] / 4
        np.testing.assert_allclose(own, expected / 2, rtol=1e-12)
    regions = found[tables.REGIONS.file]
    shares = regions[regions["measure"] == "share"].groupby("output")["mean"].first()
    sizes = [np.abs(values[of_row]) for of_row in (slice(0, 2), slice(2, 4), slice(4, 8))]
    largest = np.mean([of_row.max(axis=0) / of_row.sum(axis=0) for of_row in sizes], axis=0)
    np.testing.assert_allclose(shares.loc[["y", "z"]], largest, rtol=1e-12)
    assert (regions["num_examples"] == 3).all()
    assert (regions["num_left_out"] == 1).all()
    # Of equally many the larger size.
    few = made({CANDIDATE: image_rows([SMALL, HALVES])}, REGIONS, 2)[tables.IMAGE_MAPS.file]
    assert len(few) == 2 * 16


def test_maps_of_two_models_are_compared_whatever_their_regions() -> None:
    ours, theirs = image_rows([HALVES, QUARTERS, SMALL]), image_rows([QUARTERS, QUARTERS, QUARTERS], 1)
    sides = {CANDIDATE: ours, BASELINE: theirs, DIFFERENCE: ours.minus(theirs)}
    both = np.array([1.0, 1.0, 0.0])
    cells = made(sides, REGIONS, 3, both)[tables.IMAGE_MAPS.file]
    np.testing.assert_allclose(cells["difference"], cells["mean"] - cells["baseline_mean"], atol=1e-12)
    # A row whose maps have two sizes is compared in none.
    three = made(sides, REGIONS, 3)[tables.IMAGE_MAPS.file]
    np.testing.assert_allclose(three["difference"], cells["difference"], atol=1e-12)


def test_large_batches_are_added_some_rows_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    rows, weights = image_rows([HALVES, QUARTERS] * 5), np.arange(10.0)
    expected = made({CANDIDATE: rows}, REGIONS, 10, weights)
    monkeypatch.setattr("tfx_explain.methods.part_tables.images._ROWS_AT_ONCE", 3)
    for file, table in made({CANDIDATE: rows}, REGIONS, 10, weights).items():
        pd.testing.assert_frame_equal(table, expected[file], rtol=1e-12)


def test_tables_without_rows_have_their_columns() -> None:
    target = Target("method", "a feature")
    context = JobContext(CONFIG, {"a feature": ("a feature",)}, None, ("y",))
    for of, described in ((SPANS, [tables.WORDS]), (REGIONS, [tables.REGIONS, tables.IMAGE_MAPS])):
        found = all_tables(Accumulated({}), {target: of}, context)
        assert set(found) == {table.file for table in described}
        for table in described:
            assert table.fault(found[table.file]) == ""
            assert len(found[table.file]) == 0
