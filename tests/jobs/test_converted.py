"""Configurations in the shape that Clarify's and Vertex AI's documentation shows, converted and run."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import pictures
import tfx_explain
import worlds
from tfx_explain.conversion import System, convert_file
from tfx_explain.reader import ExplanationReader

pytestmark = pytest.mark.usefixtures("without_statistics")

FILES = Path(__file__).parents[1] / "fixtures/conversion"
N_TRAIN, N_EVAL = 12, 8
STEPS = 12
SPECS = {
    "loans": {
        "Age": tf.io.FixedLenFeature([], tf.float32),
        "Gender": tf.io.FixedLenFeature([], tf.int64),
        "Income": tf.io.FixedLenFeature([], tf.float32),
        "Occupation": tf.io.FixedLenFeature([], tf.int64),
    },
    "comments": {
        "Rating": tf.io.FixedLenFeature([], tf.float32),
        "Comments": tf.io.FixedLenFeature([], tf.string),
    },
    "sales": {
        "sold": tf.io.FixedLenFeature([STEPS], tf.float32),
        "price": tf.io.FixedLenFeature([STEPS], tf.float32),
        "shop": tf.io.FixedLenFeature([], tf.float32),
    },
    "species": {
        "measures": tf.io.FixedLenFeature([3], tf.float32),
        "traits": tf.io.FixedLenFeature([2], tf.float32),
    },
}


def loans(row: dict[str, Any]) -> Any:
    job = tf.cast(row["Occupation"], tf.float32) * tf.cast(row["Gender"], tf.float32)
    return tf.sigmoid(0.1 * (row["Age"] - 40) + row["Income"] / 3000 - 1 + 0.5 * job)


def comments(row: dict[str, Any]) -> Any:
    good = tf.cast(tf.strings.regex_full_match(row["Comments"], ".*good.*"), tf.float32)
    return tf.sigmoid(good * row["Rating"] - 1)


def sales(row: dict[str, Any]) -> Any:
    return tf.reduce_mean(row["sold"] - row["price"], axis=1) * (1 + row["shop"])


def species(row: dict[str, Any]) -> Any:
    return tf.nn.softmax(row["measures"] * (1 + tf.reduce_sum(row["traits"], axis=1, keepdims=True)))


SCORES: dict[str, Callable[[dict[str, Any]], Any]] = {
    "loans": loans,
    "comments": comments,
    "sales": sales,
    "species": species,
}


def rows_of(world: str, n: int, seed: int) -> list[dict[str, Any]]:
    rng = np.random.default_rng(seed)
    if world == "animals":
        return pictures.make_rows(n, seed)

    def numbers(size: int = STEPS) -> list[float]:
        return [float(one) for one in rng.normal(2, 1, size).astype(np.float32)]

    makers: dict[str, Callable[[int], dict[str, Any]]] = {
        "loans": lambda i: {
            "Age": float(rng.integers(20, 60)),
            "Gender": i % 2,
            "Income": float(rng.integers(1000, 6000)),
            "Occupation": i % 3,
            "Target": i % 2,
            "Application": f"a{seed}-{i}".encode(),
        },
        "comments": lambda i: {
            "Rating": float(i % 5),
            "Comments": [b"a good film", b"not my kind", b"so good so long"][i % 3],
            "Target": i % 2,
        },
        "sales": lambda i: {"sold": numbers(), "price": numbers(), "shop": float(i % 2), "item_id": f"i{i}".encode()},
        "species": lambda i: {"measures": numbers(3), "traits": [float(i % 2), 1.0]},
    }
    return [makers[world](i) for i in range(n)]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    root = tmp_path_factory.mktemp("models")
    saved = {name: worlds.save_serving_model(root / name, score, SPECS[name]) for name, score in SCORES.items()}
    return {**saved, "animals": pictures.save(root / "animals", pictures.with_age)}


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    root = tmp_path_factory.mktemp("examples")
    return {
        world: worlds.write_splits(root / world, lambda n, seed, world=world: rows_of(world, n, seed), N_TRAIN, N_EVAL)
        for world in (*SCORES, "animals")
    }


def baseline_rows(directory: Path) -> str:
    """The baseline of `clarify_jsonlines.json` as examples."""
    rows = [{"Age": 30.0, "Gender": 0, "Income": 2000.0, "Occupation": 1}]
    rows.append({"Age": 50.0, "Gender": 1, "Income": 4000.0, "Occupation": 2})
    return worlds.write_records(directory / "baseline", [worlds.to_example(row) for row in rows])


def check_csv(explanation: ExplanationReader) -> None:
    assert explanation.manifest["model"]["output_space"] == "logit"
    assert explanation.manifest["background"]["num_rows"] == 3
    assert {*explanation.importance["slice"]} == {"overall", "Gender=0", "Gender=1"}
    assert {*explanation.profiles["feature"]} == {"Age", "Gender", "Income", "Occupation"}


def check_jsonlines(explanation: ExplanationReader) -> None:
    assert explanation.players == ("Age", "Income", "other_features")
    rows = explanation.attributions()
    assert {*rows["example_id"]} == {f"a1-{i}" for i in range(N_EVAL)}
    base = np.mean([1 / (1 + np.exp(-(-1 + 2 / 3 - 1))), 1 / (1 + np.exp(-(1 + 4 / 3 - 1 + 1)))])
    np.testing.assert_allclose(rows["base_value"], base, rtol=1e-5)  # of float32
    assert {*explanation.importance["slice"]} == {"overall", "Occupation=1", "Occupation=2"}


def check_baseline_file(explanation: ExplanationReader) -> None:
    assert explanation.manifest["model"]["output_space"] == "raw"
    assert {*explanation.profiles["feature"]} == {"Age", "Income"}


def check_text(explanation: ExplanationReader) -> None:
    assert [*explanation.manifest["parts"]["shapley"]] == ["Comments"]
    moved = explanation.parts("Comments").query("attribution > 0")
    # `good` in the first text, the first `good` or the second in the third.
    assert {(row.start, row.stop) for row in moved.itertuples()} <= {(2, 7), (3, 8), (11, 16)}
    assert len(moved)


def check_image(explanation: ExplanationReader) -> None:
    # What is asked for is about how many there are.
    assert set(explanation.parts("image").groupby("example_id").size()) <= {2, 3, 4, 5, 6}


def check_series(explanation: ExplanationReader) -> None:
    assert {*explanation.attributions()["example_id"]} == {f"i{i}" for i in range(N_EVAL)}
    assert len(explanation.parts("sold")) == len(explanation.parts("price")) == 10 * N_EVAL


def check_sampled_shapley(explanation: ExplanationReader) -> None:
    assert {*explanation.players} == {"Age", "Income", "person"}
    assert ">age<" in (Path(explanation.uri) / "report.html").read_text()


def check_gradients(explanation: ExplanationReader) -> None:
    assert explanation.methods == ("integrated_gradients",)
    assert len(explanation.attributions()) == N_EVAL


def check_xrai(explanation: ExplanationReader) -> None:
    assert explanation.methods == ("xrai",)
    assert len(explanation.parts("image")) >= N_EVAL


def check_places(explanation: ExplanationReader) -> None:
    assert {*explanation.manifest["class_names"].values()} == {"Adelie", "Chinstrap", "Gentoo"}
    for output in explanation.outputs:
        for feature, n_places in (("measures", 3), ("traits", 2)):
            parts = explanation.parts(feature, output=output)
            assert set(parts.groupby("example_id").size()) == {n_places}


@pytest.mark.parametrize(
    ("file", "world", "check"),
    [
        ("clarify_csv.json", "loans", check_csv),
        ("clarify_jsonlines.json", "loans", check_jsonlines),
        ("clarify_json_baseline_file.json", "loans", check_baseline_file),
        ("clarify_text.json", "comments", check_text),
        ("clarify_image.json", "animals", check_image),
        ("clarify_series.json", "sales", check_series),
        ("vertex_sampled_shapley.json", "loans", check_sampled_shapley),
        ("vertex_integrated_gradients.json", "loans", check_gradients),
        ("vertex_xrai.json", "animals", check_xrai),
        ("vertex_model.yaml", "species", check_places),
    ],
)
def test_what_is_converted_runs(
    tmp_path: Path, models: dict[str, str], examples: dict[str, str], file: str, world: str, check: Callable[..., None]
) -> None:
    system: System = "clarify" if file.startswith("clarify") else "vertex"
    config = tmp_path / "config.yaml"
    config.write_text(convert_file(str(FILES / file), system).text)
    explanation = tfx_explain.explain(
        model=models[world],
        examples=examples[world],
        output_dir=str(tmp_path / "explanation"),
        config=str(config),
        background=baseline_rows(tmp_path) if file == "clarify_jsonlines.json" else None,
    )
    check(explanation)
