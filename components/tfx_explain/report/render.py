"""Report and verdict as HTML: pure functions of what was written, so they can be made again from the artifact."""

from __future__ import annotations

import dataclasses
import functools
import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import jinja2
import pandas as pd
from markupsafe import Markup

from tfx_explain import integrity
from tfx_explain.judgement import Finding
from tfx_explain.printable import MAX_SENTENCE, printable, shortened
from tfx_explain.report import story, strips, text
from tfx_explain.report.comparison import METHOD_NAMES, compare_methods
from tfx_explain.report.data import ReportData
from tfx_explain.report.faithfulness import make_faithfulness
from tfx_explain.report.findings import judged
from tfx_explain.report.gradients import at
from tfx_explain.report.heat import class_table
from tfx_explain.report.interactions import InteractionTable, interaction_tables
from tfx_explain.report.overview import Overview, make_overviews
from tfx_explain.report.profiles import HEIGHT as PROFILE_HEIGHT
from tfx_explain.report.profiles import WIDTH as PROFILE_WIDTH
from tfx_explain.report.profiles import ProfileSection, make_profiles
from tfx_explain.report.ranking import Ranking, rank_players
from tfx_explain.report.slices import FALSE_DISCOVERY_RATE, slice_tables
from tfx_explain.report.surfaces import SurfaceSection, make_surfaces
from tfx_explain.report.swarm import LABEL_WIDTH, WIDTH, Swarm, make_swarm
from tfx_explain.report.waterfall import Waterfall, make_waterfalls
from tfx_explain.slicing import OVERALL
from tfx_explain.tables.manifest import Manifest

GENERATOR = "tfx-explain"
_MAX_NAME = 200
MAX_PANELS = 6
"""More (slice, output) pairs than this are listed in one table instead of drawn: a page must stay readable."""


@dataclasses.dataclass(frozen=True)
class _Panel:
    """One (slice, output) as the template draws it."""

    heading: str
    slice_key: str
    output: str
    ranking: Ranking | None
    swarm: Swarm | None
    waterfalls: Sequence[Waterfall]
    profiles: Sequence[ProfileSection]
    surfaces: SurfaceSection | None
    interactions: Sequence[InteractionTable]


def render_explanation(explanation_dir: str, manifest: Manifest | None = None) -> str:
    """The report of a written explanation.

    Args:
      explanation_dir: path or URI of the directory that `tables` describes.
      manifest: if it is not written yet; None reads it.

    Raises:
      InputError: a file is absent or unusable.
    """
    return render_report(ReportData.read(explanation_dir, manifest))


def render_report(data: ReportData) -> str:
    """One HTML page that shows everything in `data`, without script, and without anything from elsewhere."""
    panels = _panels(data)
    manifest = data.manifest
    first = panels[0]
    return _page(
        _environment()
        .get_template("report.html.j2")
        .render(
            data=data,
            n_background=at(manifest, "background", "num_rows"),
            gap=story.largest_gap(manifest),
            unused_features=at(manifest, "unused_features") or (),
            counts=at(manifest, "counts") or {},
            manifest_json=_json(integrity.without_digests(manifest)),
            headline=story.headline(first.ranking, first.output if len(data.outputs) > 1 else None),
            n_players=len(first.ranking.bars if first.ranking else at(manifest, "players") or ()),
            attributes=first.ranking is not None,
            base_value_is=story.base_value_is(manifest),
            differences=story.differences(manifest),
            caveats=story.caveats(manifest),
            panels=panels[:MAX_PANELS],
            more_panels=panels[MAX_PANELS:],
            method_names=METHOD_NAMES,
            faithfulness=make_faithfulness(data.faithfulness, data.faithfulness_curves, data.outputs)[:MAX_PANELS],
            classes=class_table(data.importance, data.outputs),
            overviews=_overviews(data),
            comparison=compare_methods(data, _unit(manifest)),
            slice_tables=slice_tables(data)[:MAX_PANELS],
            totals=story.row_totals(manifest),
            failures=story.failures(manifest),
            facts=story.facts(manifest),
            findings=[judged(finding) for finding in data.findings],
            unit=_unit(manifest),
        )
    )


def render_verdict(
    findings: Sequence[Finding],
    *,
    blessed: bool,
    title: str = "Explanation validation",
    about: str = "",
    note: str = "",
) -> str:
    """One HTML page with a verdict and its findings.

    Args:
      findings: of all rules, slices and outputs.
      blessed: the verdict.
      title: of the page.
      about: what was judged, for instance the explanation's URI.
      note: what else there is to say of the findings, for instance how sure they are.
    """
    template = _environment().get_template("verdict.html.j2")
    items = [judged(finding) for finding in findings]
    return _page(template.render(findings=items, blessed=blessed, title=title, about=about, note=note))


@functools.cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("tfx_explain.report", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_readable,
    )
    environment.filters |= {
        "number": text.number,
        "signed": text.signed,
        "percent": text.percent,
        "count": text.count,
        "data": _data,
        "breakable": _breakable,
        "names": _names,
        "long": _long,
    }
    environment.globals |= {"generator": GENERATOR}
    environment.globals |= {"swarm_width": WIDTH, "swarm_label_width": LABEL_WIDTH, "isfinite": math.isfinite}
    environment.globals |= {"overall": OVERALL, "false_discovery_rate": FALSE_DISCOVERY_RATE}
    environment.globals |= {"profile_width": PROFILE_WIDTH, "profile_height": PROFILE_HEIGHT}
    environment.globals |= {"strip_width": strips.WIDTH, "strip_left": strips.LEFT, "strip_right": strips.RIGHT}
    return environment


def _breakable(name: str) -> Markup:
    """A name that a narrow column may break after underscores."""
    return Markup("_<wbr>").join(_readable(name).split("_"))


def _page(rendered: str) -> str:
    """The page, with what is invisible in names, or turns the direction of reading, as its escape everywhere."""
    return printable(str(rendered), keep_newlines=True)


def _readable(value: Any) -> Any:
    """Text on one line and not too long for a page, however long a feature's value is; all else as it is."""
    return shortened(printable(value), _MAX_NAME) if isinstance(value, str) and not isinstance(value, Markup) else value


def _names(names: Iterable[str]) -> Markup:
    """Names in a row."""
    return Markup(", ").join(Markup("<bdi>{}</bdi>").format(_readable(str(name))) for name in names)


def _long(text: str) -> Markup:
    """Text that may be longer than a name: a sentence that lists some."""
    words = re.sub(rf"\S{{{_MAX_NAME + 1},}}", lambda word: shortened(word.group(), _MAX_NAME), str(text))
    return Markup.escape(shortened(printable(words), MAX_SENTENCE))


def _json(manifest: Manifest) -> Markup:
    """The manifest as people read it; long values are cut, since all of it is in the file."""
    return Markup.escape(json.dumps(_cut(manifest), indent=1, ensure_ascii=False, default=str))


def _cut(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {shortened(str(key), _MAX_NAME): _cut(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_cut(entry) for entry in value]
    return shortened(value, _MAX_NAME) if isinstance(value, str) else value


def _data(value: float, shown: str | None = None) -> Markup:
    """A figure as text for people, with all its digits for programs."""
    label = text.number(value) if shown is None else shown
    return Markup('<data value="{}">{}</data>').format(repr(float(value)), label)


def _panels(data: ReportData) -> list[_Panel]:
    """The whole data for every output; every (slice, output) where there are no figures of the whole."""
    players: Mapping[str, Sequence[str]] = at(data.manifest, "players") or {}
    keys = list(dict.fromkeys(zip(data.importance["slice"], data.importance["output"], strict=True)))
    keys = [key for key in keys if key[0] == OVERALL] or keys or [(OVERALL, output) for output in data.outputs]
    panels: list[_Panel] = []
    for slice_key, output in keys:
        rows = _part(data.importance, slice_key, output)
        overall = slice_key == keys[0][0]
        examples = data.examples.get(output) if overall else None
        baseline = None if data.baseline_importance is None else _part(data.baseline_importance, slice_key, output)
        ranking = None if rows.empty else rank_players(rows, baseline, examples, players)
        drawn = ranking is not None and examples is not None and len(panels) < MAX_PANELS
        names = [bar.player for bar in ranking.bars] if ranking else list(players)
        curves, baseline_curves, pairs = (
            None if table is None or len(panels) >= MAX_PANELS else _part(table, slice_key, output)
            for table in (data.profiles, data.baseline_profiles, data.interactions)
        )
        by_importance = [feature for name in names for feature in players.get(name, (name,))]
        panels.append(
            _Panel(
                heading=_heading(slice_key, output, data, several_slices=len({key[0] for key in keys}) > 1),
                slice_key=slice_key,
                output=output,
                ranking=ranking,
                swarm=make_swarm(examples, names, players) if drawn and examples is not None else None,
                waterfalls=make_waterfalls(examples, names, players) if drawn and examples is not None else [],
                profiles=[] if curves is None else make_profiles(curves, by_importance, baseline_curves),
                surfaces=None if curves is None else make_surfaces(curves),
                interactions=[] if pairs is None else interaction_tables(pairs),
            )
        )
    return panels


def _overviews(data: ReportData) -> list[Overview]:
    """What is inside features, of as many outputs as there are panels."""
    return make_overviews(data.parts, data.outputs[:MAX_PANELS])


def _part(frame: pd.DataFrame, slice_key: str, output: str) -> pd.DataFrame:
    return frame[(frame["slice"] == slice_key) & (frame["output"] == output)]


def _heading(slice_key: str, output: str, data: ReportData, *, several_slices: bool) -> str:
    """Names only what distinguishes this panel from the others."""
    return ", ".join([*[output] * (len(data.outputs) > 1), *[slice_key] * several_slices])


def _unit(manifest: Manifest) -> str:
    space = at(manifest, "model", "output_space")
    return {"logit": "log-odds", "probability": "probability"}.get(str(space), "units of the output")
