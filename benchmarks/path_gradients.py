"""Integrated and expected gradients of a network with 30 features: speed against its bare gradient, and against shap.

Gradients per second of the methods at work, one batch of the job's size at a time, are held against those of the
compiled gradient function alone, at its best batch and compiled as suits it best. Then expected gradients against
shap.GradientExplainer on the same 100 background rows: time per row for the same error, by the law that the error of
its independent samples falls with the root of their number. The truth is our own estimate with 64 times the steps; how
far two such are from each other is printed too. Times are medians of turns, the warm-up apart.

    python benchmarks/path_gradients.py
"""

import dataclasses
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import network
import numpy as np
import peers
import pyarrow as pa
import tensorflow as tf

from tfx_explain.config import BackgroundConfig, ExplainConfig, ModelConfig
from tfx_explain.job.model_handle import ModelHandle
from tfx_explain.methods.background import JobPlan, choose_background
from tfx_explain.methods.batch import Batch
from tfx_explain.methods.context import JobContext, Sample
from tfx_explain.methods.method import Earlier
from tfx_explain.methods.path_gradients.expected_gradients import ExpectedGradients
from tfx_explain.methods.path_gradients.integrated_gradients import IntegratedGradients
from tfx_explain.models import Model
from tfx_explain.rows import ROWS_PER_BATCH, row_hashes

N_BACKGROUND = 100
N_PEER_ROWS = 20
N_TURNS = 5
BATCH_SIZES = [2**k for k in range(8, 16)]
SECONDS_PER_BATCH_SIZE = 0.5
SETTINGS: dict[str, tuple[str, dict[str, Any]]] = {
    "expected_gradients, 400 samples": ("expected_gradients", {"num_samples": 400}),
    "expected_gradients, 1,600 samples": ("expected_gradients", {"num_samples": 1_600}),
    "integrated_gradients, gap 0.01": ("integrated_gradients", {}),
    "integrated_gradients, gap 0.001": ("integrated_gradients", {"max_completeness_gap": 0.001}),
}
TRUTH = {"num_samples": 64 * 1_600}


def to_batch(x: np.ndarray) -> pa.RecordBatch:
    """Rows as the reader would decode them."""
    arrays = [pa.array([[value] for value in column], pa.large_list(pa.float32())) for column in x.T]
    return pa.RecordBatch.from_arrays(arrays, names=network.NAMES)


def bare_gradients(model_dir: str) -> tuple[float, str]:
    """Rows per second of the network's gradient alone, and how it was called."""
    weights = [tf.constant(weight) for weight in np.load(f"{model_dir}/weights.npz").values()]
    w1, b1, w2, b2, w3, b3 = weights

    def gradient(x: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = tf.nn.relu(tf.nn.relu(x @ w1 + b1) @ w2 + b2) @ w3 + b3
        return tape.gradient(y, x)

    best = (0.0, "")
    for compiled in (False, True):
        function = tf.function(gradient, jit_compile=compiled)
        for size in BATCH_SIZES:
            x = tf.constant(np.resize(network.features(), (size, network.N_FEATURES)))
            function(x).numpy()
            n_calls, started = 0, time.perf_counter()
            while time.perf_counter() - started < SECONDS_PER_BATCH_SIZE:
                function(x).numpy()
                n_calls += 1
            speed = n_calls * size / (time.perf_counter() - started)
            best = max(best, (speed, f"{size:,} rows a call, {'XLA' if compiled else 'not XLA'}"))
    return best


class AtWork:
    """A method and rows for it.

    Args:
      name: of the method.
      settings: of the method.
      model: what is explained.
      background_rows: (B, 30).
      seed: of the job.
    """

    def __init__(
        self, name: str, settings: dict[str, Any], model: Model, background_rows: np.ndarray, seed: int = 0
    ) -> None:
        self.model, self.name = model, name
        self.config = ExplainConfig(methods=[{name: settings}], model={"output_space": "raw"}, seed=seed)
        context = JobContext(self.config, {name: (name,) for name in network.NAMES}, outputs=("score",))
        self.method = {"expected_gradients": ExpectedGradients, "integrated_gradients": IntegratedGradients}[name](
            context
        )
        rows = to_batch(background_rows)
        chosen = choose_background([model], rows, BackgroundConfig(num_rows=len(background_rows)), network.NAMES)
        made, _ = self.method.plan(Sample(rows, row_hashes(rows)), [model], chosen)
        self.plan: JobPlan = dataclasses.replace(chosen, per_method={name: made})
        self.explainer = self.method.explainer([model])

    def explain(self, x: np.ndarray) -> tuple[np.ndarray, int, float]:
        """(n, 30) attributions, gradients taken, and seconds."""
        rows = to_batch(x)
        hashes = row_hashes(rows)
        batch = Batch.of([self.model], rows, hashes, hashes, self.plan.outputs, self.config, None)
        started = time.perf_counter()
        result = self.explainer.explain(batch, self.plan, Earlier())
        seconds = time.perf_counter() - started
        return result.sides[0].attributions[:, :, 0], result.counts[f"{self.name}_gradient_rows"], seconds


def relative_error(estimate: np.ndarray, truth: np.ndarray) -> float:
    """Median over rows of the relative L2 error."""
    return float(np.median(np.linalg.norm(estimate - truth, axis=1) / np.linalg.norm(truth, axis=1)))


def median_seconds(run: Callable[[], tuple[np.ndarray, int, float]]) -> float:
    """Of some turns, after one that does not count."""
    run()
    return statistics.median(run()[2] for _ in range(N_TURNS))


def main() -> None:
    """Prints the tables."""
    background_rows, rows = network.features()[:N_BACKGROUND], network.noisy_rows(ROWS_PER_BATCH, seed=2)
    with tempfile.TemporaryDirectory() as scratch:
        model_dir = str(Path(scratch) / "model")
        network.train_and_save(Path(model_dir))
        model = ModelHandle(model_dir, ModelConfig(signature="raw", output_space="raw")).acquire()
        bare, how = bare_gradients(model_dir)
        print(f"bare gradient: {bare:,.0f} rows/s ({how})")
        truth, again = (
            AtWork("expected_gradients", TRUTH, model, background_rows, seed).explain(rows[:N_PEER_ROWS])[0]
            for seed in (1, 2)
        )
        print(f"truth of expected gradients: within {relative_error(again, truth):.2%}")
        print(f"{'':<36}{'gradients/row':>14}{'ms per row':>12}{'of bare':>9}{'error':>9}")
        errors, times, shares = {}, {}, {}
        for label, (name, settings) in SETTINGS.items():
            at_work = AtWork(name, settings, model, background_rows)
            found, n_gradients, _ = at_work.explain(rows)
            seconds = median_seconds(lambda at_work=at_work: at_work.explain(rows))
            shares[label], times[label] = n_gradients / seconds / bare, seconds / len(rows)
            line = f"{label:<36}{n_gradients / len(rows):>14,.0f}{1e3 * times[label]:>12.3f}{shares[label]:>9.0%}"
            if name == "expected_gradients":
                errors[label] = relative_error(found[:N_PEER_ROWS], truth)
                line += f"{errors[label]:>9.2%}"
            print(line)
        np.savez(Path(scratch) / "data.npz", background=background_rows, rows=rows[:N_PEER_ROWS])
        theirs = peers.run("gradient_peer.py", model_dir, str(Path(scratch) / "data.npz"))
    ratios = {}
    for label, result in theirs.items():
        error, seconds = relative_error(np.array(result["values"]), truth), result["seconds_per_row"]
        print(f"{label:<36}{result['gradients']:>14,.0f}{1e3 * seconds:>12.3f}{'':>9}{error:>9.2%}")
        for ours, our_error in errors.items():
            ratios[f"{ours} / {label}"] = round(seconds * (error / our_error) ** 2 / times[ours], 1)
    print(json.dumps({"of_bare": {k: round(v, 2) for k, v in shares.items()}, "time_at_equal_error": ratios}))


if __name__ == "__main__":
    main()
