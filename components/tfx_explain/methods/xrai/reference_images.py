"""Images of one colour that paths to an image start from."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from tfx_explain.errors import ConfigError
from tfx_explain.models import FeatureSpec
from tfx_explain.regions import Colour, picture_of_one_colour
from tfx_explain.rows import column_or_nulls


def with_images(
    rows: pa.RecordBatch, spec: FeatureSpec, background: pa.RecordBatch, names: Sequence[Colour]
) -> pa.RecordBatch:
    """Rows whose image is of one colour each.

    Args:
      rows: one for each name.
      spec: of the image's feature.
      background: rows with images: files are of the size and format of the first one, and black and white of floats
        are the least and the largest of all.
      names: `black` or `white`.

    Raises:
      ConfigError: the background has no image.
      UnreadableImageError: its first one cannot be read.
    """
    column = column_or_nulls(background, spec.name)
    if spec.dtype == "string":
        files = [[picture_of_one_colour(_first(column, spec.name), name)] for name in names]
        images = pa.array(files, pa.large_list(pa.large_binary()))
    else:
        floats = column.flatten().to_numpy(zero_copy_only=False)
        ends = {"black": float(np.min(floats)), "white": float(np.max(floats))}
        images = pa.array([[ends[name]] * spec.size for name in names], pa.large_list(pa.float32()))
    columns = dict(zip(rows.schema.names, rows.columns, strict=True))
    columns[spec.name] = images
    return pa.RecordBatch.from_arrays(list(columns.values()), names=list(columns))


def _first(column: pa.Array, name: str) -> bytes:
    flat = column.flatten()
    if not len(flat):
        raise ConfigError(f"no background row has an image `{name}`, so `xrai` does not know how large black ones are.")
    return bytes(flat[0].as_py())
