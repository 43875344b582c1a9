"""Shapley values of rows of a network, or of models of five kinds: time per row and error, against shap.

The network has 30 features and is a SavedModel; the models of `model_kinds.py` have 20 and are Python functions. There
are 100 background rows. Both explain in their own process, warmed up: ours a batch of the job's size, shap row after
row, as it does. Fitting the surrogate, once per job, is timed apart. The two take turns, since machines have
faster and slower minutes, and times are medians over all turns. The truth for both is 100 times the largest budget of
either. Each of shap's settings is held against what we need for the same error: our cheapest setting that reaches it
or, between two settings, what the root law of errors says (half the error for four times the rows). `time` and `rows`
are how many times as much shap takes of each.

    python benchmarks/shapley_vs_shap.py
    python benchmarks/shapley_vs_shap.py --kinds                                 all five, some minutes
    python benchmarks/shapley_vs_shap.py --kinds products boosted_trees
"""

import argparse
import dataclasses
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import model_kinds
import network
import numpy as np
import peers
import pyarrow as pa

from tfx_explain.config import BackgroundConfig, ExplainConfig, ModelConfig
from tfx_explain.job.model_handle import ModelHandle
from tfx_explain.methods.background import choose_background
from tfx_explain.methods.batch import Batch
from tfx_explain.methods.shapley.background import ShapleyPlan
from tfx_explain.methods.shapley.estimates import Estimates
from tfx_explain.methods.shapley.row_explainer import RowExplainer
from tfx_explain.methods.shapley.surrogates import fit_to_model
from tfx_explain.rows import ROWS_PER_BATCH, row_hashes

Setting = tuple[str, int]

N_BACKGROUND = 100
N_PEER_ROWS = 20


@dataclasses.dataclass(frozen=True)
class World:
    """A model, rows of it, and how often they are explained.

    Attributes:
      save: writes the model into a directory.
      of_model: how it is called.
      names: of its d features.
      background: (N_BACKGROUND, d).
      rows: (n, d), of which shap explains the first N_PEER_ROWS.
      n_turns: of both.
      n_repeats: of ours in each turn.
    """

    save: Callable[[Path], None]
    of_model: ModelConfig
    names: list[str]
    background: np.ndarray
    rows: np.ndarray
    n_turns: int
    n_repeats: int

    @property
    def settings(self) -> list[Setting]:
        """Ours, by estimator and budget."""
        d = len(self.names)
        return [
            *[("surrogate", m) for m in (4, 6, 8, d // 2, d, 3 * d // 2, 2 * d)],
            ("permutation", 2 * (d - 1)),
            *[("leverage", k * d) for k in (4, 6, 8, 16)],
        ]

    @property
    def truth(self) -> Setting:
        """What is called the truth."""
        return "permutation", 100 * 16 * len(self.names)

    def to_batch(self, x: np.ndarray) -> pa.RecordBatch:
        """Rows as the reader would decode them."""
        arrays = [pa.array([[value] for value in column], pa.large_list(pa.float32())) for column in x.T]
        return pa.RecordBatch.from_arrays(arrays, names=self.names)


def of_network() -> World:
    """A trained network of TensorFlow's."""
    background, rows = network.features()[:N_BACKGROUND], network.noisy_rows(ROWS_PER_BATCH, seed=2)
    of_model = ModelConfig(signature="raw", output_space="raw")
    return World(network.train_and_save, of_model, network.NAMES, background, rows, n_turns=3, n_repeats=5)


def of_kind(kind: str) -> World:
    """One of the five kinds."""
    of_model = ModelConfig(module_file=model_kinds.__file__, **model_kinds.output_of(kind))
    background, rows = model_kinds.draw_features(N_BACKGROUND, 3), model_kinds.draw_features(200, 4)

    def save(directory: Path) -> None:
        directory.mkdir()
        (directory / "kind").write_text(kind)

    return World(save, of_model, model_kinds.NAMES, background, rows, n_turns=2, n_repeats=2)


class Ours:
    """This package's side."""

    def __init__(self, world: World, model_dir: str) -> None:
        self._world = world
        batch = world.to_batch(world.background)
        self._model = ModelHandle(model_dir, world.of_model).acquire([batch])
        plan = choose_background([self._model], batch, BackgroundConfig(num_rows=N_BACKGROUND), world.names)
        started = time.perf_counter()
        inputs, players = self._model.inputs(plan.background.rows), [(name,) for name in world.names]
        surrogate = fit_to_model(self._model, inputs, plan.predictions[0], players, seed=0, outputs=plan.outputs)
        self.fit_seconds = time.perf_counter() - started
        self._plan = dataclasses.replace(plan, per_method={"shapley": ShapleyPlan(surrogates=(surrogate,))})
        self._explainers = {setting: self._explainer(*setting) for setting in [*world.settings, world.truth]}

    def _explainer(self, estimator: str, budget: int) -> RowExplainer:
        methods = [{"shapley": {"estimator": estimator, "budget": budget}}]
        config = ExplainConfig(methods=methods, model=self._world.of_model.model_dump())
        return RowExplainer(self._model, {name: (name,) for name in self._world.names}, config)

    def explain(self, setting: Setting, rows: pa.RecordBatch) -> Estimates:
        """Attributions of rows."""
        one, hashes = self._explainers[setting], row_hashes(rows)
        batch = Batch.of([self._model], rows, hashes, hashes, self._plan.outputs, one.config)
        return one.estimate(batch, batch.sides[0], self._plan.per_method["shapley"].background(self._plan, 0))


@dataclasses.dataclass(frozen=True)
class Measured:
    """What one setting took.

    Attributes:
      model_rows: per row explained.
      seconds: per row explained.
      error: median over rows of the relative L2 error.
    """

    model_rows: float
    seconds: float
    error: float

    def at(self, error: float, seconds: Callable[["Measured"], float]) -> float:
        """What a smaller error would take by the root law that errors follow."""
        return seconds(self) * (self.error / error) ** 2


def relative_error(estimate: np.ndarray, truth: np.ndarray) -> float:
    """Median over rows of the relative L2 error."""
    return float(np.median(np.linalg.norm(estimate - truth, axis=1) / np.linalg.norm(truth, axis=1)))


def cost_at(error: float, ours: Sequence[Measured], cost: Callable[[Measured], float]) -> float:
    """What we need per row for this error: between two settings by the root law, never less than the next cheaper."""
    below = min((one for one in ours if one.error <= error), key=cost)
    above = [one for one in ours if one.error > error and cost(one) < cost(below)]
    return min([cost(below), *[one.at(error, cost) for one in sorted(above, key=cost)[-1:]]])


def measure(world: World) -> tuple[float, dict[str, Measured], dict[str, Measured]]:
    """Seconds of fitting the surrogate, and our settings and theirs by name."""
    with tempfile.TemporaryDirectory() as scratch:
        model_dir, data = f"{scratch}/model", f"{scratch}/data.npz"
        world.save(Path(model_dir))
        np.savez(data, background=world.background, rows=world.rows[:N_PEER_ROWS])
        side, batch = Ours(world, model_dir), world.to_batch(world.rows)
        truth = side.explain(world.truth, world.to_batch(world.rows[:N_PEER_ROWS])).values[..., 0]
        estimates = {setting: side.explain(setting, batch) for setting in world.settings}
        took: dict[Setting, list[float]] = {setting: [] for setting in world.settings}
        turns = []
        for _ in range(world.n_turns):
            for _ in range(world.n_repeats):
                for setting, seconds in took.items():
                    started = time.perf_counter()
                    side.explain(setting, batch)
                    seconds.append((time.perf_counter() - started) / len(world.rows))
            turns.append(peers.run("shap_peer.py", model_dir, data))
    ours = {
        f"tfx-explain {estimator} m={budget}": Measured(
            found.n_model_rows / len(world.rows),
            statistics.median(took[estimator, budget]),
            relative_error(found.values[:N_PEER_ROWS, :, 0], truth),
        )
        for (estimator, budget), found in estimates.items()
    }
    theirs = {
        name: Measured(
            result["model_rows"],
            statistics.median(second for turn in turns for second in turn[name]["seconds_per_row"]),
            relative_error(np.array(result["values"]), truth),
        )
        for name, result in turns[0].items()
    }
    return side.fit_seconds, ours, theirs


def compare(name: str, world: World) -> dict[str, dict[str, float]]:
    """Prints a line per setting of both; returns how many times as much shap takes, by its setting."""
    fit_seconds, ours, theirs = measure(world)
    costs = {"time": lambda one: one.seconds, "rows": lambda one: one.model_rows}
    ratios = {
        peer: {
            kind: round(cost(one) / cost_at(one.error, list(ours.values()), cost), 1) for kind, cost in costs.items()
        }
        for peer, one in theirs.items()
    }
    print(f"\n{name}: {len(world.names)} features, {N_BACKGROUND} background rows; error: median relative L2 of a row")
    print(f"The surrogate was fitted in {fit_seconds:.1f} s, compiling the model included.")
    print(f"{'explainer':<40}{'model rows':>12}{'ms per row':>12}{'error':>9}{'time':>9}{'rows':>9}")
    for label, one in (ours | theirs).items():
        ends = "".join(f"{ratio:>8.1f}x" for ratio in ratios.get(label, {}).values())
        print(f"{label:<40}{one.model_rows:>12,.0f}{1e3 * one.seconds:>12.3f}{one.error:>9.2%}{ends}", flush=True)
    return ratios


def main() -> None:
    """Prints a table per model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--kinds", nargs="*", choices=list(model_kinds.KINDS), help="instead of the network; none = all"
    )
    kinds = parser.parse_args().kinds
    worlds = (
        {"network": of_network}
        if kinds is None
        else {kind: lambda kind=kind: of_kind(kind) for kind in kinds or model_kinds.KINDS}
    )
    result = {name: compare(name, make()) for name, make in worlds.items()}
    least = {name: min(ratios.items(), key=lambda one: one[1]["time"]) for name, ratios in result.items()}
    print(json.dumps({"ratios": result, "least": least}))


if __name__ == "__main__":
    main()
