"""Slices: parts of the data that share values of some features, as TensorFlow Model Analysis defines them.

A slice is named by its features and values, in the order of the features' names: `island=Biscoe,sex=female`. Numbers
read the same whatever their type (`1` for 1 and 1.0); names and values that hold a comma, an equals sign, a quotation
mark or a backslash are written as JSON strings, so that no two slices share a name.
"""

from __future__ import annotations

import dataclasses
import json
import math
import re
from collections.abc import Collection, Iterator, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tfx_explain.config import SlicingSpec
from tfx_explain.errors import ConfigError
from tfx_explain.rows import column_or_nulls, list_lengths

IntArray = npt.NDArray[np.int64]

SliceKey = tuple[tuple[str, str], ...]
"""(feature, value as text) pairs in the order of the features' names; () is all of the data."""

OVERALL = "overall"
"""Name of the slice that is all of the data."""

_PLAIN = re.compile(r'[^\s,="\\]+(?: [^\s,="\\]+)*')
_LARGEST_WHOLE = 2.0**53


def slice_name(key: SliceKey) -> str:
    """How a slice is called in every table: `overall`, `sex=female`, `island=Biscoe,sex=female`."""
    return ",".join(f"{_quoted(feature)}={_quoted(text)}" for feature, text in key) or OVERALL


def spec_name(spec: SlicingSpec) -> str:
    """The slices that a specification asks for, as one text: `island=Biscoe,sex=*`."""
    wanted = {**dict.fromkeys(spec.feature_keys, "*"), **{k: value_text(v) for k, v in spec.feature_values.items()}}
    return slice_name(tuple(sorted(wanted.items())))


def in_spec(key: SliceKey, spec: SlicingSpec) -> bool:
    """Whether a slice is one of those that a specification asks for."""
    values = dict(key)
    return set(values) == spec.features and all(
        values[feature] in _accepted(wanted) for feature, wanted in spec.feature_values.items()
    )


def check_slice_count(n_slices: int, max_slices: int) -> None:
    """Refuses more slices than are allowed.

    Raises:
      ConfigError: there are too many.
    """
    if n_slices > max_slices:
        raise ConfigError(
            f"`slicing_specs` splits the examples into more than {max_slices} slices; slice by features with fewer "
            "values, name values in `feature_values`, or raise `max_slices`."
        )


def slice_examples(batch: pa.RecordBatch, specs: Collection[SlicingSpec]) -> dict[SliceKey, IntArray]:
    """The rows of a batch that belong to each slice.

    A row without a value of a feature is in no slice by that feature; a row with several values is in the slice of each
    of them, once.

    Args:
      batch: rows as tf.Examples are decoded: list columns.
      specs: what to slice by; slices that several of them ask for are there once.

    Returns:
      Slice -> indices of its rows, ascending, never none.
    """
    found: dict[SliceKey, IntArray] = {}
    for spec in specs:
        for key, rows in _slices(batch, spec):
            found.setdefault(key, rows)
    return found


def _slices(batch: pa.RecordBatch, spec: SlicingSpec) -> Iterator[tuple[SliceKey, IntArray]]:
    """The slices of one specification: rows joined with the values of one feature after the other."""
    rows: IntArray = np.arange(batch.num_rows)
    groups: IntArray = np.zeros(batch.num_rows, np.int64)
    keys: list[SliceKey] = [()]
    for feature in sorted(spec.features):
        values = _values(batch, feature)
        if feature in spec.feature_values:
            values = values.only(_accepted(spec.feature_values[feature]))
        counts = np.bincount(values.rows, minlength=batch.num_rows)
        repeats, starts = counts[rows], (np.cumsum(counts) - counts)[rows]
        position = np.arange(repeats.sum()) - np.repeat(np.cumsum(repeats) - repeats, repeats)
        codes = values.codes[np.repeat(starts, repeats) + position]
        n_texts = len(values.texts)
        present, groups = np.unique(np.repeat(groups, repeats) * n_texts + codes, return_inverse=True)
        rows = np.repeat(rows, repeats)
        keys = [(*keys[code // n_texts], (feature, values.texts[code % n_texts])) for code in present.tolist()]
    if len(rows):
        order = np.argsort(groups, kind="stable")
        ends = np.cumsum(np.bincount(groups, minlength=len(keys)))
        yield from zip(keys, np.split(rows[order], ends[:-1]), strict=True)


@dataclasses.dataclass(frozen=True)
class _Values:
    """The values of one feature: each different value of each row once, by row.

    Attributes:
      rows: (n,) ascending.
      codes: (n,) indices into `texts`.
      texts: the different values.
    """

    rows: IntArray
    codes: IntArray
    texts: Sequence[str]

    def only(self, accepted: Collection[str]) -> _Values:
        """Without the values that are not accepted."""
        kept = np.array([text in accepted for text in self.texts], bool)[self.codes]
        return _Values(self.rows[kept], self.codes[kept], self.texts)


def _values(batch: pa.RecordBatch, feature: str) -> _Values:
    column = column_or_nulls(batch, feature)
    lengths = list_lengths(column)
    if not lengths.any():
        return _Values(np.zeros(0, np.int64), np.zeros(0, np.int64), [""])
    encoded = pc.dictionary_encode(pc.list_flatten(column))
    texts: dict[str, int] = {}
    # Only the different values are looped over. NaN is no value.
    different = encoded.dictionary.to_numpy(zero_copy_only=False)
    code_of = [-1 if value != value else texts.setdefault(value_text(value), len(texts)) for value in different]
    codes = np.array(code_of, np.int64)[encoded.indices.to_numpy()]
    rows = np.repeat(np.arange(batch.num_rows), lengths)[codes >= 0]
    n_texts = max(len(texts), 1)
    pairs = rows * n_texts + codes[codes >= 0]
    if lengths.max() > 1:
        pairs = np.unique(pairs)
    return _Values(pairs // n_texts, pairs % n_texts, list(texts) or [""])


def value_text(value: bytes | str | float) -> str:
    """A value as it stands in the name of a slice: whole numbers without a point, the shortest digits of others."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    if isinstance(value, str):
        return value
    if math.isfinite(value) and value == int(value) and abs(value) < _LARGEST_WHOLE:
        return str(int(value))
    return str(value)


def _accepted(wanted: str | float) -> set[str]:
    """The texts of the values that a configured value stands for: numbers match whether or not they are quoted."""
    texts = {value_text(wanted)}
    try:
        number = float(wanted)
    except ValueError:
        return texts
    # Features hold 32-bit floats, whose shortest digits are fewer.
    with np.errstate(over="ignore"):
        single = np.float32(number)
    return texts | {value_text(number), value_text(float(single)), str(single)}


def _quoted(text: str) -> str:
    return text if _PLAIN.fullmatch(text) and text.isprintable() else json.dumps(text, ensure_ascii=False)
