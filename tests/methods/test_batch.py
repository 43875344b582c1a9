"""Rows that no method can explain, whatever it does."""

import numpy as np
import pyarrow as pa
import pytest

from tfx_explain.methods.background import Background, JobPlan
from tfx_explain.methods.batch import Batch, BatchSide
from tfx_explain.models import Inputs

PREDICTION = np.array([[3e38], [-4e38], [0.0], [np.nan], [np.inf], [1.0]])


@pytest.fixture(params=[1, 2])
def batch(request: pytest.FixtureRequest) -> Batch:
    """Six rows, whose last one asks for an output that is not explained; with a baseline model, which is fine, too."""
    n = len(PREDICTION)
    sides = [BatchSide(Inputs(n, {}), PREDICTION), BatchSide(Inputs(n, {}), np.ones((n, 1)))]
    rows = pa.RecordBatch.from_arrays([pa.array([[1.0]] * n, pa.large_list(pa.float32()))], names=["a"])
    hashes, chosen = np.arange(n, dtype=np.uint64), np.array([[0]] * (n - 1) + [[-1]])
    return Batch(rows, hashes, hashes, [b""] * n, chosen, tuple(sides[: request.param]))


def test_rows_without_an_output_that_records_can_hold(batch: Batch) -> None:
    background = Background(batch.rows.slice(0, 1), np.ones(1), "")
    plan = JobPlan(background, np.array([0]), tuple(np.zeros((1, 1)) for _ in batch.sides))
    errors = batch.prediction_errors(plan)
    assert sorted(errors) == [1, 3, 4, 5]
    assert "3.4e38" in errors[1]
    assert all("NaN or infinite for this row" in errors[row] for row in (3, 4, 5))
    np.testing.assert_array_equal(batch.asked_predictions(plan)[0], PREDICTION)
