"""How a batch is divided among designs, parts and threads changes no attribution."""

import threading
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest
import tensorflow as tf
from threadpoolctl import ThreadpoolController

import worlds
from tfx_explain.config import BackgroundConfig, ExplainConfig, ModelConfig
from tfx_explain.job.model_handle import ModelHandle
from tfx_explain.methods.algebra import single_threaded_algebra
from tfx_explain.methods.background import JobPlan, choose_background
from tfx_explain.methods.batch import Batch
from tfx_explain.methods.shapley import row_explainer, spreading
from tfx_explain.methods.shapley.background import ShapleyBackground, ShapleyPlan
from tfx_explain.methods.shapley.estimates import Estimates
from tfx_explain.models import Model
from tfx_explain.models.graph_mixing import SelectedGraphRows
from tfx_explain.models.lattice import Lattice
from tfx_explain.models.mixing import Mixing
from tfx_explain.models.pieces import Piece
from tfx_explain.rows import row_hashes

NAMES = [f"x{i:02d}" for i in range(12)]
N_ROWS = 150
INNER = np.random.default_rng(3).normal(size=(12, 8)).astype(np.float32)


def batch_of(n_rows: int, seed: int) -> pa.RecordBatch:
    values = np.random.default_rng(seed).normal(size=(12, n_rows)).astype(np.float32)
    return pa.RecordBatch.from_arrays(
        [pa.array([[v] for v in row], pa.large_list(pa.float32())) for row in values], NAMES
    )


@pytest.fixture(scope="module")
def model_dir(tmp_path_factory: pytest.TempPathFactory) -> str:
    def score(features: dict[str, Any]) -> Any:
        return tf.reduce_sum(tf.nn.relu(tf.stack([features[name] for name in NAMES], axis=1) @ INNER), axis=1)

    specification = {name: tf.io.FixedLenFeature([], tf.float32) for name in NAMES}
    return worlds.save_serving_model(tmp_path_factory.mktemp("network"), score, specification)


def estimate(model: Model, estimator: str) -> Estimates:
    config = ExplainConfig(methods=[{"shapley": {"estimator": estimator, "budget": 120}}])
    plan = choose_background([model], batch_of(40, seed=1), BackgroundConfig(num_rows=16), NAMES)
    return estimate_rows(row_explainer.RowExplainer(model, {name: (name,) for name in NAMES}, config), N_ROWS, plan)


def estimate_rows(explainer: row_explainer.RowExplainer, n_rows: int, plan: JobPlan) -> Estimates:
    rows = batch_of(n_rows, seed=2)
    batch = Batch.of([explainer.model], rows, row_hashes(rows), row_hashes(rows), plan.outputs, explainer.config)
    return explainer.estimate(batch, batch.sides[0], background_of(plan))


def background_of(plan: JobPlan) -> ShapleyBackground:
    return ShapleyPlan().background(plan, 0)


FIGURES = ("values", "design_std_error", "background_std_error", "completeness_gap")


@pytest.mark.parametrize("estimator", ["leverage", "permutation"])
def test_threads_change_no_bit(model_dir: str, estimator: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same calls of the model and the same algebra, whoever makes them and in whatever order."""
    model = ModelHandle(model_dir, ModelConfig()).acquire()
    expected = estimate(model, estimator)
    monkeypatch.setattr(row_explainer, "calls_at_once", lambda: 1)
    found = estimate(model, estimator)
    for name in FIGURES:
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
    assert found.n_model_rows == expected.n_model_rows > 0


@pytest.mark.parametrize("estimator", ["leverage", "permutation"])
@pytest.mark.parametrize(
    ("changed", "rounding"),
    [({"_ROWS_PER_SOLVE": 7, "_VALUES_PER_SOLVE": 1}, 2.0**-52), ({"_VALUE_ELEMENTS": 2**14}, 2.0**-23)],
)
def test_sizes_of_parts_change_rounding_alone(
    model_dir: str, estimator: str, changed: dict[str, int], rounding: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sums of another shape may be added up in another order: float64 in the algebra, float32 in the model's calls.

    Which of these orders a processor takes differs from kind to kind. Per output the model adds 12 products and 8
    numbers, so two orders differ by at most 20 roundings of what may be summed. An attribution is a difference of
    weighted means of outputs, with weights of a leverage design that add up to a few times those of one difference.
    """
    model = ModelHandle(model_dir, ModelConfig()).acquire()
    expected = estimate(model, estimator)
    for name, value in changed.items():
        monkeypatch.setattr(spreading if hasattr(spreading, name) else row_explainer, name, value)
    found = estimate(model, estimator)
    tolerance = 20 * rounding * largest_sum() * 2 * 4
    for name in FIGURES:
        np.testing.assert_allclose(getattr(found, name), getattr(expected, name), rtol=0, atol=tolerance)
    assert tolerance < 1e-3 * np.abs(expected.values).max()
    assert found.n_model_rows == expected.n_model_rows > 0


def largest_sum() -> float:
    """The largest sum of absolute values that the model could come upon in any mixture of rows."""
    rows = pa.Table.from_batches([batch_of(40, seed=1), batch_of(N_ROWS, seed=2)])
    per_feature = [np.abs(rows[name].combine_chunks().flatten().to_numpy()).max() for name in NAMES]
    return float(per_feature @ np.abs(INNER).sum(axis=1))


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Model:
    def score(features: dict[str, Any]) -> Any:
        return tf.nn.relu(tf.stack([features[name] for name in NAMES], axis=1) @ INNER)

    specification = {name: tf.io.FixedLenFeature([], tf.float32) for name in NAMES}
    directory = worlds.save_serving_model(tmp_path_factory.mktemp("classifier"), score, specification)
    return ModelHandle(directory, ModelConfig(output_space="raw")).acquire()


@pytest.mark.parametrize("keeps", [False, True])
@pytest.mark.parametrize("players", [2, 12])
def test_rows_that_ask_for_one_output_get_the_bits_of_all(
    classifier: Model, players: int, keeps: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where coalitions are kept, exact designs give those of all outputs."""
    kept, real = [], Lattice.fill

    def fill(self: Lattice, out: npt.NDArray[np.float64], *arguments: Any) -> None:
        kept.append(out.shape[3])
        real(self, out, *arguments)

    monkeypatch.setattr(Lattice, "fill", fill)
    groups = {"first": NAMES[:5], "second": NAMES[5:]} if players == 2 else {name: [name] for name in NAMES}
    found = {}
    for classes in (None, "predicted"):
        config = ExplainConfig(methods=[{"shapley": {"budget": 120}}], model={"classes": classes})
        explainer = row_explainer.RowExplainer(classifier, groups, config, keep_coalitions=keeps)
        plan = choose_background([classifier], batch_of(40, seed=1), BackgroundConfig(num_rows=16), NAMES)
        found[classes] = estimate_rows(explainer, N_ROWS, plan)
    best = found[None].prediction.argmax(axis=1)[:, None]
    assert len(np.unique(best)) > 2
    for name in ("values", "design_std_error", "background_std_error"):
        every = getattr(found[None], name)
        np.testing.assert_array_equal(
            getattr(found["predicted"], name), np.take_along_axis(every, best[:, None], axis=2)
        )
    keeps_all = keeps and players == 2
    assert set(kept) == ({8} if keeps_all else {1, 8})
    assert (found["predicted"].coalition_values is not None) == keeps_all


class _Watched:
    """Counts how many threads are in a model's function at the same time."""

    def __init__(self, function: Any) -> None:
        self.function, self.most = function, 0
        self._inside, self._lock = 0, threading.Lock()

    def __call__(self, *args: Any, **options: Any) -> Any:
        with self._lock:
            self._inside += 1
            self.most = max(self.most, self._inside)
        time.sleep(0.02)  # long enough for another thread to come in as well
        try:
            return self.function(*args, **options)
        finally:
            with self._lock:
                self._inside -= 1


@pytest.mark.parametrize(("thread_safe", "most"), [(True, 2), (False, 1)])
def test_only_a_model_that_is_safe_is_called_by_two_threads(
    model_dir: str, thread_safe: bool, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = ModelHandle(model_dir, ModelConfig()).acquire()
    watched = _Watched(Mixing.values)
    monkeypatch.delenv("TF_NUM_INTRAOP_THREADS", raising=False)
    monkeypatch.setattr(Mixing, "values", lambda *arguments: watched(*arguments))
    monkeypatch.setattr(model, "is_thread_safe", thread_safe)
    estimate(model, "leverage")
    assert watched.most == most


def test_one_thread_of_tensorflow_means_one_part_at_a_time(model_dir: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = ModelHandle(model_dir, ModelConfig()).acquire()
    watched = _Watched(Mixing.values)
    monkeypatch.setattr(Mixing, "values", lambda *arguments: watched(*arguments))
    monkeypatch.setenv("TF_NUM_INTRAOP_THREADS", "1")
    estimate(model, "leverage")
    assert watched.most == 1


@pytest.mark.parametrize(("n_outputs", "n_rows"), [(1, 600), (10, 600), (100, 60)])
def test_few_rows_are_evaluated_for_nothing(tmp_path: Path, n_outputs: int, n_rows: int) -> None:
    def score(features: dict[str, Any]) -> Any:
        return tf.stack([features[NAMES[i % 12]] * float(i) for i in range(n_outputs)], axis=1)

    specification = {name: tf.io.FixedLenFeature([], tf.float32) for name in NAMES}
    path = worlds.save_serving_model(tmp_path / "wide", score, specification)
    model = ModelHandle(path, ModelConfig(output_space="raw")).acquire()
    plan = choose_background([model], batch_of(100, seed=1), BackgroundConfig(num_rows=100), NAMES)
    config = ExplainConfig(methods=[{"shapley": {"estimator": "permutation", "budget": 22}}])
    explainer = row_explainer.RowExplainer(model, {name: (name,) for name in NAMES}, config)
    evaluated = []
    values = SelectedGraphRows.values

    def counted(self: SelectedGraphRows, piece: Piece) -> Any:
        made = values(self, piece)
        evaluated.append(made[..., 0].size)
        return made

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SelectedGraphRows, "values", counted)
        found = estimate_rows(explainer, n_rows, plan)
    assert found.n_model_rows + found.n_padding_rows == sum(evaluated)
    assert found.n_model_rows == n_rows * explainer.design(background_of(plan)).n_model_rows
    assert sum(evaluated) < 1.25 * found.n_model_rows


def n_threads_of_algebra() -> set[int]:
    return {pool["num_threads"] for pool in ThreadpoolController().select(user_api="blas").info()}


def test_linear_algebra_gets_its_threads_back_whoever_leaves_first() -> None:
    with ThreadpoolController().limit(limits=2, user_api="blas"):
        first, second = ExitStack(), ExitStack()
        first.enter_context(single_threaded_algebra)
        second.enter_context(single_threaded_algebra)
        assert n_threads_of_algebra() == {1}
        first.close()
        assert n_threads_of_algebra() == {1}
        second.close()
        assert n_threads_of_algebra() == {2}


def test_python_models_are_not_taken_to_be_thread_safe(tmp_path: Path, model_dir: str) -> None:
    (tmp_path / "loader.py").write_text(
        "FEATURES = {'x00': 'float32'}\n\ndef load_model(model_dir):\n    return lambda columns: columns['x00'] * 1.0\n"
    )
    module = ModelHandle(str(tmp_path), ModelConfig(module_file=str(tmp_path / "loader.py"))).acquire()
    assert not module.is_thread_safe
    assert ModelHandle(model_dir, ModelConfig()).acquire().is_thread_safe
