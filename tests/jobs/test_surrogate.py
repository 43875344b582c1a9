"""The estimator `surrogate` through the whole job: any kind of feature, shards and processes, pilots, two models."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

import tfx_explain
import worlds
from tfx_explain import errors
from tfx_explain.transforms import decode

pytestmark = pytest.mark.usefixtures("without_statistics")

FLOATS = [f"x{i}" for i in range(9)]
GROUPS = {"place": ["town", "street"]}
PLAYERS = [*FLOATS, "count", "tags", "place"]
TOWNS = [b"Oslo", b"Rome", b"Graz", b"Lima"]


def make_rows(n: int, seed: int) -> list[dict[str, Any]]:
    rng = np.random.default_rng(seed)
    return [
        {
            **{name: float(value) for name, value in zip(FLOATS, rng.normal(size=len(FLOATS)), strict=True)},
            "x8": None if rng.uniform() < 0.2 else float(rng.normal()),
            "count": int(rng.integers(0, 50)),
            "tags": [[b"new", b"used", b"rare"][i] for i in rng.permutation(3)[: rng.integers(0, 3)]] or None,
            "town": TOWNS[rng.integers(4)],
            "street": b"street %d" % rng.integers(100),
        }
        for _ in range(n)
    ]


def save_model(directory: Path, bend: float = 1.0) -> str:
    """A network with interactions of every order between floats, an integer, a string and a list of strings."""
    rng = np.random.default_rng(3)
    inner, outer = 0.4 * rng.normal(size=(13, 16)), rng.normal(size=16)
    spec = {name: tf.io.FixedLenFeature([], tf.float32, default_value=-1.0) for name in FLOATS}
    spec |= {"count": tf.io.FixedLenFeature([], tf.int64), "town": tf.io.FixedLenFeature([], tf.string)}
    spec |= {"street": tf.io.FixedLenFeature([], tf.string), "tags": tf.io.VarLenFeature(tf.string)}

    def score(features: dict[str, Any]) -> Any:
        tags = features["tags"]
        rare = tf.cast(tf.equal(tags.values, b"rare"), tf.float32)
        columns = [features[name] for name in FLOATS]
        columns.append(tf.cast(features["count"], tf.float32) / 10)
        columns.append(tf.math.unsorted_segment_sum(rare, tags.indices[:, 0], tf.shape(features["x0"])[0]))
        columns.append(tf.cast(tf.equal(features["town"], TOWNS[0]), tf.float32))
        columns.append(tf.cast(tf.strings.length(features["street"]), tf.float32) / 10)
        x = tf.cast(tf.stack(columns, axis=1), tf.float64)
        return tf.linalg.matvec(tf.nn.softplus(bend * (x @ inner)), outer)

    return worlds.save_serving_model(directory, score, spec)


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> str:
    return worlds.write_splits(tmp_path_factory.mktemp("mixed"), make_rows, 120, 36)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return save_model(tmp_path_factory.mktemp("network") / "model")


def run(model: str, examples: str, output: Path, shapley: dict[str, Any], **options: Any) -> Any:
    config = {
        "background": {"num_rows": 64},
        "features": {"groups": GROUPS},
        "methods": [{"shapley": shapley}],
        **options.pop("config", {}),
    }
    return tfx_explain.explain(model=model, examples=examples, output_dir=str(output), config=config, **options)


def values(explanation: Any, prefix: str = "attribution_") -> np.ndarray:
    table = explanation.attributions().sort_values("example_id")
    return table[[f"{prefix}{name}" for name in PLAYERS]].to_numpy()


@pytest.fixture(scope="module")
def truth(model: str, examples: str, tmp_path_factory: pytest.TempPathFactory) -> np.ndarray:
    """The attributions by all coalitions."""
    return values(run(model, examples, tmp_path_factory.mktemp("truth") / "exact", {"estimator": "exact"}))


def test_few_coalitions_come_near_all_of_them(model: str, examples: str, truth: np.ndarray, tmp_path: Path) -> None:
    few = run(model, examples, tmp_path / "few", {"budget": 8})
    method = few.manifest["method"]["shapley"]
    assert (method["estimator"], method["model_rows_per_example"]) == ("surrogate", 8 * 64)
    found = values(few)
    relative = np.linalg.norm(found - truth, axis=1) / np.linalg.norm(truth, axis=1)
    assert np.median(relative) < 0.06
    # The standard errors are of the background too, so this is more than the estimate's own error.
    assert np.mean(np.abs(found - truth) <= 2 * values(few, "std_error_")) > 0.97
    table = few.attributions()
    total = table[[f"attribution_{name}" for name in PLAYERS]].sum(axis=1)
    (base,) = few.manifest["base_values"].values()
    np.testing.assert_allclose(total, table["prediction"] - base, atol=1e-6)


def test_processes_that_share_a_file_change_no_bit_and_shards_and_batches_only_the_last(
    model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All rows of the one file are explained, which are more than a batch."""

    def table(num_shards: int, beam_args: Sequence[str] = ()) -> pd.DataFrame:
        root = tmp_path / f"{num_shards} {len(beam_args)}"
        for seed, (split, n) in enumerate((("train", 80), ("eval", 1_300))):
            encoded = [worlds.to_example(row) for row in make_rows(n, seed)]
            worlds.write_records(root / "examples" / f"Split-{split}", encoded, num_shards)
        settings = {"config": {"max_examples": None}, "beam_args": beam_args}
        explanation = run(model, str(root / "examples"), root / "out", {"budget": 8}, **settings)
        assert len(explanation.attributions()) == 1_300
        processes = explanation.manifest["processes"]
        assert len([process for process in processes if "solve" in process]) == (2 if beam_args else 1)
        assert sum(process["read"]["times"] for process in processes if "read" in process) in range(1_380, 2_681)
        assert explanation.manifest["method"]["shapley"]["estimator"] == "surrogate"
        return explanation.attributions().sort_values("example_id").reset_index(drop=True)

    reference = table(1)
    pd.testing.assert_frame_equal(reference, table(1, ["--direct_num_workers=2"]), check_exact=True)
    monkeypatch.setattr(decode, "ROWS_PER_BATCH", 77)
    pd.testing.assert_frame_equal(reference, table(7), rtol=1e-6, atol=1e-9)


def test_a_pilot_goes_on_from_few_coalitions(model: str, examples: str, truth: np.ndarray, tmp_path: Path) -> None:
    loose = run(model, examples, tmp_path / "loose", {"budget": 4, "max_relative_error": 0.1})
    tight = run(model, examples, tmp_path / "tight", {"budget": 4, "max_relative_error": 0.004})
    assert loose.manifest["method"]["shapley"]["estimator"] == "surrogate"
    assert tight.manifest["method"]["shapley"]["estimator"] == "leverage"
    for explanation, limit in ((loose, 0.1), (tight, 0.004)):
        found = values(explanation)
        relative = np.linalg.norm(found - truth, axis=1) / np.linalg.norm(truth, axis=1)
        assert np.mean(relative <= limit) >= 0.9


def test_both_models_have_a_surrogate(model: str, examples: str, tmp_path: Path) -> None:
    baseline = save_model(tmp_path / "baseline", bend=0.5)
    together = run(model, examples, tmp_path / "together", {"budget": 6}, baseline_model=baseline)
    alone = run(baseline, examples, tmp_path / "alone", {"budget": 6})
    np.testing.assert_allclose(values(together, "baseline_attribution_"), values(alone), rtol=1e-6, atol=1e-9)


def test_a_small_background_is_refused_before_anything_is_read(model: str, examples: str, tmp_path: Path) -> None:
    config = {"background": {"num_rows": 20}}
    with pytest.raises(
        errors.EstimationError,
        match="needs 32 background rows, to learn from pairs of them, got 20; give it a larger background",
    ):
        run(model, examples, tmp_path / "out", {"estimator": "surrogate", "budget": 4}, config=config)
    assert not (tmp_path / "out").exists()
