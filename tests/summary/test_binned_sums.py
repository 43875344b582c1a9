"""Sums whose bits do not depend on how their terms come, against Python's exact ones."""

import copy
import math
import pickle
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfx_explain.summary.binned_products import BinnedProducts
from tfx_explain.summary.binned_sums import BinnedSums, unit, whole_units
from tfx_explain.summary.double_double import DoubleDouble, two_product

SCALES = (1.0, 1e-320, 1e-100, 1e300)


def state(sums):
    """Everything that a sum holds."""
    return {name: value for name, value in vars(sums).items() if value is not None}


def assert_same_state(ours, theirs):
    assert state(ours).keys() == state(theirs).keys()
    for name, value in state(ours).items():
        np.testing.assert_array_equal(value, state(theirs)[name], err_msg=name)


def tree(parts, order):
    """One sum of all, in a tree of any form."""
    parts = [pickle.loads(pickle.dumps(part)) for part in parts]
    while len(parts) > 1:
        first = parts.pop(order.randrange(len(parts)))
        second = parts[order.randrange(len(parts))]
        kept = copy.deepcopy(first)
        second.merge(first)
        assert_same_state(first, kept)
    return parts[0]


def sums_of_pairs(products):
    """Both columns -> the sum of their products as two numbers."""
    return {
        (i, j): (high, low)
        for first, second, sums in products.sums()
        for i, j, high, low in zip(*(part.tolist() for part in (first, second, sums.high, sums.low)), strict=True)
    }


def numbers(rng, n, n_columns, scale=1.0):
    """Of sizes 2^40 apart, some of them 0."""
    values = rng.normal(size=(n, n_columns)) * 2.0 ** rng.integers(-20, 20, (n, n_columns)) * scale
    return np.where(rng.random((n, n_columns)) < 0.1, 0.0, values)


any_way = settings(max_examples=40, deadline=None)


@any_way
@given(
    seed=st.integers(0, 10_000),
    cuts=st.lists(st.integers(0, 80), max_size=6),
    order=st.randoms(use_true_random=False),
    scale=st.sampled_from(SCALES),
    strange=st.booleans(),
)
def test_any_batches_order_and_tree_leave_the_same_state(seed, cuts, order, scale, strange):
    rng = np.random.default_rng(seed)
    values, groups = numbers(rng, 80, 3, scale), rng.integers(0, 4, 80)
    if strange:
        values[::17, 1], values[3::29, 2] = np.inf, np.nan
    low = values * 2.0**-53 * rng.uniform(-1, 1, (80, 3))
    low[~np.isfinite(low)] = 0.0
    whole, parts = BinnedSums(4, 3), [BinnedSums(4, 3)]
    whole.add(values, groups, low)
    for rows in np.split(order.sample(range(80), 80), sorted(cuts)):
        parts.append(BinnedSums(4, 3))
        parts[-1].add(values[rows], groups[rows], low[rows])
    assert_same_state(tree(parts, order), whole)
    single = BinnedSums(1, 3)
    single.add(values[groups == 2], None, low[groups == 2])
    if not strange:
        assert_same_state(whole.take(np.array([2])), single)


@any_way
@given(seed=st.integers(0, 10_000), scale=st.sampled_from(SCALES))
def test_sums_are_those_of_exact_arithmetic(seed, scale):
    values = numbers(np.random.default_rng(seed), 60, 2, scale)
    sums = BinnedSums(1, 2)
    sums.add(values)
    for column in range(2):
        exact = math.fsum(values[:, column])
        # What is dropped is half a unit of the last bin at most: 2^-96 of the largest number, for each row.
        error = 60 * 2.0**-96 * np.abs(values[:, column]).max()
        assert abs(sums.total()[0, column] - exact) <= error + np.spacing(abs(exact))
        assert abs(sums.exact().high[0, column] - exact) <= error + np.spacing(abs(exact)) / 2


def test_what_cancels_leaves_its_digits():
    sums = BinnedSums(1, 1)
    sums.add(np.array([[1e20], [1.0], [-1e20], [2.0**-30]]))
    assert sums.total().tolist() == [[1.0 + 2.0**-30]]
    assert BinnedSums(1, 2).total().tolist() == [[0.0, 0.0]]


def test_numbers_that_are_not_finite_stay_so_in_any_order():
    for terms, expected in (([np.inf, 1.0], np.inf), ([np.inf, -np.inf], np.nan), ([np.nan, -np.inf], np.nan)):
        for order in (1, -1):
            sums = BinnedSums(1, 1)
            for term in terms[::order]:
                sums.add(np.array([[term]]))
            np.testing.assert_array_equal(sums.total(), [[expected]])


@pytest.mark.parametrize("power", range(-40, 41))
def test_powers_of_two_at_the_ends_of_bins_are_counted_once(power):
    for factor in (1.0, -1.0, 1.5, 1 - 2.0**-20):
        sums = BinnedSums(1, 1)
        sums.add(np.array([[factor * 2.0**power], [factor * 2.0**-power]]))
        found = sums.exact()
        exact = Fraction(factor) * (Fraction(2) ** power + Fraction(2) ** -power)
        assert Fraction(float(found.high[0, 0])) + Fraction(float(found.low[0, 0])) == exact


def test_a_rest_is_the_whole_less_its_part():
    values = numbers(np.random.default_rng(0), 50, 3)
    values[0] = 2.0**30
    whole, part, rest = BinnedSums(1, 3), BinnedSums(1, 3), BinnedSums(1, 3)
    whole.add(values)
    part.add(values[20:])
    rest.add(values[:20])
    assert_same_state(whole.without(part), rest)
    assert not whole.without(whole).total().any()


@any_way
@given(seed=st.integers(0, 10_000))
def test_whole_units_add_up_to_the_values(seed):
    values = np.abs(numbers(np.random.default_rng(seed), 30, 1)[:, 0])
    parts = dict(whole_units(values))
    for row, value in enumerate(values):
        assert math.fsum(units[row] * unit(number) for number, units in parts.items()) == value
    for number, units in parts.items():
        np.testing.assert_array_equal(units, np.rint(units), err_msg=str(number))


@any_way
@given(
    seed=st.integers(0, 10_000),
    cuts=st.lists(st.integers(0, 60), max_size=5),
    order=st.randoms(use_true_random=False),
    offset=st.sampled_from([0.0, 1e6]),
)
def test_products_have_the_same_state_in_any_order_and_their_digits(seed, cuts, order, offset):
    values = numbers(np.random.default_rng(seed), 60, 3) + offset
    whole, parts = BinnedProducts(3), [BinnedProducts(3)]
    whole.add(values)
    for rows in np.split(order.sample(range(60), 60), sorted(cuts)):
        parts.append(BinnedProducts(3))
        parts[-1].add(values[rows])
    found, same = sums_of_pairs(whole), sums_of_pairs(tree(parts, order))
    assert list(found) == [(i, j) for i in range(3) for j in range(i, 3)]
    assert same == found
    for (i, j), (high, _) in found.items():
        exact = math.fsum(np.concatenate(two_product(values[:, i], values[:, j])))
        most = np.abs(values[:, i]).max() * np.abs(values[:, j]).max()
        assert abs(high - exact) <= 60 * 2.0**-75 * most + np.spacing(abs(exact))


@pytest.mark.parametrize(("n", "waits"), [(14, True), (15, False)])
def test_products_of_few_rows_take_the_memory_of_these(n, waits):
    """Seven sums of each of 6 pairs of 3 columns take as much as 14 rows."""
    products = BinnedProducts(3)
    for row in np.ones((n, 1, 3)):
        products.add(row)
    assert (len(products._waiting), products._levels is None) == (n * waits, waits)
    assert set(sums_of_pairs(products).values()) == {(float(n), 0.0)}


def test_products_of_what_is_not_finite_are_unknown_and_a_rest_is_exact():
    values = numbers(np.random.default_rng(1), 20, 3)
    whole, part, rest = (BinnedProducts(3) for _ in range(3))
    whole.add(values)
    part.add(values[:5])
    rest.add(values[5:])
    assert sums_of_pairs(whole.without(part)) == sums_of_pairs(rest)
    values[3, 1] = np.nan
    whole.add(values)
    assert [pair for pair, (high, _) in sums_of_pairs(whole).items() if np.isnan(high)] == [(0, 1), (1, 1), (1, 2)]


def test_double_doubles_have_twice_the_digits():
    rng = np.random.default_rng(2)
    a, b, c = rng.normal(size=(3, 100))
    # (a b) c - c (a b) is nothing, and a b less its rounded value is what rounding took off.
    product = DoubleDouble(*two_product(a, b))
    rest = product.plus(DoubleDouble(-a * b, np.zeros(100)))
    np.testing.assert_array_equal(rest.high, product.low)
    twice = product.times(c).plus(product.times(-c))
    np.testing.assert_array_equal(twice.high, 0.0)
    for i in range(100):
        exact = Fraction(a[i]) * Fraction(b[i]) * Fraction(c[i])
        found = product[i].times(c[i])
        assert abs(Fraction(float(found.high)) + Fraction(float(found.low)) - exact) <= abs(exact) * Fraction(2) ** -103
