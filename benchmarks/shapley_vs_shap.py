"""Shapley values of a network with 30 features and 100 background rows: time per row and error, against shap.

Both explain rows of the same SavedModel in their own process, warmed up: ours a batch of the job's size, shap one row
after the other, as it does. Fitting the surrogate, once per job, is timed apart. The two take turns, since machines
have faster and slower minutes, and times are medians over all turns. The truth for both is 100 times the largest budget
of either. Each of shap's settings is held against what we need for the same error: our cheapest setting that reaches it
or, between two settings, what the root law of errors says (half the error for four times the rows).

    python benchmarks/shapley_vs_shap.py
"""

import dataclasses
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
from tfx_explain.job.model_handle import ModelHandle
from tfx_explain.methods.background import JobPlan, choose_background
from tfx_explain.methods.batch import Batch
from tfx_explain.methods.shapley.background import ShapleyPlan
from tfx_explain.methods.shapley.estimates import Estimates
from tfx_explain.methods.shapley.row_explainer import RowExplainer
from tfx_explain.methods.shapley.surrogates import fit_to_model
from tfx_explain.rows import ROWS_PER_BATCH, row_hashes

N_BACKGROUND = 100
N_ROWS = ROWS_PER_BATCH
N_PEER_ROWS = 20
N_TURNS = 3
N_REPEATS = 5
D = network.N_FEATURES
SETTINGS = [
    *[("surrogate", m) for m in (4, 6, 8, 16, 30, 44, 60)],
    ("permutation", 2 * (D - 1)),
    *[("leverage", k * D) for k in (4, 6, 8, 16)],
]
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


def explain(one: RowExplainer, rows: pa.RecordBatch, plan: JobPlan) -> Estimates:
    """Attributions of rows."""
    hashes = row_hashes(rows)
    batch = Batch.of([one.model], rows, hashes, hashes, plan.outputs, one.config)
    return one.estimate(batch, batch.sides[0], plan.per_method["shapley"].background(plan, 0))


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
        plan = choose_background([model], to_batch(background_rows), settings, network.NAMES)
        started = time.perf_counter()
        inputs, players = model.inputs(plan.background.rows), [(name,) for name in network.NAMES]
        surrogate = fit_to_model(model, inputs, plan.predictions[0], players, seed=0, outputs=plan.outputs)
        fit_seconds = time.perf_counter() - started
        plan = dataclasses.replace(plan, per_method={"shapley": ShapleyPlan(surrogates=(surrogate,))})
        truth = explain(explainer(model_dir, *TRUTH), to_batch(rows[:N_PEER_ROWS]), plan).values[..., 0]
        batch = to_batch(rows)
        explainers = {setting: explainer(model_dir, *setting) for setting in SETTINGS}
        estimates = {setting: explain(one, batch, plan) for setting, one in explainers.items()}
        took: dict[tuple[str, int], list[float]] = {setting: [] for setting in SETTINGS}
        turns = []
        for _ in range(N_TURNS):
            for _ in range(N_REPEATS):
                for setting, one in explainers.items():
                    started = time.perf_counter()
                    explain(one, batch, plan)
                    took[setting].append(time.perf_counter() - started)
            turns.append(peers.run("shap_peer.py", model_dir, str(Path(scratch) / "data.npz")))
    ours = [
        (
            f"tfx-explain {setting[0]} m={setting[1]}",
            found.n_model_rows // N_ROWS,
            statistics.median(took[setting]) / N_ROWS,
            relative_error(found.values[:N_PEER_ROWS, :, 0], truth),
        )
        for setting, found in estimates.items()
    ]
    print(f"{D} features, {N_BACKGROUND} background rows; error: median relative L2 over {N_PEER_ROWS} rows")
    print(f"The surrogate was fitted in {fit_seconds:.1f} s, compiling the model included.")
    print(f"{'explainer':<40}{'model rows':>12}{'ms per row':>12}{'error':>9}")
    for name, model_rows, seconds, error in ours:
        print(f"{name:<40}{model_rows:>12,}{1e3 * seconds:>12.3f}{error:>9.2%}")
    ratios = {}
    for name, result in turns[0].items():
        error = relative_error(np.array(result["values"]), truth)
        seconds = statistics.median(second for turn in turns for second in turn[name]["seconds_per_row"])
        ratios[name] = round(seconds / seconds_at(error, ours), 1)
        print(f"{name:<40}{result['model_rows']:>12,.0f}{1e3 * seconds:>12.3f}{error:>9.2%}{ratios[name]:>8.1f}x")
    print(json.dumps({"ratios": ratios, "least": min(ratios, key=ratios.get)}))


if __name__ == "__main__":
    main()
