"""What is drawn of each output: its ranking, and the pictures that belong to it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import pandas as pd

from tfx_explain.report.choosing import Json, choices, rows_for
from tfx_explain.report.data import ReportData
from tfx_explain.report.dependence import Scatter, make_scatters
from tfx_explain.report.interactions import InteractionTable, interaction_tables
from tfx_explain.report.probabilities import with_probabilities
from tfx_explain.report.profiles import ProfileSection, make_profiles
from tfx_explain.report.ranking import Ranking, rank_players
from tfx_explain.report.reasons import ReasonSection, make_reasons
from tfx_explain.report.stored import stored_players
from tfx_explain.report.surfaces import SurfaceSection, make_surfaces
from tfx_explain.report.swarm import Swarm, make_swarm
from tfx_explain.report.waterfall import Waterfall, make_waterfalls
from tfx_explain.slicing import OVERALL

MAX_PANELS = 6
"""More (slice, output) pairs than this are listed in one table instead of drawn: a page must stay readable."""


@dataclasses.dataclass(frozen=True)
class Pictures:
    """What is drawn of a sample of rows: each row, each feature, some rows in full, and what there is to choose."""

    swarm: Swarm | None = None
    scatters: Sequence[Scatter] = ()
    waterfalls: Sequence[Waterfall] = ()
    choices: Json = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Panel:
    """One (slice, output) as the template draws it."""

    heading: str
    slice_key: str
    output: str
    ranking: Ranking | None
    rows: Pictures
    profiles: Sequence[ProfileSection]
    surfaces: SurfaceSection | None
    interactions: Sequence[InteractionTable]
    reasons: ReasonSection | None = None


def make_panels(data: ReportData) -> list[Panel]:
    """The whole data for every output; every (slice, output) where there are no figures of the whole."""
    players = stored_players(data.manifest)
    keys = list(dict.fromkeys(zip(data.importance["slice"], data.importance["output"], strict=True)))
    keys = [key for key in keys if key[0] == OVERALL] or keys or [(OVERALL, output) for output in data.outputs]
    keys.sort(key=lambda key: data.outputs.index(key[1]))
    samples, n_drawn = with_probabilities(data.examples, data.manifest), min(len(keys), MAX_PANELS)
    panels: list[Panel] = []
    for slice_key, output in keys:
        rows = _part(data.importance, slice_key, output)
        examples = samples.get(output) if slice_key == keys[0][0] else None
        baseline = None if data.baseline_importance is None else _part(data.baseline_importance, slice_key, output)
        ranking = None if rows.empty else rank_players(rows, baseline, examples, players)
        names = [bar.player for bar in ranking.bars] if ranking else list(players)
        curves, baseline_curves, pairs = (
            None if table is None or len(panels) >= MAX_PANELS else _part(table, slice_key, output)
            for table in (data.profiles, data.baseline_profiles, data.interactions)
        )
        shown = None if ranking is None or len(panels) >= MAX_PANELS else examples
        reasons = make_reasons(data.reasons, data.row_reasons, data.manifest, output)
        by_importance = [feature for name in names for feature in players.get(name, (name,))]
        panels.append(
            Panel(
                heading=_heading(slice_key, output, data, several_slices=len({key[0] for key in keys}) > 1),
                slice_key=slice_key,
                output=output,
                ranking=ranking,
                rows=Pictures()
                if shown is None
                else _pictures(shown.head(rows_for(n_drawn)), names, players, pairs, reasons),
                profiles=[] if curves is None else make_profiles(curves, by_importance, baseline_curves),
                surfaces=None if curves is None else make_surfaces(curves),
                interactions=[] if pairs is None else interaction_tables(pairs),
                reasons=reasons if slice_key == keys[0][0] else None,
            )
        )
    return panels


def _pictures(
    rows: pd.DataFrame,
    players: Sequence[str],
    features: Mapping[str, Sequence[str]],
    pairs: pd.DataFrame | None,
    reasons: ReasonSection | None,
) -> Pictures:
    scatters = make_scatters(rows, players, features, pairs)
    return Pictures(
        make_swarm(rows, players, features),
        scatters,
        make_waterfalls(rows, players, features),
        choices(rows, players, features, scatters, reasons),
    )


def _part(frame: pd.DataFrame, slice_key: str, output: str) -> pd.DataFrame:
    return frame[(frame["slice"] == slice_key) & (frame["output"] == output)]


def _heading(slice_key: str, output: str, data: ReportData, *, several_slices: bool) -> str:
    """Names only what distinguishes this panel from the others."""
    return ", ".join([*[output] * (len(data.outputs) > 1), *[slice_key] * several_slices])
