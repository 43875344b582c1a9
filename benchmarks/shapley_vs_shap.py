"""Shapley values of a network with 30 features and 100 background rows: time per row and error, against shap.

Both explain rows of the same SavedModel in their own process, warmed up: ours a batch of the job's size, shap
one row after the other, as it does. The truth for both is 100 times the largest budget of either. Each of shap's
settings is held against what we need for the same error: our cheapest setting that reaches it or, between two settings,
what the root law of errors says (half the error for four times the rows).

    python benchmarks/shapley_vs_shap.py
"""

import json
import statistics
import tempfile
import time
from pathlib import Path

import network
import numpy as np
import peers
import pyarrow as pa

from tfx_explain.config import BackgroundConfig, ExplainConfig, ModelConfig
from tfx_explain.rows import row_hashes
from tfx_explain.transforms.background import Background, choose_background
from tfx_explain.transforms.model_handle import ModelHandle
from tfx_explain.transforms.read import ROWS_PER_BATCH
from tfx_explain.transforms.row_explainer import Estimates, RowExplainer

N_BACKGROUND = 100
N_ROWS = ROWS_PER_BATCH
N_PEER_ROWS = 20
N_REPEATS = 9
D = network.N_FEATURES
SETTINGS = [("permutation", 2 * (D - 1)), ("permutation", 4 * (D - 1)), *[("leverage", k * D) for k in (4, 8, 16)]]
TRUTH = ("permutation", 100 * 16 * D)


def to_batch(x: np.ndarray) -> pa.RecordBatch:
    """Rows as the reader would decode them."""
    arrays = [pa.array([[value] for value in column], pa.large_list(pa.float32())) for column in x.T]
    return pa.RecordBatch.from_arrays(arrays, names=network.NAMES)


def explainer(model_dir: str, estimator: str, budget: int) -> RowExplainer:
    """Explains with one design."""
    methods = [{"shapley": {"estimator": estimator, "budget": budget}}]
    config = ExplainConfig(methods=methods, model={"signature": "raw", "output_space": "raw"})
    model = ModelHandle(model_dir, ModelConfig(signature="raw", output_space="raw")).acquire()
    return RowExplainer(model, {name: (name,) for name in network.NAMES}, config)


def explain(one: RowExplainer, batch: pa.RecordBatch, background: Background) -> Estimates:
    """Attributions of rows."""
    return one.estimate(batch, row_hashes(batch), background, background.predictions)


def relative_error(estimate: np.ndarray, truth: np.ndarray) -> float:
    """Median over rows of the relative L2 error."""
    return float(np.median(np.linalg.norm(estimate - truth, axis=1) / np.linalg.norm(truth, axis=1)))


def seconds_at(error: float, ours: list[tuple[str, int, float, float]]) -> float:
    """What we need per row for this error: between two settings by the root law that errors follow, never less."""
    below = min((one for one in ours if one[3] <= error), key=lambda one: one[2])
    above = [one for one in ours if one[3] > error and one[2] < below[2]]
    if not above:
        return below[2]
    nearest = max(above, key=lambda one: one[2])
    return min(below[2], nearest[2] * (nearest[3] / error) ** 2)


def main() -> None:
    """Prints the table."""
    x = network.features()
    background_rows, rows = x[:N_BACKGROUND], network.noisy_rows(N_ROWS, seed=2)
    with tempfile.TemporaryDirectory() as scratch:
        model_dir = str(Path(scratch) / "model")
        network.train_and_save(Path(model_dir))
        np.savez(Path(scratch) / "data.npz", background=background_rows, rows=rows[:N_PEER_ROWS])
        model = ModelHandle(model_dir, ModelConfig(signature="raw", output_space="raw")).acquire()
        settings = BackgroundConfig(num_rows=N_BACKGROUND)
        background = choose_background(model, to_batch(background_rows), settings, network.NAMES)
        truth = explain(explainer(model_dir, *TRUTH), to_batch(rows[:N_PEER_ROWS]), background).values[..., 0]
        batch = to_batch(rows)
        ours = []
        for estimator, budget in SETTINGS:
            one = explainer(model_dir, estimator, budget)
            explain(one, batch, background)
            took = []
            for _ in range(N_REPEATS):
                started = time.perf_counter()
                estimates = explain(one, batch, background)
                took.append(time.perf_counter() - started)
            seconds = statistics.median(took) / N_ROWS
            error = relative_error(estimates.values[:N_PEER_ROWS, :, 0], truth)
            model_rows = estimates.n_model_rows // N_ROWS
            ours.append((f"tfx-explain {estimator} m={budget}", model_rows, seconds, error))
        theirs = peers.run("shap_peer.py", model_dir, str(Path(scratch) / "data.npz"))
    print(f"{D} features, {N_BACKGROUND} background rows; error: median relative L2 over {N_PEER_ROWS} rows")
    print(f"{'explainer':<40}{'model rows':>12}{'ms per row':>12}{'error':>9}")
    for name, model_rows, seconds, error in ours:
        print(f"{name:<40}{model_rows:>12,}{1e3 * seconds:>12.3f}{error:>9.2%}")
    ratios = {}
    for name, result in theirs.items():
        error = relative_error(np.array(result["values"]), truth)
        seconds = result["seconds_per_row"]
        ratios[name] = round(seconds / seconds_at(error, ours), 1)
        print(f"{name:<40}{result['model_rows']:>12,.0f}{1e3 * seconds:>12.3f}{error:>9.2%}{ratios[name]:>8.1f}x")
    print(json.dumps({"ratios": ratios, "least": min(ratios, key=ratios.get)}))


if __name__ == "__main__":
    main()
