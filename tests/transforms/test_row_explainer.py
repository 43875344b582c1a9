"""How a batch is divided among designs, parts and threads changes no attribution."""

import threading
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf
from threadpoolctl import ThreadpoolController

import worlds
from tfx_explain.config import BackgroundConfig, ExplainConfig, ModelConfig
from tfx_explain.models import Model
from tfx_explain.models.engine import Bound
from tfx_explain.rows import row_hashes
from tfx_explain.transforms import row_explainer
from tfx_explain.transforms.algebra import single_threaded_algebra
from tfx_explain.transforms.background import choose_background
from tfx_explain.transforms.model_handle import ModelHandle

NAMES = [f"x{i:02d}" for i in range(12)]
N_ROWS = 150


def batch_of(n_rows: int, seed: int) -> pa.RecordBatch:
    values = np.random.default_rng(seed).normal(size=(12, n_rows)).astype(np.float32)
    return pa.RecordBatch.from_arrays(
        [pa.array([[v] for v in row], pa.large_list(pa.float32())) for row in values], NAMES
    )


@pytest.fixture(scope="module")
def model_dir(tmp_path_factory: pytest.TempPathFactory) -> str:
    inner = np.random.default_rng(3).normal(size=(12, 8)).astype(np.float32)

    def score(features: dict[str, Any]) -> Any:
        return tf.reduce_sum(tf.nn.relu(tf.stack([features[name] for name in NAMES], axis=1) @ inner), axis=1)

    specification = {name: tf.io.FixedLenFeature([], tf.float32) for name in NAMES}
    return worlds.save_serving_model(tmp_path_factory.mktemp("network"), score, specification)


def estimate(model: Model, estimator: str) -> row_explainer.Estimates:
    config = ExplainConfig(methods=[{"shapley": {"estimator": estimator, "budget": 120}}])
    background = choose_background(model, batch_of(40, seed=1), BackgroundConfig(num_rows=16), NAMES)
    explainer = row_explainer.RowExplainer(model, {name: (name,) for name in NAMES}, config)
    batch = batch_of(N_ROWS, seed=2)
    return explainer.estimate(batch, row_hashes(batch), background)


@pytest.mark.parametrize("estimator", ["leverage", "permutation"])
@pytest.mark.parametrize("changed", [("_PARTS_AT_ONCE", 1), ("_VALUE_ELEMENTS", 2**14), ("_ROWS_PER_SOLVE", 7)])
def test_parts_and_threads_change_nothing(
    model_dir: str, estimator: str, changed: tuple[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = ModelHandle(model_dir, ModelConfig()).acquire()
    expected = estimate(model, estimator)
    monkeypatch.setattr(row_explainer, *changed)
    found = estimate(model, estimator)
    for name in ("values", "design_std_error", "background_std_error", "completeness_gap"):
        np.testing.assert_allclose(getattr(found, name), getattr(expected, name), rtol=1e-12, atol=1e-12)
    assert found.n_model_rows == expected.n_model_rows > 0


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
    watched = _Watched(model.block_values)
    monkeypatch.delenv("TF_NUM_INTRAOP_THREADS", raising=False)
    monkeypatch.setattr(model, "block_values", watched)
    monkeypatch.setattr(model, "is_thread_safe", thread_safe)
    estimate(model, "leverage")
    assert watched.most == most


def test_one_thread_of_tensorflow_means_one_part_at_a_time(model_dir: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = ModelHandle(model_dir, ModelConfig()).acquire()
    watched = _Watched(model.block_values)
    monkeypatch.setattr(model, "block_values", watched)
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
    background = choose_background(model, batch_of(100, seed=1), BackgroundConfig(num_rows=100), NAMES)
    config = ExplainConfig(methods=[{"shapley": {"estimator": "permutation", "budget": 22}}])
    explainer = row_explainer.RowExplainer(model, {name: (name,) for name in NAMES}, config)
    batch = batch_of(n_rows, seed=2)
    evaluated = []
    values = Bound.values

    def counted(self: Bound, selected: Any, piece: Any) -> Any:
        made = values(self, selected, piece)
        evaluated.append(made[..., 0].size)
        return made

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Bound, "values", counted)
        found = explainer.estimate(batch, row_hashes(batch), background)
    assert found.n_model_rows <= sum(evaluated) < 1.25 * found.n_model_rows


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
