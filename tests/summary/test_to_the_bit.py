"""Every accumulator: any cut into batches, any order and any tree of merges give the same figures to the bit."""

import dataclasses
import pickle
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfx_explain.summary import (
    AccumulatedLocalEffectsAccumulator,
    ImportanceAccumulator,
    Noise,
    PartialDependenceAccumulator,
)
from tfx_explain.summary.auc_importance import AucImportanceAccumulator
from tfx_explain.summary.counts import RowCount
from tfx_explain.summary.faithfulness import FaithfulnessAccumulator
from tfx_explain.summary.interactions import InteractionAccumulator
from tfx_explain.summary.loss_importance import LossImportanceAccumulator
from tfx_explain.summary.places import PlaceMoments, RowPlaces
from tfx_explain.summary.row_means import RowMeans
from tfx_explain.summary.sizes import NoisyMoments
from tfx_explain.summary.slices import compare_with_rest

N, D = 90, 4


def figures(value):
    """Everything that a result holds, as arrays by name."""
    if dataclasses.is_dataclass(value):
        return {
            f"{field.name}.{name}": part
            for field in dataclasses.fields(value)
            for name, part in figures(getattr(value, field.name)).items()
        }
    if isinstance(value, dict):
        return {f"{key}.{name}": part for key, one in value.items() for name, part in figures(one).items()}
    if isinstance(value, list | tuple):
        return {f"{place}.{name}": part for place, one in enumerate(value) for name, part in figures(one).items()}
    return {"": np.asarray(value)}


@dataclasses.dataclass(frozen=True)
class Rows:
    """What accumulators are given of N rows."""

    phi: np.ndarray
    errors: np.ndarray
    weights: np.ndarray
    designs: np.ndarray
    labels: np.ndarray
    bins: np.ndarray

    @classmethod
    def of(cls, seed, *, weighted):
        rng = np.random.default_rng(seed)
        phi = rng.normal(size=(N, D)) * np.logspace(0, -3, D) + [0.0, 0.1, 0.0, 3.0]
        weights = rng.uniform(0, 3, N) * (rng.random(N) < 0.9) if weighted else np.ones(N)
        errors = rng.uniform(0, 0.1, (N, D)) * (rng.random() < 0.5)
        integers = rng.integers(0, 4, N), rng.integers(0, 2, N), rng.integers(0, 8, (N, 1 + D, 2))
        return cls(phi, errors, weights, *integers)

    def take(self, rows):
        return Rows(**{name: value[rows] for name, value in vars(self).items()})


def importance(into, rows):
    gap = rows.phi.max(axis=1) * 1e-9
    into.add(rows.phi, rows.errors, rows.errors, gap, gap, rows.weights, Noise(design_ids=rows.designs))


def faithfulness(into, rows):
    phi, known = rows.phi, np.ones(len(rows.phi), bool)
    curves = np.stack([phi, 2 * phi, phi**2], axis=1)
    extra = (phi[:, 1], (phi[:, 0] > 0) * 1.0, phi[:, 3], ~known)
    into.add(phi[:, :3], phi[:, 2:], curves, (phi[:, 0], phi[:, :2], known), rows.weights, extra)


def places(into, rows):
    n = len(rows.phi)
    named = np.concatenate([rows.designs, rows.labels])
    values = np.concatenate([rows.phi, 2 * rows.phi])
    into.add(RowPlaces(tuple("abcd"), named, np.tile(np.arange(n), 2), values), rows.weights)


def effects(into, rows):
    into.add(rows.phi.T[:2], [rows.designs % 3, rows.designs % 2], rows.errors.T[:2], rows.weights)


def curves(into, rows):
    lacking = np.where(rows.designs[:, None] % 5, rows.phi, np.inf)
    into.add(
        [rows.phi, lacking],
        rows.weights,
        rows.bins[:, 0, 0].astype(np.uint64) * N,
        np.array(["x"] * len(rows.phi), object),
    )


ACCUMULATORS = {
    "importance": (partial(ImportanceAccumulator, D), importance, lambda made: made.result()),
    "interactions": (
        partial(InteractionAccumulator, D),
        lambda into, rows: into.add(rows.phi, rows.weights),
        lambda made: made.result(),
    ),
    "partial dependence": (
        partial(PartialDependenceAccumulator, [[0.4, 0.3, 0.2, 0.1]] * 2),
        curves,
        lambda made: [made.result(0), made.result(1)],
    ),
    "accumulated local effects": (
        partial(AccumulatedLocalEffectsAccumulator, [[0.0, 1.0, 2.0, 4.0], [0.0, 1.0, 2.0]]),
        effects,
        lambda made: [made.result(0), made.result(1)],
    ),
    "losses": (
        partial(LossImportanceAccumulator, D, ("loss",), 4),
        lambda into, rows: into.add(rows.phi[:, None], rows.phi[:, None, :1], rows.designs, rows.weights),
        lambda made: made.result(),
    ),
    "auc": (
        partial(AucImportanceAccumulator, D, 8, 4, np.arange(0, 8, 2, dtype=np.uint16)),
        lambda into, rows: into.add(rows.bins, rows.labels, rows.designs, rows.weights),
        lambda made: made.result(),
    ),
    "faithfulness": (
        partial(FaithfulnessAccumulator, D, 2),
        faithfulness,
        lambda made: [*made.measures(), *made.curves()],
    ),
    "places": (partial(PlaceMoments, D), places, lambda made: made.result(1, 9)),
    "row means": (
        partial(RowMeans, D),
        lambda into, rows: into.add(rows.phi, rows.weights),
        lambda made: [made.means(), made.std_errors()],
    ),
    "rows": (RowCount, lambda into, rows: into.add(rows.weights), lambda made: [made.n_effective]),
    "changes": (
        partial(NoisyMoments.empty, D, full=True),
        lambda into, rows: into.add(rows.phi, rows.weights, rows.errors**2, rows.errors, rows.designs),
        lambda made: [made.mean_or_nan(), made.covariance_of_mean(), made.n_effective],
    ),
}


def in_parts(make, add, rows, order, cuts):
    """What parts of the rows, in any order, come to in a tree of any form."""
    shards = []
    for part in np.split(np.array(order.sample(range(N), N)), sorted(cuts)):
        shards.append(make())
        for batch in np.array_split(part, order.randint(1, 3)):
            add(shards[-1], rows.take(batch))
    while len(shards) > 1:
        shard = pickle.loads(pickle.dumps(shards.pop(order.randrange(len(shards)))))
        shards[order.randrange(len(shards))].merge(shard)
    return shards[0]


@pytest.mark.parametrize("name", ACCUMULATORS)
@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    cuts=st.lists(st.integers(0, N), max_size=6),
    order=st.randoms(use_true_random=False),
    weighted=st.booleans(),
)
def test_any_batches_order_and_tree_give_the_same_figures(name, seed, cuts, order, weighted):
    make, add, result = ACCUMULATORS[name]
    rows = Rows.of(seed, weighted=weighted)
    whole = make()
    add(whole, rows)
    found, expected = figures(result(in_parts(make, add, rows, order, cuts))), figures(result(whole))
    assert found.keys() == expected.keys()
    for figure, value in expected.items():
        np.testing.assert_array_equal(found[figure], value, err_msg=figure)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), order=st.randoms(use_true_random=False), weighted=st.booleans())
def test_slices_differ_from_the_rest_by_the_same_bits(seed, order, weighted):
    make, add, _ = ACCUMULATORS["importance"]
    rows = Rows.of(seed, weighted=weighted)
    inside, found = np.arange(N) < N // 3, []
    for cuts in ([], [10, 50, 51]):
        whole, part = in_parts(make, add, rows, order, cuts), make()
        add(part, rows.take(np.flatnonzero(inside)[:: 1 if cuts else -1]))
        found.append(figures(compare_with_rest(whole.absolute, part.absolute)))
    for figure, value in found[0].items():
        np.testing.assert_array_equal(found[1][figure], value, err_msg=figure)
