"""What absent means for features that are looked into, which all rows of the background then have."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from tfx_explain.config import ExplainConfig
from tfx_explain.config.parts import ImagePartsConfig, TextPartsConfig
from tfx_explain.methods.images import ImageForm, absent_images
from tfx_explain.methods.series import SeriesForm, absent_series, absent_values
from tfx_explain.models import Model


def with_absent_features(
    rows: pa.RecordBatch, models: Sequence[Model], config: ExplainConfig
) -> tuple[pa.RecordBatch, dict[str, tuple[float, ...]]]:
    """The rows with what absent means, instead of their own, for each text, series and image that is looked into.

    A feature is absent where all its parts are, so that what these add up to is what the feature adds. A series keeps
    the number of its steps, as a row of the background tells how long a series may be.

    Args:
      rows: that the background is chosen from.
      models: what is explained, and the baseline model if there is one.
      config: of the job.

    Returns:
      The rows; and series -> what absent values of each channel are; image -> the number that all become, if one.

    Raises:
      ConfigError: a model does not read a series as one.
    """
    absent: dict[str, tuple[float, ...]] = {}
    for feature, settings in config.shapley.parts.items():
        if isinstance(settings, TextPartsConfig):
            column = pa.array([[settings.absent_text]] * rows.num_rows, pa.large_list(pa.large_binary()))
        elif isinstance(settings, ImagePartsConfig):
            column, absent[feature] = absent_images(rows, feature, settings, ImageForm.of(feature, models))
        else:
            form = SeriesForm.of(feature, settings, models)
            absent[feature] = absent_values(rows, feature, settings, form)
            column = absent_series(rows, feature, settings, form, absent[feature])
        columns = {**dict(zip(rows.schema.names, rows.columns, strict=True)), feature: column}
        rows = pa.RecordBatch.from_arrays(list(columns.values()), names=list(columns))
    return rows, absent
