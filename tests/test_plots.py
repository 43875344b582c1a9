"""Pictures show the figures of the explanation, and nothing else."""

import sys
from collections.abc import Iterator
from pathlib import Path

import matplotlib.axes
import matplotlib.pyplot
import numpy as np
import pytest

import tfx_explain
from tfx_explain import plots
from tfx_explain.errors import ConfigError, InputError

FIXTURE = Path(__file__).parent / "fixtures/explanation_format_2/explanation"
# This format has float32: a base value, four attributions and a prediction, each below 8.
ROUNDING = 6 * 8 * 2.0**-24


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    matplotlib.use("Agg")
    yield
    matplotlib.pyplot.close("all")


@pytest.fixture(scope="module")
def explanation() -> tfx_explain.ExplanationReader:
    return tfx_explain.load(str(FIXTURE))


def _lanes(ax: matplotlib.axes.Axes) -> list[str]:
    ax.figure.canvas.draw()
    return [label.get_text() for label in ax.get_yticklabels()]


def test_bars_are_importances_with_their_intervals(explanation: tfx_explain.ExplanationReader) -> None:
    table = explanation.importance_for()
    ax = explanation.plot.importance(max_features=3)
    assert _lanes(ax) == table["player"].tolist()[:3]
    np.testing.assert_allclose([bar.get_width() for bar in ax.patches], table["value"][:3])
    (errors,) = (one for one in ax.containers if hasattr(one, "has_xerr"))
    (lines,) = errors.lines[2]
    ends = np.array([segment[:, 0] for segment in lines.get_segments()])
    np.testing.assert_allclose(ends, table[["ci_low", "ci_high"]][:3])


def test_dots_are_rows_in_the_lane_of_their_feature(explanation: tfx_explain.ExplanationReader) -> None:
    frame = explanation.attributions().sort_values("example_id", kind="stable")
    ax = explanation.plot.beeswarm(max_rows=20)
    lanes = _lanes(ax)
    sizes = {player: frame[f"attribution_{player}"].abs().mean() for player in explanation.players}
    assert lanes == sorted(sizes, key=sizes.get, reverse=True)
    dots = np.concatenate([np.asarray(part.get_offsets()) for part in ax.collections])
    for lane, player in enumerate(lanes):
        of_player = dots[np.abs(dots[:, 1] - lane) < 0.5]
        np.testing.assert_allclose(np.sort(of_player[:, 0]), np.sort(frame[f"attribution_{player}"][:20]))


def test_a_waterfall_ends_at_the_prediction(explanation: tfx_explain.ExplanationReader) -> None:
    row = explanation.row(explanation.attributions()["example_id"][0])
    for ax in (explanation.plot.waterfall(row), explanation.plot.waterfall(row.example_id, max_features=3)):
        bars = ax.patches
        assert bars[0].get_x() == row.base_value
        assert bars[-1].get_x() + bars[-1].get_width() == pytest.approx(row.prediction, abs=ROUNDING)
    assert _lanes(ax)[-1] == "2 other features"


def test_dependence_is_of_value_and_attribution(explanation: tfx_explain.ExplanationReader) -> None:
    frame = explanation.attributions()
    ax = explanation.plot.dependence("income", color_by="debt")
    dots = np.concatenate([np.asarray(part.get_offsets()) for part in ax.collections])
    expected = frame[["income", "attribution_income"]].to_numpy(float)
    np.testing.assert_allclose(dots[np.lexsort(dots.T)], expected[np.lexsort(expected.T)])
    ax = explanation.plot.dependence("race")
    ax.figure.canvas.draw()
    assert [label.get_text() for label in ax.get_xticklabels()] == ["a", "b"]
    with pytest.raises(InputError, match=r"no player `rase`.*there are age, debt, income, race"):
        explanation.plot.dependence("rase")


def test_a_profile_is_the_curve_of_its_feature(explanation: tfx_explain.ExplanationReader) -> None:
    table = explanation.profiles
    curve = table[(table["kind"] == "curve") & (table["feature"] == "age") & (table["slice"] == "overall")]
    ax = explanation.plot.profile("age")
    (line,) = ax.lines
    np.testing.assert_allclose(line.get_xydata(), curve[["grid_value", "value"]])
    with pytest.raises(InputError, match="no curve of feature `income`; there is age"):
        explanation.plot.profile("income")
    with pytest.raises(InputError, match="no curve of slice `race=c`; there are overall, race=b"):
        explanation.plot.profile("age", slice="race=c")


def test_axes_may_be_given_and_names_are_no_formulas(explanation: tfx_explain.ExplanationReader) -> None:
    _, given = matplotlib.pyplot.subplots()
    assert explanation.plot.importance(ax=given) is given
    given.set_xlabel(plots._told("$x^2$ \x1b[2J"))
    given.figure.canvas.draw()
    assert given.get_xlabel() == r"\$x^2\$ \x1b[2J"


def test_without_matplotlib_it_says_how_to_get_it(
    explanation: tfx_explain.ExplanationReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ConfigError, match=r"Plots need matplotlib.*pip install 'tfx-explain\[plot\]'"):
        explanation.plot.importance()
