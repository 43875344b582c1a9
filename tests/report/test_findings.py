"""Findings on a page: their order, sentences, figures and gauges."""

import dataclasses
import re

import numpy as np
import pytest

import pages
from tfx_explain.judgement import Evidence, Finding, apply_rule, is_blessed
from tfx_explain.report import render_report, render_verdict
from tfx_explain.report.findings import summed_up


def test_findings_are_listed_failures_first_with_sentence_figure_and_threshold():
    findings = pages.findings()
    for page in (
        pages.Page(render_verdict(findings, blessed=is_blessed(findings))),
        pages.Page(render_report(pages.report_data(["race", "income"], findings=findings, blessed=False))),
    ):
        assert "Refused 2 findings on 2 rules: 1 failed, 1 passed." in page.text
        assert page.text.index(findings[1].message) < page.text.index(findings[0].message)
        assert "Threshold 5 %" in page.text
        assert {findings[1].value, findings[1].ci_low, findings[0].value} <= set(page.figures)
    assert "nothing was checked" in pages.Page(render_verdict([], blessed=False)).text
    assert "Blessed 1 finding on 1 rule: 1 passed." in pages.Page(render_verdict(findings[:1], blessed=True)).text


@pytest.mark.parametrize(
    ("figures", "ends"),
    [
        ((0.2, 0.1, 0.4, 0.5), (20.0, 10.0, 40.0, 50.0)),
        ((-0.3, -0.5, -0.1, 0.1), (200 / 7, 0.0, 400 / 7, 600 / 7)),
        ((-0.3, -0.5, -0.2, -0.1), (40.0, 0.0, 60.0, 80.0)),
        ((1.25, 1.0, 1.6, 0.1), (78.125, 62.5, 100.0, 6.25)),
        ((0.0, 0.0, 0.0, 0.0), (0.0, 0.0, 0.0, 0.0)),
    ],
)
def test_gauges_hold_whatever_a_part_of_something_may_be(figures, ends):
    """Being ahead of chance may be below nothing, and above everything."""
    value, low, high, limit = figures
    settings = {"curve": "deletion", "value": limit}
    finding = Finding("min_faithfulness", settings, "overall", "y", "fail", value, low, high, limit, "It is so.")
    page = render_verdict([finding], blessed=False)
    left = [float(at) for at in re.findall(r'class="(?:dot|span|limit)" style="left:([\d.-]+)%', page)]
    width = float(re.search(r'class="span" style="left:[\d.-]+%;width:([\d.]+)%', page)[1])
    assert (left[1], left[0], left[0] + width, left[2]) == pytest.approx(ends, abs=0.011)


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
    page = pages.Page(render_verdict(findings, blessed=False, note="Each pass is right with 99 % confidence."))
    assert "Threshold 50 % Rule max_top_share Confidence 99 % Features income" in page.text
    assert "Rule canary Confidence 99 % Features race" in page.text
    assert "Figure 5,000 Bounds 5,000 to 5,000 Threshold 10,000 Rule min_examples" in page.text
    assert "Each pass is right with 99 % confidence." in page.text
    assert {finding.value for finding in findings} <= set(page.figures)


def test_gauges_say_what_their_ends_are_and_bounds_what_they_are():
    page = pages.Page(render_verdict(pages.findings(), blessed=False))
    assert "0 % dot: figure, band: bounds, line: threshold 20 %" in page.text
    assert "One-sided 95 % bounds" in page.text


def test_findings_are_not_taken_for_rules():
    """One rule has as many findings as there are outputs and slices."""
    finding = pages.findings()[1]
    found = [dataclasses.replace(finding, output=output) for output in ("a", "b", "c")]
    skipped = dataclasses.replace(finding, outcome="skipped")
    assert summed_up(found) == "3 findings on 1 rule: 3 failed."
    assert summed_up([*found, skipped]) == "4 findings on 1 rule: 3 failed, 1 skipped for want of a baseline."
    assert summed_up([skipped]) == "nothing was compared: 1 finding on 1 rule skipped for want of a baseline."
    assert summed_up([]) == "nothing was checked."
