"""What SAGE costs on models of five kinds, and what its intervals cover.

    python benchmarks/sage_coverage.py                      some ten minutes on two cores
    python benchmarks/sage_coverage.py --runs 12            quicker, rougher
    python benchmarks/sage_coverage.py --before ../older    another checkout before this one, with the same rows

A run draws new rows and permutations, plans by a pilot on other rows, explains, and summarises as a job does, until the
largest standard error is 5 % of the range of the values. The truth is the mean over many other rows, each with the
whole background; its own standard error is added to `claimed`, and twice that to intervals. `claimed` and `actual` are
the root mean squares, over runs, of the standard error and of the error of the player that has the largest, in parts of
that range; `coverage` is of the 95 % intervals of all players. `model rows` are those of a run and its pilot.
"""

import argparse
import inspect
import multiprocessing
import tempfile
from pathlib import Path

import model_kinds
import numpy as np
import pyarrow as pa
from sage_vs_sage import LABEL, draws_of, summarize
from scale import of_checkout

from tfx_explain.config import BackgroundConfig, ExplainConfig, ModelConfig
from tfx_explain.job.model_handle import ModelHandle
from tfx_explain.methods.background import choose_background
from tfx_explain.methods.context import JobContext, Sample
from tfx_explain.methods.labels import Labels
from tfx_explain.methods.losses.explainer import LossExplainer
from tfx_explain.methods.losses.method import Losses
from tfx_explain.methods.losses.plan import LossPlan
from tfx_explain.summary.loss_importance import LossImportanceSummary

N_BACKGROUND = 64
N_ROWS = 24_000
N_SAMPLE = 400
N_TRUTH = 20_000
AIM = 0.05


class Explained:
    """SAGE of one kind of model with a background of its own, as a job explains it."""

    def __init__(self, kind: str, model_dir: str) -> None:
        (Path(model_dir) / "kind").write_text(kind)
        self.kind = kind
        self.of_model = ModelConfig(module_file=model_kinds.__file__, **model_kinds.output_of(kind))
        self.model = ModelHandle(model_dir, self.of_model).acquire([self.rows(4, 1)])
        settings = BackgroundConfig(num_rows=N_BACKGROUND)
        self.job = choose_background([self.model], self.rows(N_BACKGROUND, 3), settings, model_kinds.NAMES)
        self.players = {name: (name,) for name in model_kinds.NAMES}

    def rows(self, n: int, seed: int) -> pa.RecordBatch:
        """New rows with labels, as the reader would decode them."""
        x = model_kinds.draw_features(n, seed)
        columns = [*x.T, model_kinds.draw_labels(self.kind, x, seed + 1).astype(np.float32)]
        arrays = [pa.array(list(column[:, None]), pa.large_list(pa.float32())) for column in columns]
        return pa.RecordBatch.from_arrays(arrays, names=[*model_kinds.NAMES, LABEL])

    def _planned(self, seed: int) -> tuple[LossExplainer, LossPlan, int]:
        """What explains, the plan before it knows how many rows there are, and the model rows of its pilot."""
        config = ExplainConfig(
            methods=["shapley", "sage"],
            model=self.of_model.model_dump(),
            background={"num_rows": N_BACKGROUND, "strategy": "medoids"},
            label_key=LABEL,
            seed=seed,
        )
        losses = Losses(JobContext(config, self.players, labels=Labels(LABEL)))
        sample = self.rows(N_SAMPLE, 1_000_000 + 10 * seed)
        planned, spent = losses.plan(Sample(sample, draws_of(sample, seed)), [self.model], self.job)
        return LossExplainer(self.model, self.players, config, Labels(LABEL)), planned, spent["sage_pilot"]

    def run(self, seed: int) -> tuple[LossImportanceSummary, int]:
        """The values over new rows, and the model rows they took."""
        explainer, planned, n_pilot = self._planned(seed)
        # Plans of older checkouts are told how many background rows there are.
        known = {"n_rows": N_ROWS, "n_background": N_BACKGROUND, "aim": AIM}
        plan = planned.for_rows(**{name: known[name] for name in inspect.signature(planned.for_rows).parameters})
        rows = self.rows(N_ROWS, 2_000_000 + 10 * seed)
        summary, n_model_rows = summarize(explainer, rows, self.job.side(0), plan, seed)
        return summary, n_model_rows + n_pilot

    def truth(self) -> LossImportanceSummary:
        """The values over many other rows, each with the whole background."""
        explainer, planned, _ = self._planned(1_000)
        return summarize(explainer, self.rows(N_TRUTH, 7), self.job.side(0), planned, 1_000)[0]


def measure(kind: str, n_runs: int, name: str) -> None:
    """Prints the line of a model."""
    with tempfile.TemporaryDirectory() as model_dir:
        explained = Explained(kind, model_dir)
        truth, runs = explained.truth(), [explained.run(seed) for seed in range(n_runs)]
    spread, summaries = np.ptp(truth.value), [summary for summary, _ in runs]
    errors = np.abs([found.value - truth.value for found in summaries])
    claims = np.hypot([found.std_error for found in summaries], truth.std_error)
    widths = np.hypot([found.ci_high - found.value for found in summaries], 2 * truth.std_error)
    claimed, actual = (np.sqrt(np.square(of).mean(axis=0)).max() / spread for of in (claims, errors))
    n_model_rows, right = np.median([n for _, n in runs]), np.mean(errors <= widths)
    print(f"{name:<30}{n_model_rows:>14,.0f}{claimed:>10.4f}{actual:>10.4f}{right:>10.3f}", flush=True)


def main() -> None:
    """Prints a line per model and checkout."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=40)
    parser.add_argument("--kinds", nargs="+", default=list(model_kinds.KINDS))
    parser.add_argument("--before", help="another checkout, which is measured before this one")
    arguments = parser.parse_args()
    print(f"{'':<30}{'model rows':>14}{'claimed':>10}{'actual':>10}{'coverage':>10}", flush=True)
    for kind in arguments.kinds:
        checkouts = {kind: None} if arguments.before is None else {f"{kind}, before": arguments.before, kind: None}
        for name, checkout in checkouts.items():
            measured = multiprocessing.get_context("spawn").Process(target=measure, args=(kind, arguments.runs, name))
            with of_checkout(checkout):
                measured.start()
            measured.join()


if __name__ == "__main__":
    main()
