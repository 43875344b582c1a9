"""Single rows, and rows as shap has them; shap itself is elsewhere (`make shap-plots`)."""

import shutil
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tfx_explain
from tfx_explain.errors import ConfigError, InputError
from tfx_explain.explained_row import shown_value

FIXTURE = Path(__file__).parent / "fixtures/explanation_format_2/explanation"
# This format has float32: a base value, four attributions and a prediction, each below 8.
ROUNDING = 6 * 8 * 2.0**-24


@pytest.fixture(scope="module")
def explanation() -> tfx_explain.ExplanationReader:
    return tfx_explain.load(str(FIXTURE))


class Explanation:
    """Keeps what shap would be given."""

    def __init__(self, values: Any, **given: Any) -> None:
        self.values = values
        vars(self).update(given)


@pytest.fixture
def shap(monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("shap")
    module.Explanation = Explanation
    monkeypatch.setitem(sys.modules, "shap", module)


def test_a_row_is_the_one_asked_for_and_leads_from_the_base_value_to_its_prediction(
    explanation: tfx_explain.ExplanationReader,
) -> None:
    frame = explanation.attributions().set_index("example_id")
    for name in frame.index[:3]:
        row = explanation.row(name)
        found = row.contributions.set_index("player")
        assert sorted(found.index) == sorted(explanation.players)
        for player in explanation.players:
            assert found.loc[player, "attribution"] == frame.loc[name, f"attribution_{player}"]
            assert found.loc[player, "std_error"] == frame.loc[name, f"std_error_{player}"]
            assert found.loc[player, "value"] == frame.loc[name, player]
        sizes = row.contributions["attribution"].abs()
        assert sizes.is_monotonic_decreasing
        total = row.contributions["attribution"].sum()
        assert row.base_value + total == pytest.approx(row.prediction, abs=ROUNDING)
    with pytest.raises(InputError, match="no explained row with the id `nobody`"):
        explanation.row("nobody")


def test_a_row_shows_as_a_waterfall_whatever_is_in_it(explanation: tfx_explain.ExplanationReader) -> None:
    row = explanation.row(explanation.attributions()["example_id"][0])
    row.contributions["value"] = ["<script>alert(1)</script>\u202e", None, {"a": np.float32(1.1), "b": "x"}, [1, 2]]
    page = row._repr_html_()
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    assert "\u202e" not in page
    assert page.count("<tr>") == 1 + len(explanation.players)
    assert [shown_value(value) for value in row.contributions["value"][1:]] == ["missing", "a = 1.1, b = x", "1, 2"]


@pytest.mark.usefixtures("shap")
def test_shap_gets_every_row_with_its_values_and_errors(explanation: tfx_explain.ExplanationReader) -> None:
    given = explanation.to_shap()
    frame = explanation.attributions()
    players = list(explanation.players)
    assert given.feature_names == players
    np.testing.assert_array_equal(given.values, frame[[f"attribution_{name}" for name in players]])
    np.testing.assert_array_equal(given.error_std, frame[[f"std_error_{name}" for name in players]])
    np.testing.assert_array_equal(given.base_values, frame["base_value"])
    np.testing.assert_allclose(given.values.sum(axis=1) + given.base_values, frame["prediction"], atol=ROUNDING)
    assert given.data[:, players.index("income")].tolist() == frame["income"].tolist()
    assert set(given.data[:, players.index("race")]) == {"a", "b"}
    assert given.output_names == "score"


def test_without_shap_it_says_how_to_get_it(
    explanation: tfx_explain.ExplanationReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "shap", None)
    with pytest.raises(ConfigError, match=r"pip install 'tfx-explain\[shap\]'"):
        explanation.to_shap()


def test_a_notebook_shows_the_report_in_a_frame_of_its_own(tmp_path: Path) -> None:
    shutil.copytree(FIXTURE, tmp_path / "explanation")
    explanation = tfx_explain.load(str(tmp_path / "explanation"))
    assert explanation._repr_html_() is None
    (tmp_path / "explanation" / "report.html").write_text('<p title="a">&amp;</p><script>1 < 2</script>')
    page = explanation._repr_html_()
    assert page.startswith("<div><iframe ")
    assert "<script>" not in page
    assert "&lt;p title=&quot;a&quot;&gt;&amp;amp;&lt;/p&gt;" in page
