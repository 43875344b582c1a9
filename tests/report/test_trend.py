"""The trend draws every run where it belongs and marks those that were refused."""

import itertools
import math

import pytest

import pages
from tfx_explain.report import Beside, render_verdict
from tfx_explain.report.trend import HEIGHT, MAX_PICTURES, MAX_ROWS, WIDTH, make_trend


def test_one_run_has_no_trend() -> None:
    assert make_trend(None) is None
    assert make_trend(pages.history(1)) is None
    assert "From run to run" not in render_verdict([], blessed=True, beside=Beside(history=pages.history(1)))


def test_points_are_in_order_and_their_heights_are_figures() -> None:
    history = pages.history(10)
    trend = make_trend(history)
    assert trend is not None
    assert [picture.heading for picture in trend.pictures] == ["income", "debt", "age", "drift total_variation"]
    assert (trend.n_runs, trend.n_refused, trend.has_changes) == (10, 5, False)
    for picture in trend.pictures:
        rows = history[(history["player"] == picture.heading) | (history["rule"] == picture.heading)]
        figures = list(rows["value"])
        assert [point.blessed for point in picture.points] == [True] * 5 + [False] * 5
        assert all(a.x < b.x for a, b in itertools.pairwise(picture.points))
        assert all(
            0 < point.x < WIDTH and 0 < point.y < HEIGHT and point.high <= point.y <= point.low
            for point in picture.points
        )
        first, last = picture.points[0], picture.points[-1]
        scale = (first.y - last.y) / (figures[-1] - figures[0]) if figures[0] != figures[-1] else None
        for point, figure in zip(picture.points, figures, strict=True):
            if scale:
                assert point.y == pytest.approx(first.y - scale * (figure - figures[0]), abs=0.5)
    limits = [picture.limit is not None for picture in trend.pictures]
    assert limits == [False, False, False, True]
    drift = trend.pictures[-1]
    assert drift.limit is not None
    assert all((point.y < drift.limit) == (not point.blessed) for point in drift.points), "above what is allowed"


def test_the_table_has_the_newest_run_first_and_marks_what_failed() -> None:
    trend = make_trend(pages.history(40))
    assert trend is not None
    assert len(trend.rows) == MAX_ROWS
    assert [trend.rows[0].label, trend.rows[0].blessed] == ["40", False]
    assert trend.rows[0].cells == ("30.0 %", "60.0 %", "10.0 %", "✕ 0.32")
    page = pages.Page(render_verdict([], blessed=True, beside=Beside(history=pages.history(40))))
    assert "The newest 30 runs; all are in history.parquet." in page.text
    assert page.text.count("✕ refused") == MAX_ROWS


def test_a_run_without_a_figure_is_a_gap() -> None:
    history = pages.history(6)
    history = history[~((history["run"] == 2) & (history["player"] == "income"))]
    trend = make_trend(history)
    assert trend is not None
    income = trend.pictures[0]
    assert len(income.points) == 5
    assert [len(line.split()) for line in income.lines] == [2, 3]
    assert [row.cells[0] for row in trend.rows][3] == "–"


def test_shares_by_another_method_are_no_part_of_the_line() -> None:
    history = pages.history(6)
    of_shares = history["kind"] == "share"
    history.loc[of_shares, "method"] = ["occlusion" if run < 2 else "shapley" for run in history["run"][of_shares]]
    trend = make_trend(history)
    assert trend is not None
    assert [len(picture.points) for picture in trend.pictures] == [4, 4, 4, 6]
    assert [row.cells[0] for row in trend.rows[-2:]] == ["–", "–"]


def test_a_change_of_the_model_is_drawn_between_two_runs() -> None:
    history = pages.history(4)
    history["model_digest"] = ["a" if run < 2 else "b" for run in history["run"]]
    trend = make_trend(history)
    assert trend is not None
    assert trend.has_changes
    (change,) = trend.pictures[0].changes
    assert trend.pictures[0].points[1].x < change < trend.pictures[0].points[2].x


def test_a_rule_without_a_figure_is_marked_all_the_same() -> None:
    history = pages.history(4)
    drift = history["kind"] == "drift"
    for run, value, outcome in ((1, math.nan, "insufficient_evidence"), (2, math.inf, "fail")):
        history.loc[drift & (history["run"] == run), ["value", "outcome"]] = [value, outcome]
    assert [row.cells[-1] for row in make_trend(history).rows][1:3] == ["✕ –", "? –"]


def test_what_is_allowed_is_that_of_the_newest_run() -> None:
    history = pages.history(4)
    drift = history["kind"] == "drift"
    (same,) = (one.summary for one in make_trend(history).pictures if one.heading.startswith("drift"))
    history.loc[drift & (history["run"] == 0), "threshold"] = 0.5
    picture = make_trend(history).pictures[-1]
    newest = float(history.loc[drift, "threshold"].iloc[-1])
    assert picture.summary.endswith(f"; {newest:g} is allowed in the newest run")
    assert same.endswith(f"; {newest:g} is allowed")


def test_unknown_figures_and_many_features_are_no_trouble() -> None:
    history = pages.history(3).assign(value=math.nan, ci_low=math.nan, ci_high=math.nan, threshold=math.nan)
    assert "From run to run" in render_verdict([], blessed=True, beside=Beside(history=history))
    only_verdicts = pages.history(3)
    only_verdicts = only_verdicts[only_verdicts["kind"] == "verdict"]
    trend = make_trend(only_verdicts)
    assert trend is not None
    assert (trend.pictures, len(trend.rows)) == ((), 3)
    assert "✕ refused" not in render_verdict([], blessed=True, beside=Beside(history=only_verdicts))
    assert len(make_trend(pages.history(3)).pictures) <= 2 * MAX_PICTURES


def test_runs_are_named_by_span_else_by_day_else_by_number() -> None:
    history = pages.history(3)
    days = make_trend(history.assign(span=""))
    numbers = make_trend(history.assign(span="", created="2026-11-30T06:00:00+00:00"))
    assert days is not None
    assert numbers is not None
    assert [row.label for row in days.rows] == ["2026-11-03", "2026-11-02", "2026-11-01"]
    assert [row.label for row in numbers.rows] == ["3", "2", "1"]


def test_hostile_names_stay_text() -> None:
    evil = '"><script>alert(1)</script>'
    page = render_verdict([], blessed=True, beside=Beside(history=pages.history(4, names=(evil, "b", "c"))))
    assert page.count("<script") == 1
    pages.Page(page)
