"""Small models for fuzzing, called in each of the ways there are, and asked by the side what they say of a record."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

import worlds


def linear(directory: Path, debt: float = 0.0) -> str:
    """`worlds.linear_output` as a SavedModel on serialized tf.Examples, its weight of `debt` moved by so much."""
    spec = {
        "age": tf.io.FixedLenFeature([], tf.float32),
        "income": tf.io.FixedLenFeature([], tf.float32),
        "debt": tf.io.FixedLenFeature([], tf.int64, default_value=0),
        "race": tf.io.FixedLenFeature([], tf.string, default_value=b"a"),
    }
    weights = {**worlds.LINEAR_WEIGHTS, "debt": worlds.LINEAR_WEIGHTS["debt"] + debt}

    def score(features: dict[str, Any]) -> Any:
        numeric = sum(weight * tf.cast(features[name], tf.float64) for name, weight in weights.items())
        return numeric + worlds.RACE_EFFECT[b"b"] * tf.cast(features["race"] == b"b", tf.float64)

    return worlds.save_serving_model(directory, score, spec)


@dataclasses.dataclass(frozen=True)
class Kind:
    """A model, how a configuration calls it, and what it says of one record by itself.

    Attributes:
      ask: a record to the model's output, or to what the model says against it, or None where that is not known.
    """

    model_dir: str
    config: dict[str, Any]
    ask: Callable[[bytes], float | str | None]


def rows(n: int, seed: int) -> list[dict[str, Any]]:
    """Rows with features of every kind, an id that no accident makes, and a label."""
    rng = np.random.default_rng([seed, 77])
    return [
        {
            **row,
            "codes": rng.integers(0, 9, int(rng.integers(1, 4))).tolist(),
            "notes": rng.normal(size=int(rng.integers(1, 4))).astype(np.float32).tolist(),
            "segment": pick_segment(rng),
            "weight": float(np.float32(rng.random() + 0.1)),
            "row_id": int(rng.integers(2**62)),
        }
        for row in worlds.make_rows(n, seed)
    ]


def pick_segment(rng: np.random.Generator) -> bytes:
    """A value to slice by."""
    return [b"north", b"south"][int(rng.integers(2))]


_SPEC = {
    "age": tf.io.FixedLenFeature([], tf.float32),
    "income": tf.io.FixedLenFeature([1], tf.float32, default_value=[0.5]),
    "debt": tf.io.FixedLenFeature([], tf.int64, default_value=0),
    "race": tf.io.FixedLenFeature([], tf.string, default_value=b"a"),
    "codes": tf.io.VarLenFeature(tf.int64),
}


def _score(age: Any, income: Any, debt: Any, race: Any, codes: Any, notes: Any) -> Any:
    wide = [tf.cast(value, tf.float64) for value in (age, income, debt, race == b"b", codes, notes)]
    return sum(weight * value for weight, value in zip((0.5, -2.0, 0.25, 1.5, 0.125, 1.0), wide, strict=True))


def _parse_cut(directory: Path) -> Kind:
    spec = {**_SPEC, "notes": tf.io.RaggedFeature(tf.float32)}

    def score(parsed: dict[str, Any]) -> Any:
        codes = tf.sparse.reduce_sum(parsed["codes"], axis=1)
        notes = tf.reduce_sum(parsed["notes"], axis=1)
        return _score(parsed["age"], parsed["income"][:, 0], parsed["debt"], parsed["race"], codes, notes)

    return _of_signature(worlds.save_serving_model(directory, score, spec))


def _picky(directory: Path) -> Kind:
    """A model that refuses rows itself: those whose `debt` is not in its table."""
    spec = {name: _SPEC[name] for name in ("age", "income", "debt", "race")}

    def score(parsed: dict[str, Any]) -> Any:
        zero = tf.zeros_like(parsed["age"])
        known = tf.gather(tf.range(20.0), parsed["debt"])
        return _score(parsed["age"], parsed["income"][:, 0], known, parsed["race"], zero, zero)

    return _of_signature(worlds.save_serving_model(directory, score, spec))


def _serialized(directory: Path) -> Kind:
    """A graph that parses one record at a time, and cannot be cut there."""
    spec = {**_SPEC, "notes": tf.io.VarLenFeature(tf.float32)}
    module = tf.Module()

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
    def serve(examples):
        def one(example):
            parsed = tf.io.parse_single_example(example, spec)
            codes, notes = (tf.reduce_sum(tf.sparse.to_dense(parsed[name])) for name in ("codes", "notes"))
            # Never so, but nobody can know before the record is there.
            shift = tf.cast(tf.strings.length(example) < 0, tf.float64)
            income = parsed["income"][0]
            return _score(parsed["age"], income, parsed["debt"], parsed["race"], codes, notes) + shift

        return {"score": tf.map_fn(one, examples, fn_output_signature=tf.float64)}

    module.serve = serve
    tf.saved_model.save(module, str(directory), signatures={"serving_default": serve})
    return _of_signature(str(directory))


def _of_signature(model_dir: str) -> Kind:
    function = tf.saved_model.load(model_dir).signatures["serving_default"]

    def ask(record: bytes) -> float | str:
        try:
            return float(function(examples=tf.constant([record]))["score"].numpy().reshape(()))
        except (tf.errors.OpError, UnicodeDecodeError) as error:  # the message may hold the record's own bytes
            return str(getattr(error, "message", error))

    ask.function = function  # type: ignore[attr-defined]
    return Kind(model_dir, {}, ask)


def _tensors(directory: Path) -> Kind:
    module = tf.Module()
    kinds = {"age": tf.float32, "income": tf.float32, "debt": tf.int64, "race": tf.string}
    specs = {name: tf.TensorSpec([None], dtype, name=name) for name, dtype in kinds.items()}

    @tf.function
    def serve(age, income, debt, race):
        zero = tf.zeros_like(age)
        return {"score": _score(age, income, debt, race, zero, zero)}

    module.serve = serve
    tf.saved_model.save(module, str(directory), signatures={"serving_default": serve.get_concrete_function(**specs)})
    return Kind(str(directory), {}, _plain_answer)


_MODULE = """
import numpy as np

FEATURES = {"age": "float32", "income": "float32", "debt": "int64", "race": "string"}


def load_model(model_dir):
    def predict(features):
        race = np.array([value == b"b" for value in features["race"]])
        age, income, debt = (features[name].astype(np.float64) for name in ("age", "income", "debt"))
        return 0.5 * age - 2.0 * income + 0.25 * debt + 1.5 * race
    return predict
"""


def _module(directory: Path) -> Kind:
    directory.mkdir(parents=True)
    (directory / "module.py").write_text(_MODULE)
    return Kind(str(directory), {"module_file": str(directory / "module.py")}, _plain_answer)


def _plain_answer(record: bytes) -> float | None:
    """What the linear model gives, where each feature is one value of its own kind; None for all other records."""
    try:
        features = tf.train.Example.FromString(record).features.feature
    except Exception:  # noqa: BLE001 - nothing is known of it
        return None
    values: list[Any] = []
    kinds = {"age": "float_list", "income": "float_list", "debt": "int64_list", "race": "bytes_list"}
    for name, kind in kinds.items():
        if features[name].WhichOneof("kind") != kind or len(getattr(features[name], kind).value) != 1:
            return None
        values.append(getattr(features[name], kind).value[0])
    age, income, debt, race = values
    return 0.5 * age - 2.0 * income + 0.25 * debt + 1.5 * (race == b"b")


KINDS: dict[str, Callable[[Path], Kind]] = {
    "parse_cut": _parse_cut,
    "serialized": _serialized,
    "tensors": _tensors,
    "module": _module,
    "picky": _picky,
}
"""How a model is called -> what makes one that is called so."""
