"""Means by place, against sums over all rows at once, and what bounded memory costs."""

import copy

import numpy as np
import numpy.typing as npt
import pytest

from tfx_explain.summary import places
from tfx_explain.summary.places import PlaceMeans, PlaceMoments, RowPlaces

Array = npt.NDArray[np.float64]
NAMES = ("a", "b", "c", "rare")


def rows_of(n: int, seed: int) -> tuple[RowPlaces, Array]:
    """n rows with some of the places, two figures each, and weights of 0 to 2."""
    rng = np.random.default_rng(seed)
    rows = np.sort(rng.integers(0, n, 4 * n))
    codes = rng.choice(4, 4 * n, p=[0.4, 0.3, 0.295, 0.005])
    values = (codes == 0) + rng.normal(size=n)[rows] + 0.1 * rng.normal(size=4 * n)
    return RowPlaces(NAMES, codes, rows, np.stack([values, 3 - values], axis=1)), rng.integers(0, 3, n).astype(float)


def some(found: RowPlaces, first: int, last: int) -> RowPlaces:
    inside = (found.rows >= first) & (found.rows < last)
    return RowPlaces(found.names, found.codes[inside], found.rows[inside] - first, found.values[inside])


def means_of(found: RowPlaces, weights: Array, least: int = 10) -> PlaceMeans:
    sums = PlaceMoments(found.values.shape[1])
    sums.add(found, weights)
    return sums.result(least, 100)


def assert_same(found: PlaceMeans, expected: PlaceMeans) -> None:
    assert found.names == expected.names
    assert found.num_examples.tolist() == expected.num_examples.tolist()
    np.testing.assert_allclose(found.means, expected.means, rtol=1e-10)
    np.testing.assert_allclose(found.std_errors, expected.std_errors, rtol=1e-9)


def test_means_are_a_ratio_of_sums_over_rows() -> None:
    places_of, weights = rows_of(300, 0)
    found = means_of(places_of, weights)
    assert set(found.names) == {"a", "b", "c"}
    assert (np.diff(found.num_examples) <= 0).all()
    for name, n, means, errors in zip(found.names, found.num_examples, found.means, found.std_errors, strict=True):
        is_it = places_of.codes == NAMES.index(name)
        for column, (mean, error) in enumerate(zip(means, errors, strict=True)):
            by = (np.ones(len(is_it)), places_of.values[:, column])
            number, total = (np.bincount(places_of.rows, is_it * one, minlength=300) * weights for one in by)
            there = number > 0
            assert n == there.sum()
            np.testing.assert_allclose(mean, total.sum() / number.sum(), rtol=1e-10)
            left = (total - mean * number)[there]
            np.testing.assert_allclose(error, np.sqrt((left**2).sum() * n / (n - 1)) / number.sum(), rtol=1e-9)


def test_batches_and_their_order_change_nothing() -> None:
    places_of, weights = rows_of(300, 0)
    expected = means_of(places_of, weights)
    one, other = PlaceMoments(2), PlaceMoments(2)
    one.add(some(places_of, 200, 300), weights[200:])
    other.add(some(places_of, 100, 200), weights[100:200])
    other.add(some(places_of, 0, 100), weights[:100])
    before = copy.deepcopy(other)
    one.merge(other)
    assert_same(one.result(10, 100), expected)
    assert_same(other.result(1, 100), before.result(1, 100))


def test_a_place_that_is_the_same_everywhere_has_no_error() -> None:
    weights = np.full(1_000, 0.1)
    found = means_of(RowPlaces(("x",), np.zeros(1_000, np.int64), np.arange(1_000), np.full((1_000, 1), 1e6)), weights)
    assert found.means[0, 0] == pytest.approx(1e6, rel=1e-12)
    assert found.std_errors[0, 0] <= 1e-9 * 1e6


def test_errors_are_those_of_repeated_draws() -> None:
    means, errors = [], []
    for seed in range(300):
        found = means_of(rows_of(200, seed)[0], np.ones(200))
        place = found.names.index("b")
        means.append(found.means[place, 0])
        errors.append(found.std_errors[place, 0])
    # The spread of 300 draws is known to about 4 %.
    assert abs(np.std(means) / np.sqrt(np.mean(np.square(errors))) - 1) < 0.16


def test_nothing_and_single_rows() -> None:
    sums = PlaceMoments(1)
    assert sums.result(1, 5).means.shape == (0, 1)
    sums.add(RowPlaces(("one",), np.array([0]), np.array([0]), np.array([[2.0]])), np.ones(1))
    sums.add(RowPlaces((), np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros((0, 1))), np.zeros(0))
    sums.add(RowPlaces(("two",), np.array([0]), np.array([0]), np.array([[2.0]])), np.zeros(1))
    found = sums.result(1, 5)
    assert (found.names, found.means.tolist()) == (("one",), [[2.0]])
    assert np.isnan(found.std_errors).all()


def test_those_of_the_most_rows_are_listed_and_of_equal_ones_the_first_by_name() -> None:
    names, sums = ("d", "b", "c", "a"), PlaceMoments(1)
    rows = np.array([0, 1, 0, 0, 0])
    sums.add(RowPlaces(names, np.array([0, 0, 1, 2, 3]), rows, np.ones((5, 1))), np.ones(2))
    assert sums.result(1, 3).names == ("d", "a", "b")
    assert sums.result(2, 3).names == ("d",)


def vocabulary(n: int, seed: int) -> tuple[RowPlaces, Array]:
    """Rows of 50 words by Zipf's law, of far more than are kept."""
    rng = np.random.default_rng(seed)
    chance = 1 / np.arange(1, 5_001)
    codes = rng.choice(5_000, 50 * n, p=chance / chance.sum())
    names = [f"word {place}" for place in range(5_000)]
    return RowPlaces(names, codes, np.repeat(np.arange(n), 50), rng.normal(size=(50 * n, 1))), np.ones(n)


def test_what_is_kept_of_too_many_is_whole_and_what_is_not_is_counted() -> None:
    words, weights = vocabulary(1_000, 1)
    exact = PlaceMoments(1)
    exact.add(words, weights)
    expected = exact.result(1, 10_000)
    figures = zip(expected.num_examples, expected.means[:, 0], strict=True)
    whole = dict(zip(expected.names, figures, strict=True))
    for order in (1, -1):
        parts = []
        for first in range(0, 1_000, 50):
            parts.append(PlaceMoments(1, most=500))
            for start in (first, first + 25):
                parts[-1].add(some(words, start, start + 25), np.ones(25))
        bounded, *others = parts[::order]
        for other in others:
            bounded.merge(other)
        found = bounded.result(1, 10_000)
        assert 80 <= len(found.names) <= 500
        for name, n, mean in zip(found.names, found.num_examples, found.means[:, 0], strict=True):
            assert n == whole[name][0], name
            assert mean == pytest.approx(whole[name][1], rel=1e-9, abs=1e-12)
        # Those that every part of the rows has are never given up.
        assert found.names[:30] == expected.names[:30]
        # Counted by how full the filter is: chance of some places alone.
        assert bounded.n_places == pytest.approx(len(expected.names), rel=0.01)


def test_what_was_given_up_stays_so_whatever_comes_later() -> None:
    early, late = PlaceMoments(1, most=2), PlaceMoments(1, most=2)
    row = np.zeros(1, np.int64)
    for name in ("x", "x", "rare", "y", "y"):
        early.add(RowPlaces((name,), row, row, np.ones((1, 1))), np.ones(1))
    assert set(early.result(1, 9).names) <= {"x", "y"}
    for _ in range(3):
        late.add(RowPlaces(("rare",), row, row, np.ones((1, 1))), np.ones(1))
    late.merge(early)
    early.add(RowPlaces(("rare",), row, row, np.ones((1, 1))), np.ones(1))
    for sums in (early, late):
        assert "rare" not in sums.result(1, 9).names


def test_memory_is_bounded_by_figures_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "_MOST_FIGURES", 400)
    sums, names = PlaceMoments(4), [f"{place}" for place in range(300)]
    sums.add(RowPlaces(names, np.arange(300), np.arange(300), np.ones((300, 4))), np.ones(300))
    assert len(sums.result(1, 1_000).names) == 50
    assert sums.n_places == pytest.approx(300, abs=2)
