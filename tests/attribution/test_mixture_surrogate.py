"""The surrogate of mixtures: what it can learn, and what it says along permutations."""

import itertools

import numpy as np
import pytest

from tfx_explain.attribution.mixture_surrogate import MixtureSurrogate, fit_mixtures

D = 6
OWNERS = np.array([0, 1, 1, 2, 3, 5])
"""Player 1 has two codes, player 4 none."""


def scores(codes: np.ndarray) -> np.ndarray:
    """Two outputs of hinges and of products of codes of different players; player 3 has no effect."""
    c = codes.T
    return np.stack([c[0] + np.maximum(c[1], 0) + c[0] * c[3] - 0.5 * c[2] * c[5], c[5] - 0.3 * c[1]], axis=1)


def chances(codes: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-scores(codes)))


def draw(n: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, len(OWNERS)))


@pytest.fixture(scope="module", params=[False, True], ids=["raw", "probability"])
def fitted(request: pytest.FixtureRequest) -> MixtureSurrogate:
    codes = draw(8_000, 0)
    outputs = (chances if request.param else scores)(codes)
    return fit_mixtures(codes, OWNERS, D, outputs, is_probability=request.param)


ORDERS = np.array(list(itertools.permutations(range(D))))[::37]
ROWS, BACKGROUND = draw(len(ORDERS), 1), draw(4, 2)
WEIGHTS = np.array([0.4, 0.3, 0.2, 0.1])


def mixed(step: int) -> np.ndarray:
    """(n, 4, q) codes of each row, where its first players are present, mixed with each background row."""
    present = np.argsort(ORDERS, axis=1)[:, OWNERS] < step
    return np.where(present[:, None], ROWS[:, None], BACKGROUND)


def test_hinges_and_products_are_learnt(fitted: MixtureSurrogate) -> None:
    path = fitted.path(ORDERS, fitted.parts(ROWS), fitted.parts(BACKGROUND), WEIGHTS)
    assert path.shape == (len(ORDERS), D + 1, 2)
    model = chances if fitted.is_probability else scores
    truth = np.stack([np.einsum("nbk,b->nk", _of(model, mixed(step)), WEIGHTS) for step in range(D + 1)], axis=1)
    missed = np.square(path - truth).mean(axis=(0, 1)) / truth.var(axis=(0, 1))
    # Without directions it is above 0.1 for the first output.
    assert (missed < 0.02).all(), missed


def _of(model, codes: np.ndarray) -> np.ndarray:
    return model(codes.reshape(-1, codes.shape[-1])).reshape(*codes.shape[:-1], -1)


def test_a_path_is_the_mean_over_mixtures(fitted: MixtureSurrogate) -> None:
    """What is said of all steps at once is what is said of each mixture by itself, as of a row that meets itself."""
    path = fitted.path(ORDERS, fitted.parts(ROWS), fitted.parts(BACKGROUND), WEIGHTS)
    for step in (0, 1, 3, D):
        each = mixed(step).reshape(-1, len(OWNERS))
        parts = fitted.parts(each)
        alone = [fitted.path(ORDERS[:1], parts[:, [i]], parts[:, [i]], np.ones(1))[0, 0] for i in range(len(each))]
        expected = np.einsum("nbk,b->nk", np.reshape(alone, (len(ROWS), 4, 2)), WEIGHTS)
        np.testing.assert_allclose(path[:, step], expected, rtol=1e-10, atol=1e-12)


def test_a_row_is_the_same_whatever_rows_are_beside_it(fitted: MixtureSurrogate) -> None:
    parts, others = fitted.parts(ROWS), fitted.parts(BACKGROUND)
    together = fitted.path(ORDERS, parts, others, WEIGHTS)
    for i in range(len(ROWS)):
        alone = fitted.path(ORDERS[i : i + 1], fitted.parts(ROWS[i : i + 1]), others, WEIGHTS)
        np.testing.assert_array_equal(alone[0], together[i])


def test_a_player_without_codes_changes_nothing(fitted: MixtureSurrogate) -> None:
    path = fitted.path(ORDERS, fitted.parts(ROWS), fitted.parts(BACKGROUND), WEIGHTS)
    step = np.argsort(ORDERS, axis=1)[:, 4]
    moved = np.diff(path, axis=1)[np.arange(len(ORDERS)), step]
    np.testing.assert_allclose(moved, 0, atol=1e-14)
