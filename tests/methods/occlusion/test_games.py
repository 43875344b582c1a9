"""What is asked of a model about one row, and what its answers say."""

import numpy as np
import numpy.typing as npt
import pytest

from tfx_explain.methods.occlusion.games import EachPart, OcclusionGame
from tfx_explain.methods.shapley.parts.contexts import Contexts
from tfx_explain.methods.shapley.parts.texts import TextValues
from tfx_explain.regions.patches import Patches
from tfx_explain.regions.spans import Splitter
from tfx_explain.regions.texts import SpanTexts

TEXT = b"a b c d e f "
K = 6
EFFECTS = np.arange(1.0, K + 1)
FLOOR = np.array([1e-9])


def game(windows: object, n_contexts: int, *, evaluates_whole: bool) -> OcclusionGame:
    values = TextValues(SpanTexts.of(TEXT, Splitter("word").split(TEXT), b""))
    contexts = Contexts(np.ones((n_contexts, 0), bool), np.arange(n_contexts))
    return OcclusionGame(0, values, contexts, windows, evaluates_whole)


def answers(of: OcclusionGame) -> npt.NDArray[np.float64]:
    """A sum of the parts, less what stands in for those that are absent, which grows with the context."""
    context = of.context_of_block[np.arange(of.n_model_rows) // of.n_per_context]
    present = of.coalitions(0, of.n_model_rows)
    return (present @ EFFECTS + (~present).sum(axis=1) * 0.1 * context)[:, None]


@pytest.mark.parametrize("evaluates_whole", [False, True])
def test_each_part_is_absent_alone_and_then_all(evaluates_whole: bool) -> None:
    of = game(EachPart(K, K), 3, evaluates_whole=evaluates_whole)
    per_context = of.coalitions(0, of.n_per_context)
    np.testing.assert_array_equal(per_context[:K], ~np.eye(K, dtype=bool))
    assert not per_context[K].any()
    assert per_context[K + 1 :].all()
    assert len(per_context) == K + 1 + evaluates_whole
    # Calls take them in stretches.
    stretches = [of.coalitions(start, min(start + 5, of.n_model_rows)) for start in range(0, of.n_model_rows, 5)]
    np.testing.assert_array_equal(np.concatenate(stretches), np.tile(per_context, (3, 1)))

    # What is said of the row elsewhere does not count where it is asked about here.
    prediction = np.array([np.nan if evaluates_whole else EFFECTS.sum()])
    parts, whole = of.effects(answers(of), prediction, FLOOR)
    instead = 0.1 * np.arange(3)[:, None]
    np.testing.assert_allclose(parts[..., 0], EFFECTS - instead, rtol=1e-12)
    np.testing.assert_allclose(whole, EFFECTS.sum() - K * instead, rtol=1e-12)


def test_squares_that_overlap_share_what_they_cover() -> None:
    grid = Patches(2, 1).grid(2, 3)
    of = game(grid, 1, evaluates_whole=False)
    parts, whole = of.effects(answers(of), EFFECTS[None].sum(axis=1), FLOOR)
    # Cells 1 2 3 / 4 5 6 under two squares of four, 1 2 4 5 and 2 3 5 6.
    left, right = 12 / 4, 16 / 4
    np.testing.assert_allclose(parts[0, :, 0], [left, (left + right) / 2, right] * 2, rtol=1e-12)
    assert whole.ravel().tolist() == [EFFECTS.sum()]


def test_changes_that_are_rounding_are_none() -> None:
    of = game(EachPart(K, K), 1, evaluates_whole=False)
    found = np.full((K + 1, 1), 2.0)
    found[0], found[1], found[K] = 2.0 - 3e-6, 2.0 - 5e-6, 2.0 + 3e-6
    parts, whole = of.effects(found, np.array([2.0]), np.array([1e-6]))
    assert parts[0, [0, 2], 0].tolist() == [0.0, 0.0]
    assert parts[0, 1, 0] == pytest.approx(5e-6)
    assert whole.tolist() == [[0.0]]
