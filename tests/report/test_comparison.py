"""Methods side by side: scales, intervals, and players that only some methods have."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

import accessibility
from tfx_explain.report.comparison import MAX_PLAYERS, compare_methods
from tfx_explain.report.data import ReportData
from tfx_explain.report.render import render_report


def importance(values: dict[str, float], **more: object) -> pd.DataFrame:
    value = np.array(list(values.values()))
    rank = (-value).argsort().argsort() + 1
    figures = {"value": value, "ci_low": value - 0.5, "ci_high": value + 0.5, "rank": rank, "player": list(values)}
    return pd.DataFrame({"slice": "overall", "output": "score", **figures, **more})


def data(own: dict[str, float], other: dict[str, float] | None, metric: str = "mse") -> ReportData:
    others = None if other is None else importance(other, method="permutation_importance", metric=metric)
    return ReportData({}, importance(own), other_importance=others)


def test_bars_are_on_the_scale_of_their_method() -> None:
    found = compare_methods(data({"a": 1.0, "b": 3.0}, {"a": 9.5, "b": -0.5}), "log-odds")
    assert found is not None
    assert found.headings == (
        ("Shapley values, mean |attribution|", "log-odds"),
        ("Permutation importance", "squared error"),
    )
    assert [player for player, _ in found.rows] == ["b", "a"]
    cells = {player: cells[1] for player, cells in found.rows}
    # From -1, the lower end of b's interval, to 10, the upper end of a's.
    zero = 100 / 11
    assert (cells["a"].left, cells["a"].length) == pytest.approx((zero, 950 / 11))
    assert (cells["b"].left, cells["b"].length) == pytest.approx((50 / 11, 50 / 11))
    assert cells["b"].whisker == pytest.approx((0, 100 / 11))


def test_players_that_a_method_left_out_are_blank_and_many_are_cut() -> None:
    found = compare_methods(data({"a": 1.0, "b": 3.0}, {"a": 2.0}, "log_loss"), "log-odds")
    assert found is not None
    blank = dict(found.rows)["b"][1]
    assert np.isnan(blank.value)
    assert blank.whisker is None
    many = {f"p{i}": float(i + 1) for i in range(MAX_PLAYERS + 5)}
    found = compare_methods(data(many, many), "log-odds")
    assert found is not None
    assert (len(found.rows), found.n_hidden) == (MAX_PLAYERS, 5)


def test_nothing_to_compare() -> None:
    assert compare_methods(data({"a": 1.0}, None), "log-odds") is None


def test_a_baseline_model_is_marked_on_the_scale_of_each_method() -> None:
    both = data({"a": 1.0, "b": 3.0}, {"a": 9.5, "b": 0.5})
    baseline = importance({"b": 7.0, "a": 2.0}, method="shapley")
    others = importance({"a": 19.5, "b": -0.5}, method="permutation_importance", metric="mse")
    found = compare_methods(
        dataclasses.replace(both, baseline_importance=baseline, other_baseline_importance=others), "log-odds"
    )
    assert found is not None
    assert found.has_baseline
    cells = dict(found.rows)
    assert [cell.baseline for cell in cells["a"]] == [2.0, 19.5]
    # From 0 to 7, and from -0.5 to 19.5.
    assert [cell.baseline_at for cell in cells["a"]] == pytest.approx([100 * 2 / 7, 100])
    assert [cell.baseline_at for cell in cells["b"]] == pytest.approx([100, 0])
    alone = compare_methods(both, "log-odds")
    assert alone is not None
    assert not alone.has_baseline
    assert all(cell.baseline_at is None for cells in dict(alone.rows).values() for cell in cells)


def test_methods_that_attribute_are_told_apart_in_whole_sentences() -> None:
    """Long sentences are no names, which a page shortens."""
    values, metric = {"a": 2.0, "b": 1.0}, "mean_abs_attribution"
    ours = importance(values, method="shapley", metric=metric)
    others = importance(values, method="integrated_gradients", metric=metric)
    manifest = {
        "method": {"shapley": {}, "integrated_gradients": {}},
        "attribution_methods": ["shapley", "integrated_gradients"],
        "outputs": ["score"],
    }
    page = render_report(ReportData(manifest, ours, other_importance=others))
    assert accessibility.faults(page) == []
    assert "follow the straight line between the two. Both add up to" in page
    assert "and they agree where effects are sums or products" in page
    assert "what the model does off that line they do not see." in page
    assert "SAGE" not in page
