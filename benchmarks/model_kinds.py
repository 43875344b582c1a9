"""Models of five kinds with 20 features, rows for them, and their labels: the module file of benchmarks."""

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier

Array = np.ndarray
Model = Callable[[Array], Array]

N_FEATURES = 20
NAMES = [f"x{i:02d}" for i in range(N_FEATURES)]
FEATURES = dict.fromkeys(NAMES, "float32")
NOISE = 0.5


def _network(sizes: list[int], activation: Callable[[Array], Array], gain: float) -> Model:
    """A random network."""
    rng = np.random.default_rng(len(sizes))
    shapes = itertools.pairwise(sizes)
    weights = [(gain * rng.normal(size=shape) / np.sqrt(shape[0])).astype(np.float32) for shape in shapes]

    def call(x: Array) -> Array:
        for weight in weights[:-1]:
            x = activation(x @ weight)
        return (x @ weights[-1])[:, 0]

    return call


def _chance(model: Model) -> Model:
    return lambda x: 1 / (1 + np.exp(-model(x)))


def _interactions(x: Array) -> Array:
    return x[:, 0] + 2 * x[:, 1] * x[:, 2] + np.where(x[:, 3] > 0, x[:, 4], -x[:, 5]) + np.abs(x[:, 6])


def _products(x: Array) -> Array:
    return x[:, 0] * x[:, 1] * x[:, 2] + x[:, 3] * x[:, 4] + np.exp(0.3 * x[:, 5:10].sum(axis=1))


def _trees() -> Model:
    x, rng = draw_features(5_000, 10), np.random.default_rng(11)
    drawn = rng.uniform(size=len(x)) < _chance(_interactions)(x)
    fitted = HistGradientBoostingClassifier(max_iter=60, max_depth=4, random_state=0).fit(x, drawn)
    return lambda rows: fitted.predict_proba(rows)[:, 1]


def draw_features(n: int, seed: int) -> Array:
    """(n, 20) normal rows; in the first half neighbours have a correlation of 0.7."""
    x = np.random.default_rng(seed).normal(size=(n, N_FEATURES))
    x[:, 1:10:2] = 0.7 * x[:, 0:10:2] + np.sqrt(1 - 0.7**2) * x[:, 1:10:2]
    return x.astype(np.float32)


KINDS: dict[str, tuple[Callable[[], Model], bool]] = {
    "smooth_network": (lambda: _network([N_FEATURES, 32, 1], np.tanh, 1.5), False),
    "deep_relu_network": (
        lambda: _chance(_network([N_FEATURES, 64, 64, 64, 1], lambda x: np.maximum(x, 0), 1.7)),
        True,
    ),
    "sparse_interactions": (lambda: _interactions, False),
    "products": (lambda: _products, False),
    "boosted_trees": (_trees, True),
}
"""Name -> what makes the model, and whether that gives the chance of class 1."""


def output_of(kind: str) -> dict[str, str | None]:
    """What the configuration of the model says about its output."""
    is_chance = KINDS[kind][1]
    return {"output_space": "probability", "output_is": "probabilities"} if is_chance else {"output_space": "raw"}


def draw_labels(kind: str, x: Array, seed: int) -> Array:
    """(n,) classes with the model's chances, or its outputs with noise."""
    make, is_chance = KINDS[kind]
    rng, outputs = np.random.default_rng(seed), make()(x)
    return rng.uniform(size=len(x)) < outputs if is_chance else outputs + NOISE * rng.normal(size=len(x))


def load_model(model_dir: str) -> Callable[[dict[str, Any]], Array]:
    """The model whose kind the file `kind` names."""
    with open(f"{model_dir}/kind") as file:
        model = KINDS[file.read()][0]()
    return lambda columns: model(np.stack([columns[name] for name in NAMES], axis=1))
