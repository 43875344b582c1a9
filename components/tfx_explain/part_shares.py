"""How much of what is inside features lies in one place: an area of images, some words of texts."""

from __future__ import annotations

import dataclasses
import re

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tfx_explain.judgement.details import PartPlace
from tfx_explain.part_records import PartsOf, part_counts, part_maps, part_names
from tfx_explain.regions import decode_labels
from tfx_explain.regions.spans import spoken
from tfx_explain.rows import column_or_nulls
from tfx_explain.summary.sizes import debiased_sizes

FloatArray = npt.NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class PartSizes:
    """Sizes of attributions of n rows' parts, for K outputs.

    Attributes:
      inside: (n, K) sum over the parts in the place; regions that lie partly in an area count by their pixels.
      total: (n, K) sum over all parts that are somewhere.
    """

    inside: FloatArray
    total: FloatArray


def part_sizes(batch: pa.RecordBatch, prefix: str, of: PartsOf, n_outputs: int, place: PartPlace) -> PartSizes:
    """What lies in a place, and in all.

    Args:
      batch: n explained rows, as records hold them.
      prefix: of the method's columns.
      of: what the parts are.
      n_outputs: of the explanation.
      place: where.
    """
    names = [prefix + name for name in part_names(place.feature, of)[:2]]
    flat = (column_or_nulls(batch, name).flatten().to_numpy(zero_copy_only=False) for name in names)
    values, errors = (figures.astype(np.float64).reshape(-1, n_outputs) for figures in flat)
    # The noise of many parts that do not matter would hide the one that does.
    sizes, _ = debiased_sizes(values, errors)
    counts = part_counts(batch, prefix, place.feature, of)
    rows = np.repeat(np.arange(batch.num_rows), counts)
    inside, total = np.zeros((2, batch.num_rows, n_outputs))
    if of.kind == "regions":
        # What is left of an image without its regions is nowhere.
        sizes = sizes * (_pixels(batch, prefix, of, place) > 0)[:, None]
    np.add.at(total, rows, sizes)
    is_text = place.words is not None
    parts = (
        _shares_of_words(batch, prefix, of, place, rows) if is_text else _shares_of_area(batch, prefix, place, counts)
    )
    np.add.at(inside, rows, sizes * parts[:, None])
    return PartSizes(inside, total)


def _shares_of_words(
    batch: pa.RecordBatch, prefix: str, of: PartsOf, place: PartPlace, rows: npt.NDArray[np.int64]
) -> FloatArray:
    """(N,) 1 for spans that have one of the words in them, else 0.

    Spans may be sentences, or neighbours that were taken together: what else they say is counted too, on the safe side.
    """
    where = column_or_nulls(batch, prefix + part_names(place.feature, of)[2]).flatten().to_numpy(zero_copy_only=False)
    bounds = where.reshape(-1, len(of.columns))[:, :2]
    texts = [values[0] if values else b"" for values in column_or_nulls(batch, place.feature).to_pylist()]
    spans = [texts[row][start:stop] for row, (start, stop) in zip(rows.tolist(), bounds.tolist(), strict=True)]
    words = "|".join(re.escape(spoken(word.encode())) for word in place.words or ())
    pattern = re.compile(rf"(?<!\w)(?:{words})(?!\w)")
    is_there = {span: pattern.search(spoken(span)) is not None for span in set(spans)}
    return np.array([is_there[span] for span in spans], np.float64)


def _pixels(batch: pa.RecordBatch, prefix: str, of: PartsOf, place: PartPlace) -> npt.NDArray[np.int64]:
    """(N,) of each region."""
    where = column_or_nulls(batch, prefix + part_names(place.feature, of)[2]).flatten().to_numpy(zero_copy_only=False)
    return np.asarray(where.reshape(-1, len(of.columns))[:, of.columns.index("pixels")])


def _shares_of_area(batch: pa.RecordBatch, prefix: str, place: PartPlace, counts: npt.NDArray[np.int64]) -> FloatArray:
    """(N,) how much of each region's pixels lie in the area."""
    left, top, right, bottom = place.area or (0.0, 0.0, 1.0, 1.0)
    made = [np.zeros(0)]
    for labels_file, n in zip(part_maps(batch, prefix, place.feature), counts.tolist(), strict=True):
        if n and not labels_file:
            made.append(np.zeros(n))
        elif n:
            labels = decode_labels(labels_file)
            height, width = labels.shape
            down = _covered(top, bottom, height)
            across = _covered(left, right, width)
            weights = down[:, None] * across
            pixels = np.bincount(labels.ravel(), minlength=n)
            made.append(np.bincount(labels.ravel(), weights.ravel(), minlength=n) / np.maximum(pixels, 1))
    return np.concatenate(made)


def _covered(start: float, stop: float, n: int) -> FloatArray:
    """(n,) how much of each of n equal cells of [0, 1] lies between start and stop."""
    edges = np.clip(np.arange(n + 1) / n, start, stop)
    return np.asarray(np.diff(edges) * n, np.float64)
