"""Geometry: what the eye reads off the pictures is what the numbers say."""

import numpy as np
import pandas as pd
import pytest

from tfx_explain.report.colours import N_SHADES, shade
from tfx_explain.report.ranking import direction
from tfx_explain.report.row_steps import MAX_STEPS
from tfx_explain.report.swarm import LABEL_WIDTH, MAX_PLAYERS, MAX_ROWS, WIDTH, axis_ticks, make_swarm
from tfx_explain.report.text import cell, number, percent, shortened, signed
from tfx_explain.report.waterfall import make_waterfalls, typical


def _examples(n, d, seed=0):
    rng = np.random.default_rng(seed)
    names = [f"p{i}" for i in range(d)]
    phi = rng.normal(size=(n, d)) * np.linspace(1, 0.1, d)
    frame = pd.DataFrame(rng.normal(size=(n, d)), columns=names)
    frame = pd.concat([frame, pd.DataFrame(phi, columns=[f"attribution_{name}" for name in names])], axis=1)
    return names, phi, frame.assign(base_value=2.0, prediction=2.0 + phi.sum(1), example_id=np.arange(n))


def test_dots_lie_where_their_attributions_say_on_one_scale():
    names, phi, frame = _examples(50, 3)
    picture = make_swarm(frame, names, {})
    x = np.array([[dot.x for dot in lane.dots] for lane in picture.lanes]).T
    slope, zero = np.polyfit(phi.ravel(), x.ravel(), 1)
    assert slope > 0
    np.testing.assert_allclose(x, zero + slope * phi, atol=0.06)  # positions are rounded to 0.1
    assert picture.zero == pytest.approx(zero, abs=0.1)
    for tick, label in picture.ticks:
        assert tick == pytest.approx(zero + slope * float(label.replace("\N{MINUS SIGN}", "-")), abs=0.1)
    assert x.min() >= LABEL_WIDTH
    assert x.max() <= WIDTH


@pytest.mark.parametrize("spread", [0.0, 1e-3, 1.0])
def test_dots_stay_in_their_lane(spread):
    names, _, frame = _examples(200, 4)
    frame[[f"attribution_{name}" for name in names]] *= spread
    lanes = make_swarm(frame, names, {}).lanes
    half = (lanes[1].y - lanes[0].y) / 2
    assert all(abs(dot.y - lane.y) <= half for lane in lanes for dot in lane.dots)


def test_the_picture_is_bounded_and_says_so():
    names, _, frame = _examples(MAX_ROWS + 50, MAX_PLAYERS + 5)
    picture = make_swarm(frame, names, {})
    assert (len(picture.lanes), picture.n_hidden) == (MAX_PLAYERS, 5)
    assert {len(lane.dots) for lane in picture.lanes} == {MAX_ROWS} == {picture.n_rows}
    assert make_swarm(frame.head(0), names, {}) is None
    assert make_swarm(frame, ["unknown"], {}) is None


def test_shades_follow_the_order_of_the_values_and_leave_out_what_has_none():
    shades = shade([3.0, None, -1.0, 10.0, float("nan"), "text", np.int64(4), [1.0, 2.0], True])
    assert shades[[1, 4, 5, 7]].tolist() == [-1] * 4
    ordered = shades[[2, 0, 6, 3]]
    assert (np.diff(ordered) > 0).all()
    assert (shades.max(), ordered.min()) == (N_SHADES - 1, 0)
    assert set(shade([5.0, 5.0])) == {N_SHADES // 2}


@pytest.mark.parametrize(
    ("low", "high"), [(-1.0, 1.0), (0.0, 0.003), (-37.0, 12.0), (-1e-9, 2e-9), (0.0, 0.0), (0.0, 9e8)]
)
def test_ticks_are_round_few_and_inside(low, high):
    ticks = axis_ticks(low, high)
    assert 1 <= len(ticks) <= 7
    assert 0.0 in ticks
    assert min(ticks) >= low
    assert max(ticks) <= high * (1 + 1e-9)
    assert all(len(f"{abs(tick):.6e}".split("e")[0].rstrip("0")) <= 4 for tick in ticks)


@pytest.mark.parametrize("d", [1, 4, MAX_STEPS + 1, MAX_STEPS + 2, 40])
def test_waterfalls_lead_from_base_value_to_prediction(d):
    names, phi, frame = _examples(30, d)
    falls = make_waterfalls(frame, names, {})
    assert falls[0].heading == "Most typical row"
    for fall in falls:
        row = int(fall.row.example_id)
        assert len(fall.bars) <= MAX_STEPS + 1
        total = sum(step.attribution for step in fall.row.steps)
        assert fall.row.base_value + total == pytest.approx(fall.row.prediction)
        sizes = [abs(step.attribution) for step in fall.row.steps if "other features" not in step.label]
        assert sizes == sorted(sizes, reverse=True)
        assert sizes[0] == np.abs(phi[row]).max()
        position = fall.base_at
        for bar in fall.bars:
            start, end = (bar.left, bar.left + bar.width)[:: 1 if bar.step.attribution >= 0 else -1]
            assert start == pytest.approx(position, abs=1e-9)
            assert -1e-9 <= min(start, end) <= max(start, end) <= 100 + 1e-9
            position = end
        assert position == pytest.approx(fall.prediction_at, abs=1e-6)
    shown = {fall.heading: int(fall.row.example_id) for fall in falls}
    assert shown.get("Highest prediction", shown["Most typical row"]) == frame["prediction"].argmax()


def test_the_same_row_is_shown_once():
    names, _, frame = _examples(1, 3)
    assert len(make_waterfalls(frame, names, {})) == 1
    assert make_waterfalls(frame.drop(columns="prediction"), names, {}) == []


def test_the_typical_row_is_the_one_in_the_middle():
    assert typical(np.array([[0.0], [9.0], [4.0], [5.0], [100.0]])) == 3


def test_groups_show_all_their_values():
    names, _, frame = _examples(5, 2)
    frame["city"] = "Oslo"
    fall = make_waterfalls(frame, names, {"p0": ["city", "p1"]})[0]
    assert next(step.value for step in fall.row.steps if step.label == "p0").startswith("city Oslo, p1 ")


@pytest.mark.parametrize(
    ("attribution", "expected"),
    [(lambda v: v**3, "rises"), (lambda v: -np.exp(v), "falls"), (lambda v: v**2, "mixed"), (lambda v: v * 0, "")],
)
def test_directions_are_those_of_the_sample(attribution, expected):
    values = np.linspace(-2, 2, 41)
    frame = pd.DataFrame({"a": values, "attribution_a": attribution(values)})
    assert direction(frame, "a", ["a"]) == expected


def test_directions_are_unknown_for_text_groups_and_few_rows():
    values = np.linspace(-2, 2, 41)
    frame = pd.DataFrame({"a": values, "attribution_a": values, "text": "t", "attribution_text": values})
    assert direction(frame, "text", ["text"]) == ""
    assert direction(frame, "a", ["a", "text"]) == ""
    assert direction(frame.head(10), "a", ["a"]) == ""
    assert direction(frame, "absent", ["absent"]) == ""


def test_numbers_and_values_read_well():
    minus, dash = "\N{MINUS SIGN}", "\N{EN DASH}"
    shown = [number(v) for v in (-0.0, -1.5, 12345.678, 1e-9, float("nan"))]
    assert shown == ["0", f"{minus}1.5", "1.235e+04", f"1e{minus}09", dash]
    assert [signed(v) for v in (0.5, -0.5, float("inf"))] == ["+0.5", f"{minus}0.5", dash]
    shown = [percent(v) for v in (0.0, 0.0001, 0.081, 1.0, float("nan"))]
    assert shown == ["0.0 %", "< 0.1 %", "8.1 %", "100.0 %", dash]
    shown = [cell(v) for v in (None, float("nan"), "Oslo", 3, np.float32(0.25), [1.0, "b"])]
    assert shown == ["missing", "missing", "Oslo", "3", "0.25", "1, b"]
    long = "start_" + "x" * 50 + "_end"
    assert len(shortened(long, 20)) == 20
    assert shortened(long, 20).startswith("start_")
    assert shortened(long, 20).endswith("_end")
