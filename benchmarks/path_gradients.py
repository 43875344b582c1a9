"""Integrated and expected gradients: speed against the bare gradient of four networks, and against shap.

Gradients per second of the methods at work, one batch of rows at a time, are held against those of the compiled
gradient function alone, at its best batch and compiled as suits it best, of the network of all benchmarks and of
three larger ones. Then, for the first, expected gradients against shap.GradientExplainer on the same 100 background
rows: time per row for the same error, by the law that the error of its independent samples falls with the root of
their number. The truth is our own estimate with 64 times the steps; how far two such are from each other is printed
too. Times are medians of turns, the warm-up apart.

    python benchmarks/path_gradients.py
"""

import dataclasses
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import gradient_networks
import numpy as np
import peers
import tensorflow as tf
from gradient_networks import Network

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
N_TURNS = 3
# Rows explained at a time, fewer where a row takes long; the larger networks with the first settings of each method.
NETWORKS: list[tuple[Callable[[Path, int, int], Network], int]] = [
    (gradient_networks.trained, ROWS_PER_BATCH),
    (gradient_networks.wide, 512),
    (gradient_networks.recurrent, 256),
    (gradient_networks.convolutional, 128),
]
OF_LARGER = ("expected_gradients, 400 samples", "integrated_gradients, gap 0.01")
MAX_VALUES = 2**24
BATCH_SIZES = [2**k for k in range(6, 16)]
SECONDS_PER_BATCH_SIZE = 0.5
SETTINGS: dict[str, tuple[str, dict[str, Any]]] = {
    "expected_gradients, 400 samples": ("expected_gradients", {"num_samples": 400}),
    "expected_gradients, 1,600 samples": ("expected_gradients", {"num_samples": 1_600}),
    "integrated_gradients, gap 0.01": ("integrated_gradients", {}),
    "integrated_gradients, gap 0.001": ("integrated_gradients", {"max_completeness_gap": 0.001, "max_steps": 2_048}),
}
TRUTH = {"num_samples": 64 * 1_600}


def bare_gradients(of: Network) -> tuple[float, str]:
    """Rows per second of a network's gradient alone, and how it was called."""
    best, width = (0.0, ""), of.rows.shape[1]
    for compiled in (False, True):
        traced = tf.function(of.gradient, jit_compile=compiled)
        for size in BATCH_SIZES:
            if size * width > MAX_VALUES:
                continue
            x = tf.constant(np.resize(of.rows, (size, width)))
            function = traced.get_concrete_function(x)
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
      of: the network that it is.
      seed: of the job.
    """

    def __init__(self, name: str, settings: dict[str, Any], model: Model, of: Network, seed: int = 0) -> None:
        self.model, self.name, self.of = model, name, of
        self.config = ExplainConfig(methods=[{name: settings}], model={"output_space": "raw"}, seed=seed)
        context = JobContext(self.config, {name: (name,) for name in of.shapes}, outputs=("score",))
        self.method = {"expected_gradients": ExpectedGradients, "integrated_gradients": IntegratedGradients}[name](
            context
        )
        rows = of.to_batch(of.background)
        chosen = choose_background([model], rows, BackgroundConfig(num_rows=len(of.background)), list(of.shapes))
        made, _ = self.method.plan(Sample(rows, row_hashes(rows)), [model], chosen)
        self.plan: JobPlan = dataclasses.replace(chosen, per_method={name: made})
        self.explainer = self.method.explainer([model])

    def explain(self, x: np.ndarray) -> tuple[np.ndarray, int, float]:
        """(n, n_features) attributions, gradients taken, and seconds."""
        rows = self.of.to_batch(x)
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


def saved(make: Callable[[Path, int, int], Network], n_rows: int, scratch: str) -> tuple[Network, Model]:
    """A network and the model that it was saved as."""
    of = make(Path(scratch) / make.__name__, n_rows, N_BACKGROUND)
    return of, ModelHandle(of.model_dir, ModelConfig(signature="raw", output_space="raw")).acquire()


def shares_of_bare(of: Network, model: Model, labels: Iterable[str]) -> dict[str, float]:
    """How near the methods are to the network's bare gradient; prints a line of each."""
    bare, how = bare_gradients(of)
    print(f"{of.label}: bare gradient {bare:,.0f} rows/s ({how})")
    shares = {}
    for label in labels:
        name, settings = SETTINGS[label]
        at_work = AtWork(name, settings, model, of)
        _, n_gradients, _ = at_work.explain(of.rows)
        seconds = median_seconds(lambda at_work=at_work: at_work.explain(of.rows))
        shares[label] = n_gradients / seconds / bare
        per_row, ms = n_gradients / len(of.rows), 1e3 * seconds / len(of.rows)
        print(f"  {label:<36}{per_row:>10,.0f} a row{ms:>10.3f} ms{shares[label]:>7.0%}")
    return shares


def against_shap(of: Network, model: Model, scratch: str) -> dict[str, float]:
    """How many times as long shap takes for the same error; prints what each takes."""
    rows = of.rows[:N_PEER_ROWS]
    truth, again = (AtWork("expected_gradients", TRUTH, model, of, seed).explain(rows)[0] for seed in (1, 2))
    print(f"truth of expected gradients: within {relative_error(again, truth):.2%}")
    errors, times = {}, {}
    for label, (name, settings) in SETTINGS.items():
        if name == "expected_gradients":
            at_work = AtWork(name, settings, model, of)
            errors[label] = relative_error(at_work.explain(rows)[0], truth)
            times[label] = median_seconds(lambda at_work=at_work: at_work.explain(of.rows)) / len(of.rows)
            print(f"  {label:<36}{1e3 * times[label]:>10.3f} ms a row, error {errors[label]:.2%}")
    np.savez(Path(scratch) / "data.npz", background=of.background, rows=rows)
    ratios = {}
    for label, result in peers.run("gradient_peer.py", of.model_dir, str(Path(scratch) / "data.npz")).items():
        error, seconds = relative_error(np.array(result["values"]), truth), result["seconds_per_row"]
        print(f"  {label:<36}{1e3 * seconds:>10.3f} ms a row, error {error:.2%}")
        for ours, our_error in errors.items():
            ratios[f"{ours} / {label}"] = round(seconds * (error / our_error) ** 2 / times[ours], 1)
    return ratios


def main() -> None:
    """Prints the tables."""
    with tempfile.TemporaryDirectory() as scratch:
        made = [saved(make, n_rows, scratch) for make, n_rows in NETWORKS]
        shares = {made[0][0].label: shares_of_bare(*made[0], SETTINGS)}
        shares |= {of.label: shares_of_bare(of, model, OF_LARGER) for of, model in made[1:]}
        ratios = against_shap(*made[0], scratch)
    rounded = {of: {label: round(share, 2) for label, share in found.items()} for of, found in shares.items()}
    print(json.dumps({"of_bare": rounded, "time_at_equal_error": ratios}))


if __name__ == "__main__":
    main()
