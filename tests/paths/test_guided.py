"""Where guided paths go."""

from __future__ import annotations

import numpy as np
import pytest

from tfx_explain.paths import guided_points

RNG = np.random.default_rng(0)
P, WIDTH, STEPS = 6, 40, 25
STARTS, STOPS = RNG.normal(size=(P, WIDTH)), RNG.normal(size=(P, WIDTH))
STOPS[:, 3] = STARTS[:, 3]


def by_columns(
    start: np.ndarray,
    stop: np.ndarray,
    gradient: np.ndarray,
    point: np.ndarray,
    share: float,
    fraction: float,
    far: float,
) -> np.ndarray:
    """The paper's step of one path, pixel by pixel: the oracle."""
    made, move = point.copy(), stop - start
    last, first = start + max(share - far, 0.0) * move, start + min(share + far, 1.0) * move
    for i in range(len(made)):
        if move[i] and (made[i] - start[i]) / move[i] < max(share - far, 0.0):
            made[i] = last[i]
    wanted = np.abs(move).sum() * (1 - share)
    free = {i for i in range(len(made)) if move[i] and made[i] != first[i]}
    while free and (over := np.abs(stop - made).sum() - wanted) > 1e-9 * np.abs(move).sum():
        sizes = sorted([abs(gradient[i]) for i in free] + [np.inf] * (len(made) - len(free)))
        threshold = sizes[int(fraction * (len(made) - 1))]
        chosen = [i for i in free if abs(gradient[i]) <= threshold]
        room = sum(abs(first[i] - made[i]) for i in chosen)
        part = min(over / room, 1.0)
        for i in chosen:
            made[i] += part * (first[i] - made[i])
        free -= set(chosen)
    return made


@pytest.mark.parametrize(("fraction", "far"), [(0.25, 0.02), (0.25, 0.3), (0.05, 1.0), (1.0, 0.1), (0.25, 0.0)])
def test_paths_go_as_the_paper_says(fraction: float, far: float) -> None:
    points = expected = STARTS
    for step in range(STEPS):
        share = (step + 1) / STEPS
        # Ties, among them gradients of 0, as behind a ReLU.
        gradients = np.maximum(np.round(RNG.normal(size=points.shape), 1), 0.0)
        points = guided_points(points, (STARTS, STOPS), gradients, share, fraction, far)
        if share < 1:
            each = zip(STARTS, STOPS, gradients, expected, strict=True)
            expected = np.stack([by_columns(*one, share, fraction, far) for one in each])
            np.testing.assert_allclose(points, expected, rtol=0, atol=1e-9)
    assert np.array_equal(points, STOPS)


def test_each_step_comes_nearer_by_as_much_as_a_straight_one_and_stays_near_it() -> None:
    points, far, moves = STARTS, 0.1, STOPS - STARTS
    total = np.abs(moves).sum(axis=1)
    for step in range(STEPS - 1):
        share = (step + 1) / STEPS
        points = guided_points(points, (STARTS, STOPS), RNG.normal(size=points.shape), share, 0.25, far)
        np.testing.assert_allclose(np.abs(STOPS - points).sum(axis=1), (1 - share) * total, rtol=1e-7)
        alphas = np.divide(points - STARTS, moves, out=np.full_like(points, share), where=moves != 0)
        assert (np.abs(alphas - share) <= far + 1e-9).all()


def test_columns_of_small_gradients_go_first() -> None:
    gradients = np.where(np.arange(WIDTH) < WIDTH // 2, 0.0, 1.0)[None]
    start, stop = np.zeros((1, WIDTH)), np.ones((1, WIDTH))
    points = guided_points(start, (start, stop), gradients, 0.5, 0.25, 1.0)
    assert np.array_equal(points, 1.0 - gradients)


def test_where_gradients_are_no_numbers_columns_only_catch_up() -> None:
    made = guided_points(STARTS, (STARTS, STOPS), np.full((P, WIDTH), np.nan), 0.5, 0.25, 0.1)
    np.testing.assert_allclose(made, STARTS + 0.4 * (STOPS - STARTS), rtol=1e-12)
