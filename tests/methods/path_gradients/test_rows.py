"""What is made of attributions by gradients once they are found, without any model."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest

from tfx_explain.config.path_methods import IntegratedGradientsConfig
from tfx_explain.methods.path_gradients.base import PathSide
from tfx_explain.methods.path_gradients.integrals import integrated_rows
from tfx_explain.methods.path_gradients.references import typical_rows
from tfx_explain.methods.path_gradients.rows import AskedSide, PathEstimates
from tfx_explain.models.path_gradients import Points
from tfx_explain.paths import Refined

FLOOR = 1e-6


class Lines:
    """Paths of a linear function of floats of one player each, to ends that are their own points."""

    def __init__(self, slopes: np.ndarray) -> None:
        self.slopes, self.n_players = slopes, len(slopes)

    is_compiled, first_steps = True, 0

    def enter(self, inputs: Points) -> Points:
        return inputs

    def refine(self, starts, ends, segments, outputs, rule):
        begin, moves = starts.moving[segments.start], ends.moving[segments.end] - starts.moving[segments.start]
        width = (segments.high - segments.low)[:, None]
        alphas = segments.low[:, None] + width * rule.edges
        points = begin[:, None] + alphas[:, :, None] * moves[:, None]
        whole = (moves * self.slopes * width)[:, :, None]
        sums = np.repeat(whole[:, None] / rule.n_pieces, rule.n_pieces, axis=1)
        return Refined((points @ self.slopes)[:, :, None], whole, sums, np.zeros_like(sums))


def asked(prediction: np.ndarray, base_value: np.ndarray) -> AskedSide:
    shape = (len(prediction), 1)
    return AskedSide(np.zeros(shape, np.int64), prediction[:, None], base_value[:, None], np.full(shape, FLOOR))


def estimates(values: np.ndarray, std_error: np.ndarray) -> PathEstimates:
    shape = (*values.shape, 1)
    variance = np.square(std_error).reshape(shape)
    return PathEstimates(values.reshape(shape), variance, 0 * variance, np.full(len(values), 9.0), 1.0)


def test_rounding_is_exactly_0_and_gaps_are_of_what_is_left():
    values = np.array([[1.0, 2e-7, -0.5], [1e-7, -2e-7, 3e-7]])
    found = estimates(values, np.zeros((2, 3)))
    side = asked(values.sum(axis=1) + 0.25, np.zeros(2))
    rows = found.rows(side, np.arange(2, dtype=np.uint64), np.ones(2, np.bool_))
    left = rows.attributions[:, :, 0]
    assert left[0, 1] == 0
    assert not left[1].any()
    np.testing.assert_allclose(left[0].sum(), values[0].sum(), rtol=1e-12)
    np.testing.assert_allclose(rows.completeness_gap[:, 0], left.sum(axis=1) - side.prediction[:, 0], rtol=1e-12)
    assert not rows.std_error[left == 0].any()
    # A sum that misses by something is known no better than to the last place.
    np.testing.assert_allclose(rows.design_std_error[0, [0, 2], 0], FLOOR)


def test_what_has_an_error_is_no_rounding():
    found = estimates(np.array([[1.0, 2e-7]]), np.array([[0.0, 1e-3]]))
    rows = found.rows(asked(np.ones(1), np.zeros(1)), np.zeros(1, np.uint64), np.ones(1, np.bool_))
    np.testing.assert_allclose(rows.attributions[0, :, 0], [1.0, 2e-7])
    assert rows.design_std_error[0, 1, 0] == 1e-3


def test_errors_name_rows_that_are_not_finite_or_too_large():
    values = np.array([[1.0, 2.0], [np.nan, 1.0], [1.0, 1e39], [np.inf, 1.0]])
    reasons = estimates(values, np.zeros((4, 2))).errors()
    assert sorted(reasons) == [1, 2, 3]
    assert "NaN or infinite on the way" in reasons[1]
    assert "3.4e38" in reasons[2]


def rows_along_lines(offset: float, weights: np.ndarray):
    slopes, rng = np.array([1.0, -2.0, 0.5]), np.random.default_rng(0)
    starts, ends = rng.normal(size=(len(weights), 3)), rng.normal(size=(5, 3))
    said = asked(ends @ slopes + offset, np.full(5, weights @ (starts @ slopes)))
    # What is asked of rows of examples is asked of points, which are taken by numbers, too.
    points = Points(starts, ()), weights, Points(ends, ())
    rows = pa.RecordBatch.from_arrays([pa.array(np.arange(5))], names=["row"])
    side = PathSide(Lines(slopes), *points, *[np.arange(5, dtype=np.uint64)] * 2, said, rows, 0)
    with ThreadPoolExecutor(2) as threads:
        return integrated_rows(side, IntegratedGradientsConfig(), threads)


def test_rows_that_miss_the_true_difference_are_not_complete():
    assert rows_along_lines(0.0, np.ones(1)).is_complete.all()
    # Whatever the paths themselves add up to.
    assert not rows_along_lines(0.5, np.ones(1)).is_complete.any()


def test_the_spread_of_references_is_their_error_as_a_sample():
    weights = np.array([0.5, 0.25, 0.25])
    found = rows_along_lines(0.0, weights).estimates
    slopes, rng = np.array([1.0, -2.0, 0.5]), np.random.default_rng(0)
    starts, ends = rng.normal(size=(3, 3)), rng.normal(size=(5, 3))
    each = (ends[:, None] - starts) * slopes
    mean = np.einsum("r,nrd->nd", weights, each)
    np.testing.assert_allclose(found.values[:, :, 0], mean, rtol=1e-9, atol=1e-12)
    spread = np.einsum("r,nrd->nd", weights**2, np.square(each - mean[:, None])) * 3 / 2
    np.testing.assert_allclose(found.background_variance[:, :, 0], spread, rtol=1e-6)
    assert found.background_dof == pytest.approx(1 / 0.375 - 1)


def test_typical_rows_have_the_weight_of_what_they_stand_for():
    values = [0.0, 0.1, 0.2, 9.0, 9.1]
    rows = pa.RecordBatch.from_arrays([pa.array([[v] for v in values], pa.large_list(pa.float32()))], names=["u"])
    plan = SimpleNamespace(background=SimpleNamespace(rows=rows, weights=np.array([0.1, 0.1, 0.1, 0.1, 0.6])))
    numbers, weights = typical_rows(plan, 2, ["u"])
    assert len(numbers) == 2
    assert weights.sum() == pytest.approx(1)
    # By rank the middle row is as near to either; the heavy row is on the side of the last.
    assert weights[1] >= 0.7
    every, same = typical_rows(plan, 5, ["u"])
    np.testing.assert_array_equal(every, np.arange(5))
    np.testing.assert_array_equal(same, plan.background.weights)
