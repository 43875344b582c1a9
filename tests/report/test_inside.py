"""What reports show of the insides of features."""

from __future__ import annotations

import base64
import io
import re

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from PIL import Image

import accessibility
from tfx_explain import records
from tfx_explain.attribution_records import MethodFigures, RecordLayout, attribution_batch
from tfx_explain.part_records import PartRows, PartsOf
from tfx_explain.regions import encode_labels
from tfx_explain.report import inside, strips
from tfx_explain.report.data import ReportData
from tfx_explain.report.inside import InsideSection, channels_of, make_inside
from tfx_explain.report.render import render_report
from tfx_explain.report.strips import make_strip
from tfx_explain.report.text import cell

WINDOWS = PartsOf("windows", ("start", "stop", "channel"))
TEXTS = [b"good <b>film</b>", "\u05d8\u05d5\u05d1 \u05de\u05d0\u05d5\u05d3".encode(), b"\xffbad", b""]


def sections(feature: str, values: list[bytes], of: PartsOf, parts: PartRows) -> list[InsideSection]:
    n, n_outputs = len(values), parts.attributions.shape[1]
    layout = RecordLayout((feature,), n_outputs, ("shapley",), parts={"shapley": {feature: of}})
    column = records.lists_of(np.array(values, object)[:, None], pa.large_binary())
    rows = pa.RecordBatch.from_arrays([column], names=[feature])
    sums = parts.sums()[:, None]
    zeros = np.zeros_like(sums)
    figures = MethodFigures(zeros[:, 0], sums, zeros, zeros[:, 0], parts={feature: parts})
    made = attribution_batch(rows, layout, [b"row %d" % row for row in range(n)], [sums[:, 0]], [figures])
    return make_inside(made, layout, [f"out{k}" for k in range(n_outputs)])


def of_texts() -> list[InsideSection]:
    spans = [[(0, 5), (5, 16)], [(0, 7), (7, len(TEXTS[1]))], [(0, 1), (1, 4)], []]
    where = np.array([span for row in spans for span in row])
    lengths = np.array([len(row) for row in spans])
    values = np.array([[0.5, -2.0], [0.25, 0.0], [1.0, 3.0], [-1.0, -1.0], [0.0, 0.0], [-0.1, 4.0]])
    return sections("text", TEXTS, PartsOf("spans", ("start", "stop")), PartRows(lengths, where, values, values / 9))


def test_spans_are_those_of_the_text() -> None:
    (section,) = of_texts()
    found = {row.example_id: row for row in section.rows}
    assert len(found) == len(TEXTS)
    for place, content in enumerate(TEXTS):
        assert "".join(span.label for span in found[f"row {place}"].spans) == content.decode("utf-8", "replace")
    first = found["row 0"]
    # Sums of the row are .75 and -2, so the first output is the larger one.
    assert (first.output, first.prediction, first.attribution) == ("out0", 0.75, 0.75)
    assert [span.level for span in first.spans] == [5, 2]
    assert found["row 3"].parts == ()


def of_series() -> list[InsideSection]:
    """Rows of two channels: windows and a length, a row without steps, one with values that are no numbers."""
    where = [(0, 2, -1), (2, 4, -1), (4, 4, -1), (0, 0, -1), (0, 2, -1), (2, 2, -1)]
    values = np.array([[1.0], [-2.0], [0.25], [0.5], [-0.1], [0.0]])
    parts = PartRows(np.array([3, 1, 2]), np.array(where), values, values / 9)
    layout = RecordLayout(("<b>s</b>",), 1, ("shapley",), parts={"shapley": {"<b>s</b>": WINDOWS}})
    series = [[0, 5, 1, 6, np.nan, 7, 3, 8], [], [2, 2, 2, 2]]
    rows = pa.RecordBatch.from_arrays([pa.array(series, pa.large_list(pa.float32()))], names=["<b>s</b>"])
    sums = parts.sums()[:, None]
    figures = MethodFigures(sums[:, 0], sums, np.zeros_like(sums), sums[:, 0], parts={"<b>s</b>": parts})
    made = attribution_batch(rows, layout, [b"row %d" % row for row in range(3)], [sums[:, 0]], [figures])
    manifest = {"method": {"shapley": {"parts": {"<b>s</b>": {"channels": 2}, "text": {"unit": "word"}}}}}
    return make_inside(made, layout, ["out0"], channels_of(manifest))


def test_series_are_drawn_with_their_windows() -> None:
    (section,) = of_series()
    found = {row.example_id: row for row in section.rows}
    strip = found["row 0"].strip
    assert strip is not None
    assert [part.label for part in found["row 0"].parts] == ["steps 2 to 3", "steps 0 to 1", "the number of steps, 4"]
    first, second, bars = strip.bands
    assert strip.n_steps == 4
    # Of the first channel the third value is missing.
    assert [len(line.split()) for line in first.lines] == [2, 2]
    assert [len(line.split()) for line in second.lines] == [4]
    assert [text for _, text in first.ends] == ["3", "0"]
    assert [(box.sign, box.level) for box in first.windows] == [("plus", 2), ("minus", 5)]
    up, down = bars.bars
    assert up.y + up.height == bars.zero == down.y
    assert (up.height, down.height) == (6.5, 13.0)
    assert up.x + up.width == down.x == strips.LEFT + (strips.WIDTH - strips.LEFT - strips.RIGHT) / 2
    assert found["row 1"].strip is None
    assert [part.label for part in found["row 1"].parts] == ["the number of steps, 0"]
    flat = found["row 2"].strip
    assert flat is not None
    assert all(len(band.ends) == 1 for band in flat.bands[:2])


def test_long_series_of_many_channels_are_drawn_in_little_room() -> None:
    values = np.random.default_rng(0).normal(size=(100_000, 9))
    values[:500] = np.nan
    where = np.array(
        [(0, 60_000, channel) for channel in range(9)] + [(60_000, 100_000, channel) for channel in range(9)]
    )
    parts = pd.DataFrame(where, columns=["start", "stop", "channel"])
    parts = parts.assign(attribution=np.arange(18) - 9.0, level=3, sign="plus")
    strip = make_strip(values, parts)
    assert strip is not None
    assert strip.n_more == 5
    assert [band.label for band in strip.bands] == ["channel 0", "channel 1", "channel 2", "channel 8"]
    assert all(len(line.split()) <= 241 for band in strip.bands for line in band.lines)
    extremes = [float(corner.split(",")[1]) for corner in strip.bands[0].lines[0].split()]
    assert max(extremes) - min(extremes) == pytest.approx(38, abs=0.2)


@pytest.mark.parametrize(
    "manifest", [{}, {"method": 3}, {"method": {"shapley": {"parts": {"s": 1, "t": {"channels": "x"}}}}}]
)
def test_manifests_need_not_know_of_channels(manifest: dict[str, object]) -> None:
    assert channels_of(manifest) == {}


def test_rows_are_those_that_were_moved_most() -> None:
    n = 20
    values = np.arange(n, dtype=np.float64)[:, None] - 9.5
    parts = PartRows(np.ones(n, np.int64), np.tile([0, 1], (n, 1)), values, values)
    (section,) = sections("text", [b"a"] * n, PartsOf("spans", ("start", "stop")), parts)
    assert [row.attribution for row in section.rows] == [9.5, 8.5, 7.5, -7.5, -8.5, -9.5]


@pytest.mark.parametrize("size", [(1, 1), (6, 9), (700, 40)])
def test_pictures_are_small_and_of_the_right_shape(size: tuple[int, int]) -> None:
    height, width = size
    file = io.BytesIO()
    Image.new("RGB", (width, height), "red").save(file, "PNG")
    labels = np.zeros((4, 4), np.int64)
    labels[:2] = 1
    maps = np.array([encode_labels(labels)], object)
    values = np.array([[1.0], [-2.0]])
    parts = PartRows(np.array([2]), np.array([[8], [8]]), values, values, maps)
    (section,) = sections("image", [file.getvalue()], PartsOf("regions", ("pixels",), has_maps=True), parts)
    (row,) = section.rows
    assert set(row.pictures) == {"as it is", "regions"}
    for uri in row.pictures.values():
        picture = Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2])))
        assert max(picture.size) <= inside.MAX_SIDE
        assert picture.width / picture.height == pytest.approx(width / height, rel=0.1)
    assert [part.label for part in row.parts] == ["region 2 (50 % of the image)", "region 1 (50 % of the image)"]


def test_pages_show_them_escaped() -> None:
    importance = pd.DataFrame(
        {"slice": ["overall"], "output": ["out0"], "player": ["text"], "value": [1.0], "rank": [1]}
    )
    page = render_report(ReportData(manifest={"outputs": ["out0"]}, importance=importance, inside=of_texts()))
    assert accessibility.faults(page) == []
    assert "Inside text" in page
    assert "&lt;b&gt;film" in page
    assert "<b>film" not in page
    marks = re.findall(r'<span class="span (plus|minus) w(\d)">', page)
    assert ("plus", "5") in marks
    assert ("minus", "2") in marks


def test_pages_show_series_escaped() -> None:
    importance = pd.DataFrame(
        {"slice": ["overall"], "output": ["out0"], "player": ["<b>s</b>"], "value": [1.0], "rank": [1]}
    )
    page = render_report(ReportData(manifest={"outputs": ["out0"]}, importance=importance, inside=of_series()))
    assert accessibility.faults(page) == []
    assert "<b>s" not in page
    assert page.count('<rect class="bar minus"') == 2
    assert page.count('<rect class="bar plus"') == 1
    assert '<rect class="window minus w5"' in page
    assert "<title>steps 2 to 3: \N{MINUS SIGN}2</title>" in page


def test_bytes_of_files_are_not_shown_as_text() -> None:
    assert cell(b"\x89PNG\r\n\x1a\n\x00\x00".decode("utf-8", "replace")) == "bytes of a file"
    assert cell(b"caf\xe9 au lait".decode("utf-8", "replace")) == "caf\N{REPLACEMENT CHARACTER} au lait"
