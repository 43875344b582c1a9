"""Copies of a row count like any other rows, however examples are sharded and ordered."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

import tfx_explain
import worlds

pytestmark = pytest.mark.usefixtures("without_statistics")

DEFAULT = {"age": 0.0, "income": 0.0, "debt": 0, "race": b"a"}
N = 400


def write(root: Path, num_shards: int) -> str:
    """Half of each split is one record, the other half are records of two copies each."""
    for seed, split in enumerate(("train", "eval")):
        pairs = [{name: row[name] for name in DEFAULT} for row in worlds.make_rows(N // 4, seed)]
        rows = [worlds.to_example(row) for row in [*pairs, *[DEFAULT] * (N // 2), *pairs]]
        worlds.write_records(root / f"Split-{split}", rows[:: -1 if num_shards > 1 else 1], num_shards)
    return str(root)


def tables(done: Any, directory: Path) -> dict[str, pd.DataFrame]:
    """What depends on chosen rows."""
    found = {
        name: pq.read_table(directory / f"{name}.parquet").to_pandas()
        for name in ("background", "report_examples", "profiles", "importance", "interactions")
    }
    return {**found, "attributions": done.attributions().sort_values("example_id", ignore_index=True)}


@pytest.mark.parametrize("max_examples", [300, None])
def test_half_a_default_record_is_half_of_every_sample(
    max_examples: int | None, linear_model: str, tmp_path: Path
) -> None:
    settings = {
        "background": {"num_rows": 128},
        "max_examples": max_examples,
        "methods": [
            {"shapley": {}},
            {"partial_dependence": {"num_ice": 100, "grid_size": 3}},
            {"interaction_strength": {"num_rows": 60, "top_k": 2}},
        ],
    }
    found = []
    for num_shards in (1, 5):
        examples, output = write(tmp_path / f"{num_shards} shards", num_shards), tmp_path / f"{num_shards} out"
        done = tfx_explain.explain(model=linear_model, examples=examples, output_dir=str(output), config=settings)
        assert done.manifest["counts"]["eval"]["read"] == N
        found.append(tables(done, output))
    for name, table in found[0].items():
        pd.testing.assert_frame_equal(table, found[1][name], rtol=1e-9, atol=1e-12)
    attributions = found[0]["attributions"]
    assert len(attributions) == (max_examples or N)

    def check(is_default: np.ndarray, weights: np.ndarray | None = None) -> None:
        n = len(is_default)
        share = np.average(is_default, weights=weights)
        assert abs(share - 0.5) < 4 * np.sqrt(0.25 / n)
        assert share not in (0.0, 1.0)

    background = found[0]["background"]
    check((background["age"].str[0] == 0).to_numpy(), background["__weight__"].to_numpy())
    check(attributions["age"].to_numpy() == 0)
    check(found[0]["report_examples"]["age"].str[0].to_numpy() == 0)
    ice = found[0]["profiles"].query("kind == 'ice' and feature == 'income' and position == 0")
    of_default = attributions.loc[attributions["age"] == 0, "example_id"].iloc[0]
    assert len(ice) == 100
    check((ice["example_id"] == of_default).to_numpy())
