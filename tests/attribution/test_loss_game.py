"""The game of SAGE: permutations and enumeration against each other, and against the closed form."""

import itertools
import math

import numpy as np

from tfx_explain.attribution import make_design
from tfx_explain.attribution.loss_game import (
    attribute_losses,
    draw_orders,
    merge_blocks,
    order_coalitions,
    solve_orders,
)

D = 4


def game(seed: int, n: int = 3) -> np.ndarray:
    """(n, 2^d) losses of all coalitions of n examples; bit p is player p."""
    return np.random.default_rng(seed).normal(size=(n, 2**D))


def at(table: np.ndarray, coalitions: np.ndarray) -> np.ndarray:
    """The losses of coalitions (n or 1, m, d), (n, m)."""
    index = np.broadcast_to(coalitions @ (1 << np.arange(D)), (len(table), coalitions.shape[1]))
    return np.take_along_axis(table, index, axis=1)


def shapley(table: np.ndarray) -> np.ndarray:
    """Shapley values of -loss by their definition, one player and coalition after the other."""
    values = np.zeros((len(table), D))
    for player in range(D):
        others = [p for p in range(D) if p != player]
        for size in range(D):
            weight = math.factorial(size) * math.factorial(D - size - 1) / math.factorial(D)
            for members in itertools.combinations(others, size):
                without = sum(1 << p for p in members)
                values[:, player] += weight * (table[:, without] - table[:, without | 1 << player])
    return values


def test_every_coalition_gives_the_values_exactly() -> None:
    table = game(0)
    design = make_design(
        "exact", n_players=D, budget=2**D, background_weights=[0.25, 0.25, 0.5], seed=0, interactions=2
    )
    losses = at(table, design.coalitions[:1])
    np.testing.assert_allclose(attribute_losses(design, losses, table[:, 0], table[:, -1]), shapley(table), atol=1e-12)


def test_mean_over_all_permutations_is_exact_and_each_adds_up() -> None:
    table = game(1)
    total = np.zeros((len(table), D))
    orders = np.array(list(itertools.permutations(range(D))))
    for order in orders:
        own = np.tile(order, (len(table), 1))
        coalitions = order_coalitions(own)
        assert coalitions.shape == (3, D - 1, D)
        values = solve_orders(own, at(table, coalitions), table[:, 0], table[:, -1])
        np.testing.assert_allclose(values.sum(axis=1), table[:, 0] - table[:, -1], atol=1e-12)
        total += values
    np.testing.assert_allclose(total / len(orders), shapley(table), atol=1e-12)


def test_each_example_has_its_own_permutation() -> None:
    table, orders = game(2), draw_orders(7, D, 3)
    together = solve_orders(orders, at(table, order_coalitions(orders)), table[:, 0], table[:, -1])
    for row in range(3):
        one, order = table[row : row + 1], orders[row : row + 1]
        alone = solve_orders(order, at(one, order_coalitions(order)), one[:, 0], one[:, -1])
        np.testing.assert_array_equal(together[row], alone[0])


def test_drawn_permutations_are_uniform_and_named_by_the_seed() -> None:
    orders = draw_orders(0, 3, 6_000)
    _, counts = np.unique(orders, axis=0, return_counts=True)
    assert len(counts) == 6
    assert np.abs(counts - 1_000).max() < 5 * math.sqrt(1_000)
    np.testing.assert_array_equal(draw_orders(0, 3, 10), orders[:10])
    assert (draw_orders(1, 3, 100) != orders[:100]).any()


def test_merged_blocks_have_the_same_mean() -> None:
    rng = np.random.default_rng(0)
    weights = rng.dirichlet(np.ones(11))
    values = rng.normal(size=(2, 11, 5))
    merged, of_groups = merge_blocks(values, weights, 4)
    assert merged.shape == (2, 4, 5)
    np.testing.assert_allclose(np.einsum("ngk,g->nk", merged, of_groups), np.einsum("ngk,g->nk", values, weights))
    first = np.einsum("ngk,g->nk", values[:, :3], weights[:3]) / weights[:3].sum()
    np.testing.assert_allclose(merged[:, 0], first)
    along, _ = merge_blocks(np.moveaxis(values, 1, 0), weights, 4, axis=0)
    np.testing.assert_allclose(np.moveaxis(along, 0, 1), merged)
    np.testing.assert_allclose(merge_blocks(values, weights, 20)[0], values)
