"""Games with known answers, and an evaluator that stands in for the model."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from types import SimpleNamespace

import numpy as np
import pytest

from tfx_explain.attribution import Attributions, Design, make_design

Model = Callable[[np.ndarray], np.ndarray]  # (n, d) -> (n, K)


def block_values(design: Design, model: Model, examples: np.ndarray, background: np.ndarray) -> np.ndarray:
    """What the model's side computes: (n, n_blocks, n_coalitions, K)."""
    share = design.background_weight / design.background_weight.sum(axis=1, keepdims=True)
    rows = background[design.background_index]  # (G, r, d)
    out = []
    for example in examples:
        masked = np.where(np.asarray(design.coalitions)[:, :, None, :], example, rows[:, None, :, :])
        values = model(masked.reshape(-1, design.n_players))
        values = values.reshape(*masked.shape[:3], values.shape[-1])
        out.append(np.einsum("gr,gmrk->gmk", share, values))
    return np.array(out)


def explain(
    estimator: str,
    model: Model,
    examples: np.ndarray,
    background: np.ndarray,
    *,
    budget: int,
    weights: np.ndarray | None = None,
    seed: int = 0,
    design_id: int = 0,
    interactions: int = 0,
) -> Attributions:
    """Makes a design, evaluates and solves it."""
    weights = uniform(len(background)) if weights is None else weights
    design = make_design(
        estimator,
        n_players=background.shape[1],
        budget=budget,
        background_weights=weights,
        seed=seed,
        design_id=design_id,
        interactions=interactions,
    )
    prediction = model(examples)
    values = block_values(design, model, examples, background)
    return design.solve(values, prediction, model(background))


def game_of(
    model: Model, example: np.ndarray, background: np.ndarray, weights: np.ndarray
) -> Callable[..., np.ndarray]:
    """v(S) = sum_b w_b f(x_S, b_notS) of one example, from its definition."""

    def value(*coalition: int) -> np.ndarray:
        rows = background.copy()
        rows[:, list(coalition)] = example[list(coalition)]
        return weights @ model(rows)

    return value


def shapley(value: Callable[..., np.ndarray], d: int) -> np.ndarray:
    """Shapley values (d, K) from the definition over subsets."""
    phi = []
    for i in range(d):
        others = [j for j in range(d) if j != i]
        phi.append(
            sum(
                (value(*s, i) - value(*s)) / (d * math.comb(d - 1, len(s)))
                for size in range(d)
                for s in itertools.combinations(others, size)
            )
        )
    return np.array(phi)


def shapley_interactions(value: Callable[..., np.ndarray], d: int) -> np.ndarray:
    """Shapley interaction indices (n_pairs, K) from the definition over subsets."""
    out = []
    for i, j in itertools.combinations(range(d), 2):
        others = [k for k in range(d) if k not in (i, j)]
        out.append(
            sum(
                (value(*s, i, j) - value(*s, i) - value(*s, j) + value(*s)) / ((d - 1) * math.comb(d - 2, len(s)))
                for size in range(d - 1)
                for s in itertools.combinations(others, size)
            )
        )
    return np.array(out)


def random_mlp(d: int, seed: int, n_outputs: int = 1, scale: float = 1.0) -> Model:
    """A tanh network with a sigmoid at its end: interactions of every order."""
    rng = np.random.default_rng(seed)
    w1 = rng.normal(size=(d, 16)) * scale * 1.5 / math.sqrt(d)
    w2 = rng.normal(size=(16, n_outputs)) * scale * 2 / math.sqrt(16)
    b1 = rng.normal(size=16)
    return lambda x: 1 / (1 + np.exp(-(np.tanh(x @ w1 + b1) @ w2)))


def random_products(d: int, order: int, seed: int, n_terms: int | None = None) -> Model:
    """A sum of products of up to `order` features."""
    rng = np.random.default_rng(seed)
    terms = []
    for _ in range(n_terms or 3 * d):
        members = rng.choice(d, size=min(rng.integers(1, order + 1), d), replace=False)
        terms.append((members, rng.normal()))
    return lambda x: sum(c * np.prod(x[:, m], axis=1) for m, c in terms)[:, None]


def uniform(n: int) -> np.ndarray:
    """Equal weights."""
    return np.full(n, 1 / n)


def random_trees(d: int, seed: int, n_trees: int = 40, depth: int = 4) -> Model:
    """A sum of random trees of full depth: steps, and interactions up to order 4."""
    rng = np.random.default_rng(seed)
    n_splits = 2**depth - 1
    features = rng.integers(0, d, (n_trees, n_splits))
    thresholds = rng.normal(size=(n_trees, n_splits)) * 0.7
    leaves = rng.normal(size=(n_trees, 2**depth)) / math.sqrt(n_trees)

    def model(x: np.ndarray) -> np.ndarray:
        out = np.zeros(len(x))
        rows = np.arange(len(x))
        for feature, threshold, leaf in zip(features, thresholds, leaves, strict=True):
            node = np.zeros(len(x), dtype=int)
            for _ in range(depth):
                node = 2 * node + 1 + (x[rows, feature[node]] > threshold[node])
            out += leaf[node - n_splits]
        return out[:, None]

    return model


@pytest.fixture(scope="session")
def games() -> SimpleNamespace:
    """The functions of this file."""
    return SimpleNamespace(
        block_values=block_values,
        explain=explain,
        game_of=game_of,
        shapley=shapley,
        shapley_interactions=shapley_interactions,
        random_mlp=random_mlp,
        random_products=random_products,
        random_trees=random_trees,
        uniform=uniform,
    )
