"""Accuracy of the Shapley estimators against exact attributions, and coverage of their intervals.

    python benchmarks/accuracy.py            a few minutes on two cores
    python benchmarks/accuracy.py --seeds 1  quicker, rougher

Models are fitted with fixed seeds. Truth: interventional attributions of boosted trees from their leaves, which needs
no coalitions at all; enumeration for networks and interactions. An error is |estimate - truth| / |truth| of one example
(Euclidean). Bars are for other fits of such models: a miss of a few percent says little.
"""

from __future__ import annotations

import argparse
import itertools
import math
from collections.abc import Callable, Iterator

import lightgbm
import numpy as np
import numpy.typing as npt
from sklearn.datasets import load_breast_cancer, load_diabetes
from sklearn.neural_network import MLPClassifier

from tfx_explain.attribution import Attributions, Design, PooledRegression, fit_surrogate, make_design

Array = npt.NDArray[np.float64]
Model = Callable[[Array], Array]  # (n, d) -> (n,)

N_EXAMPLES = 8


def synthetic(d: int, correlated: bool = False) -> tuple[Array, Array]:
    """2000 rows with main effects and interactions of up to three features, or 20 groups of three correlated ones."""
    rng = np.random.default_rng(d)
    x = rng.normal(size=(2000, d))
    if correlated:
        shared = x[:, 0 : d // 2 : 3]
        x[:, 1 : d // 2 : 3] = x[:, 2 : d // 2 : 3] = shared
        x += 0.1 * rng.normal(size=x.shape)
        return x, x[:, 0 : d // 2 : 3].sum(axis=1) + 0.1 * rng.normal(size=len(x))
    y = x @ rng.normal(size=d)
    for _ in range(d):
        members = rng.choice(d, size=rng.integers(2, 4), replace=False)
        y += rng.normal() * np.prod(x[:, members], axis=1)
    return x, y


def leaves_of(booster: lightgbm.Booster) -> Iterator[tuple[dict[int, tuple[float, float]], float]]:
    """Each leaf as the box of feature values that reach it, and its value."""

    def walk(node: dict, box: dict[int, tuple[float, float]]) -> Iterator[tuple[dict[int, tuple[float, float]], float]]:
        if "leaf_value" in node:
            yield box, node["leaf_value"]
            return
        feature, threshold = node["split_feature"], node["threshold"]
        low, high = box.get(feature, (-math.inf, math.inf))
        yield from walk(node["left_child"], {**box, feature: (low, min(high, threshold))})
        yield from walk(node["right_child"], {**box, feature: (max(low, threshold), high)})

    for tree in booster.dump_model()["tree_info"]:
        yield from walk(tree["tree_structure"], {})


def tree_truth(booster: lightgbm.Booster, examples: Array, background: Array) -> Array:
    """Interventional Shapley values (n, d), leaf by leaf.

    A leaf is reached by a hybrid of example and background row if every feature of its box comes from a row inside it.
    With a features that only the example satisfies and b that only the background row does, each of the a gets
    (a - 1)! b! / (a + b)! of the leaf's value and each of the b minus a! (b - 1)! / (a + b)! of it.
    """
    phi = np.zeros(examples.shape)
    factorial = np.array([math.factorial(k) for k in range(12)], dtype=float)
    for box, value in leaves_of(booster):
        features = np.array(sorted(box))
        low, high = np.array([box[feature] for feature in features]).T
        inside = [(low < rows[:, features]) & (rows[:, features] <= high) for rows in (examples, background)]
        of_example, of_background = inside[0][:, None], inside[1][None]
        only_example, only_background = of_example & ~of_background, of_background & ~of_example
        reachable = (of_example | of_background).all(axis=2)
        a, b = only_example.sum(axis=2), only_background.sum(axis=2)
        total = factorial[a + b]
        gain = np.where(reachable & (a > 0), value * factorial[np.maximum(a - 1, 0)] * factorial[b] / total, 0.0)
        loss = np.where(reachable & (b > 0), value * factorial[a] * factorial[np.maximum(b - 1, 0)] / total, 0.0)
        shares = gain[..., None] * only_example - loss[..., None] * only_background
        phi[:, features] += shares.mean(axis=1)
    return phi


def block_values(model: Model, design: Design, examples: Array, rows: list[list[Array]]) -> Array:
    """Values of a design whose block g averages over `rows[g]`, (n, n_blocks, n_coalitions, 1)."""
    out = np.empty((len(examples), design.n_blocks, design.n_coalitions, 1))
    for i, example in enumerate(examples):
        for g, block in enumerate(rows):
            masked = np.where(design.coalitions[g][:, None], example, np.array(block)[None])
            out[i, g, :, 0] = model(masked.reshape(-1, len(example))).reshape(masked.shape[:2]).mean(axis=1)
    return out


def estimate(
    model: Model,
    examples: Array,
    background: Array,
    estimator: str,
    budget: int,
    seed: int,
    *,
    crossed: bool,
    **options: int,
) -> Attributions:
    """Attributions; `crossed` lets every background row meet the same coalitions, as other libraries do."""
    n_background = 1 if crossed else len(background)
    design = make_design(
        estimator,
        n_players=examples.shape[1],
        budget=budget,
        background_weights=np.full(n_background, 1 / n_background),
        seed=seed,
        **options,
    )
    filled = design.background_weight > 0
    rows = (
        [list(background)]
        if crossed
        else [list(background[index[keep]]) for index, keep in zip(design.background_index, filled, strict=True)]
    )
    values = block_values(model, design, examples, rows)
    base = model(background)[:, None]
    return design.solve(values, model(examples)[:, None], base.mean(axis=0, keepdims=True) if crossed else base)


def with_surrogate(model: Model, examples: Array, background: Array, budget: int, seed: int) -> Attributions:
    """Attributions by `surrogate`, with the standardised features as codes."""
    d, base = examples.shape[1], model(background)[:, None]
    codes = (np.concatenate([background, examples]) - background.mean(axis=0)) / background.std(axis=0)
    known, weights = codes[: len(background)], np.full(len(background), 1 / len(background))

    def evaluate(rows: npt.NDArray[np.int64], design: Design) -> Array:
        return block_values(model, design, background[rows], [[background[i]] for i in design.background_index[:, 0]])

    surrogate = fit_surrogate(np.arange(d), d, known, base, evaluate, seed)
    design = make_design("surrogate", n_players=d, budget=budget, background_weights=weights, seed=seed)
    values = block_values(model, design, examples, [[background[i]] for i in design.background_index[:, 0]])
    return PooledRegression(design, surrogate, base).solve(values, model(examples)[:, None], codes[len(background) :])


def measure(
    model: Model, truth: Array, examples: Array, background: Array, n_seeds: int, **how: object
) -> tuple[float, ...]:
    """Median and mean squared relative error over examples and seeds, and coverage of 95 % design intervals."""
    errors, covered = [], []
    for seed in range(n_seeds):
        if how["estimator"] == "surrogate":
            got = with_surrogate(model, examples, background, how["budget"], seed)
        else:
            got = estimate(model, examples, background, seed=seed, **how)
        errors += list(np.linalg.norm(got.values[..., 0] - truth, axis=1) / np.linalg.norm(truth, axis=1))
        low, high = got.interval(of="background")
        covered.append(((low[..., 0] - 1e-9 <= truth) & (truth <= high[..., 0] + 1e-9)).mean())
    return float(np.median(errors)), float(np.mean(np.square(errors))), float(np.mean(covered))


def cases() -> Iterator[tuple[str, Model, Array, lightgbm.Booster | None, dict[str, float]]]:
    """Name, model, data, booster if it is one, and the bars: `crossed` and `blocks` at multiples of d."""
    bars = {
        "trees 8": {"crossed 8": 0.012},
        "trees 14": {"crossed 8": 0.02, "crossed 32": 0.008, "blocks 8": 0.008},
        "trees 30 (breast cancer)": {"crossed 8": 0.06, "crossed 32": 0.027, "blocks 8": 0.02},
        "trees 60 (correlated)": {"crossed 8": 0.06, "crossed 32": 0.025, "blocks 8": 0.035},
        "network 14 (sigmoid)": {"crossed 8": 0.13, "crossed 32": 0.045, "blocks 8": 0.028},
    }
    cancer = load_breast_cancer(return_X_y=True)
    data = [synthetic(8), synthetic(14), cancer, synthetic(60, correlated=True)]
    for (name, bar), (x, y) in zip(list(bars.items())[:4], data, strict=True):
        booster = lightgbm.train(
            {
                "max_depth": 4,
                "num_leaves": 16,
                "verbose": -1,
                "seed": 0,
                "num_threads": 2,
                "objective": "binary" if len(np.unique(y)) == 2 else "regression",
            },
            lightgbm.Dataset(x, y),
            num_boost_round=100,
        )
        yield name, lambda rows, booster=booster: booster.predict(rows, raw_score=True), x, booster, bar
    x, y = synthetic(14)
    network = MLPClassifier((64, 64), random_state=0, max_iter=200, early_stopping=True).fit(x, y > np.median(y))
    yield "network 14 (sigmoid)", lambda rows: network.predict_proba(rows)[:, 1], x, None, bars["network 14 (sigmoid)"]


def faith_shap(model: Model, examples: Array, background: Array) -> Array:
    """Order-2 Faith-SHAP (n, n_pairs) by its definition: a weighted fit to all coalitions, both ends held exactly."""
    d = examples.shape[1]
    design = make_design("exact", n_players=d, budget=2**d, background_weights=[1.0], seed=0)
    inner = block_values(model, design, examples, [list(background)])[:, 0, :, 0]
    ends = np.stack([np.full(len(examples), model(background).mean()), model(examples)], axis=1)
    pairs = np.array(list(itertools.combinations(range(d), 2)))

    def terms(coalitions: npt.NDArray[np.bool_]) -> Array:
        both = coalitions[:, pairs[:, 0]] & coalitions[:, pairs[:, 1]]
        return np.concatenate([np.ones((len(coalitions), 1)), coalitions, both], axis=1)

    sizes = design.coalitions[0].sum(axis=1)
    per_size = np.array([0.0] + [1 / (math.comb(d, s) * s * (d - s)) for s in range(1, d)])
    rows, held = terms(design.coalitions[0]), terms(np.array([[False] * d, [True] * d]))
    weighted = rows.T * per_size[sizes]
    kkt = np.block([[weighted @ rows, held.T], [held, np.zeros((2, 2))]])
    return np.linalg.solve(kkt, np.concatenate([weighted @ inner.T, ends.T]))[1 + d : rows.shape[1]].T


def interaction_errors(name: str, model: Model, x: Array, budget: int, bar: float, n_seeds: int) -> None:
    """Prints the median error of all pairwise interactions."""
    chosen = np.random.default_rng(1).permutation(len(x))
    examples, background = x[chosen[:4]], x[chosen[8:24]]
    truth = faith_shap(model, examples, background)
    errors = []
    for seed in range(n_seeds):
        got = estimate(model, examples, background, "leverage", budget, seed, crossed=True, interactions=2)
        errors += list(np.linalg.norm(got.interactions[..., 0] - truth, axis=1) / np.linalg.norm(truth, axis=1))
    median = float(np.median(errors))
    print(
        f"{name:26}{'Faith-SHAP':13}{'crossed':9}{budget:>5}{median:9.4f}{'':17}{bar:7.3f} {_verdict(median, bar)}",
        flush=True,
    )


def single_reference(n_seeds: int) -> None:
    """Prints mean squared relative errors against ONE background row, as published tables do."""
    name, model, x, booster, _ = next(case for case in cases() if "60" in case[0])
    chosen = np.random.default_rng(1).permutation(len(x))
    for factor, bar in ((8, 9e-3), (16, 4e-3)):
        squares = []
        for reference in range(6):
            examples, background = x[chosen[:N_EXAMPLES]], x[chosen[10 + reference :][:1]]
            truth = tree_truth(booster, examples, background)
            squares.append(
                measure(
                    model, truth, examples, background, n_seeds, estimator="leverage", budget=factor * 60, crossed=True
                )[1]
            )
        square = float(np.mean(squares))
        print(
            f"{name:26}{'leverage':13}{'one row':9}{factor:>4}d{'':9}{square:10.1e}{'':7}{bar:7.3f} "
            f"{_verdict(square, bar)}"
        )


def _verdict(figure: float, bar: float) -> str:
    return "ok" if figure <= bar else "MISSED"


def main() -> None:
    """Prints one line per case, scheme and budget."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--background", type=int, default=32)
    arguments = parser.parse_args()
    print(f"{'game':26}{'estimator':13}{'scheme':9}{'m':>5}{'median':>9}{'mean sq':>10}{'cover':>7}{'bar':>7}")
    for name, model, x, booster, bars in cases():
        chosen = np.random.default_rng(1).permutation(len(x))
        examples, background = x[chosen[:N_EXAMPLES]], x[chosen[N_EXAMPLES:][: arguments.background]]
        d = x.shape[1]
        if booster is None:
            truth = estimate(model, examples, background, "exact", 2**d, 0, crossed=True).values[..., 0]
        else:
            truth = tree_truth(booster, examples, background)
        if d <= 10:
            exact = estimate(model, examples, background, "exact", 2**d, 0, crossed=True).values[..., 0]
            print(f"{name:26}{'exact':13}{'':9}{'all':>5}   largest difference {np.abs(exact - truth).max():.1e}")
        for estimator, scheme, factor in (
            ("leverage", "crossed", 8),
            ("leverage", "crossed", 32),
            ("surrogate", "pooled", 1),
            ("surrogate", "pooled", 2),
            ("permutation", "blocks", 2),
            ("leverage", "blocks", 4),
            ("permutation", "blocks", 4),
            ("leverage", "blocks", 8),
            ("permutation", "blocks", 8),
        ):
            if factor * d >= 2**d - 2:
                continue
            median, square, cover = measure(
                model,
                truth,
                examples,
                background,
                arguments.seeds,
                estimator=estimator,
                budget=factor * d,
                crossed=scheme == "crossed",
            )
            bar = bars.get(f"{scheme} {factor}") if estimator == "leverage" else None
            verdict = "" if bar is None else f"{bar:7.3f} {_verdict(median, bar)}"
            print(
                f"{name:26}{estimator:13}{scheme:9}{factor:>4}d{median:9.4f}{square:10.1e}{cover:7.2f}{verdict}",
                flush=True,
            )
    single_reference(arguments.seeds)
    x, y = load_diabetes(return_X_y=True)
    booster = lightgbm.train({"max_depth": 4, "num_leaves": 16, "verbose": -1, "seed": 0}, lightgbm.Dataset(x, y), 100)
    interaction_errors("trees 10 (diabetes)", booster.predict, x, 512, 0.012, arguments.seeds)
    name, model, x, _, _ = list(cases())[-1]
    interaction_errors(name, model, x, 2048, 0.08, arguments.seeds)


if __name__ == "__main__":
    main()
