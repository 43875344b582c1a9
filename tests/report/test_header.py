"""The head of a report says what the report is about."""

from __future__ import annotations

import pages
from tfx_explain.report import ReportData, render_report
from tfx_explain.report.header import about, span_of, unit_of

MANIFEST = {
    "tfx_explain_version": "0.1.0",
    "created": "2026-11-29T08:05:00+00:00",
    "model": {"uri": "gs://b/Trainer/model/7/Format-Serving", "output_space": "logit", "output_space_note": "Clipped."},
    "baseline_model": {"uri": "/models/3", "digest": "x"},
    "examples": {"splits": ["eval", "test"], "patterns": {"eval": "/data/span-12/eval-*", "test": "/data/span-9/t-*"}},
    "counts": {"eval": {"read": 2_000, "explained": 1_990}, "test": {"read": 5, "explained": 5}},
    "background": {"num_rows": 128, "split": "train"},
    "outputs": [f"p[{place}]" for place in range(12)],
}


def test_it_names_model_output_data_background_baseline_and_day() -> None:
    assert dict(about(MANIFEST)) == {
        "Model": "gs://b/Trainer/model/7/Format-Serving, version 7",
        "Output": "12 outputs: p[0], p[1], p[2], p[3], p[4], p[5], p[6], p[7], p[8], p[9], and 2 more, in log-odds "
        "(the model's output before its final sigmoid or softmax); Clipped.",
        "Data": "1,990 of 2,000 rows of split eval, 5 rows of split test, span 9, 12",
        "Background": "128 rows of split train, which stand in for absent features",
        "Baseline model": "/models/3, version 3",
        "Made": "29 November 2026, 08:05 UTC, by tfx-explain 0.1.0",
    }
    assert unit_of(MANIFEST) == "log-odds"
    assert dict(about({**MANIFEST, "baseline_model": None}))["Baseline model"] == "none"


def test_the_span_that_example_gen_tells_comes_before_names_of_files() -> None:
    told = {**MANIFEST, "examples": {**MANIFEST["examples"], "span": "4"}}
    assert span_of(told) == "4"
    assert span_of({}) == ""
    assert span_of({"examples": {"patterns": {"eval": "/data/wingspan7/eval-*"}}}) == ""


def test_what_a_manifest_does_not_say_is_left_out() -> None:
    assert about({}) == []
    assert about({"model": {}, "created": "yesterday"}) == [("Baseline model", "none"), ("Made", "yesterday")]
    data = pages.report_data(["a", "b"])
    text = pages.Page(render_report(ReportData({}, data.importance, data.examples))).text
    assert "Verdict none in this report" in text
