"""Images of one colour that paths to an image start from."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from tfx_explain.errors import ConfigError
from tfx_explain.models import FeatureSpec
from tfx_explain.rows import column_or_nulls

# Where a kind of image has other colours, or none that are simply black and white, it becomes one of these.
_MODES = {"1": "L", "P": "RGB", "LA": "L", "PA": "RGB", "La": "L", "CMYK": "RGB", "YCbCr": "RGB", "HSV": "RGB"}
_HIGHEST = {"I;16": 65_535, "I;16B": 65_535, "I": 65_535}


def with_images(
    rows: pa.RecordBatch, spec: FeatureSpec, background: pa.RecordBatch, names: Sequence[str]
) -> pa.RecordBatch:
    """Rows whose image is of one colour each.

    Args:
      rows: one for each name.
      spec: of the image's feature.
      background: rows with images: files are of the size and format of the first one, and black and white of floats
        are the least and the largest of all.
      names: `black` or `white`.

    Raises:
      ConfigError: the background has no image that can be read.
    """
    column = column_or_nulls(background, spec.name)
    if spec.dtype == "string":
        files = [[file_of_one_colour(_first(column, spec.name), name)] for name in names]
        images = pa.array(files, pa.large_list(pa.large_binary()))
    else:
        floats = column.flatten().to_numpy(zero_copy_only=False)
        ends = {"black": float(np.min(floats)), "white": float(np.max(floats))}
        images = pa.array([[ends[name]] * spec.size for name in names], pa.large_list(pa.float32()))
    columns = dict(zip(rows.schema.names, rows.columns, strict=True))
    columns[spec.name] = images
    return pa.RecordBatch.from_arrays(list(columns.values()), names=list(columns))


def file_of_one_colour(file: bytes, name: str) -> bytes:
    """A file of the size, format and depth of another, all black or all white.

    Raises:
      ConfigError: the other one cannot be read.
    """
    from PIL import Image, ImageColor  # of the extra `images`

    try:
        with Image.open(io.BytesIO(file)) as image:
            size, mode, form = image.size, image.mode, image.format or "PNG"
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        raise ConfigError(
            f"`xrai` cannot read the image of a background row ({error}); write it as PNG or JPEG."
        ) from error
    mode = _MODES.get(mode, mode)
    highest = _HIGHEST.get(mode)
    colour = ImageColor.getcolor(name, mode) if highest is None else highest * (name == "white")
    made = io.BytesIO()
    Image.new(mode, size, colour).save(made, form, **({"lossless": True} if form == "WEBP" else {}))
    return made.getvalue()


def _first(column: pa.Array, name: str) -> bytes:
    flat = column.flatten()
    if not len(flat):
        raise ConfigError(f"no background row has an image `{name}`, so `xrai` does not know how large black ones are.")
    return bytes(flat[0].as_py())
