"""The pages: self-contained, escaped, complete, and true to their tables."""

import dataclasses
import html.parser
import re
import subprocess
import sys
import unicodedata

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from tfx_explain import records, tables
from tfx_explain.errors import InputError
from tfx_explain.judgement import Evidence, Finding, apply_rule, is_blessed
from tfx_explain.report import ReportData, render_explanation, render_report, render_verdict
from tfx_explain.report.ranking import MAX_BARS
from tfx_explain.report.render import MAX_PANELS
from tfx_explain.report.slices import MAX_PLAYERS, MAX_SLICES
from tfx_explain.summary import ImportanceAccumulator

_VOID = {"meta", "line", "circle", "rect", "br", "link", "img", "input", "hr"}
EVIL = """<script>alert("x")</script>&amp;'"""


class _Page(html.parser.HTMLParser):
    """Tags, attributes, text and `<data>` figures of a page; fails on tags that do not nest."""

    def __init__(self, page):
        super().__init__(convert_charrefs=True)
        self.tags, self.attributes, self.texts, self.figures, self._open = [], [], [], [], []
        self.feed(page)
        self.close()
        assert not self._open, f"never closed: {self._open}"
        self.text = " ".join(" ".join(self.texts).split())

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        if tag == "data":
            self.figures.append(float(dict(attrs)["value"]))
        if tag not in _VOID:
            self._open.append(tag)

    def handle_endtag(self, tag):
        if tag not in _VOID:
            assert self._open.pop() == tag

    def handle_data(self, data):
        if self._open[-1:] != ["style"]:
            self.texts.append(data)


def _data(players, *, n=300, outputs=("approve",), slices=("overall",), seed=0, n_rows=60, **kwargs):
    rng, n_rows = np.random.default_rng(seed), min(n, n_rows)
    d, frames, examples = len(players), [], {}
    for output in outputs:
        features = rng.normal(size=(n, d))
        phi = features * np.linspace(1.0, 0.1, d)
        accumulator = ImportanceAccumulator(d)
        accumulator.add(phi, np.zeros((n, d)), np.zeros((n, d)), np.zeros(n), phi.sum(1))
        columns = accumulator.result().columns()
        frames += [
            pd.DataFrame({"slice": slice_, "output": output, "method": "shapley", "player": players, **columns})
            for slice_ in slices
        ]
        rows = pd.DataFrame(features[:n_rows], columns=players)
        attributions = pd.DataFrame(phi[:n_rows], columns=[f"attribution_{player}" for player in players])
        examples[output] = pd.concat([rows, attributions], axis=1).assign(
            base_value=0.5, prediction=0.5 + phi[:n_rows].sum(1), example_id=[f"row{i}" for i in range(n_rows)]
        )
    manifest = kwargs.pop("manifest", _manifest(players, outputs, n))
    return ReportData(manifest, pd.concat(frames, ignore_index=True), examples, **kwargs)


def _manifest(players, outputs, n):
    return {
        "tfx_explain_version": "0.1.0",
        "method": {"shapley": {"estimator": "exact", "coalitions_per_background_row": 510}},
        "model": {"uri": "gs://bucket/model/7", "digest": "d1g3st", "output_space": "logit"},
        "examples": {"splits": ["eval"], "digests": {"eval": "e4"}},
        "background": {"split": "train", "num_rows": 128, "digest": "b4ck"},
        "players": {player: [player] for player in players},
        "unused_features": ["never_read"],
        "outputs": list(outputs),
        "base_values": [0.25] * len(outputs),
        "counts": {"eval": {"read": n + 3, "explained": n, "model_rows": 1234567}},
        "failures": {"eval": {"feature `x` is missing": 3}},
        "completeness_gap": {"max_abs": 2.5e-9, "max_relative": 1e-9},
        "seed": 7,
    }


def _findings():
    evidence = Evidence(("race", "income"), 500, np.array([1.0, 9.0]), np.diag([0.001, 0.01]), 1e-9, output="approve")
    return [
        apply_rule("max_completeness_gap", {"value": 1e-3}, evidence),
        apply_rule("max_share", {"players": ["race"], "value": 0.05}, evidence),
    ]


PAGES = {
    "plain": lambda: render_report(_data(["income", "age", "race"])),
    "one player": lambda: render_report(_data(["only"])),
    "many players": lambda: render_report(_data([f"feature_{i}" for i in range(200)])),
    "many outputs and slices": lambda: render_report(
        _data(["a", "b"], outputs="xyz", slices=("overall", "sex:1", "sex:2"))
    ),
    "judged": lambda: render_report(_data(["race", "income"], findings=_findings(), blessed=False)),
    "verdict": lambda: render_verdict(_findings(), blessed=False, about="gs://bucket/explanation"),
    "empty manifest": lambda: render_report(_data(["income", "age"], manifest={})),
    "unicode": lambda: render_report(_data(["größe", "年齢", "😀" * 40, "x" * 300])),
}


@pytest.mark.parametrize("name", PAGES)
def test_pages_are_whole_and_need_nothing_from_elsewhere(name):
    source = PAGES[name]()
    page = _Page(source)
    assert not {"script", "link", "iframe", "img", "object", "embed"} & set(page.tags)
    assert not {"src", "href", "xlink:href", "srcset"} & {name for name, _ in page.attributes}
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    assert not re.search(r"url\(|@import|https?://", source)


@pytest.mark.parametrize("name", PAGES)
def test_pages_forbid_browsers_to_fetch_or_run_anything(name):
    source = PAGES[name]()
    policy = re.search(r'<meta http-equiv="Content-Security-Policy" content="([^"]*)">', source)
    assert policy.start() < source.index("<title>")
    rules = dict(rule.strip().partition(" ")[::2] for rule in policy[1].split(";"))
    assert rules.pop("default-src") == "'none'"
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
    data = _data(players, outputs=(name, f"{name}2"), slices=("overall", name), n_rows=40, title=name, blessed=False)
    for rows in data.examples.values():
        rows["a"], rows["example_id"] = name, name
    manifest = {**data.manifest, "failures": {name: {name: 2}}, "unused_features": [name], "model": {"uri": name}}
    finding = Finding("max_share", {"players": [name]}, name, name, "fail", 0.1, 0.1, 0.2, 0.3, name, (name,))
    report = ReportData(manifest, data.importance, data.examples, findings=[finding], blessed=False, title=name)
    return render_report(report), render_verdict([finding], blessed=False, title=name, about=name, note=name)


def test_what_hides_in_names_is_shown_on_pages():
    for page in _hostile(HIDDEN):
        assert not [c for c in page if c != "\n" and unicodedata.category(c) in ("Cc", "Cf", "Zl", "Zp")]
        assert "ra\\u200bce\\u202eegnar\\nx\\x1b[2J\\x07\\x9b" in _Page(page).text


def test_long_values_are_cut_on_pages_and_told():
    plain = _hostile("x")
    for page, short in zip(_hostile("y" * 1_000_000), plain, strict=True):
        assert len(page) < len(short) + 200_000
        assert "(1,000,000 characters)" in page


@pytest.mark.parametrize("name", PAGES)
def test_pages_are_the_same_every_time(name):
    assert PAGES[name]() == PAGES[name]()


def test_whatever_comes_from_outside_is_escaped():
    players = [EVIL, f"attribution{EVIL}", "b"]
    data = _data(players, outputs=(EVIL,), slices=("overall", EVIL), n_rows=30, title=EVIL, blessed=False)
    rows = data.examples[EVIL]
    rows["b"] = EVIL
    rows["example_id"] = EVIL
    manifest = {**data.manifest, "failures": {EVIL: {EVIL: 2}}, "unused_features": [EVIL], "model": {"uri": EVIL}}
    finding = Finding(EVIL, {"players": [EVIL]}, EVIL, EVIL, "fail", 0.1, 0.1, 0.2, 0.3, EVIL)
    source = render_report(
        ReportData(manifest, data.importance, data.examples, findings=[finding], blessed=False, title=EVIL)
    )
    assert "<script" not in source
    page = _Page(source)
    assert page.text.count(EVIL) >= 10
    assert "<script" not in render_verdict([finding], blessed=False, title=EVIL, about=EVIL)


@pytest.mark.parametrize("n_players", [1, 3, MAX_BARS + 1, MAX_BARS + 2, 200])
def test_every_player_is_named_and_every_figure_is_the_tables(n_players):
    players = [f"player_{i:03d}" for i in range(n_players)]
    data = _data(players)
    page = _Page(render_report(data))
    assert [player for player in players if player not in page.text] == []
    figures = set(page.figures)
    for column in ("value", "ci_low", "ci_high", "share"):
        assert set(data.importance[column]) <= figures, column


def test_players_beyond_the_chart_are_summed_up():
    players = [f"player_{i:03d}" for i in range(60)]
    data = _data(players)
    page = _Page(render_report(data))
    rest = data.importance.sort_values("rank")["value"].to_numpy()[MAX_BARS:]
    assert f"{60 - MAX_BARS} others together" in page.text
    assert np.isclose(page.figures, rest.sum(), rtol=1e-12).any()


def test_shares_and_sums_are_of_what_was_not_cut_off_at_0():
    players = [f"player_{i:03d}" for i in range(60)]
    data = _data(players)
    noise = data.importance["rank"] > 7
    value = data.importance["value"].where(~noise, np.where(np.arange(60) % 2, 0.01, 0.0))
    data.importance["cut_off"] = np.where(noise & (value == 0), -0.01, 0.0)
    data.importance["value"], data.importance["share"] = value, value / value.sum()
    figures = _Page(render_report(data)).figures
    total = value.sum() + data.importance["cut_off"].sum()
    for player_value in value[~noise]:
        assert np.isclose(figures, player_value / total, rtol=1e-12).any()
    rest = (value + data.importance["cut_off"]).iloc[data.importance.sort_values(["rank", "player"]).index[MAX_BARS:]]
    assert np.isclose(figures, max(rest.sum(), 0.0), rtol=1e-9, atol=1e-15).any()
    assert not np.isclose(figures, value.iloc[rest.index].sum(), rtol=1e-9).any()


def test_bars_are_as_long_as_their_figures():
    source = render_report(_data(["a", "b", "c"]))
    importance = _data(["a", "b", "c"]).importance.sort_values("rank")
    widths = [float(width) for width in re.findall(r'class="fill" style="width:([\d.]+)%', source)]
    expected = 100 * importance["value"] / importance["ci_high"].max()
    np.testing.assert_allclose(widths, expected, atol=0.01)
    whiskers = re.findall(r'class="whisker" style="left:([\d.]+)%;width:([\d.]+)%', source)
    ends = np.array(whiskers, dtype=float) @ [[1, 1], [0, 1]]
    np.testing.assert_allclose(ends, 100 * importance[["ci_low", "ci_high"]] / importance["ci_high"].max(), atol=0.02)


def test_the_headline_says_what_drives_the_model_and_how_sure_that_is():
    page = _Page(render_report(_data(["income", "age", "race"])))
    assert "income drives this model most: it carries" in page.text
    assert re.search(r"age \([\d.]+ %\) and race \([\d.]+ %\) follow\. Its lead is clear", page.text)
    four = _data(["income", "age", "race", "debt"])
    together = four.importance.nsmallest(3, "rank")["share"].sum()
    assert f"follow; these three carry {100 * together:.1f} %." in _Page(render_report(four)).text
    tied = _data(["income", "age"])
    for column in ("value", "ci_low", "ci_high"):
        tied.importance[column] = tied.importance[column].max()
    assert "Its lead over age is not certain" in _Page(render_report(tied)).text
    zero = _data(["income", "age"])
    zero.importance["value"] = 0.0
    assert "Nothing drives this model" in _Page(render_report(zero)).text


def test_counts_failures_and_provenance_are_shown():
    text = _Page(render_report(_data(["income", "age"]))).text
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
        "every coalition of players evaluated",
        "within 2.5e-09",
        "log-odds",
    ):
        assert words in text, words
    manifest = {**_manifest(["a"], ["approve"], 300), "failures": {}}
    assert "No row failed." in _Page(render_report(_data(["a"], manifest=manifest))).text


def test_unknown_errors_leave_dashes_not_nan():
    data = _data(["income", "age"])
    importance = data.importance.assign(std_error=np.nan, ci_low=np.nan, ci_high=np.nan)
    source = render_report(ReportData(data.manifest, importance, data.examples))
    assert "whisker" not in source.split("</style>")[1]
    assert "nan" not in _Page(source).text.lower()
    bare = importance[["slice", "output", "player", "value", "rank"]]
    assert "income" in _Page(render_report(ReportData({}, bare))).text


def test_a_baseline_is_shown_beside_the_candidate():
    data = _data(["income", "age"])
    baseline = data.importance.assign(value=data.importance["value"] * 2 + 0.123456789)
    source = render_report(ReportData(data.manifest, data.importance, data.examples, baseline_importance=baseline))
    assert set(baseline["value"]) <= set(_Page(source).figures)
    assert source.count('class="baseline"') == 2
    assert max(float(at) for at in re.findall(r'class="baseline" style="left:([\d.]+)%', source)) == 100.0


def test_only_some_panels_are_drawn_and_the_others_are_listed():
    data = _data(["a", "b"], outputs=[f"class_{i}" for i in range(MAX_PANELS + 3)])
    page = _Page(render_report(data))
    assert page.tags.count("svg") == MAX_PANELS
    assert "More outputs and slices" in page.text
    assert [output for output in data.outputs if output not in page.text] == []


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
    data = _data([f"p{i}" for i in range(9)], slices=("overall", "age=old", "age=young"))
    changes = {("age=old", "p0"): (0.5, 0.001), ("age=old", "p1"): (-0.5, 0.0499), ("age=young", "p0"): (0.5, 0.0501)}
    data = dataclasses.replace(data, slice_differences=_differences(data, changes))
    source = render_report(data)
    table = source[source.index('<table class="slices"') :].split("</table>")[0] + "</table>"
    assert re.findall(r'<th scope="row">([^<]*)', table) == ["all rows", "age=old", "age=young"]
    assert re.findall(r'<th class="num">(p\d)', table) == [f"p{i}" for i in range(MAX_PLAYERS)]
    assert (table.count("▲"), table.count("▼")) == (1, 1)
    assert 'title="0.123 in all other rows; q = 0.001"' in table
    assert len(re.findall("<h2[^>]*>What matters", source)) == 1
    assert set(data.importance.query("rank <= @MAX_PLAYERS")["value"]) <= set(_Page(table).figures)


def test_of_many_slices_those_that_differ_are_shown():
    names = [f"id={i:02d}" for i in range(MAX_SLICES + 5)]
    data = _data(["a", "b"], slices=("overall", *names))
    data = dataclasses.replace(data, slice_differences=_differences(data, {(names[-1], "b"): (0.1, 0.01)}))
    page = _Page(render_report(data))
    assert "The 5 slices that differ least are left out." in page.text
    assert names[-1] in page.text
    assert names[MAX_SLICES] not in page.text


def test_without_slices_there_is_no_table_of_them():
    assert "Slice by slice" not in render_report(_data(["a", "b"]))
    only_slices = _data(["a", "b"], slices=("age=old", "age=young"))
    assert re.findall(r"<h2[^>]*>What matters: ([^<]*)", render_report(only_slices)) == ["age=old", "age=young"]


def test_findings_are_listed_failures_first_with_sentence_figure_and_threshold():
    findings = _findings()
    for page in (
        _Page(render_verdict(findings, blessed=is_blessed(findings))),
        _Page(render_report(_data(["race", "income"], findings=findings, blessed=False))),
    ):
        assert "Refused 1 of 2 rules is broken." in page.text
        assert page.text.index(findings[1].message) < page.text.index(findings[0].message)
        assert "Threshold 5 %" in page.text
        assert {findings[1].value, findings[1].ci_low, findings[0].value} <= set(page.figures)
    assert "nothing was checked" in _Page(render_verdict([], blessed=False)).text
    assert "Blessed the one rule holds." in _Page(render_verdict(findings[:1], blessed=True)).text


def test_every_kind_of_finding_shows_its_players_figures_and_confidence():
    evidence = Evidence(("race", "income"), 5000, np.array([1.0, 9.0]), np.diag([0.001, 0.01]), 1e-9, unused=())
    findings = [
        apply_rule(rule, settings, evidence, confidence=0.99)
        for rule, settings in (
            ("max_top_share", {"value": 0.5}),
            ("canary", {"feature": "income"}),
            ("min_importance", {"players": ["race"], "value": 2.0}),
            ("min_examples", {"value": 10_000}),
        )
    ]
    page = _Page(render_verdict(findings, blessed=False, note="Each pass is right with 99 % confidence."))
    assert "Threshold 50 % Rule max_top_share Confidence 99 % Players income" in page.text
    assert "Rule canary Confidence 99 % Players race" in page.text
    assert "Figure 5,000 Bounds 5,000 to 5,000 Threshold 10,000 Rule min_examples" in page.text
    assert "Each pass is right with 99 % confidence." in page.text
    assert {finding.value for finding in findings} <= set(page.figures)


def test_an_explanation_directory_becomes_a_report(tmp_path):
    data = _data(["income", "address"], outputs=("yes", "no"))
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
    page = _Page(render_explanation(str(tmp_path), manifest))
    assert page.tags.count("svg") == 2
    assert "Oslo, 1" in page.text
    assert "Row three: from the base value 0.5 to the prediction 4.5" in page.text


def test_tables_that_cannot_be_shown_are_refused_in_one_sentence():
    data = _data(["a"])
    with pytest.raises(InputError, match="`importance` has no column `rank`"):
        ReportData({}, data.importance.drop(columns="rank"))
    with pytest.raises(InputError, match="no rows"):
        ReportData({}, data.importance.head(0))


def test_reports_need_neither_tensorflow_nor_beam_nor_tfx():
    code = "import sys, tfx_explain.report; print(sorted({m.split('.')[0] for m in sys.modules}))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "jinja2" in loaded
    assert not [name for name in ("tensorflow", "apache_beam", "tfx") if f"'{name}'" in loaded]
