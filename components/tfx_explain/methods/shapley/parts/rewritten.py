"""Files of images that are written anew: whether they are the same to a model, and whether it takes them at all."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tfx_explain.config.parts import RegionsConfig
from tfx_explain.errors import ConfigError, ModelError, UnreadableImageError
from tfx_explain.methods.context import FirstRows
from tfx_explain.methods.images import ImageForm, check_masks, files_of, read_file
from tfx_explain.methods.refusals import said
from tfx_explain.methods.shapley.parts.calls import PartCalls
from tfx_explain.methods.shapley.parts.contexts import Contexts
from tfx_explain.methods.shapley.parts.feature import PartBatch
from tfx_explain.models import Inputs, Model
from tfx_explain.models.call_bytes import MAX_CALL_BYTES
from tfx_explain.models.reading import read_values
from tfx_explain.regions import need_images
from tfx_explain.regions.written import png_file

IntArray = npt.NDArray[np.int64]

# As what a file is read: as it is stored; where that does not give the model's output, in colours, or in grey.
_CHANNELS = (0, 3, 1)
_UNITS = 4.0
_TRIED = 16


def channels_of(feature: str, files: Sequence[bytes], of: PartBatch) -> tuple[dict[int, int], dict[int, str], int]:
    """Row -> in how many channels its file is read, row -> why it cannot be; and the model rows that this took.

    A file that is written anew must be the same to the model, or what is mixed with it is something else.

    Args:
      feature: the image.
      files: of n rows; without bytes where there is none.
      of: the rows; their parts are not asked for.
    """
    found: dict[int, int] = {}
    left = np.array([row for row, file in enumerate(files) if file], np.int64)
    expected = np.take_along_axis(of.side.prediction, of.asked, axis=1)
    n_model_rows, off = 0, np.full_like(expected, np.nan)
    for channels in _CHANNELS:
        for again in _written(files, left, channels):
            rows = np.array(list(again), np.int64)
            contexts = Contexts.all_present(len(rows), len(of.calls.others))
            predicted = of.calls.predict(rows, _column(list(again.values())), contexts)
            off[rows] = np.abs(np.take_along_axis(predicted, of.asked[rows], axis=1) - expected[rows])
            same = rows[(off[rows] <= _UNITS * of.floor[rows]).all(axis=1)]
            found |= dict.fromkeys(same.tolist(), channels)
            left = np.setdiff1d(left, same)
            n_model_rows += len(rows)
    reason = (
        f"the image `{feature}` is another one to the model once it is written as PNG (the output changes by "
        "{:.3g}), so regions of it cannot be taken away"
    )
    unread = (
        f"the image `{feature}` can be read by neither TensorFlow nor Pillow, so regions of it cannot be taken away"
    )
    worst = off[left].max(axis=1, initial=-np.inf).tolist()
    bad = {row: unread if np.isnan(by) else reason.format(by) for row, by in zip(left.tolist(), worst, strict=True)}
    return found, bad, n_model_rows


def _written(files: Sequence[bytes], rows: IntArray, channels: int) -> Iterator[dict[int, bytes]]:
    """Row -> its file as PNG, of those that can be read so; as many at a time as a call of the model takes."""
    made: dict[int, bytes] = {}
    for row in rows.tolist():
        with contextlib.suppress(UnreadableImageError):
            made[row] = png_file(read_file(files[row], channels))
        if sum(map(len, made.values())) >= MAX_CALL_BYTES:
            yield made
            made = {}
    if made:
        yield made


def check_images(feature: str, settings: RegionsConfig, rows: FirstRows, models: Sequence[Model]) -> None:
    """Refuses to look for regions in what is no image, or to write files for a model that takes no PNG.

    Raises:
      ConfigError: names the feature, and what to do.
    """
    need_images()
    form = ImageForm.of(feature, models)
    for split, of_split in rows.splits.items():
        check_masks(settings.masks, of_split, f"`parts` of `{feature}`", split)
        if form.shape is None and read_values(of_split, feature).family not in ("strings", "nothing"):
            raise ConfigError(
                f"`parts` looks for regions inside `{feature}`, which holds numbers in split `{split}`, "
                "and no model says of which shape; take it out of `parts`."
            )
        if form.shape is None:
            _check_files(feature, of_split, models)


def _check_files(feature: str, rows: pa.RecordBatch, models: Sequence[Model]) -> None:
    """Refuses files that models take, but not as PNG."""
    files = files_of(rows, feature)
    rows_with = np.array([row for row, file in enumerate(files[:_TRIED]) if file], np.int64)
    good = next(_written(files, rows_with, 0), {})
    for model in models:
        for row, file in good.items():
            inputs = _inputs_or_none(model, rows.slice(row, 1))
            if inputs is None or feature not in inputs.columns:
                continue
            column = PartCalls.of(model, feature, [], inputs, inputs).as_read(_column([file]))
            try:
                model.predict(inputs)
            except ModelError:
                continue
            try:
                model.predict(Inputs(1, {**inputs.columns, feature: column}))
            except ModelError as error:
                raise ConfigError(
                    f"`parts` takes regions of `{feature}` away and writes what is left as PNG, which "
                    f"{model.what} does not take ({said(error)}); take it out of `parts`."
                ) from error
            break


def _inputs_or_none(model: Model, row: pa.RecordBatch) -> Inputs | None:
    return None if model.row_errors(row) else model.inputs(row)


def _column(files: Sequence[bytes]) -> npt.NDArray[np.object_]:
    return np.array([*files, None], object)[:-1]
