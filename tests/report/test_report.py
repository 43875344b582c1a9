"""The pages: self-contained, escaped, complete, and true to their tables."""

import base64
import hashlib
import json
import re
import subprocess
import sys
import unicodedata

import numpy as np
import pyarrow as pa
import pytest

import accessibility
import pages
from tfx_explain import records, tables
from tfx_explain.errors import InputError
from tfx_explain.judgement import Finding
from tfx_explain.report import Beside, ReportData, render_explanation, render_report, render_verdict
from tfx_explain.report.panels import MAX_PANELS
from tfx_explain.report.ranking import MAX_BARS

EVIL = """<script>alert("x")</script>&amp;'"""


PAGES = {
    "plain": lambda: render_report(pages.report_data(["income", "age", "race"])),
    "one player": lambda: render_report(pages.report_data(["only"])),
    "many players": lambda: render_report(pages.report_data([f"feature_{i}" for i in range(200)])),
    "many outputs and slices": lambda: render_report(
        pages.report_data(["a", "b"], outputs="xyz", slices=("overall", "sex:1", "sex:2"))
    ),
    "judged": lambda: render_report(
        pages.report_data(["race", "income"], findings=pages.findings(), blessed=False, verdict_page="verdict.html")
    ),
    "verdict": lambda: render_verdict(
        pages.findings(), blessed=False, about="gs://bucket/explanation", beside=Beside(page="report.html")
    ),
    "empty manifest": lambda: render_report(pages.report_data(["income", "age"], manifest={})),
    "unicode": lambda: render_report(pages.report_data(["größe", "年齢", "😀" * 40, "x" * 300])),
}


@pytest.mark.parametrize("name", PAGES)
def test_pages_are_whole_and_need_nothing_from_elsewhere(name):
    source = PAGES[name]()
    page = pages.Page(source)
    assert not {"link", "iframe", "img", "object", "embed"} & set(page.tags)
    assert not {"src", "xlink:href", "srcset"} & {name for name, _ in page.attributes}
    assert {value for name, value in page.attributes if name == "href"} <= {"verdict.html", "report.html"}
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    assert not re.search(r"url\(|@import|https?://", source)


@pytest.mark.parametrize("name", PAGES)
def test_keyboards_and_screen_readers_reach_all_of_a_page(name):
    assert accessibility.faults(PAGES[name]()) == []


@pytest.mark.parametrize("name", PAGES)
def test_pages_forbid_browsers_to_fetch_or_run_anything(name):
    source = PAGES[name]()
    policy = re.search(r'<meta http-equiv="Content-Security-Policy" content="([^"]*)">', source)
    assert policy.start() < source.index("<title>")
    rules = dict(rule.strip().partition(" ")[::2] for rule in policy[1].split(";"))
    assert rules.pop("default-src") == "'none'"
    digest = base64.b64encode(hashlib.sha256(pages.Page(source).scripts[-1].encode()).digest()).decode()
    assert rules.pop("script-src") == f"'sha256-{digest}'"
    assert rules == {
        "style-src": "'unsafe-inline'",
        "img-src": "data:",
        "base-uri": "'none'",
        "form-action": "'none'",
    }


HIDDEN = "ra\u200bce\u202eegnar\nx\x1b[2J\x07\x9b"


def _hostile(name):
    """A report and a verdict that show the name wherever a name or a value of the data stands."""
    players = [name, "a", f"{name}2"]
    data = pages.report_data(
        players, outputs=(name, f"{name}2"), slices=("overall", name), n_rows=40, title=name, blessed=False
    )
    for rows in data.examples.values():
        rows["a"], rows["example_id"] = name, name
    manifest = {**data.manifest, "failures": {name: {name: 2}}, "unused_features": [name], "model": {"uri": name}}
    finding = Finding("max_share", {"players": [name]}, name, name, "fail", 0.1, 0.1, 0.2, 0.3, name, (name,))
    report = ReportData(manifest, data.importance, data.examples, findings=[finding], blessed=False, title=name)
    return render_report(report), render_verdict([finding], blessed=False, title=name, about=name, note=name)


def test_what_hides_in_names_is_shown_on_pages():
    for page in _hostile(HIDDEN):
        assert not [c for c in page if c != "\n" and unicodedata.category(c) in ("Cc", "Cf", "Zl", "Zp")]
        assert "ra\\u200bce\\u202eegnar\\nx\\x1b[2J\\x07\\x9b" in pages.Page(page).text


def test_long_values_are_cut_on_pages_and_told():
    plain = _hostile("x")
    for page, short in zip(_hostile("y" * 250_000), plain, strict=True):
        assert len(page) < len(short) + 200_000
        assert "(250,000 characters)" in page


@pytest.mark.parametrize("name", PAGES)
def test_pages_are_the_same_every_time(name):
    assert PAGES[name]() == PAGES[name]()


def test_whatever_comes_from_outside_is_escaped():
    players = [EVIL, f"attribution{EVIL}", "b"]
    data = pages.report_data(players, outputs=(EVIL,), slices=("overall", EVIL), n_rows=30, title=EVIL, blessed=False)
    rows = data.examples[EVIL]
    rows["b"] = EVIL
    rows["example_id"] = EVIL
    manifest = {**data.manifest, "failures": {EVIL: {EVIL: 2}}, "unused_features": [EVIL], "model": {"uri": EVIL}}
    finding = Finding(EVIL, {"players": [EVIL]}, EVIL, EVIL, "fail", 0.1, 0.1, 0.2, 0.3, EVIL)
    source = render_report(
        ReportData(manifest, data.importance, data.examples, findings=[finding], blessed=False, title=EVIL)
    )
    page, plain = pages.Page(source), pages.Page(PAGES["plain"]())
    assert page.text.count(EVIL) >= 10
    assert page.tags.count("script") == source.count("<script") == 2
    assert page.scripts[-1] == plain.scripts[-1]
    choices = json.loads(page.scripts[0])
    assert EVIL in {row["id"] for panel in choices for row in panel["rows"]}
    assert "<" not in page.scripts[0]
    assert render_verdict([finding], blessed=False, title=EVIL, about=EVIL).count("<script") == 1


@pytest.mark.parametrize("n_players", [1, 3, MAX_BARS + 1, MAX_BARS + 2, 200])
def test_every_player_is_named_and_every_figure_is_the_tables(n_players):
    players = [f"player_{i:03d}" for i in range(n_players)]
    data = pages.report_data(players)
    page = pages.Page(render_report(data))
    assert [player for player in players if player not in page.text] == []
    figures = set(page.figures)
    for column in ("value", "ci_low", "ci_high", "share"):
        assert set(data.importance[column]) <= figures, column


def test_players_beyond_the_chart_are_summed_up():
    players = [f"player_{i:03d}" for i in range(60)]
    data = pages.report_data(players)
    page = pages.Page(render_report(data))
    rest = data.importance.sort_values("rank")["value"].to_numpy()[MAX_BARS:]
    assert f"{60 - MAX_BARS} others together" in page.text
    assert np.isclose(page.figures, rest.sum(), rtol=1e-12).any()


def test_shares_and_sums_are_of_what_was_not_cut_off_at_0():
    players = [f"player_{i:03d}" for i in range(60)]
    data = pages.report_data(players)
    noise = data.importance["rank"] > 7
    value = data.importance["value"].where(~noise, np.where(np.arange(60) % 2, 0.01, 0.0))
    data.importance["cut_off"] = np.where(noise & (value == 0), -0.01, 0.0)
    data.importance["value"], data.importance["share"] = value, value / value.sum()
    figures = pages.Page(render_report(data)).figures
    total = value.sum() + data.importance["cut_off"].sum()
    for player_value in value[~noise]:
        assert np.isclose(figures, player_value / total, rtol=1e-12).any()
    rest = (value + data.importance["cut_off"]).iloc[data.importance.sort_values(["rank", "player"]).index[MAX_BARS:]]
    assert np.isclose(figures, max(rest.sum(), 0.0), rtol=1e-9, atol=1e-15).any()
    assert not np.isclose(figures, value.iloc[rest.index].sum(), rtol=1e-9).any()


def test_bars_are_as_long_as_their_figures():
    source = render_report(pages.report_data(["a", "b", "c"]))
    importance = pages.report_data(["a", "b", "c"]).importance.sort_values("rank")
    widths = [float(width) for width in re.findall(r'class="fill" style="width:([\d.]+)%', source)]
    expected = 100 * importance["value"] / importance["ci_high"].max()
    np.testing.assert_allclose(widths, expected, atol=0.01)
    whiskers = re.findall(r'class="whisker" style="left:([\d.]+)%;width:([\d.]+)%', source)
    ends = np.array(whiskers, dtype=float) @ [[1, 1], [0, 1]]
    np.testing.assert_allclose(ends, 100 * importance[["ci_low", "ci_high"]] / importance["ci_high"].max(), atol=0.02)


def test_the_headline_says_what_drives_the_model_and_how_sure_that_is():
    page = pages.Page(render_report(pages.report_data(["income", "age", "race"])))
    assert "income drives this model most: it carries" in page.text
    assert re.search(r"age \([\d.]+ %\) and race \([\d.]+ %\) follow\. Its lead is clear", page.text)
    four = pages.report_data(["income", "age", "race", "debt"])
    together = four.importance.nsmallest(3, "rank")["share"].sum()
    assert f"follow; these three carry {100 * together:.1f} %." in pages.Page(render_report(four)).text
    tied = pages.report_data(["income", "age"])
    for column in ("value", "ci_low", "ci_high"):
        tied.importance[column] = tied.importance[column].max()
    assert "Its lead over age is not certain" in pages.Page(render_report(tied)).text
    zero = pages.report_data(["income", "age"])
    zero.importance["value"] = 0.0
    assert "Nothing drives this model" in pages.Page(render_report(zero)).text


def test_counts_failures_and_provenance_are_shown():
    text = pages.Page(render_report(pages.report_data(["income", "age"]))).text
    for words in (
        "Rows explained 300",
        "Rows that failed 3",
        "3 rows could not be explained",
        "feature `x` is missing",
        "gs://bucket/model/7",
        "d1g3st",
        "b4ck",
        "1,234,567 model rows in all",
        "without any effect: never_read",
        "every coalition of features evaluated",
        "within 2.5e-09",
        "log-odds",
    ):
        assert words in text, words
    manifest = {**pages.manifest_of(["a"], ["approve"], 300), "failures": {}}
    assert "No row failed." in pages.Page(render_report(pages.report_data(["a"], manifest=manifest))).text


def test_unknown_errors_leave_dashes_not_nan():
    data = pages.report_data(["income", "age"])
    importance = data.importance.assign(std_error=np.nan, ci_low=np.nan, ci_high=np.nan)
    source = render_report(ReportData(data.manifest, importance, data.examples))
    assert "whisker" not in source.split("</style>")[1]
    assert "nan" not in pages.Page(source).text.lower()
    bare = importance[["slice", "output", "player", "value", "rank"]]
    assert "income" in pages.Page(render_report(ReportData({}, bare))).text


def test_a_baseline_is_shown_beside_the_candidate():
    data = pages.report_data(["income", "age"])
    baseline = data.importance.assign(value=data.importance["value"] * 2 + 0.123456789)
    source = render_report(ReportData(data.manifest, data.importance, data.examples, baseline_importance=baseline))
    assert set(baseline["value"]) <= set(pages.Page(source).figures)
    assert source.count('class="baseline"') == 2
    assert max(float(at) for at in re.findall(r'class="baseline" style="left:([\d.]+)%', source)) == 100.0


def test_only_some_panels_are_drawn_and_the_others_are_listed():
    data = pages.report_data(["a", "b"], outputs=[f"class_{i}" for i in range(MAX_PANELS + 3)])
    page = pages.Page(render_report(data))
    assert page.tags.count("svg") == 2 * MAX_PANELS  # a swarm and a scatter of each
    assert "More outputs and slices" in page.text
    assert [output for output in data.outputs if output not in page.text] == []


def test_an_explanation_directory_becomes_a_report(tmp_path):
    data = pages.report_data(["income", "address"], outputs=("yes", "no"))
    manifest = {**data.manifest, "format_version": 1, "players": {"income": ["income"], "address": ["city", "zip"]}}
    records.write_table(str(tmp_path / tables.IMPORTANCE.file), data.importance)
    records.write_json(str(tmp_path / tables.MANIFEST), manifest)
    without_rows = render_explanation(str(tmp_path))
    assert "<svg" not in without_rows
    lists = pa.list_(pa.float32())
    sample = pa.table(
        {
            "income": pa.array([[1.0], [2.0], None], lists),
            "city": pa.array([[b"Oslo"], [b"Bergen"], []], pa.list_(pa.binary())),
            "zip": pa.array([[1], [2], [3]], pa.list_(pa.int64())),
            "example_id": pa.array([[b"one"], [b"two"], [b"three"]], pa.list_(pa.binary())),
            "attribution_income": pa.array([[1.0, -1.0], [0.5, 0.25], [2.0, 3.0]], lists),
            "attribution_address": pa.array([[0.0, 0.5], [0.5, 0.5], [1.0, 1.0]], lists),
            "prediction": pa.array([[1.25, 0.0], [1.25, 1.25], [3.25, 4.5]], lists),
            "base_value": pa.array([[0.25, 0.5]] * 3, lists),
            **{name: pa.array([[0.0, 0.0]] * 3, lists) for name in ("std_error_income", "std_error_address")},
            "completeness_gap": pa.array([[0.0, 0.0]] * 3, lists),
        }
    )
    records.write_table(str(tmp_path / tables.REPORT_EXAMPLES.file), sample)
    page = pages.Page(render_explanation(str(tmp_path), manifest))
    assert page.tags.count("svg") == 4
    assert "city Oslo, zip 1" in page.text
    assert "Row three : from the base value 0.5 to the prediction 4.5" in page.text


def test_tables_that_cannot_be_shown_are_refused_in_one_sentence():
    data = pages.report_data(["a"])
    with pytest.raises(InputError, match="`importance` has no column `rank`"):
        ReportData({}, data.importance.drop(columns="rank"))
    with pytest.raises(InputError, match="no rows"):
        ReportData({}, data.importance.head(0))


def test_reports_need_neither_tensorflow_nor_beam_nor_tfx():
    code = "import sys, tfx_explain.report; print(sorted({m.split('.')[0] for m in sys.modules}))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "jinja2" in loaded
    assert not [name for name in ("tensorflow", "apache_beam", "tfx") if f"'{name}'" in loaded]
