"""Friedman's H on functions whose interactions are known."""

import dataclasses

import numpy as np
import pytest

from tfx_explain.errors import InputError
from tfx_explain.summary.friedman import friedman_h


def _strength(function, rows, points, *, weights=(None, None), pair=(0, 1), output_variance=None):
    """H of two columns of a function of (n, d) arrays."""

    def varied(columns):
        mixed = np.repeat(rows[:, None], len(points), axis=1)
        for column in columns:
            mixed[:, :, column] = points[:, column]
        return function(mixed)

    joint, first, second = varied(pair), varied(pair[:1]), varied(pair[1:])
    variance = float(np.var(function(rows))) if output_variance is None else output_variance
    return friedman_h(joint, first, second, output_variance=variance, row_weights=weights[0], point_weights=weights[1])


def _product(x):
    return x[..., 0] * x[..., 1] + 3 * x[..., 2]


def test_an_additive_function_has_none() -> None:
    x = np.random.default_rng(0).normal(size=(80, 3))
    strength = _strength(lambda x: np.exp(x[..., 0]) - 2 * x[..., 1] + x[..., 2] ** 2, x[:40], x[40:])
    assert strength.value == pytest.approx(0, abs=1e-7)
    assert strength.h == pytest.approx(0, abs=1e-7)
    assert strength.n_examples == 80


def test_estimates_are_the_sums_of_their_definition() -> None:
    """Over all pairs of different rows and of different points, as loops; with weights as repetitions of rows."""
    rng = np.random.default_rng(1)
    rows, points = rng.normal(size=(5, 3)), rng.normal(size=(4, 3))

    def f(x):
        return x[..., 0] * x[..., 1] * (1 + x[..., 2]) + x[..., 0]

    def part(b, z, columns):
        x = rows[b].copy()
        x[list(columns)] = points[z][list(columns)]
        return float(f(x))

    def product(d, b, c, z, y):
        return (d(b, z) - d(b, y)) * (d(c, z) - d(c, y)) / 2

    def mean(d):
        return np.mean(
            [
                product(d, b, c, z, y)
                for b in range(5)
                for c in range(5)
                for z in range(4)
                for y in range(4)
                if b != c and z != y
            ]
        )

    interaction = mean(lambda b, z: part(b, z, (0, 1)) - part(b, z, (0,)) - part(b, z, (1,)))
    together = mean(lambda b, z: part(b, z, (0, 1)))
    found = _strength(f, rows, points, output_variance=0.0)
    assert found.value == pytest.approx(np.sqrt(max(interaction, 0)))
    assert np.isnan(found.h) or found.h == pytest.approx(np.sqrt(max(interaction, 0) / together))
    # Errors: leaving out each row, then each point, by doing so.
    without = [_strength(f, np.delete(rows, b, 0), points).value ** 2 for b in range(5)]
    others = [_strength(f, rows, np.delete(points, z, 0)).value ** 2 for z in range(4)]
    variance = sum((len(part) - 1) * np.var(part) for part in (without, others))
    if min(without + others) > 0:
        half = 3.1824463052837 * np.sqrt(variance)  # Student's t, 3 degrees of freedom
        upper = half + half**2 / (2 * max(found.value**2, np.sqrt(variance)))
        assert found.ci_high == pytest.approx(np.sqrt(found.value**2 + upper))
        assert found.ci_low == pytest.approx(np.sqrt(max(found.value**2 - half, 0)))


@pytest.mark.parametrize("means", [(0.0, 0.0), (2.0, -1.0)])
def test_a_product_has_the_product_of_the_spreads(means) -> None:
    """Independent x1, x2: PD12 - PD1 - PD2 = (x1 - m1)(x2 - m2), so its standard deviation is s1 s2."""
    rng, spreads = np.random.default_rng(2), (1.5, 0.5)
    scale = np.array([*spreads, 1.0])
    shift = np.array([*means, 0.0])
    x = rng.normal(size=(1_200, 3)) * scale + shift
    found = _strength(_product, x[:600], x[600:])
    truth = spreads[0] * spreads[1]
    assert found.ci_low < truth < found.ci_high
    assert found.value == pytest.approx(truth, rel=0.15)
    variance = truth**2 + means[0] ** 2 * spreads[1] ** 2 + means[1] ** 2 * spreads[0] ** 2
    assert found.h_ci_low <= truth / np.sqrt(variance) <= found.h_ci_high + 1e-9
    # The third feature only adds.
    none = _strength(_product, x[:200], x[200:400], pair=(0, 2))
    assert none.value == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("coefficient", [0.0, 1.5])
def test_variances_are_unbiased_and_intervals_hold_the_truth(coefficient) -> None:
    """c x1 x2 + x1 x2 x3 with x3 of mean 0: the partial dependence knows only c; the naive estimate sees both."""
    rng, found, naive = np.random.default_rng(3), [], []
    for _ in range(400):
        x = rng.uniform(-np.sqrt(3), np.sqrt(3), size=(80, 3))
        found.append(_strength(lambda x: x[..., 0] * x[..., 1] * (coefficient + x[..., 2]), x[:40], x[40:]))
        naive.append(coefficient + x[:40, 2].mean())
    assert np.mean([s.ci_low <= coefficient <= s.ci_high for s in found]) >= 0.93
    squares = np.array([s.value**2 for s in found])
    if coefficient:
        assert np.mean([s.ci_low > 0 for s in found]) > 0.9
        assert squares.mean() == pytest.approx(coefficient**2, abs=4 * squares.std() / 20)
    else:
        # Half of the estimates are clipped at 0; squaring the mean would give 1 / 40 on average.
        assert (squares == 0).mean() > 0.4
        assert np.median(squares) < 0.5 * np.mean(np.square(naive))


def test_weights_are_repetitions_of_what_is_seen() -> None:
    """A row of weight k counts as k, but not as k independent ones: pairs of it with itself stay out."""
    rng = np.random.default_rng(4)
    x = rng.normal(size=(60, 3))
    ones = _strength(_product, x[:30], x[30:], weights=(np.ones(30), np.ones(30)))
    assert ones == _strength(_product, x[:30], x[30:])
    scaled = _strength(_product, x[:30], x[30:], weights=(np.full(30, 7.0), np.full(30, 0.5)))
    assert scaled.value == pytest.approx(ones.value)
    assert scaled.ci_high == pytest.approx(ones.ci_high)
    doubled = np.concatenate([np.full(15, 1e-9), np.ones(15)])
    almost = _strength(_product, x[:30], x[30:], weights=(doubled, None))
    assert almost.value == pytest.approx(_strength(_product, x[15:30], x[30:]).value, rel=1e-6)


def test_a_pair_that_moves_nothing_has_no_ratio() -> None:
    rng = np.random.default_rng(5)
    x = rng.normal(size=(80, 3))
    tiny = _strength(lambda x: 1e-6 * x[..., 0] * x[..., 1] + x[..., 2], x[:40], x[40:])
    assert tiny.value == pytest.approx(1e-6, rel=0.5)
    assert np.isnan([tiny.h, tiny.h_ci_low, tiny.h_ci_high]).all()
    constant = _strength(lambda x: 0 * x[..., 0] + 5, x[:40], x[40:])
    assert constant.value == 0
    assert np.isnan(constant.h)


def test_rows_that_have_no_output_are_left_out_and_too_few_give_nothing() -> None:
    rng = np.random.default_rng(6)
    joint, first, second = rng.normal(size=(3, 6, 5))
    first[2, 3] = np.nan
    kept = [0, 1, 3, 4, 5]
    found = friedman_h(joint, first, second, output_variance=1.0)
    without = friedman_h(joint[kept], first[kept], second[kept], output_variance=1.0)
    np.testing.assert_array_equal(dataclasses.astuple(found), dataclasses.astuple(without))
    assert found.n_examples == 10
    nothing = friedman_h(joint[:2], joint[:2], joint[:2], output_variance=1.0)
    assert np.isnan([nothing.value, nothing.std_error, nothing.ci_high, nothing.h]).all()
    with pytest.raises(InputError, match=r"one shape \(n_rows, n_points\), got \(6, 5\), \(5, 5\), \(6, 5\)"):
        friedman_h(joint, first[1:], second, output_variance=1.0)
