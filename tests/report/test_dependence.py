"""Values against attributions, and what they are coloured by."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tfx_explain.report.colours import colouring
from tfx_explain.report.dependence import HEIGHT, MAX_SCATTERS, WIDTH, make_scatters
from tfx_explain.report.partners import partners


def sample(n: int = 300) -> pd.DataFrame:
    """Of four numbers `a` acts with `c`, and `b` alone; a steep curve of its own must not look like an interaction."""
    values = np.random.default_rng(0).normal(size=(n, 4))
    frame = pd.DataFrame(values, columns=list("abcd"))
    a, b, c, d = values.T
    phi = {"a": 5 * a + 20 * a**3 + 0.5 * a * c, "b": b, "c": 0.5 * a * c, "d": 0.01 * d}
    return frame.assign(**{f"attribution_{name}": of for name, of in phi.items()})


def test_partners_are_those_whose_values_go_with_what_a_value_leaves_open() -> None:
    found = partners(sample(), list("abcd"), {}, None)
    assert found == {"a": "c", "c": "a"}


def test_tables_of_interactions_come_before_the_sample() -> None:
    pairs = {"index": "SII", "player_a": ["a", "a", "b"], "player_b": ["b", "d", "d"], "value": [1.0, 3.0, 2.0]}
    other = pd.DataFrame({"index": ["H"], "player_a": ["a"], "player_b": ["c"], "value": [9.0]})
    table = pd.concat([pd.DataFrame(pairs), other], ignore_index=True)
    assert partners(sample(), list("abcd"), {}, table) == {"a": "d", "d": "a", "b": "d", "c": "a"}


def test_few_rows_groups_and_texts_have_no_partners_in_the_sample() -> None:
    assert partners(sample(10), list("abcd"), {}, None) == {}
    assert partners(sample().assign(c="x"), list("abcd"), {}, None) == {}
    assert partners(sample(), list("abcd"), {"c": ["c", "d"]}, None) == {}


def test_dots_are_where_values_and_attributions_are() -> None:
    rows = sample()
    first, *_ = make_scatters(rows, list("abcd"), {})
    assert (first.player, first.of, first.by) == ("a", "a", "c")
    x, y = np.array([dot[:2] for dot in first.dots]).T
    for places, values, ticks in ((x, rows["a"], first.x_ticks), (y, rows["attribution_a"], first.y_ticks)):
        slope, start = np.polyfit(values, places, 1)
        np.testing.assert_allclose(places, start + slope * values, atol=0.55)  # places are whole
        for at, label in ticks:
            assert at == pytest.approx(start + slope * float(label.replace("\N{MINUS SIGN}", "-")), abs=1.1)
    assert first.zero == pytest.approx(start, abs=1.1)
    assert ((x >= 0) & (x <= WIDTH)).all()
    assert ((y >= 0) & (y <= HEIGHT)).all()
    by = colouring(rows, ["c"], rows["attribution_a"].to_numpy())
    assert tuple(dot[2] for dot in first.dots) == by.classes


def test_missing_values_and_categories_have_places_of_their_own() -> None:
    rows = sample(60).assign(b=lambda rows: rows["b"].where(rows.index % 3 > 0))
    (found,) = make_scatters(rows, ["b"], {})
    assert found.x_ticks[-1][1] == "missing"
    edge = max(dot[0] for dot, value in zip(found.dots, rows["b"], strict=True) if value == value)
    assert all(dot[0] > edge for dot, value in zip(found.dots, rows["b"], strict=True) if value != value)
    texts = [f"city {place % 12:02d}" for place in range(59)] + [None]
    (found,) = make_scatters(rows.assign(b=texts), ["b"], {})
    assert [label for _, label in found.x_ticks] == [f"city {place:02d}" for place in range(8)] + ["other"]
    step = found.x_ticks[1][0] - found.x_ticks[0][0]
    for (x, *_), text in zip(found.dots, texts, strict=True):
        at = int(text[5:]) if text else 8
        assert abs(x - found.x_ticks[min(at, 8)][0]) < 0.5 * step
    assert make_scatters(rows.assign(b=[[1.0, 2.0]] * 60), ["b"], {}) == []


def test_groups_are_drawn_by_the_feature_that_goes_most_with_them() -> None:
    rows = sample().assign(attribution_pair=lambda rows: -rows["c"])
    (found,) = make_scatters(rows, ["pair"], {"pair": ["b", "c"]})
    assert (found.player, found.of) == ("pair", "c")


def test_only_the_most_important_ones_are_drawn() -> None:
    names = [f"p{place}" for place in range(MAX_SCATTERS + 5)]
    rows = pd.DataFrame(np.random.default_rng(0).normal(size=(30, len(names))), columns=names)
    rows = pd.concat([rows, rows.add_prefix("attribution_")], axis=1)
    assert [found.player for found in make_scatters(rows, names, {})] == names[:MAX_SCATTERS]


def test_categories_have_hues_by_how_common_they_are() -> None:
    values = ["b"] * 7 + ["a"] * 5 + ["c", "d", "e", None]
    found = colouring(pd.DataFrame({"x": values}), ["x"], np.zeros(len(values)))
    assert found.legend == (("h0", "b"), ("h1", "a"), ("h2", "c"), ("h3", "d"))
    assert found.classes == ("h0",) * 7 + ("h1",) * 5 + ("h2", "h3", "x", "x")
