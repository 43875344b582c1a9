"""Three whole jobs, and verdicts on them, whose every figure stays what it is while the house is rebuilt.

    python tests/golden/jobs.py write DIRECTORY      what this checkout computes
    python tests/golden/jobs.py compare DIRECTORY    whether this checkout computes the same, to the bit

Bits depend on the kind of processor and on TensorFlow: write with the old checkout's package on the path and compare
with the new one's on one machine. `tests/golden/before` was written before the rebuild began.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import tensorflow as tf

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

import tfx_explain
import worlds
from tfx_explain import tables
from tfx_explain.attribution_records import RecordLayout
from tfx_explain.explanation_validator.judge import judge

ADDED_SINCE = [tables.REST, tables.DEGREES_OF_FREEDOM, tables.CUT_OFF]
"""Columns that tables had not when `before` was written."""

SLICES = [{"feature_keys": ["race"]}, {"feature_values": {"race": "a"}, "feature_keys": ["approve"]}]
JOBS: dict[str, dict[str, Any]] = {
    "exact": {
        "background": {"num_rows": 20},
        "max_examples": 150,
        "example_weight_key": "weight",
        "methods": [{"shapley": {"interactions": 2}}],
    },
    "leverage": {
        "background": {"num_rows": 20},
        "max_examples": 150,
        "example_weight_key": "weight",
        "slicing_specs": SLICES,
        "min_slice_examples": 30,
        "id_key": "application_id",
        "methods": [{"shapley": {"estimator": "leverage", "budget": 32}}],
    },
    "everything": {
        "background": {"num_rows": 12},
        "max_examples": 150,
        "label_key": "approve",
        "example_weight_key": "weight",
        "slicing_specs": SLICES,
        "min_slice_examples": 30,
        "methods": [
            {"shapley": {"interactions": 2}},
            {"permutation_importance": {"num_donors": 2}},
            "sage",
            {"partial_dependence": {"grid_size": 5, "num_ice": 3, "pairs": [["age", "race"]], "pair_grid_size": 4}},
            {"accumulated_local_effects": {"num_bins": 4}},
            {"interaction_strength": {"num_rows": 60}},
        ],
    },
}
MORE = ("g0", "g1", "g2", "g3")
POLICY: list[dict[str, Any]] = [
    {"max_share": {"players": ["race"], "value": 0.2}},
    {"min_share": {"players": ["age"], "value": 0.1}},
    {"max_top_share": {"value": 0.6}},
    {"min_importance": {"players": ["income"], "value": 0.01}},
    {"top_k_includes": {"k": 2, "players": ["age"]}},
    {"canary": {"feature": "unused"}},
    {"sign": {"players": ["age"], "direction": "positive"}},
    {"max_completeness_gap": {"value": 0.001}},
    {"max_relative_std_error": {"value": 0.2}},
    {"min_examples": {"value": 100}},
]
STABLE = ["format_version", "method", "config", "players", "top_players", "unused_features", "outputs", "base_values"]
STABLE += ["counts", "slices", "failures", "completeness_gap", "seed"]
"""Entries of a manifest that do not say when, where and by what it was made."""
DRIFT = ["total_variation", "l_infinity", "ndcg", "kendall_tau", "top_k_overlap", "rank_reversal", "sign_flips"]
POLICY += [{"drift": {"measure": measure, "max": 0.2}} for measure in DRIFT]
POLICY += [{"drift": {"measure": "importance_ratio", "max": 2.0}}, {"drift": {"measure": "z_score", "max": 3.0}}]
POLICY += [
    {"attribution_drift": {"measure": measure, "max": bound}}
    for measure, bound in (("jensen_shannon", 0.1), ("l_infinity", 0.1), ("wasserstein", 0.5), ("classifier", 0.6))
]
OF_EVERYTHING: list[dict[str, Any]] = [
    {"monotonic": {"feature": "age", "direction": "increasing"}},
    {"max_interaction": {"value": 0.5}},
    {"max_slice_difference": {"value": 0.2}},
    {"attribution_drift": {"measure": "disagreement", "max": 0.5, "against": "model"}},
]


def make_rows(n: int, seed: int) -> list[dict[str, Any]]:
    """Rows with a weight of 0 to 3, some of them duplicates of each other."""
    rng = np.random.default_rng(seed)
    made = [
        {
            **row,
            "weight": float(rng.integers(4)),
            **{
                name: float(value)
                for name, value in zip(MORE, rng.normal(size=len(MORE)).astype(np.float32), strict=True)
            },
        }
        for row in worlds.make_rows(n, seed)
    ]
    return made + made[:5]


def save_model(directory: Path, scale: float) -> str:
    """A SavedModel with interactions, one output."""

    def score(features: dict[str, Any]) -> Any:
        age, income, debt = (tf.cast(features[name], tf.float64) for name in ("age", "income", "debt"))
        effect = tf.cast(features["race"] == b"b", tf.float64)
        more = tf.stack([tf.cast(features[name], tf.float64) for name in MORE[1:]], axis=1)
        joint = tf.reduce_prod(more, axis=1) + tf.reduce_sum(more, axis=1) * scale
        return tf.sigmoid(scale * tf.tanh(age * income) + debt * effect / 8 - 0.1 * age + joint)

    spec = worlds.FEATURES | {name: tf.io.FixedLenFeature([], tf.float32) for name in MORE}
    return worlds.save_serving_model(directory, score, spec)


def run(directory: Path) -> None:
    """Explains and judges; explanations and verdicts go to folders of the jobs' names."""
    model, other = save_model(directory / "model", 1.0), save_model(directory / "other", 0.6)
    examples = worlds.write_splits(directory / "examples", make_rows, 80, 200, 2)
    explained = {
        name: tfx_explain.explain(
            model=model,
            examples=examples,
            output_dir=str(directory / name),
            config=config,
            baseline_model=None if name == "exact" else other,
        )
        for name, config in JOBS.items()
    }
    for name, explanation in explained.items():
        rules = POLICY + (OF_EVERYTHING if name == "everything" else [])
        specs = [{}, *SLICES] if name == "everything" else [{}]
        config = tfx_explain.ValidationConfig(rules=rules, slicing_specs=specs)
        baseline = explained["leverage" if name == "exact" else "exact"] if name != "everything" else None
        verdict = judge(explanation, config, baseline)
        (directory / f"{name}-findings.json").write_text(json.dumps(verdict.to_dict()["findings"], default=str))


def figures(directory: Path) -> Iterator[tuple[str, pd.DataFrame | dict[str, Any] | list[Any]]]:
    """Every table, record, finding, and entry of a manifest that does not depend on when and where it was made."""
    for name in JOBS:
        for path in sorted((directory / name).glob("*.parquet")):
            yield f"{name}-{path.stem}", pd.read_parquet(path).drop(columns=ADDED_SINCE, errors="ignore")
        explanation = tfx_explain.load(str(directory / name))
        manifest = {key: value for key, value in explanation.manifest.items() if key in STABLE}
        yield f"{name}-manifest", json.loads(json.dumps(manifest, default=str))
        # As the figures of records were read before; since then float64.
        added = RecordLayout.of(explanation.manifest).names - {tables.EXAMPLE_ID}
        frame = explanation.attributions()
        yield f"{name}-attributions", frame.astype(dict.fromkeys(added & set(frame), "float32"))
        yield f"{name}-findings", json.loads((directory / f"{name}-findings.json").read_text())


def save(directory: Path, place: Path) -> None:
    """Writes the figures of the jobs of a directory, a file each."""
    place.mkdir(parents=True)
    for name, figure in figures(directory):
        if isinstance(figure, pd.DataFrame):
            figure.to_parquet(place / f"{name}.parquet")
        else:
            (place / f"{name}.json").write_text(json.dumps(figure, indent=1, sort_keys=True) + "\n")


def load(place: Path) -> dict[str, pd.DataFrame | dict[str, Any] | list[Any]]:
    """Figures that were saved, by name."""
    frames = {path.stem: pd.read_parquet(path) for path in place.glob("*.parquet")}
    found = {path.stem: json.loads(path.read_text()) for path in place.glob("*.json")}
    for name in found:
        if name.endswith("-manifest"):
            found[name]["config"] = _made_settings(found[name]["config"])
    return frames | found


def _made_settings(config: dict[str, Any]) -> dict[str, Any]:
    """A setting that is null is one that nobody made, in configurations from before there was such a setting."""
    made = {key: value for key, value in config.items() if value is not None}
    return {key: _made_settings(value) if isinstance(value, dict) else value for key, value in made.items()}


def differences(before: Path, after: Path) -> list[str]:
    """What is not the same to the bit in two places where figures were saved."""
    old, new = load(before), load(after)
    found = [f"{name} is only in one of them" for name in sorted(set(old) ^ set(new))]
    for name in sorted(set(old) & set(new)):
        one, two = old[name], new[name]
        if isinstance(one, pd.DataFrame) and isinstance(two, pd.DataFrame):
            try:
                pd.testing.assert_frame_equal(one, two, check_exact=True)
            except AssertionError as error:
                found.append(f"{name}: {str(error)[:500]}")
        elif one != two:
            found.append(f"{name}: {_first_difference(one, two)}")
    return found


def _first_difference(one: Any, two: Any, where: str = "") -> str:
    if isinstance(one, dict) and isinstance(two, dict):
        for key in sorted(set(one) | set(two), key=str):
            if one.get(key) != two.get(key):
                return _first_difference(one.get(key), two.get(key), f"{where}.{key}")
    if isinstance(one, list) and isinstance(two, list) and len(one) == len(two):
        for index, pair in enumerate(zip(one, two, strict=True)):
            if pair[0] != pair[1]:
                return _first_difference(*pair, f"{where}[{index}]")
    return f"{where}: {one!r} is now {two!r}"


def main() -> int:
    """Writes or compares, as the command line says."""
    what, place = sys.argv[1], Path(sys.argv[2])
    with tempfile.TemporaryDirectory() as root:
        run(Path(root) / "jobs")
        if what == "write":
            save(Path(root) / "jobs", place)
            return 0
        save(Path(root) / "jobs", Path(root) / "figures")
        found = differences(place, Path(root) / "figures")
    print("\n".join(found) if found else f"equal to the bit: {len(load(place))} tables, records and findings")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
