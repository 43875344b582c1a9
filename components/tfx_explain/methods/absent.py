"""What absent means for features that are looked into, which reference rows then have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pyarrow as pa

from tfx_explain.config.parts import RegionsConfig, SomeParts, WindowsConfig
from tfx_explain.methods.images import ImageForm, absent_images, one_number
from tfx_explain.methods.series import SeriesForm, absent_series, absent_values
from tfx_explain.models import Model

Absent = Mapping[str, tuple[float, ...]]
"""Series -> what absent values of each channel are; image -> the number that all become, if one."""


def absent_numbers(
    pool: pa.RecordBatch, models: Sequence[Model], parts: Mapping[str, SomeParts]
) -> dict[str, tuple[float, ...]]:
    """Series -> what absent values of each channel are; image -> the number that all become, if one.

    Args:
      pool: rows that the background is chosen from; means, the least and the largest number are theirs.
      models: what is explained, and the baseline model if there is one.
      parts: features that are looked into -> how.

    Raises:
      ConfigError: a model does not read a series, or an image, as one.
    """
    found: dict[str, tuple[float, ...]] = {}
    for feature, settings in parts.items():
        if isinstance(settings, WindowsConfig):
            found[feature] = absent_values(pool, feature, settings, SeriesForm.of(feature, settings, models))
        elif isinstance(settings, RegionsConfig):
            found[feature] = one_number(pool, feature, settings, ImageForm.of(feature, models))
    return found


def with_absent_features(
    rows: pa.RecordBatch, models: Sequence[Model], parts: Mapping[str, SomeParts], pool: pa.RecordBatch
) -> tuple[pa.RecordBatch, dict[str, tuple[float, ...]]]:
    """The rows with what absent means, instead of their own, for each text, series and image that is looked into.

    A feature is absent where all its parts are, so that what these add up to is what the feature adds. A series keeps
    the number of its steps, as a row of the background tells how long a series may be.

    Args:
      rows: references, or those that the background is chosen from.
      models: what is explained, and the baseline model if there is one.
      parts: features that are looked into -> how.
      pool: rows that the background is chosen from; the means of series are theirs.

    Returns:
      The rows; and series -> what absent values of each channel are; image -> the number that all become, if one.

    Raises:
      ConfigError: a model does not read a series as one.
    """
    absent = absent_numbers(pool, models, parts)
    for feature, settings in parts.items():
        if isinstance(settings, WindowsConfig):
            form = SeriesForm.of(feature, settings, models)
            column = absent_series(rows, feature, settings, form, absent[feature])
        elif isinstance(settings, RegionsConfig):
            column = absent_images(rows, feature, settings, ImageForm.of(feature, models), absent[feature])
        else:
            column = pa.array([[settings.absent_text]] * rows.num_rows, pa.large_list(pa.large_binary()))
        columns = {**dict(zip(rows.schema.names, rows.columns, strict=True)), feature: column}
        rows = pa.RecordBatch.from_arrays(list(columns.values()), names=list(columns))
    return rows, absent
