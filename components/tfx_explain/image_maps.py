"""Maps of an image's attributions, made of its regions as records hold them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tfx_explain.errors import InputError
from tfx_explain.part_records import PartsOf, part_frame, part_maps, part_pixels
from tfx_explain.regions import decode_image, decode_labels, decode_values, nearest
from tfx_explain.rows import column_or_nulls

FloatArray = npt.NDArray[np.float64]


def image_map(
    row: pa.RecordBatch, prefix: str, feature: str, of: PartsOf, outputs: Sequence[str], output: str
) -> FloatArray:
    """(height, width) attribution of each pixel, the mean of its region, at the size of the row's image.

    It is the map of what the model gets, stretched to that size: where the graph crops, pads or turns the image, pixels
    are those of what comes of that. A row without an image has a map of the size that the model gets, if any. What is
    left of an image without its regions is nowhere.

    Args:
      row: one explained row, as records hold it.
      prefix: of the method's columns.
      feature: the image.
      of: what its parts are.
      outputs: of the explanation.
      output: one of them.

    Raises:
      InputError: parts of the feature have no label maps, or the row has no image.
    """
    if not of.has_maps:
        raise InputError(f"parts of `{feature}` are {of.kind}, not regions of an image: `parts` lists them.")
    labels_file = part_maps(row, prefix, feature)[0]
    if not labels_file:
        raise InputError(f"the row has no image `{feature}`.")
    labels = decode_labels(labels_file)
    regions = part_frame(row, prefix, feature, of, outputs, output)["attribution"].to_numpy()
    # What is left of an image without its regions has no pixels.
    densities = regions / np.maximum(np.bincount(labels.ravel(), minlength=len(regions)), 1)
    file = _file(row, feature)
    height, width = labels.shape if file is None else decode_image(file).shape[:2]
    return nearest(densities[labels], (height, width))


def pixel_map(row: pa.RecordBatch, prefix: str, feature: str, place: int) -> FloatArray:
    """(height, width) the same of each pixel by itself, for the output at a place among the explanation's.

    Raises:
      InputError: it was not kept of this row.
    """
    files = part_pixels(row, prefix, feature)[0]
    if not files:
        raise InputError(
            f"what the pixels of `{feature}` add is not kept of this row; raise `pixel_maps` of `xrai`, or leave "
            "`pixels` out for the map of its regions."
        )
    values, file = decode_values(files[place]), _file(row, feature)
    height, width = values.shape if file is None else decode_image(file).shape[:2]
    return nearest(values, (height, width))


def own_picture(row: pa.RecordBatch, feature: str, shape: tuple[int, ...]) -> npt.NDArray[np.uint8]:
    """(height, width, 3) the image of a row, of floats in grey from the least to the largest.

    Args:
      row: one explained row.
      feature: the image.
      shape: (height, width) of an image of floats.

    Raises:
      InputError: it cannot be read, or the row has none.
    """
    file = _file(row, feature)
    if file is not None:
        return decode_image(file)
    values = column_or_nulls(row, feature).flatten()
    if not len(values) or _holds_files(values):
        raise InputError(f"the row has no image `{feature}`.")
    pixels = values.to_numpy(zero_copy_only=False).reshape(*shape[:2], -1).astype(np.float64).mean(axis=2)
    low, high = float(pixels.min()), float(pixels.max())
    grey = np.uint8(255 * (pixels - low) / ((high - low) or 1.0))
    return np.repeat(np.asarray(grey)[:, :, None], 3, axis=2)


def _file(row: pa.RecordBatch, feature: str) -> bytes | None:
    """The encoded image; None where it is floats, or missing or empty, which some models take for an image."""
    values = column_or_nulls(row, feature).flatten()
    return bytes(values[0].as_py()) or None if _holds_files(values) and len(values) else None


def _holds_files(values: pa.Array) -> bool:
    return bool(pa.types.is_binary(values.type) or pa.types.is_large_binary(values.type))
