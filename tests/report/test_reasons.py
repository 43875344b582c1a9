"""The section of reasons says what the table says, and each row of the page its own."""

import json
import math
import re

import pandas as pd
import pyarrow as pa
import pytest

import pages
import report_kinds
from tfx_explain.report.reasons import MAX_LINES, MAX_OF_ROW, count_reasons, make_reasons, reasons_of_rows
from tfx_explain.report.render import render_report

HOSTILE = "<b>Debts</b> & more"
COLUMNS = ["row", "example_id", "output", "rank", "player", "code", "text", "attribution", "tied", "rank_uncertain"]
ROWS = [
    (0, "r0", "score", 1, "debt", "R1", HOSTILE, -2.0, False, True),
    (0, "r0", "score", 2, "age", "R2", "Age", -1.0, False, False),
    (1, "r1", "score", 1, "debt", "R1", HOSTILE, -3.0, True, True),
    (1, "r1", "score", 1, "age", "R2", "Age", -3.0, True, True),
    (2, "twice", "score", 1, "age", "R2", "Age", -1.0, False, False),
    (3, "twice", "score", 1, "age", "R2", "Age", -1.0, False, False),
    (4, "other", "score", 1, "age", "R2", "Age", -1.0, False, False),
    (5, "other", "score", 1, "debt", "R1", HOSTILE, -4.0, False, False),
]
MANIFEST = {"reasons": {"adverse": {"score": "low"}, "method": "shapley", "k": 2, "confidence": 0.9}}


def table_of(rows: list[tuple], std_error: float) -> pa.Table:
    frame = pd.DataFrame(rows, columns=COLUMNS).assign(std_error=std_error)
    seen = pa.Schema.from_pandas(frame, preserve_index=False)
    schema = seen.set(seen.get_field_index("code"), pa.field("code", pa.string()))
    return pa.Table.from_pandas(frame, schema, preserve_index=False)


TABLE = table_of(ROWS, 0.25)


def made(table: pa.Table = TABLE, names: tuple[str, ...] = ("r0", "r1", "twice", "other", "none")):
    return make_reasons(count_reasons(table), reasons_of_rows(table, names), MANIFEST, "score")


def test_counts_are_those_of_the_table() -> None:
    section = made()
    assert (section.side, section.k, section.n_rows) == ("low", 2, 6)
    assert section.uncertain == pytest.approx(3 / 8)
    assert section.tied == pytest.approx(2 / 8)
    age, debt = section.lines
    assert (age.code, age.text, age.n_first, age.n_listed) == ("R2", "Age", 4, 5)
    assert (age.first, age.listed, age.uncertain) == pytest.approx((4 / 6, 5 / 6, 1 / 4))
    assert (debt.text, debt.n_first, debt.n_listed) == (HOSTILE, 3, 3)
    assert debt.uncertain == pytest.approx(2 / 3)


def test_each_row_has_its_own_and_names_that_rows_share_say_so() -> None:
    section = made()
    assert section.of("r0").lines == (
        ("1", f"R1 {HOSTILE}", "−2", "0.25", "rank uncertain"),
        ("2", "R2 Age", "−1", "0.25", ""),
    )
    assert [line[4] for line in section.of("r1").lines] == ["tied, rank uncertain"] * 2
    assert len(section.of("twice").lines) == 1  # copies, with the same reasons
    assert not section.of("other").lines
    assert "Several rows have this name" in section.of("other").note
    assert section.of("none").note.startswith("None:")


def test_many_reasons_are_cut_and_counted() -> None:
    n = MAX_LINES + 3
    rows = [(0, "r", "score", i + 1, f"p{i}", None, f"p{i}", float(i - n), False, False) for i in range(n)]
    section = made(table_of(rows, math.nan), ("r",))
    assert (len(section.lines), section.n_hidden) == (MAX_LINES, 3)
    assert section.lines[0].n_first == 1
    assert math.isnan(section.lines[1].uncertain)
    row = section.of("r")
    assert (len(row.lines), row.note) == (MAX_OF_ROW, f"And {n - MAX_OF_ROW} more.")
    assert row.lines[0][1:4] == ("p0", f"−{n}", "–")


def test_no_output_without_an_adverse_side_has_reasons() -> None:
    assert make_reasons(count_reasons(TABLE), reasons_of_rows(TABLE, ()), MANIFEST, "another") is None
    assert make_reasons(None, None, MANIFEST, "score") is None
    empty = made(TABLE.slice(0, 0))
    assert (empty.n_rows, empty.lines, empty.of("r0").note[:5]) == (0, (), "None:")


def test_the_page_shows_them_as_text_with_and_without_its_script() -> None:
    data = report_kinds.of_reasons()
    source = render_report(data)
    page, section = pages.Page(source), source.partition("<h2>Reasons</h2>")[2].partition("<h2>")[0]
    (choices, *_), (lines, *_) = json.loads(page.scripts[0]), [re.findall(r"<tr><td>(R\d+)</td>", section)]
    firsts = data.reasons.sort_values(["num_first", "num_listed"], ascending=False, kind="stable")
    assert lines == firsts["code"].head(MAX_LINES).tolist()
    for row in choices["rows"]:
        values = data.examples["approve"].set_index("example_id").loc[row["id"]]
        lowered = sorted(name for name in data.manifest["players"] if values[f"attribution_{name}"] < 0)
        lowered.sort(key=lambda name: values[f"attribution_{name}"])
        told = [f"R{name.partition('_')[2]}" for name in lowered[:MAX_OF_ROW]]
        assert [line[1].partition(" ")[0] for line in row["reasons"]["lines"]] == told
    assert report_kinds.EVIL in page.text
    assert source.count("<script") == 2
    shown = re.findall(r"<li>(\d+)\. <bdi>", source)
    assert shown.count("1") == source.count('<ul class="reasons">') == 3  # the rows that the page shows in full
