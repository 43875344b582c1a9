"""Report and verdict as HTML: pure functions of what was written, so they can be made again from the artifact."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import pandas as pd

from tfx_explain import integrity
from tfx_explain.judgement import Finding
from tfx_explain.report import header, story
from tfx_explain.report.choosing import as_script
from tfx_explain.report.comparison import METHOD_NAMES, compare_methods
from tfx_explain.report.data import Link, ReportData
from tfx_explain.report.faithfulness import make_faithfulness
from tfx_explain.report.findings import judged, summed_up
from tfx_explain.report.gradients import at
from tfx_explain.report.heat import class_table
from tfx_explain.report.names import with_names
from tfx_explain.report.overview import make_overviews
from tfx_explain.report.page import fill, manifest_text
from tfx_explain.report.panels import MAX_PANELS, make_panels
from tfx_explain.report.slices import slice_tables
from tfx_explain.report.trend import make_trend
from tfx_explain.tables.manifest import Manifest


@dataclasses.dataclass(frozen=True)
class Beside:
    """What stands beside a verdict.

    Attributes:
      page: the other page about it, as a link from where this one will be; empty where there is none.
      history: of the verdicts before, as in `history.parquet`, if there is one.
      evaluation: an Evaluator's metrics; None where no Evaluator was wired.
    """

    page: str = ""
    history: pd.DataFrame | None = None
    evaluation: Link | None = None


NOTHING = Beside()


def render_explanation(explanation_dir: str, manifest: Manifest | None = None) -> str:
    """The report of a written explanation.

    Args:
      explanation_dir: path or URI of the directory that `tables` describes.
      manifest: if it is not written yet; None reads it.

    Raises:
      InputError: a file is absent or unusable.
    """
    return render_report(ReportData.read(explanation_dir, manifest))


def render_judged(explanation_dir: str, findings: Sequence[Finding], *, blessed: bool, beside: Beside) -> str:
    """The report of a written explanation with a verdict on it.

    Args:
      explanation_dir: path or URI of the directory that `tables` describes.
      findings: of all rules, slices and outputs.
      blessed: the verdict.
      beside: what else the page leads to; its other page is that with the verdict alone.

    Raises:
      InputError: a file is absent or unusable.
    """
    data = ReportData.read(explanation_dir)
    judged_data = dataclasses.replace(
        data,
        findings=findings,
        blessed=blessed,
        verdict_page=beside.page,
        history=beside.history,
        evaluation=beside.evaluation,
    )
    return render_report(judged_data)


def render_report(data: ReportData) -> str:
    """One HTML page that shows everything in `data`, with nothing from elsewhere."""
    manifest_json = manifest_text(integrity.without_digests(data.manifest))
    data = with_names(data)
    panels = make_panels(data)
    manifest, first, unit = data.manifest, panels[0], header.unit_of(data.manifest)
    findings = [judged(finding) for finding in data.findings]
    return fill(
        "report.html.j2",
        data=data,
        headline=story.headline(first.ranking, first.output if len(data.outputs) > 1 else None),
        n_features=len(first.ranking.bars if first.ranking else at(manifest, "players") or ()),
        attributes=first.ranking is not None,
        panels=panels[:MAX_PANELS],
        more_panels=panels[MAX_PANELS:],
        method_names=METHOD_NAMES,
        faithfulness=make_faithfulness(data.faithfulness, data.faithfulness_curves, data.outputs)[:MAX_PANELS],
        classes=class_table(data.importance, data.outputs),
        overviews=make_overviews(data.parts, data.outputs[:MAX_PANELS]),
        comparison=compare_methods(data, unit),
        slice_tables=slice_tables(data)[:MAX_PANELS],
        trend=make_trend(data.history),
        findings=findings,
        summary=summed_up(data.findings),
        unit=unit,
        manifest_json=manifest_json,
        **_told_by(manifest),
        choices=as_script([panel.rows.choices for panel in panels[:MAX_PANELS]]) if data.examples else "",
    )


def _told_by(manifest: Manifest) -> dict[str, object]:
    """What the manifest alone says."""
    return {
        "about": header.about(manifest),
        "gap": story.shown_gap(manifest),
        "unused_features": at(manifest, "unused_features") or (),
        "base_value_is": story.base_value_is(manifest),
        "correction": story.correction(manifest),
        "differences": story.differences(manifest),
        "caveats": story.caveats(manifest),
        "counts": at(manifest, "counts") or {},
        "totals": story.row_totals(manifest),
        "failures": story.failures(manifest),
        "facts": story.facts(manifest),
    }


def render_verdict(
    findings: Sequence[Finding],
    *,
    blessed: bool,
    title: str = "Explanation validation",
    about: str = "",
    note: str = "",
    beside: Beside = NOTHING,
) -> str:
    """One HTML page with a verdict and its findings.

    Args:
      findings: of all rules, slices and outputs.
      blessed: the verdict.
      title: of the page.
      about: what was judged, for instance the explanation's URI.
      note: what else there is to say of the findings, for instance how sure they are.
      beside: what else the page leads to; its other page is the report of the same explanation.
    """
    return fill(
        "verdict.html.j2",
        findings=[judged(finding) for finding in findings],
        summary=summed_up(findings),
        blessed=blessed,
        title=title,
        about=about,
        note=note,
        report_page=beside.page,
        evaluation=beside.evaluation,
        trend=make_trend(beside.history),
    )
