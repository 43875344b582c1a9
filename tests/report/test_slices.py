"""Slices beside each other on a page."""

import dataclasses
import re

import numpy as np

import pages
from tfx_explain.report import render_report
from tfx_explain.report.slices import MAX_PLAYERS, MAX_SLICES


def _differences(data, changes):
    """What `slice_differences.parquet` holds, with q-values for some (slice, player) and none for the others."""
    rows = data.importance[data.importance["slice"] != "overall"][["slice", "output", "player", "value"]]
    keys = list(zip(rows["slice"], rows["player"], strict=True))
    return rows.assign(
        difference=[changes.get(key, (0.0, np.nan))[0] for key in keys],
        q_value=[changes.get(key, (0.0, np.nan))[1] for key in keys],
        rest_value=0.123456,
    )


def test_slices_are_one_table_with_the_clear_differences_marked():
    data = pages.report_data([f"p{i}" for i in range(9)], slices=("overall", "age=old", "age=young"))
    changes = {("age=old", "p0"): (0.5, 0.001), ("age=old", "p1"): (-0.5, 0.0499), ("age=young", "p0"): (0.5, 0.0501)}
    data = dataclasses.replace(data, slice_differences=_differences(data, changes))
    source = render_report(data)
    table = source[source.index('<table class="slices sortable"') :].split("</table>")[0] + "</table>"
    assert re.findall(r'<th scope="row">([^<]*)', table) == ["all rows", "age=old", "age=young"]
    assert re.findall(r'<th class="num">(p\d)', table) == [f"p{i}" for i in range(MAX_PLAYERS)]
    assert (table.count("▲"), table.count("▼")) == (1, 1)
    assert 'title="0.123 in all other rows; q = 0.001"' in table
    assert len(re.findall("<h2[^>]*>What matters", source)) == 1
    assert set(data.importance.query("rank <= @MAX_PLAYERS")["value"]) <= set(pages.Page(table).figures)


def test_of_many_slices_those_that_differ_and_the_large_ones_are_shown_first():
    names = [f"id={i:02d}" for i in range(MAX_SLICES + 15)]
    data = pages.report_data(["a", "b"], slices=("overall", *names))
    # The first ones have a row each, the others a hundred; one of the former differs clearly.
    n_rows = data.importance["slice"].map({name: 1 if place < 10 else 100 for place, name in enumerate(names)})
    data = dataclasses.replace(
        data,
        importance=data.importance.assign(num_examples=n_rows.fillna(1_000).astype(int)),
        slice_differences=_differences(data, {(names[3], "b"): (0.1, 0.01)}),
    )
    source = render_report(data)
    assert "Of 35 slices these differ most clearly, or are the largest." in pages.Page(source).text
    first, every = (
        re.findall(r'<th scope="row">(id=[^<]*)', part)
        for part in source.partition("<h2>Slice by slice")[2].partition("All 35 slices")[::2]
    )
    assert first == [names[3], *names[10 : 10 + MAX_SLICES - 1]]
    assert every == names


def test_without_slices_there_is_no_table_of_them():
    assert "Slice by slice" not in render_report(pages.report_data(["a", "b"]))
    only_slices = pages.report_data(["a", "b"], slices=("age=old", "age=young"))
    assert re.findall(r"<h2[^>]*>What matters: ([^<]*)", render_report(only_slices)) == ["age=old", "age=young"]
