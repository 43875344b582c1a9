"""Images of one colour that paths to an image start from."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from tfx_explain.errors import ConfigError, UnreadableImageError
from tfx_explain.methods.refusals import said
from tfx_explain.models import FeatureSpec
from tfx_explain.regions import Colour, picture_of_one_colour
from tfx_explain.rows import column_or_nulls

_NO_IMAGE = (
    "no background row has an image `{}`, so `xrai` does not know what black and white ones are; raise `num_rows`."
)


def with_images(
    rows: pa.RecordBatch, spec: FeatureSpec, background: pa.RecordBatch, names: Sequence[Colour]
) -> pa.RecordBatch:
    """Rows whose image is of one colour each.

    Args:
      rows: one for each name.
      spec: of the image's feature.
      background: rows with images: files are of the size and format of the first one with any bytes, and black and
        white of numbers are the least and the largest finite ones of all.
      names: `black` or `white`.

    Raises:
      ConfigError: the background has no image.
      UnreadableImageError: its first one cannot be read.
    """
    column = column_or_nulls(background, spec.name)
    if spec.dtype == "string":
        first = _first(column, spec.name)
        try:
            files = [[picture_of_one_colour(first, name)] for name in names]
        except UnreadableImageError as error:
            raise UnreadableImageError(
                f"`xrai` cannot make images of one colour like the first `{spec.name}` of the background "
                f"({said(error)}); use `shapley`."
            ) from error
        images = pa.array(files, pa.large_list(pa.large_binary()))
    else:
        pixels = column.flatten().to_numpy(zero_copy_only=False)
        pixels = pixels[np.isfinite(pixels)] if pixels.dtype.kind == "f" else pixels
        if not len(pixels):
            raise ConfigError(_NO_IMAGE.format(spec.name))
        ends = {"black": pixels.min(), "white": pixels.max()}
        images = pa.array([[ends[name]] * spec.size for name in names], pa.large_list(column.type.value_type))
    columns = dict(zip(rows.schema.names, rows.columns, strict=True))
    columns[spec.name] = images
    return pa.RecordBatch.from_arrays(list(columns.values()), names=list(columns))


def _first(column: pa.Array, name: str) -> bytes:
    found = next(filter(None, column.flatten().to_pylist()), None)
    if found is None:
        raise ConfigError(_NO_IMAGE.format(name))
    return bytes(found)
