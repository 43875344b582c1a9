"""Reference rows hold the values that were named."""

from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest

from tfx_explain.methods.path_gradients.reference_values import with_values, zero_row
from tfx_explain.models.features import FeatureSpec

MODEL: Any = SimpleNamespace(
    features=[
        FeatureSpec("scores", "float32", "dense", (3,)),
        FeatureSpec("tags", "string", "ragged"),
        FeatureSpec("years", "int64", "dense"),
    ]
)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("scores", 0.5, [0.5, 0.5, 0.5]),
        ("scores", (1, 2, 3), [1.0, 2.0, 3.0]),
        ("scores", (0.5,), [0.5]),  # a list says itself how long it is, and is refused where that does not fit
        ("years", 4.0, [4]),
        ("tags", "a", [b"a"]),
        ("tags", ("a", "b"), [b"a", b"b"]),
        ("tags", None, None),
    ],
)
def test_a_single_value_is_that_of_all_places(name: str, value: Any, expected: Any) -> None:
    rows: pa.RecordBatch = with_values(zero_row([MODEL]), {name: value}, [MODEL])
    assert rows.column(name).to_pylist() == [expected]
