"""Names for readers."""

from __future__ import annotations

import dataclasses

import pytest

import pages
from tfx_explain import ExplainConfig
from tfx_explain.errors import ConfigError
from tfx_explain.report import ReportData, render_report
from tfx_explain.report.names import with_names

OUTPUTS = ("p[0]", "p[1]", "p[2]")


def named(**names: object) -> ReportData:
    data = pages.report_data(["emp_len", "inc"], outputs=OUTPUTS, findings=pages.findings(), blessed=False)
    return dataclasses.replace(data, manifest={**data.manifest, **names})


def test_everything_shows_the_names_for_readers_and_the_manifest_its_own() -> None:
    told = {"config": {"feature_names": {"emp_len": "Years <b>here</b>"}}, "class_names": {"p[1]": "approved"}}
    data = named(**told)
    source = render_report(data)
    shown, manifest = source.split("<summary>The whole manifest")
    assert "<b>here" not in source
    text = pages.Page(source).text
    assert "Years <b>here</b> drives the output p[0] most" in text
    assert "What matters: approved" in text
    assert "Years <b>here</b> is emp_len" in text
    assert shown.replace("is emp_len", "").replace("is p[1]", "").count("emp_len") == 0
    assert "emp_len" in manifest
    plain = pages.Page(render_report(named()))
    assert pages.Page(source).figures == plain.figures


@pytest.mark.parametrize(
    "names",
    [
        {"config": {"feature_names": {"emp_len": "inc"}}},
        {"config": {"feature_names": {"emp_len": "prediction"}}},
        {"config": {"feature_names": {"emp_len": "x", "inc": "x"}}},
        {"config": {"feature_names": {"nowhere": "x"}}},
        {"class_names": {"p[0]": "x", "p[1]": "x"}},
        {"class_names": {"p[0]": "p[2]"}},
    ],
)
def test_names_never_make_two_things_one(names: dict[str, object]) -> None:
    data = named(**names)
    assert with_names(data) is data


def test_configurations_give_each_feature_a_name_of_its_own() -> None:
    assert ExplainConfig(feature_names={"a": "Age"}).feature_names == {"a": "Age"}
    for names in ({"a": "x", "b": "x"}, {"a": " "}):
        with pytest.raises(ConfigError, match="give each a name of its own"):
            ExplainConfig(feature_names=names)
