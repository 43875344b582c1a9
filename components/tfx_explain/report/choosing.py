"""What the page's script needs to draw the row or the feature that a reader chooses: places and texts, no figures."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence

import pandas as pd
from markupsafe import Markup

from tfx_explain.report.dependence import Scatter
from tfx_explain.report.page import readable
from tfx_explain.report.reasons import ReasonSection
from tfx_explain.report.row_steps import row_steps
from tfx_explain.report.text import number, percent, signed
from tfx_explain.report.waterfall import Waterfall, known_players, place_steps

MAX_ROWS = 600
"""Rows of all outputs together."""
MOST_ROWS = 400
_FEWEST_ROWS = 100

Json = dict[str, object]


def choices(
    rows: pd.DataFrame,
    players: Sequence[str],
    features: Mapping[str, Sequence[str]],
    scatters: Sequence[Scatter],
    reasons: ReasonSection | None = None,
) -> Json:
    """What there is to choose of one output.

    Args:
      rows: explained rows, with probabilities where they have some.
      players: most important first.
      features: player -> its features; a player that is absent here is a feature.
      scatters: of its players.
      reasons: of its rows, if it has some.

    Returns:
      `rows`: id, base value, prediction, probabilities, places of the last two, steps and reasons of each row;
      `scatters`.
    """
    known = known_players(rows, players)
    steps = row_steps(rows, known, features) if known else []
    return {
        "rows": [{**_row(place_steps("", row)), **_reasons(reasons, row.example_id)} for row in steps],
        "scatters": [_scatter(scatter) for scatter in scatters],
    }


def rows_for(n_outputs: int) -> int:
    """How many rows of each output there is room for."""
    return min(max(MAX_ROWS // max(n_outputs, 1), _FEWEST_ROWS), MOST_ROWS)


def as_script(panels: Sequence[Json]) -> Markup:
    """As JSON in a script element: nothing in it ends the element, and what is invisible in names is shown."""
    text = json.dumps(panels, ensure_ascii=False, separators=(",", ":"))
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)


def _row(drawn: Waterfall) -> Json:
    row = drawn.row
    has_probability = math.isfinite(row.probability)
    return {
        "id": readable(row.example_id),
        "base": number(row.base_value),
        "prediction": number(row.prediction),
        "probability": [percent(row.base_probability), percent(row.probability)] if has_probability else [],
        "at": [round(drawn.base_at, 1), round(drawn.prediction_at, 1)],
        "steps": [
            [
                readable(bar.step.label),
                readable(bar.step.value),
                signed(bar.step.attribution, drawn.scale),
                number(bar.step.std_error, 2, drawn.scale),
                round(bar.left, 1),
                round(bar.width, 1),
                int(bar.step.attribution >= 0),
            ]
            for bar in drawn.bars
        ],
    }


def _reasons(reasons: ReasonSection | None, example_id: str) -> Json:
    if reasons is None:
        return {}
    of_row = reasons.of(example_id)
    return {"reasons": {"note": of_row.note, "lines": [list(map(readable, line)) for line in of_row.lines]}}


def _scatter(scatter: Scatter) -> Json:
    return {
        "player": readable(scatter.player),
        "of": readable(scatter.of),
        "by": readable(scatter.by),
        "legend": [[colour, readable(name)] for colour, name in scatter.legend],
        "dots": " ".join(f"{x},{y},{colour}" for x, y, colour in scatter.dots),
        "x": [[at, readable(label)] for at, label in scatter.x_ticks],
        "y": scatter.y_ticks,
        "zero": scatter.zero,
        "summary": readable(scatter.summary),
    }
