"""Reference rows whose values were named: all zero, or some features set to what the configuration says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa

from tfx_explain.config.path_methods import ReferenceValue, Single
from tfx_explain.errors import ConfigError
from tfx_explain.methods.context import FirstRows
from tfx_explain.models import FeatureSpec, Model

_WHERE = "`integrated_gradients.references`"
_LARGEST = float(np.finfo(np.float32).max)


def zero_row(models: Sequence[Model]) -> pa.RecordBatch:
    """One row of what the models read: numbers are 0, texts empty, lists that may be missing are missing."""
    specs = _specs(models)
    fillers = {name: b"" if spec.dtype == "string" else 0 for name, spec in specs.items()}
    columns = [
        _column(spec, [fillers[name]] * spec.size if spec.kind == "dense" else None, 1) for name, spec in specs.items()
    ]
    return pa.RecordBatch.from_arrays(columns, names=list(specs))


def with_values(rows: pa.RecordBatch, values: Mapping[str, ReferenceValue], models: Sequence[Model]) -> pa.RecordBatch:
    """The rows with some features set to values that `check_values` has let pass."""
    specs = _specs(models)
    columns = dict(zip(rows.schema.names, rows.columns, strict=True))
    for name, value in values.items():
        columns[name] = _column(specs[name], _encoded(specs[name], value), rows.num_rows)
    return pa.RecordBatch.from_arrays(list(columns.values()), names=list(columns))


def check_values(values: Mapping[str, ReferenceValue], rows: FirstRows, models: Sequence[Model]) -> None:
    """Refuses values that the models cannot take.

    Raises:
      ConfigError: a feature is not known, or its value is of another type or number than the models take.
    """
    specs = _specs(models)
    for name in values:
        if name not in specs:
            known = "no model reads" if name in rows.features else "there is not"
            raise ConfigError(f"{_WHERE} names the feature `{name}`, which {known}; the models read {_listed(specs)}.")
    row = with_values(zero_row(models), values, models)
    for model in models:
        for reason in model.row_errors(row).values():
            raise ConfigError(f"{_WHERE} has values that the model cannot take: {reason}")


def _listed(specs: Mapping[str, FeatureSpec]) -> str:
    return ", ".join(f"`{name}`" for name in sorted(specs))


def _specs(models: Sequence[Model]) -> dict[str, FeatureSpec]:
    """What the models read; where they differ, as one reads it whose number of values is fixed, which suits both."""
    found: dict[str, FeatureSpec] = {}
    for spec in (spec for model in models for spec in model.features):
        if spec.name not in found or (spec.kind == "dense" and found[spec.name].kind != "dense"):
            found[spec.name] = spec
    return dict(sorted(found.items()))


def _encoded(spec: FeatureSpec, value: ReferenceValue) -> list[bytes | float | int] | None:
    """The values as examples have them; a single one is that of all places of a feature of fixed length.

    Raises:
      ConfigError: one is of another type.
    """
    if value is None:
        return None
    n_places = spec.size if spec.kind == "dense" else 1
    return [_single(spec, single) for single in (value if isinstance(value, tuple) else (value,) * n_places)]


def _single(spec: FeatureSpec, value: Single) -> bytes | float | int:
    if spec.dtype == "string":
        if isinstance(value, str):
            return value.encode()
        raise ConfigError(f"{_WHERE} sets `{spec.name}` to the number {value}, but the model takes text; quote it.")
    if isinstance(value, str):
        raise ConfigError(f"{_WHERE} sets `{spec.name}` to the text {value!r}, but the model takes numbers.")
    if "float" in spec.dtype:
        if abs(value) > _LARGEST:
            raise ConfigError(f"{_WHERE} sets `{spec.name}` to {value}, which is no 32-bit float.")
        return float(value)
    if value != int(value) or abs(value) >= 2**63:
        raise ConfigError(f"{_WHERE} sets `{spec.name}` to {value}, but the model takes whole numbers.")
    return int(value)


def _column(spec: FeatureSpec, values: list[bytes | float | int] | None, n_rows: int) -> pa.Array:
    kind = pa.large_binary() if spec.dtype == "string" else pa.float32() if "float" in spec.dtype else pa.int64()
    return pa.array([values] * n_rows, pa.large_list(kind))
