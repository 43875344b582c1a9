"""Tables of what is inside features that cannot be what was written are refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tfx_explain import tables
from tfx_explain.errors import InputError
from tfx_explain.part_consistency import check_images, check_parts, parts_tables

SPANS = {"kind": "spans", "columns": ["start", "stop", "seen"], "has_maps": False}
WINDOWS = {"kind": "windows", "columns": ["start", "stop", "channel"], "has_maps": False}
REGIONS = {"kind": "regions", "columns": ["pixels"], "has_maps": True}
MANIFEST: dict[str, Any] = {
    "outputs": ["y"],
    "slices": {"included": [{"slice": "overall", "num_examples": 20}, {"slice": "half=1", "num_examples": 9}]},
    "parts": {"shapley": {"review": SPANS}, "xrai": {"image": REGIONS}},
    "files": {"images/a.png": "", "images/a.labels.png": ""},
}
OF = {"slice": "overall", "output": "y", "num_examples": 20, "num_left_out": 0}
MEANS = {"mean": [0.5, -1.0], "std_error": [0.1, np.nan], "mean_abs": [0.5, 1.25], "mean_abs_std_error": 0.1}
WORDS = pd.DataFrame({**OF, "method": "shapley", "feature": "review", "word": ["a", "b"], **MEANS})
OF_IMAGE = {**OF, "method": "xrai", "feature": "image"}
MAPS = pd.DataFrame({**OF_IMAGE, "row": 0, "column": [0, 1], **MEANS})
MEASURES = {"measure": ["share", "num_regions"], "rank": [1, 0], "mean": [0.5, 7.0], "std_error": 0.1}
SHARES = pd.DataFrame({**OF_IMAGE, **MEASURES})


@pytest.mark.parametrize(
    ("table", "frame"), [(tables.WORDS, WORDS), (tables.IMAGE_MAPS, MAPS), (tables.REGIONS, SHARES)]
)
def test_what_was_written_is_taken(table: tables.Table, frame: pd.DataFrame) -> None:
    check_parts(frame, table, "here", MANIFEST)
    check_parts(frame.iloc[:0], table, "here", MANIFEST)


Change = Callable[[pd.DataFrame], pd.DataFrame]
CHANGES: dict[str, tuple[Change, str]] = {
    "no column": (lambda frame: frame.drop(columns="word"), "has no column `word`"),
    "twice": (lambda frame: frame.assign(word="a"), "two rows of one key"),
    "a slice": (lambda frame: frame.assign(slice="half=2"), "slices or outputs that the manifest"),
    "an output": (lambda frame: frame.assign(output="z"), "slices or outputs that the manifest"),
    "a feature": (lambda frame: frame.assign(feature="image"), "features that no method"),
    "another kind": (lambda frame: frame.assign(method="xrai", feature="image"), "features that no method"),
    "too many rows": (lambda frame: frame.assign(slice="half=1"), "numbers of examples"),
    "no rows": (lambda frame: frame.assign(num_examples=0), "numbers of examples"),
    "less than none": (lambda frame: frame.assign(num_left_out=-1), "numbers of examples"),
    "an error": (lambda frame: frame.assign(std_error=-0.1), "standard error"),
    "an infinite error": (lambda frame: frame.assign(mean_abs_std_error=np.inf), "standard error"),
    "no mean": (lambda frame: frame.assign(mean=np.nan), "mean is not a number"),
    "an infinite mean": (lambda frame: frame.assign(mean=-np.inf), "mean is not a number"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_words_that_cannot_be_are_refused(change: str) -> None:
    changed, message = CHANGES[change]
    with pytest.raises(InputError, match=rf"here/words.parquet is not what was explained: .*{message}"):
        check_parts(changed(WORDS), tables.WORDS, "here", MANIFEST)


@pytest.mark.parametrize(
    ("table", "frame", "message"),
    [
        (tables.IMAGE_MAPS, MAPS.assign(mean_abs=0.1), "larger than the mean of sizes"),
        (tables.IMAGE_MAPS, MAPS.iloc[1:], "a cell of a map is missing"),
        (tables.IMAGE_MAPS, MAPS.assign(row=[-1, 0]), "a cell of a map is missing"),
        (tables.REGIONS, SHARES.assign(mean=[1.1, 7.0]), "a share is not from 0 to 1"),
        (tables.REGIONS, SHARES.assign(mean=[0.5, -7.0]), "a share is not from 0 to 1"),
        (tables.REGIONS, SHARES.assign(method="shapley", feature="review"), "features that no method"),
    ],
)
def test_maps_and_shares_that_cannot_be_are_refused(table: tables.Table, frame: pd.DataFrame, message: str) -> None:
    with pytest.raises(InputError, match=message):
        check_parts(frame, table, "here", MANIFEST)


def test_pictures_are_those_of_the_manifest() -> None:
    names = {"example_id": "1", "feature": "image", "method": "xrai", "output": "y"}
    sizes = {"height": 2, "width": 2, "num_bytes": 9, "limit": 0.5}
    files = {"overlay": "images/a.png", "label_map": "images/a.labels.png"}
    check_images(pd.DataFrame([{**names, **files, **sizes}]), "here", MANIFEST)
    with pytest.raises(InputError, match="names files that were not written"):
        check_images(pd.DataFrame([{**names, **files, "overlay": "../a.png", **sizes}]), "here", MANIFEST)
    with pytest.raises(InputError, match="no column `overlay`"):
        check_images(pd.DataFrame([{**names, **sizes}]), "here", MANIFEST)


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ({}, []),
        ({"m": {"a": SPANS}}, ["words.parquet"]),
        ({"m": {"a": WINDOWS}, "n": {"b": SPANS}}, ["words.parquet", "series.parquet"]),
        ({"m": {"a": REGIONS}}, ["regions.parquet", "image_maps.parquet", "images.parquet"]),
        ({"m": {"a": {**REGIONS, "has_maps": False}}}, []),
    ],
)
def test_an_explanation_has_the_tables_of_its_parts(parts: dict[str, Any], expected: list[str]) -> None:
    assert parts_tables({"config": {"min_word_examples": 10}, "parts": parts}) == expected
    assert parts_tables({"config": {"min_word_examples": 10}}) == []


def test_explanations_from_before_these_tables_are_whole_without_them() -> None:
    assert parts_tables({"config": {}, "parts": {"m": {"a": SPANS, "b": REGIONS}}}) == []
