"""Spans of a text among other players, against Owen values by enumeration."""

import dataclasses
import itertools
from math import comb

import numpy as np
import numpy.typing as npt
import pytest

from tfx_explain.config.parts import TextPartsConfig
from tfx_explain.methods.shapley.parts.contexts import Contexts
from tfx_explain.methods.shapley.parts.designs import PartDesigns
from tfx_explain.methods.shapley.parts.feature import shared_evenly
from tfx_explain.methods.shapley.parts.games import PartsGame, part_values
from tfx_explain.methods.shapley.parts.texts import TextValues
from tfx_explain.regions.spans import Splitter
from tfx_explain.regions.texts import SpanTexts

TEXT = b"a b c d "
SPANS = Splitter("word").split(TEXT)
K, N_OTHERS = len(SPANS), 3
WEIGHTS = np.array([0.5, 0.25, 0.25])
NO_ERROR = np.zeros(1)
FLOOR = np.full(1, 1e-12)


def output(
    spans: npt.NDArray[np.bool_], others: npt.NDArray[np.bool_], background: npt.NDArray[np.int64]
) -> np.ndarray:
    """Spans and other players with interactions of every order; the fourth span has no effect."""
    strength = np.where(others, 1.0, 0.3 * background[:, None] - 0.2).prod(axis=1) + others[:, 0]
    return (spans[:, 0] + 2 * spans[:, 1] * spans[:, 2] - spans[:, 0] * spans[:, 2]) * strength


def truth() -> npt.NDArray[np.float64]:
    """(K,) Owen values: the mean over all contexts of the Shapley values of the inner game."""
    total = np.zeros(K)
    for others in itertools.product([False, True], repeat=N_OTHERS):
        weight = 1 / ((N_OTHERS + 1) * comb(N_OTHERS, sum(others)))
        for row, row_weight in enumerate(WEIGHTS):
            for player, members in itertools.product(range(K), itertools.product([False, True], repeat=K - 1)):
                one, both = (np.insert(np.array(members), player, there)[None] for there in (False, True))
                inner = 1 / (K * comb(K - 1, sum(members)))
                place = np.array([others]), np.array([row])
                change = output(both, *place) - output(one, *place)
                total[player] += weight * row_weight * inner * change[0]
    return total


def game(row_hash: int, n_contexts: int = 16, spans: npt.NDArray[np.int64] = SPANS) -> PartsGame:
    contexts = Contexts.draw(0, row_hash, N_OTHERS, WEIGHTS, n_contexts)
    design = PartDesigns(TextPartsConfig(), 0).design(len(spans), len(contexts), row_hash)
    return PartsGame(0, TextValues(SpanTexts.of(TEXT, spans, b"")), contexts, design)


def per_context(of: PartsGame) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    context = of.context_of_block[np.arange(of.n_model_rows) // of.n_per_context]
    coalitions = of.coalitions(0, of.n_model_rows)
    return of.solve(output(coalitions, of.contexts.present[context], of.contexts.background[context])[:, None])


def test_estimates_are_right_on_average_and_their_errors_cover_them() -> None:
    expected = truth()
    found = [part_values(*per_context(game(row)), expected.sum()[None], NO_ERROR, FLOOR) for row in range(400)]
    values = np.array([of_row[:, 0] for of_row, _ in found])
    errors = np.array([of_row[:, 0] for _, of_row in found])
    np.testing.assert_allclose(values.sum(axis=1), expected.sum(), atol=1e-12)
    assert (values[:, 3] == 0).all()
    # Five standard errors of a mean over 400 rows.
    off = np.abs(values.mean(axis=0) - expected)
    assert (off <= 5 * values.std(axis=0) / np.sqrt(len(values)) + 1e-12).all()
    # Even strata make the spread between pairs an upper bound.
    assert (values[:, :3].std(axis=0) <= 1.1 * np.sqrt(np.square(errors[:, :3]).mean(axis=0))).all()


def test_contexts_are_weighed_as_in_the_shapley_value() -> None:
    drawn = [Contexts.draw(1, row, N_OTHERS, WEIGHTS, 8) for row in range(500)]
    sizes = np.concatenate([contexts.present.sum(axis=1) for contexts in drawn])
    np.testing.assert_allclose(np.bincount(sizes) / len(sizes), 1 / (N_OTHERS + 1), atol=0.03)
    rows = np.concatenate([contexts.background for contexts in drawn])
    np.testing.assert_allclose(np.bincount(rows) / len(rows), WEIGHTS, atol=0.03)
    for contexts in drawn[:10]:
        np.testing.assert_array_equal(contexts.present[:4], ~contexts.present[4:])
        np.testing.assert_array_equal(contexts.background[:4], contexts.background[4:])


def test_a_model_of_a_text_alone_has_one_context() -> None:
    contexts = Contexts.draw(0, 1, 0, WEIGHTS, 16)
    assert contexts.present.shape == (1, 0)


@pytest.mark.parametrize("model_rows", ["auto", 64, 65_536])
@pytest.mark.parametrize("n_contexts", [1, 8, 32])
@pytest.mark.parametrize("n_spans", [2, 13, 60, 61, 512])
def test_each_context_is_a_block(model_rows: str | int, n_contexts: int, n_spans: int) -> None:
    designs = PartDesigns(TextPartsConfig(model_rows=model_rows), 0)
    design = designs.design(n_spans, n_contexts, 3)
    assert design.background_index.shape == (n_contexts, 1)
    assert sorted(design.background_index[:, 0]) == list(range(n_contexts))


def test_errors_of_one_context_are_known() -> None:
    for n_spans in (30, 61, 200):
        design = PartDesigns(TextPartsConfig(model_rows=64), 0).design(n_spans, 1, 0)
        coalitions = design.coalitions[0]
        values = (coalitions[:, 0] & coalitions[:, 1]) * 1.0 + (coalitions[:, :9].sum(axis=1) > 4)
        solved = design.solve(values[None, None, :, None], [[2.0]], [[0.0]])
        assert np.isfinite(solved.design_std_error).all()


def test_values_come_in_the_order_of_contexts() -> None:
    of = game(5)
    context = of.context_of_block[np.arange(of.n_model_rows) // of.n_per_context]
    assert (of.context_of_block != np.arange(16)).any()
    answers = of.coalitions(0, of.n_model_rows)[:, :1] * (1.0 + context[:, None])
    values, _ = of.solve(answers)
    np.testing.assert_allclose(values[:, 0, 0], 1.0 + np.arange(16), rtol=1e-9)


def test_errors_are_the_spread_between_pairs_of_contexts() -> None:
    rng = np.random.default_rng(0)
    found, feature, feature_error = rng.normal(size=(16, 5, 2)), np.array([3.0, -1.0]), np.array([0.5, 0.0])
    values, errors = part_values(found, np.zeros_like(found), feature, feature_error, np.full(2, 1e-9))
    pairs = (found[:8] + found[8:]) / 2
    pairs -= pairs.mean(axis=1, keepdims=True)
    np.testing.assert_allclose(values, pairs.mean(axis=0) + feature / 5, rtol=1e-9)
    expected = np.square(pairs.std(axis=0, ddof=1)) / 8 + np.square(feature_error / 5)
    np.testing.assert_allclose(errors, np.sqrt(expected), rtol=1e-9)


@pytest.mark.parametrize("spans", [SPANS, SPANS[:1]])
def test_a_rest_comes_before_the_parts(spans: npt.NDArray[np.int64]) -> None:
    """It is what all parts absent make of the background's feature, in each context; a single part is a game, too."""
    without, has_rest = game(7, spans=spans), dataclasses.replace(game(7, spans=spans), has_rest=True)
    context = has_rest.context_of_block[np.arange(has_rest.n_model_rows) // has_rest.n_per_context]
    gone = has_rest.has_gone(0, has_rest.n_model_rows)
    assert gone.sum() == len(has_rest.contexts)
    present = has_rest.coalitions(0, has_rest.n_model_rows)
    assert not present[gone].any()
    effect = 3.0 + np.arange(len(has_rest.contexts))
    answers = present @ np.arange(1.0, len(spans) + 1) + np.where(gone, 0.0, effect[context])
    values, variance = has_rest.solve(answers[:, None])
    np.testing.assert_allclose(values[:, -1, 0], effect, rtol=1e-9)
    np.testing.assert_allclose(values[:, :-1, 0], np.tile(np.arange(1.0, len(spans) + 1), (len(effect), 1)), rtol=1e-9)
    assert (variance[:, -1] == 0).all()
    np.testing.assert_allclose(without.solve(answers[~gone][:, None])[0], values[:, :-1], rtol=1e-12)


def test_the_rest_has_what_a_single_context_leaves() -> None:
    contexts = Contexts.draw(0, 1, 0, WEIGHTS, 16)
    of = PartsGame(0, game(0).values, contexts, PartDesigns(TextPartsConfig(), 0).design(K, 1, 0), has_rest=True)
    assert not of.has_gone(0, of.n_model_rows).any()
    answers = of.coalitions(0, of.n_model_rows) @ np.arange(1.0, K + 1)
    values, errors = of.attributions(answers[:, None], np.array([12.5]), np.array([0.25]), FLOOR)
    np.testing.assert_allclose(values[:, 0], [1.0, 2.0, 3.0, 4.0, 2.5], rtol=1e-9)
    assert errors[:, 0].tolist() == [0, 0, 0, 0, 0.25]


def test_totals_are_shared_out_evenly() -> None:
    totals = np.array([[6.0], [5.0], [4.0]]), np.array([[3.0], [2.0], [1.0]])
    lengths, given = np.array([3, 1, 2]), np.array([2, 1, 0])
    values, errors = shared_evenly(totals, lengths, given, at_most=None)
    assert values[:, 0].tolist() == [3, 3, 0, 5, 0, 0]
    assert errors[:, 0].tolist() == [1.5, 1.5, 0, 2, 0, 0]
    assert shared_evenly(totals, lengths, given, at_most=1)[0][:, 0].tolist() == [0, 0, 0, 5, 0, 0]


def test_background_rows_are_met_as_they_weigh_where_they_are_all_that_differs() -> None:
    alone = Contexts.draw(0, 1, 0, WEIGHTS, 16, is_needed=True)
    assert alone.present.shape == (16, 0)
    assert np.bincount(alone.background).tolist() == [8, 4, 4]
    other = Contexts.draw(0, 2, 0, WEIGHTS, 16, is_needed=True)
    assert not np.array_equal(alone.background, other.background)
