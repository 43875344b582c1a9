"""How models read series, and what absent means."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from tfx_explain.config.parts import SeriesPartsConfig
from tfx_explain.errors import ConfigError
from tfx_explain.methods.series import SeriesForm, absent_series, absent_values
from tfx_explain.models import FeatureSpec

ROWS: list[list[float] | None] = [[1, 10, 3, 30], None, [5, 50, -1, -1], [np.nan, np.inf]]


class Reading:
    """A model that reads a series in one way, or does not say how."""

    def __init__(self, spec: FeatureSpec | None, what: str = "the model") -> None:
        self.features = () if spec is None else (spec,)
        self.what = what


def batch(rows: list[Any], dtype: pa.DataType) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays([pa.array(rows, pa.large_list(dtype))], ["x"])


def form_of(spec: FeatureSpec | None, **settings: Any) -> SeriesForm:
    return SeriesForm.of("x", SeriesPartsConfig(windows=2, **settings), [Reading(spec)])


@pytest.mark.parametrize(
    ("spec", "settings", "n_channels", "n_steps"),
    [
        (FeatureSpec("x", "float32", "dense", (12,)), {}, 1, 12),
        (FeatureSpec("x", "float32", "dense", (12,)), {"channels": 4}, 4, 3),
        (FeatureSpec("x", "int64", "dense", (12, 3)), {}, 3, 12),
        (FeatureSpec("x", "float32", "ragged"), {}, 1, None),
        (FeatureSpec("x", "float32", "ragged", (4,)), {}, 4, None),
        (FeatureSpec("x", "float32", "sparse"), {"channels": 2}, 2, None),
        (None, {"channels": 2}, 2, None),
    ],
)
def test_forms_are_those_of_the_model(spec: Any, settings: Any, n_channels: int, n_steps: int | None) -> None:
    form = form_of(spec, **settings)
    assert (form.n_channels, form.n_steps) == (n_channels, n_steps)


@pytest.mark.parametrize(
    ("spec", "settings", "message"),
    [
        (FeatureSpec("x", "string", "ragged"), {}, "not as a series"),
        (FeatureSpec("x", "float32", "dense"), {}, "not as a series"),
        (FeatureSpec("x", "float32", "dense", (2, 3, 4)), {}, "not as a series"),
        (FeatureSpec("x", "float32", "dense", (12,)), {"channels": 5}, "`channels: 5`"),
        (FeatureSpec("x", "float32", "ragged", (4,)), {"channels": 2}, "`channels: 2`"),
    ],
)
def test_what_is_no_series_is_refused(spec: Any, settings: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        form_of(spec, **settings)


def test_both_models_read_the_same_series() -> None:
    readings = [
        Reading(FeatureSpec("x", "float32", "dense", shape), what) for shape, what in (((6,), "A"), ((3, 2), "B"))
    ]
    with pytest.raises(ConfigError, match="A and B read in different shapes"):
        SeriesForm.of("x", SeriesPartsConfig(windows=2), readings)


@pytest.mark.parametrize(
    ("settings", "absent"),
    [
        ({}, (2.0, 89 / 4)),
        ({"padding": -1.0}, (3.0, 30.0)),
        ({"absent": "zero"}, (0.0, 0.0)),
        ({"absent": 0.1}, (float(np.float32(0.1)),) * 2),
    ],
)
def test_means_are_over_finite_values_of_steps(settings: dict[str, Any], absent: tuple[float, ...]) -> None:
    config, form = SeriesPartsConfig(windows=2, **settings), form_of(FeatureSpec("x", "float32", "ragged"), channels=2)
    assert absent_values(batch(ROWS, pa.float32()), "x", config, form) == absent


def test_means_of_whole_numbers_are_whole() -> None:
    config, form = SeriesPartsConfig(windows=2), form_of(FeatureSpec("x", "int64", "ragged"))
    rows = batch([[1, 2], [2]], pa.int64())
    assert absent_values(rows, "x", config, form) == (2.0,)
    assert absent_series(rows, "x", config, form, (2.0,)).to_pylist() == [[2, 2], [2]]


def test_absent_series_have_the_steps_and_the_padding_of_rows() -> None:
    config, form = (
        SeriesPartsConfig(windows=2, padding=-1.0),
        form_of(FeatureSpec("x", "float32", "ragged"), channels=2),
    )
    found = absent_series(batch(ROWS, pa.float32()), "x", config, form, (7.0, 8.0))
    assert found.to_pylist() == [[7, 8, 7, 8], [], [7, 8, -1, -1], [7, 8]]


def test_a_missing_series_of_fixed_shape_is_the_default() -> None:
    spec = FeatureSpec("x", "float32", "dense", (2, 2), np.array([[5, 6], [-1, -1]], np.float32))
    config, form = SeriesPartsConfig(windows=2, padding=-1.0), form_of(spec)
    rows = batch([None, [1, 2, 3, 4], None], pa.float32())
    assert form.series(rows, "x").lengths.tolist() == [4, 4, 4]
    assert form.real_steps(form.series(rows, "x"), config).tolist() == [1, 2, 1]
    assert absent_series(rows, "x", config, form, (7.0, 8.0)).to_pylist() == [
        [7, 8, -1, -1],
        [7, 8, 7, 8],
        [7, 8, -1, -1],
    ]


def test_rows_without_any_values_have_series_without_steps() -> None:
    config, form = SeriesPartsConfig(windows=2), form_of(None)
    rows = pa.RecordBatch.from_arrays([pa.nulls(2)], ["x"])
    assert absent_values(rows, "x", config, form) == (0.0,)
    assert absent_series(rows, "x", config, form, (0.0,)).to_pylist() == [[], []]
