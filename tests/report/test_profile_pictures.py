"""Profiles in the report: positions are the table's figures, and the page stays whole."""

import html.parser
import re

import numpy as np
import pandas as pd
import pytest

import accessibility
from tfx_explain.report import ReportData, render_report
from tfx_explain.report.profiles import HEIGHT, MAX_PICTURES, WIDTH, make_profiles
from tfx_explain.summary import PartialDependenceAccumulator

EVIL = """<script>alert("x")</script>&amp;'"""


def _rows(feature, points, *, labels=None, method="partial_dependence", num_ice=3, seed=0):
    """A feature's part of `profiles.parquet`."""
    rng, n = np.random.default_rng(seed), len(points)
    accumulator = PartialDependenceAccumulator([[1 / n] * n], num_ice)
    ids = np.array([f"row{i}" for i in range(50)], object)
    accumulator.add([rng.normal(size=(50, n)) + np.arange(n)], None, np.arange(50, dtype=np.uint64), ids)
    about = {
        "slice": "overall",
        "output": "approve",
        "method": method,
        "feature": feature,
        "position": np.arange(n),
        "grid_value": np.asarray(points, float),
        "level": np.array(labels if labels is not None else [None] * n, object),
    }
    curve = pd.DataFrame({**about, "kind": "curve", "example_id": None, **accumulator.result(0).columns()})
    ice = accumulator.ice(0)
    single = [
        pd.DataFrame({**about, "kind": "ice", "example_id": name, "centred_value": ice.centred_values[i]})
        for i, name in enumerate(ice.example_ids)
    ]
    return pd.concat([curve, *single], ignore_index=True)


def _corners(text):
    return np.array([[float(v) for v in pair.split(",")] for pair in text.split()])


def test_lines_bands_and_rugs_are_where_the_table_says() -> None:
    rows = _rows("income", [1.0, 2.0, 4.0, 8.0])
    (section,) = make_profiles(rows, ["income"])
    picture = section.pictures[0]
    curve = rows[rows["kind"] == "curve"]
    line = _corners(picture.line)
    x_scale, y_scale = np.polyfit([1, 2, 4, 8], line[:, 0], 1), np.polyfit(curve["centred_value"], line[:, 1], 1)
    assert x_scale[0] > 0 > y_scale[0]
    np.testing.assert_allclose(line[:, 0], np.polyval(x_scale, [1, 2, 4, 8]), atol=0.06)
    np.testing.assert_allclose(line[:, 1], np.polyval(y_scale, curve["centred_value"]), atol=0.06)
    band = _corners(picture.band)
    ends = [*curve["centred_ci_high"], *curve["centred_ci_low"][::-1]]
    np.testing.assert_allclose(band[:, 1], np.polyval(y_scale, ends), atol=0.2)
    np.testing.assert_allclose(picture.rug, line[:, 0])
    assert picture.zero == pytest.approx(np.polyval(y_scale, 0), abs=0.2)
    assert len(picture.ice) == 3
    everything = np.concatenate([line, band, *map(_corners, picture.ice)])
    assert (everything >= 0).all()
    assert (everything <= [WIDTH, HEIGHT]).all()
    for place, label in picture.x_ticks:
        assert place == pytest.approx(np.polyval(x_scale, float(label)), abs=0.2)


def test_levels_are_dots_and_the_missing_value_stands_beside_the_curve() -> None:
    levels = _rows("race", [np.nan] * 3, labels=["a", "b", "(missing)"])
    mixed = _rows("age", [1.0, 2.0, np.nan], labels=[None, None, "(missing)"], seed=1)
    (section,) = make_profiles(pd.concat([levels, mixed]), ["age", "race"])
    age, race = section.pictures
    assert [dot.label for dot in race.dots] == ["a", "b", "(missing)"]
    assert race.line == race.band == ""
    assert not race.rug
    assert [dot.label for dot in age.dots] == ["(missing)"]
    assert age.dots[0].x > _corners(age.line)[:, 0].max()
    for dot in (*race.dots, *age.dots):
        assert dot.low > dot.y > dot.high  # y grows downwards
    assert "(missing)" in age.summary


def test_a_method_has_a_section_and_shows_the_most_important_features() -> None:
    names = [f"f{i}" for i in range(MAX_PICTURES + 2)]
    frames = [_rows(name, [0.0, 1.0], seed=i) for i, name in enumerate(names)]
    effects = _rows("f1", [0.0, 1.0], method="accumulated_local_effects", num_ice=0)
    first, second = make_profiles(pd.concat([*frames, effects]), names[::-1])
    assert [picture.feature for picture in first.pictures] == names[:1:-1]
    assert first.more == ("f1", "f0")
    assert [picture.feature for picture in second.pictures] == ["f1"]
    assert second.heading == "Accumulated local effects"


def test_unknown_errors_and_flat_curves_are_no_crash() -> None:
    rows = _rows("x", [0.0, 1.0])
    rows[["centred_value", "centred_ci_low", "centred_ci_high"]] = [0.0, np.nan, np.nan]
    (section,) = make_profiles(rows, [])
    assert section.pictures[0].band == ""
    assert section.pictures[0].line
    assert make_profiles(rows.assign(centred_value=np.nan), []) == []
    assert make_profiles(rows.head(0), []) == []


class _Nested(html.parser.HTMLParser):
    """Fails on tags that do not nest."""

    def __init__(self, page):
        super().__init__()
        self.open, self.text = [], ""
        self.feed(page)
        assert not self.open

    def handle_starttag(self, tag, attrs):
        if tag not in {"meta", "line", "circle", "rect", "br", "polyline", "polygon"}:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in {"line", "circle", "rect", "polyline", "polygon"}:
            assert self.open.pop() == tag

    def handle_startendtag(self, tag, attrs):
        pass

    def handle_data(self, data):
        self.text += data


@pytest.mark.parametrize("feature", ["income", EVIL])
def test_the_page_holds_them_and_needs_nothing_else(feature: str) -> None:
    importance = pd.DataFrame({"slice": ["overall"], "output": "approve", "player": [feature], "value": 1.0, "rank": 1})
    levels = _rows("race", [np.nan] * 2, labels=[EVIL, "b"])
    profiles = pd.concat([_rows(feature, [0.0, 1.0]), levels], ignore_index=True)
    page = render_report(ReportData({}, importance, profiles=profiles))
    assert accessibility.faults(page) == []
    assert "Partial dependence" in _Nested(page).text
    assert page.count("<figure>") == 2
    assert page.count("<script") == 1
    assert not re.search(r"url\(|@import|https?://", page)
    assert "<figure>" not in render_report(ReportData({}, importance))


def test_a_baseline_model_is_drawn_on_the_same_scale() -> None:
    rows = pd.concat(
        [_rows("income", [1.0, 2.0, 4.0]), _rows("race", [np.nan] * 2, labels=["a", "b"])], ignore_index=True
    )
    baseline = rows[rows["kind"] == "curve"].copy()
    baseline["centred_value"] = 3.0 * baseline["centred_value"]
    (section,) = make_profiles(rows, ["income"], baseline.sample(frac=1, random_state=0))
    assert section.has_baseline
    income, race = section.pictures
    line, other = _corners(income.line), _corners(income.baseline)
    np.testing.assert_allclose(other[:, 0], line[:, 0])
    np.testing.assert_allclose(other[:, 1] - income.zero, 3 * (line[:, 1] - income.zero), atol=0.4)
    assert (other >= 0).all()
    assert (other[:, 1] <= HEIGHT).all()
    for dot in race.dots:
        assert dot.baseline - race.zero == pytest.approx(3 * (dot.y - race.zero), abs=0.4)
    (alone,) = make_profiles(rows, ["income"])
    assert not alone.has_baseline
    assert [picture.baseline for picture in alone.pictures] == ["", ""]
    importance = pd.DataFrame(
        {"slice": ["overall"], "output": "approve", "player": ["income"], "value": 1.0, "rank": 1}
    )
    page = render_report(ReportData({}, importance, profiles=rows, baseline_profiles=baseline))
    assert "Dashed lines and rings are the baseline model." in _Nested(page).text
    assert page.count('class="curve baseline"') == 1
    assert page.count('class="ring"') == 2
    assert "baseline model" not in _Nested(render_report(ReportData({}, importance, profiles=rows))).text
