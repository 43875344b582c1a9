"""What is forecast from jobs on few rows; what they write is made up here."""

import random
from pathlib import Path
from typing import Any

import pytest

from tfx_explain import storage, tables
from tfx_explain.config import ExplainConfig
from tfx_explain.job.request import ExplainRequest
from tfx_explain.record_shards import Shard
from tfx_explain.transforms import trial
from tfx_explain.transforms.write import N_REPORT_EXAMPLES


class Machine:
    """Writes a record and a reason for each row, and a report of all rows that a report may show."""

    def __init__(self, n_rows: int, seconds_per_row: float) -> None:
        self.n_rows, self.seconds_per_row, self.clock = n_rows, seconds_per_row, 0.0

    def __call__(self, tried: ExplainRequest) -> dict[str, Any]:
        n = min(self.n_rows, tried.config.max_examples or self.n_rows)
        self.clock += n * self.seconds_per_row
        shard, numbers = Shard(), random.Random(0)
        for _ in range(n):
            shard.add(numbers.randbytes(200))
        storage.write_bytes(storage.join(tried.attributions_dir, "Split-eval", "data.gz"), shard.content())
        explanation = tried.explanation_dir
        storage.write_bytes(storage.join(explanation, tables.REASONS.file), bytes(1_000 + 90 * n))
        shown = min(n, N_REPORT_EXAMPLES)
        storage.write_bytes(storage.join(explanation, tables.REPORT), bytes(50_000 + 700 * shown))
        storage.write_bytes(storage.join(explanation, tables.IMPORTANCE.file), bytes(20_000))
        counts = {"read": self.n_rows, "explained": n, "model_rows": n}
        return {"counts": {"eval": counts}, "failures": {}, "background": {"model_rows": {}}}


@pytest.mark.parametrize("n_rows", [5, 8, 12, 100, 399, 2_000])
@pytest.mark.parametrize("seconds_per_row", [1e-4, 0.02, 1.0])
def test_bytes_grow_with_rows_where_the_trial_was_small(
    n_rows: int, seconds_per_row: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = Machine(n_rows, seconds_per_row)
    monkeypatch.setattr("tfx_explain.transforms.trial.time.monotonic", lambda: machine.clock)
    uri = str(tmp_path / "out")
    request = ExplainRequest(ExplainConfig(), (None,), {"eval": "somewhere"}, "somewhere", uri, f"{uri}/a", {}, ())
    found = trial.forecast(request, machine, timed=True)
    assert storage.find(uri) == []
    machine(request)
    # Zipped records grow by nearly equal steps.
    assert found.output_bytes == pytest.approx(sum(map(storage.size, storage.find(uri))), rel=0.005)
    assert found.n_tried == n_rows or seconds_per_row == 1.0 or n_rows > 64
