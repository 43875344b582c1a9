"""What may be done to a written explanation, file by file, that is to be noticed."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tfx_explain import records

Damage = Callable[[Path, Path], object]


def table(file: str, change: Callable[[pd.DataFrame], pd.DataFrame]) -> Damage:
    return lambda here, _: records.write_table(str(here / file), change(records.read_table(str(here / file))))


def numbers(file: str, column: str, change: Callable[[Any], Any], rows: str = "index == index") -> Damage:
    def changed(frame: pd.DataFrame) -> pd.DataFrame:
        chosen = frame.eval(rows)
        return frame.assign(**{column: frame[column].where(~chosen, change(frame[column]))})

    return table(file, changed)


def scaled(here: Path, _: Path) -> None:
    """Importance and its errors, not the covariances."""
    columns = ["value", "std_error", "rms", "ci_low", "ci_high", "mean_signed", "mean_signed_std_error"]
    table("importance.parquet", lambda frame: frame.assign(**{name: 2 * frame[name] for name in columns}))(here, here)


def swapped(first: str, second: str) -> Damage:
    def swap(here: Path, _: Path) -> None:
        a, b = (here / first).read_bytes(), (here / second).read_bytes()
        (here / first).write_bytes(b)
        (here / second).write_bytes(a)

    return swap


def from_other(file: str) -> Damage:
    return lambda here, other: shutil.copy(other / file, here / file)


def only_players(frame: pd.DataFrame) -> pd.DataFrame:
    """Without a player, whose share goes to the others."""
    kept = frame[frame["player"] != "race"]
    share = kept["value"] / kept.groupby(["slice", "output"])["value"].transform("sum")
    return kept.assign(share=share, rank=kept.groupby(["slice", "output"])["value"].rank(ascending=False).astype(int))


def one_attribution_file(here: Path) -> Path:
    return next(path for path in sorted((here / "attributions").rglob("*")) if path.is_file())


FIRST = "index == 0"
# Name -> what is done to the directory; all are refused, also where every digest is computed anew.
STRUCTURAL: dict[str, Damage] = {
    "a player's rows removed": table("importance.parquet", lambda f: f[f["player"] != "race"]),
    "a player's rows removed, shares to match": table("importance.parquet", only_players),
    "a player renamed": table("importance.parquet", lambda f: f.replace({"player": {"race": "unused"}})),
    "two players exchanged": table(
        "importance.parquet", lambda f: f.replace({"player": {"race": "age", "age": "race"}})
    ),
    "rows twice": table("importance.parquet", lambda f: pd.concat([f, f.head(2)])),
    "a slice removed": table("importance.parquet", lambda f: f[f["slice"] != "race=b"]),
    "a slice renamed": table("importance.parquet", lambda f: f.replace({"slice": {"race=b": "race=c"}})),
    "an output renamed": table("importance.parquet", lambda f: f.assign(output="other")),
    "no rows": table("importance.parquet", lambda f: f.head(0)),
    "importance scaled": scaled,
    "one importance scaled": numbers("importance.parquet", "value", lambda v: v * 0.1, FIRST),
    "importance below zero": numbers("importance.parquet", "value", lambda v: -v, FIRST),
    "importance unknown": numbers("importance.parquet", "value", lambda v: v * np.nan, FIRST),
    "importance infinite": numbers("importance.parquet", "value", lambda v: v * np.inf, FIRST),
    "an importance cut off that is above 0": numbers("importance.parquet", "cut_off", lambda v: v - 0.01, FIRST),
    "cut off above 0": numbers("importance.parquet", "cut_off", lambda v: v + 0.01),
    "errors unknown": numbers("importance.parquet", "std_error", lambda v: v * np.nan),
    "errors made small": numbers("importance.parquet", "std_error", lambda v: v * 0.01),
    "more examples": numbers("importance.parquet", "num_examples", lambda v: v * 100),
    "more effective examples": numbers("importance.parquet", "num_effective_examples", lambda v: v * 100),
    "text for numbers": table("importance.parquet", lambda f: f.assign(value=f["value"].astype(str))),
    "a column gone": table("importance.parquet", lambda f: f.drop(columns="value")),
    "covariances zero": numbers("importance_covariance.parquet", "covariance", lambda v: v * 0),
    "covariances of pairs zero": numbers(
        "importance_covariance.parquet", "covariance", lambda v: v * 0, "player_a != player_b"
    ),
    "covariances that cannot be": numbers(
        "importance_covariance.parquet", "covariance", lambda v: v + 1e6, "player_a != player_b"
    ),
    "a pair of players removed": table("importance_covariance.parquet", lambda f: f.drop(index=1)),
    "a pair of players twice": table("importance_covariance.parquet", lambda f: pd.concat([f, f.head(1)])),
    "the baseline's table for the model's": swapped("importance.parquet", "baseline_importance.parquet"),
    "the baseline's covariances for the model's": swapped(
        "importance_covariance.parquet", "baseline_importance_covariance.parquet"
    ),
    "importance of another explanation": from_other("importance.parquet"),
    "covariances of another explanation": from_other("importance_covariance.parquet"),
    "baseline of another explanation": from_other("baseline_importance.parquet"),
    "differences from the baseline zero": numbers("baseline_importance.parquet", "difference", lambda v: v * 0),
    "covariances of differences zero": numbers(
        "baseline_importance_covariance.parquet", "difference_covariance", lambda v: v * 0
    ),
    "an interaction removed": table("interactions.parquet", lambda f: f.drop(index=0)),
    "an interaction unknown": table("interactions.parquet", lambda f: f.assign(value=f["value"].where(f.index > 0))),
    "an interaction's player renamed": table("interactions.parquet", lambda f: f.assign(player_a="x")),
    "a point of a curve removed": table("profiles.parquet", lambda f: f[~((f["kind"] == "curve") & (f.position == 1))]),
    "a curve made flat": numbers("profiles.parquet", "step", lambda v: v * 0),
    "a point of a curve unknown": numbers("profiles.parquet", "centred_value", lambda v: v * np.nan, FIRST),
    "a slice's difference zero": numbers("slice_differences.parquet", "difference", lambda v: v * 0),
    "a slice's player removed": table("slice_differences.parquet", lambda f: f[f["player"] != "race"]),
    "slice differences of another explanation": from_other("slice_differences.parquet"),
    "a table cut off": lambda here, _: (here / "importance.parquet").write_bytes(
        (here / "importance.parquet").read_bytes()[:-100]
    ),
    "a table empty": lambda here, _: (here / "importance_covariance.parquet").write_bytes(b""),
    "a table gone": lambda here, _: (here / "importance_covariance.parquet").unlink(),
    "the baseline's table gone": lambda here, _: (here / "baseline_importance.parquet").unlink(),
    "records gone": lambda here, _: shutil.rmtree(here / "attributions"),
    "a file of records empty": lambda here, _: one_attribution_file(here).write_bytes(b""),
    "records twice": lambda here, _: shutil.copy(
        one_attribution_file(here), one_attribution_file(here).with_name("again.gz")
    ),
}
# Whoever computes the digests anew can do these: only the manifest's digest that others keep gives them away.
BY_DIGEST: dict[str, Damage] = {
    "the background of another explanation": lambda here, _: records.write_table(
        str(here / "background.parquet"), records.read_table(str(here / "background.parquet")).head(3)
    ),
    "statistics empty": lambda here, _: (here / "attribution_stats" / "FeatureStats.pb").write_bytes(b""),
    "rows of the report removed": table("report_examples.parquet", lambda f: f.head(1)),
}
# What is done to the manifest, found by its own digest.
MANIFEST: dict[str, Callable[[dict[str, Any]], object]] = {
    "a player removed": lambda m: m["players"].pop("race"),
    "a player moved to the unused": lambda m: m["unused_features"].append(m["players"].pop("race")[0]),
    "a player added": lambda m: m["players"].update(height=["height"]),
    "players renamed": lambda m: m.update(players={name + "_": features for name, features in m["players"].items()}),
    "an unused feature added": lambda m: m["unused_features"].append("height"),
    "an output added": lambda m: m["outputs"].append("other"),
    "an output renamed": lambda m: m.update(outputs=["other"]),
    "a slice removed": lambda m: m["slices"]["included"].pop(),
    "slices too small": lambda m: m["slices"].update(
        included=m["slices"]["included"][:1], too_small=m["slices"]["included"][1:]
    ),
    "rows of a slice": lambda m: m["slices"]["included"][1].update(num_examples=1000),
    "explained rows": lambda m: m["counts"]["eval"].update(explained=100_000),
    "base values": lambda m: m.update(base_values=dict.fromkeys(m["base_values"], 0.0)),
    "the gap": lambda m: m["completeness_gap"].update(max_relative=0.0),
    "the configuration": lambda m: m["config"].update(max_examples=7),
    "the model": lambda m: m["model"].update(uri="/elsewhere"),
    "no digests": lambda m: m.pop("files"),
    "no digest of its own": lambda m: m.pop("self_digest"),
    "no digest of a file": lambda m: m["files"].pop("importance.parquet"),
    "an earlier format": lambda m: [m.update(format_version=1), m.pop("files"), m.pop("self_digest")],
    "players as a list": lambda m: m.update(players=list(m["players"])),
    "no list of methods": lambda m: m.update(attribution_methods=None),
    "methods that are no objects": lambda m: m["method"].update(shapley=None),
    "settings that are none": lambda m: m["config"].update(methods=None),
    "a weight that is no name": lambda m: m["config"].update(example_weight_key=["weight"]),
    "no weight": lambda m: m["config"].pop("example_weight_key"),
    "parts that are none": lambda m: m.update(parts={"shapley": None}),
    "gaps that are none": lambda m: m.update(completeness_gaps={"shapley": {"max_abs": 0.0}}),
    "gaps that no float holds": lambda m: m["completeness_gap"].update(max_relative=10**400),
    "failures that are none": lambda m: m["failures"].update(eval=None),
    "settings that are true": lambda m: m["config"]["methods"][0].update(shapley=True),
    "a feature that is no name": lambda m: m["players"].update(age=[{"age": 1}]),
    "slices asked for by no names": lambda m: m["config"]["slicing_specs"].append({"feature_keys": "race"}),
    "counts that are true": lambda m: m["counts"]["eval"].update(model_rows=True),
}
BY_SELF_DIGEST_ALONE = {
    "an unused feature added",
    "base values",
    "the gap",
    "the configuration",
    "the model",
    "no digests",
    "no digest of its own",
    "no digest of a file",
    "an earlier format",
}
