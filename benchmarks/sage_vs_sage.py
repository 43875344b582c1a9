"""SAGE values of a network with 30 features and 128 background rows: time to one interval width, against sage.

Both explain the log loss of the same probabilities on the same labelled rows, against the same background, each in its
own process, warmed up, until the largest standard error is 2.5 % of the range of the values (sage's own default); ours
is forecast by a pilot, sage's is checked after every 512 rows. The actual error says whether that width was honest: the
largest deviation of any of the 30 values from a run over all rows, along four permutations each, in parts of the same
range. Ours is the time of the job's own steps: pilot, plain predictions, rows, summary.

    python benchmarks/sage_vs_sage.py
"""

import dataclasses
import json
import tempfile
import time
from pathlib import Path

import network
import numpy as np
import peers
import pyarrow as pa

from tfx_explain.config import BackgroundConfig, ExplainConfig, ModelConfig
from tfx_explain.content_sample import copy_keys
from tfx_explain.job.model_handle import ModelHandle
from tfx_explain.job.request import ExplainRequest
from tfx_explain.methods.background import SideBackground, choose_background
from tfx_explain.methods.context import Sample, labels_of
from tfx_explain.methods.labels import Labels
from tfx_explain.methods.losses.explainer import LossExplainer
from tfx_explain.methods.losses.method import Losses
from tfx_explain.methods.losses.plan import SAGE, LossPlan
from tfx_explain.rows import ROWS_PER_BATCH, HashArray, row_hashes, take_rows
from tfx_explain.summary.loss_importance import LossImportanceSummary

N_BACKGROUND = 128
N_ROWS = 10_000
N_SAMPLE = 1_000
THRESHOLD = 0.025
N_RUNS = 5
N_PEER_RUNS = 3
LABEL = "label"
MODEL = ModelConfig(signature="chance", output_space="probability")


def draw_rows(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows drawn from the data with noise, and their labels."""
    rng = np.random.default_rng(seed)
    chosen = rng.integers(len(network.features()), size=n)
    noise = 0.1 * rng.normal(size=(n, network.N_FEATURES)).astype(np.float32)
    return network.features()[chosen] + noise, network.labels()[chosen]


def to_batch(x: np.ndarray, labels: np.ndarray) -> pa.RecordBatch:
    """Rows as the reader would decode them."""
    columns = [pa.array([[value] for value in column], pa.large_list(pa.float32())) for column in x.T]
    label = pa.array([[value] for value in labels.tolist()], pa.large_list(pa.int64()))
    return pa.RecordBatch.from_arrays([*columns, label], names=[*network.NAMES, LABEL])


def make_request(model_dir: str, seed: int) -> ExplainRequest:
    """What the job would be told; background rows that are all kept are not corrected for their number, as in sage."""
    config = ExplainConfig(
        methods=["shapley", {"sage": {"max_relative_error": THRESHOLD}}],
        model=MODEL.model_dump(),
        background={"num_rows": N_BACKGROUND, "strategy": "medoids"},
        label_key=LABEL,
        seed=seed,
    )
    return ExplainRequest(
        config=config,
        models=(ModelHandle(model_dir, MODEL),),
        example_patterns={},
        background_pattern="",
        explanation_dir="",
        attributions_dir="",
        players={name: (name,) for name in network.NAMES},
        unused_features=(),
        labels=Labels(LABEL),
    )


def draws_of(rows: pa.RecordBatch, seed: int) -> HashArray:
    """Random numbers of rows that are all different."""
    return copy_keys(row_hashes(rows), np.zeros(rows.num_rows, np.int64), seed)


def summarize(
    explainer: LossExplainer, rows: pa.RecordBatch, background: SideBackground, plan: LossPlan, seed: int
) -> tuple[LossImportanceSummary, int]:
    """The values over all rows, and the model rows they took."""
    together, n_model_rows = None, 0
    for start in range(0, rows.num_rows, ROWS_PER_BATCH):
        batch = take_rows(rows, np.arange(start, min(start + ROWS_PER_BATCH, rows.num_rows)))
        prediction = explainer.model.predict(explainer.model.inputs(batch))
        found, counts = explainer.evaluate(batch, draws_of(batch, seed), background, plan, prediction)
        n_model_rows += counts["sage_model_rows"]
        contribution = found[SAGE].contribution(np.arange(batch.num_rows), np.ones(batch.num_rows))
        if contribution is not None:
            make, arguments = contribution
            accumulator = make()
            accumulator.add(*arguments)
            if together is None:
                together = accumulator
            else:
                together.merge(accumulator)
    return together.result(), n_model_rows


def main() -> None:
    """Prints the table."""
    (x, labels), (sample_x, sample_labels) = draw_rows(N_ROWS, 1), draw_rows(N_SAMPLE, 2)
    background_rows = network.features()[:N_BACKGROUND]
    rows, sample = to_batch(x, labels), to_batch(sample_x, sample_labels)
    with tempfile.TemporaryDirectory() as scratch:
        model_dir, data = str(Path(scratch) / "model"), str(Path(scratch) / "data.npz")
        network.train_and_save(Path(model_dir))
        np.savez(data, background=background_rows, rows=x, labels=labels)
        model = ModelHandle(model_dir, MODEL).acquire()
        of_background = to_batch(background_rows, network.labels()[:N_BACKGROUND])
        settings = BackgroundConfig(num_rows=N_BACKGROUND)
        job = choose_background([model], of_background, settings, network.NAMES)
        ours = []
        for seed in range(-1, N_RUNS):
            request = make_request(model_dir, max(seed, 0))
            started = time.perf_counter()
            explainer = LossExplainer(model, request.players, request.config, labels_of(request.context))
            planned, _ = Losses(request.context).plan(Sample(sample, draws_of(sample, max(seed, 0))), [model], job)
            plan = planned.for_rows(N_ROWS, THRESHOLD)
            summary, n_model_rows = summarize(explainer, rows, job.side(0), plan, max(seed, 0))
            # The first run warms up.
            if seed >= 0:
                ours.append((time.perf_counter() - started, summary, n_model_rows))
        whole = dataclasses.replace(planned, orders_per_row=4)
        truth, n_truth_rows = summarize(explainer, rows, job.side(0), whole, N_RUNS)
        theirs = peers.run("sage_peer.py", model_dir, data, str(THRESHOLD), str(N_PEER_RUNS))
    spread = np.ptp(truth.value)

    def line(name: str, seconds: float, n_model_rows: float, values: np.ndarray, errors: np.ndarray) -> None:
        ratio, actual = errors.max() / np.ptp(values), np.abs(values - truth.value).max() / spread
        print(f"{name:<24}{seconds:>9.2f}{n_model_rows:>14,.0f}{ratio:>10.4f}{actual:>10.4f}")

    print(f"{N_ROWS:,} rows, {N_BACKGROUND} background rows; truth from {n_truth_rows:,} model rows")
    print(f"{'':<24}{'seconds':>9}{'model rows':>14}{'ratio':>10}{'actual':>10}")
    for seconds, summary, n_model_rows in ours:
        line("tfx-explain", seconds, n_model_rows, summary.value, summary.std_error)
    for run in theirs:
        line("sage", run["seconds"], run["model_rows"], np.array(run["values"]), np.array(run["errors"]))
    mine, other = np.median([run[0] for run in ours]), np.median([run["seconds"] for run in theirs])
    print(json.dumps({"seconds": round(mine, 2), "sage_seconds": round(other, 2), "ratio": round(other / mine, 1)}))


if __name__ == "__main__":
    main()
