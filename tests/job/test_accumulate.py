"""Slices and the whole data have the rows that are theirs, each once."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from tfx_explain.config import ExplainConfig
from tfx_explain.job import accumulate
from tfx_explain.methods.method import CANDIDATE, Contributed, SliceRows
from tfx_explain.slicing import OVERALL


class Seen:
    """An accumulator of the rows that were added, and how often they were."""

    n_added = 0

    def __init__(self) -> None:
        self.rows: list[int] = []

    def add(self, rows: list[int]) -> None:
        self.rows += rows
        Seen.n_added += len(rows)

    def merge(self, other: "Seen") -> None:
        self.rows += other.rows


class Method:
    """Contributes which rows there are."""

    key = "seen"

    def contributions(self, rows: np.ndarray, side: str, part: SliceRows) -> Any:
        assert len(part.places) == len(part.weights) == len(part.draws) > 0
        yield Contributed("rows", "y", (Seen, (rows[part.places].tolist(),)))


def accumulated(batches: list[dict[str, list[Any]]], specs: list[dict[str, Any]], monkeypatch: Any) -> dict[str, Any]:
    monkeypatch.setattr(accumulate, "methods_of", lambda _: [Method()])
    Seen.n_added = 0
    request = SimpleNamespace(config=ExplainConfig.from_dict({"slicing_specs": specs}), context=None)
    found: dict[Any, list[Any]] = {}
    start = 0
    for columns in batches:
        batch = pa.RecordBatch.from_pydict(columns)
        rows, start = np.arange(start, start + batch.num_rows), start + batch.num_rows
        explained = SimpleNamespace(rows=batch, draws=rows.astype(np.uint64), found={"seen": (rows,)})
        for key, (make, arguments) in accumulate.contributions(explained, request):
            accumulator = make()
            accumulator.add(*arguments)
            found.setdefault(key, []).append(accumulator)
    summaries = [(key, accumulate.merged(some)) for key, some in found.items()]
    result = accumulate.merged_by_key(summaries[::-1])
    assert accumulate.merged_by_key(summaries).keys() == result.keys()
    for key, accumulator in result.items():
        if key.method == accumulate.EXAMPLES:
            assert accumulator.n_examples == len(result["seen", CANDIDATE, "rows", key.slice_name, "y"].rows)
    return {key.slice_name: sorted(of.rows) for key, of in result.items() if key.method == "seen"}


@pytest.mark.parametrize("n_rows", [1, 63, 200, 1_000])
def test_rows_that_several_slices_share_are_in_each_and_in_the_whole_once(
    n_rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(n_rows)
    group = rng.integers(0, 3, n_rows)
    tags = [sorted({int(tag) for tag in rng.integers(0, 4, rng.integers(0, 3))}) for _ in range(n_rows)]
    sexes = [[] if one == 0 else ["m" if one < 4 else "f"] for one in rng.integers(0, 9, n_rows)]
    columns = {"group": [[int(one)] for one in group], "tags": tags, "sex": sexes}
    half = n_rows // 2
    batches = [{name: of[part] for name, of in columns.items()} for part in (slice(half), slice(half, None))]
    batches = [batch for batch in batches if batch["group"]]
    specs = [{"feature_keys": ["tags"]}, {"feature_keys": ["sex"]}, {"feature_keys": ["group", "sex"]}, {}]
    found = accumulated(batches, specs, monkeypatch)
    expected: dict[str, list[int]] = {OVERALL: list(range(n_rows))}
    for row in range(n_rows):
        names = [f"tags={tag}" for tag in tags[row]] + [f"sex={sex}" for sex in sexes[row]]
        for name in [*names, *[f"group={group[row]},sex={sex}" for sex in sexes[row]]]:
            expected.setdefault(name, []).append(row)
    assert found == expected


def test_rows_of_large_slices_are_added_up_once(monkeypatch: pytest.MonkeyPatch) -> None:
    sexes = [["m"]] * 300 + [["f"]] * 200 + [[]] * 100 + [["x"]] * 10
    found = accumulated([{"sex": sexes}], [{"feature_keys": ["sex"]}], monkeypatch)
    assert found[OVERALL] == list(range(610))
    # In place of 510 more for the slices: those of the small one, and of the whole that has no large one.
    assert Seen.n_added == 300 + 200 + 10 + 110
