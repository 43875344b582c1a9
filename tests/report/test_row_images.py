"""Pictures of shown rows as files: bounded, with names that are safe whatever rows are called."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import pictures
from tfx_explain import records, tables
from tfx_explain.attribution_records import MethodFigures, RecordLayout, attribution_batch
from tfx_explain.part_records import PartRows, PartsOf
from tfx_explain.regions import decode_image, encode_labels
from tfx_explain.report import row_images
from tfx_explain.report.inside import MAX_ROWS
from tfx_explain.report.row_images import write_row_images

REGIONS = PartsOf("regions", ("pixels",), has_maps=True)
IDS = [b"../../etc/passwd", b"a b", b"a b", "\u202eשלום/\n".encode(), b"\xff", b"x" * 500, b"", b"damaged"]
LABELS = encode_labels(np.array([[0, 1], [0, 1]]))


def written(root: Path, ids: list[bytes] = IDS) -> dict[str, Any]:
    """The rows for the report, of pictures of 9 x 12 pixels whose maps have 2 x 2; and a manifest."""
    n = len(ids)
    files = [pictures.png(pixels[:9]) for pixels in pictures.pixels_of(n, 0)]
    files[-1] = b"no picture" if ids[-1] == b"damaged" else files[-1]
    values = np.arange(2.0 * n)[:, None] + 1
    parts = PartRows(np.full(n, 2), np.full((2 * n, 1), 2), values, values / 9, np.array([LABELS] * n, object))
    layout = RecordLayout(("image",), 1, ("xrai",), parts={"xrai": {"image": REGIONS}})
    column = records.lists_of(np.array(files, object)[:, None], pa.large_binary())
    sums = parts.sums()[:, None]
    figures = MethodFigures(sums[:, 0], sums, np.zeros_like(sums), sums[:, 0], parts={"image": parts})
    rows = pa.RecordBatch.from_arrays([column], names=["image"])
    made = attribution_batch(rows, layout, ids, [sums[:, 0]], [figures])
    records.write_table(str(root / tables.REPORT_EXAMPLES.file), pa.Table.from_batches([made]))
    return {
        "players": {"image": ["image"]},
        "outputs": ["y"],
        "attribution_methods": ["xrai"],
        "parts": layout.describe_parts(),
        "baseline_model": None,
    }


def table_of(root: Path) -> pd.DataFrame:
    table = records.read_table(str(root / tables.ROW_IMAGES.file))
    assert tables.ROW_IMAGES.fault(table) == ""
    return table


def test_names_are_safe_and_tell_rows_apart(tmp_path: Path) -> None:
    write_row_images(str(tmp_path), written(tmp_path, IDS[:6]))
    table = table_of(tmp_path)
    assert len(table) == MAX_ROWS
    there = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    listed = {*table["overlay"], *table["label_map"]}
    assert there == {*listed, tables.REPORT_EXAMPLES.file, tables.ROW_IMAGES.file}
    assert len(listed) == 2 * len(table)
    assert all(re.fullmatch(r"images/[A-Za-z0-9_-]{1,140}(\.labels)?\.png", name) for name in listed)
    assert set(table["example_id"]) >= {"../../etc/passwd", "a b"}
    for _, row in table.iterrows():
        assert decode_image((tmp_path / row["overlay"]).read_bytes()).shape == (row["height"], row["width"], 3)
        assert (row["height"], row["width"]) == (9, 12)
        assert (tmp_path / row["label_map"]).read_bytes() == LABELS


def test_what_cannot_be_drawn_is_left_out(tmp_path: Path) -> None:
    write_row_images(str(tmp_path), written(tmp_path, IDS[-3:]))
    assert len(table_of(tmp_path)) == 2


@pytest.mark.parametrize(("bound", "expected"), [({"MAX_FILES": 5}, 2), ({"MAX_BYTES": 10}, 0), ({"MAX_SIDE": 6}, 6)])
def test_files_are_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bound: dict[str, int], expected: int
) -> None:
    for name, value in bound.items():
        monkeypatch.setattr(row_images, name, value)
    write_row_images(str(tmp_path), written(tmp_path, IDS[:6]))
    table = table_of(tmp_path)
    assert len(table) == expected
    assert len(list(tmp_path.glob("images/*"))) == 2 * expected
    if "MAX_SIDE" in bound:
        assert set(table["width"]) == {6}
    assert table["num_bytes"].sum() == sum(path.stat().st_size for path in tmp_path.glob("images/*"))


def test_nothing_is_written_where_no_method_finds_regions(tmp_path: Path) -> None:
    manifest = written(tmp_path)
    write_row_images(str(tmp_path), {**manifest, "parts": {}})
    assert [path.name for path in tmp_path.iterdir()] == [tables.REPORT_EXAMPLES.file]
