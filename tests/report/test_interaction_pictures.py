"""Heat maps and interactions in the report: figures and colours are the table's."""

import numpy as np
import pandas as pd
import pytest

import accessibility
from tfx_explain.report import ReportData, render_report
from tfx_explain.report.colours import N_SHADES
from tfx_explain.report.interactions import MAX_PAIRS, interaction_tables
from tfx_explain.report.profiles import HEIGHT, WIDTH
from tfx_explain.report.surfaces import MAX_MAPS, make_surfaces, shades

EVIL = """<script>alert("x")</script>&amp;'"""


def _surface(first="age", second="race", n=(3, 2)):
    """A surface in `profiles.parquet`, the first feature a number, the second text: value = position * (1 + level)."""
    a, b = np.repeat(np.arange(n[0]), n[1]), np.tile(np.arange(n[1]), n[0])
    value = a * (1.0 + b) - 1
    about = {"slice": "overall", "output": "approve", "method": "partial_dependence", "kind": "surface"}
    about |= {"feature": first, "feature_b": second, "position": a, "position_b": b, "grid_value": 10.0 * a}
    labels = np.array([f"level{i}" for i in range(n[1])], object)[b]
    about |= {"level": None, "grid_value_b": np.nan, "level_b": labels, "centred_value": value}
    return pd.DataFrame({**about, "centred_ci_low": value - 0.1, "centred_ci_high": value + 0.1})


def test_tiles_are_where_their_points_are_and_coloured_by_their_values() -> None:
    section = make_surfaces(_surface())
    assert section is not None
    (heat_map,) = section.maps
    tiles = np.array([[tile.x, tile.y] for tile in heat_map.tiles])
    assert np.ptp(tiles[::2, 1]) == 0
    assert (np.diff(tiles[::2, 0]) > 0).all()
    assert (tiles[1::2, 1] < tiles[::2, 1]).all()  # y grows downwards
    assert (tiles >= 0).all()
    assert (tiles + [[tile.width, tile.height] for tile in heat_map.tiles] <= [WIDTH, HEIGHT]).all()
    # Values -1, -1, 0, 1, 1, 3 on a scale from -3 to 3.
    assert [tile.shade for tile in heat_map.tiles] == [2, 2, 3, 4, 4, 6]
    assert heat_map.tiles[-1].title == "20, level1: 3 (2.9 to 3.1)"
    assert [label for _, label in heat_map.x_labels] == ["0", "10", "20"]
    assert [label for _, label in heat_map.y_labels] == ["level0", "level1"]
    assert (section.low, section.high) == ("\N{MINUS SIGN}3", "3")
    assert "lowest \N{MINUS SIGN}1 at 0 and level0, highest 3 at 20 and level1" in heat_map.summary


def test_colours_are_even_about_the_average() -> None:
    assert shades(np.array([-2.0, 0.0, 2.0]), 2.0).tolist() == [0, (N_SHADES - 1) // 2, N_SHADES - 1]
    assert shades(np.zeros(2), 0.0).tolist() == [(N_SHADES - 1) // 2] * 2


def test_too_many_pairs_are_named_and_none_are_nothing() -> None:
    section = make_surfaces(pd.concat([_surface(f"f{i}", n=(30, 2)) for i in range(MAX_MAPS + 1)]))
    assert section is not None
    assert len(section.maps) == MAX_MAPS
    assert section.more == (f"f{MAX_MAPS} and race",)
    assert len(section.maps[0].x_labels) <= 5
    assert make_surfaces(_surface().assign(kind="curve")) is None
    assert make_surfaces(_surface().drop(columns="feature_b")) is None


def _interactions(n_pairs=3):
    strength = np.arange(n_pairs, 0, -1.0)
    return pd.DataFrame(
        {
            "slice": "overall",
            "output": "approve",
            "player_a": [f"a{i}" for i in range(n_pairs)],
            "player_b": EVIL,
            "index": "H",
            "value": strength,
            "ci_low": strength - 0.5,
            "ci_high": strength + 1,
            "h": np.r_[np.nan, strength[1:] / n_pairs],
        }
    )


def test_bars_are_as_long_as_the_strengths() -> None:
    rows = pd.concat([_interactions(), _interactions(MAX_PAIRS + 2).assign(index="SII").drop(columns="h")])
    first, second = interaction_tables(rows.sample(frac=1, random_state=0))
    by_index = {table.heading: table for table in (first, second)}
    h = by_index["Friedman's H"]
    assert [bar.length for bar in h.bars] == pytest.approx([75, 50, 25])
    assert h.bars[0].whisker == pytest.approx((62.5, 37.5))
    assert h.has_h
    assert np.isnan(h.bars[0].h)
    shapley = by_index["Pairwise interactions (SII)"]
    assert (len(shapley.bars), shapley.n_hidden, shapley.has_h) == (MAX_PAIRS, 2, False)
    assert interaction_tables(_interactions().assign(value=np.nan)) == []


def test_the_page_holds_both_and_escapes_names() -> None:
    importance = pd.DataFrame({"slice": ["overall"], "output": "approve", "player": ["age"], "value": 1.0, "rank": 1})
    page = render_report(ReportData({}, importance, profiles=_surface("age", EVIL), interactions=_interactions()))
    assert accessibility.faults(page) == []
    assert "Two features at a time" in page
    assert "What acts together" in page
    assert page.count("<script") == 1
    assert page.count('<rect class="s') == 6
    without = render_report(ReportData({}, importance))
    assert "What acts together" not in without
    assert "Two features" not in without
