"""What is inside features of single rows: regions on images, spans in texts, windows of series, the largest parts."""

from __future__ import annotations

import base64
import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa

from tfx_explain.attribution_records import RecordLayout, attribution_values
from tfx_explain.errors import ConfigError, InputError
from tfx_explain.image_maps import image_map, own_picture
from tfx_explain.part_records import PartsOf, part_frame
from tfx_explain.records import text
from tfx_explain.regions import overlay, thumbnail
from tfx_explain.report.strips import Strip, make_strip, window_names
from tfx_explain.rows import column_or_nulls
from tfx_explain.tables import ATTRIBUTION_PREFIX, EXAMPLE_ID, OCCLUSION, PREDICTION
from tfx_explain.tables.manifest import Manifest

MAX_ROWS = 6
MAX_LISTED = 6
MAX_SIDE = 192
"""Pixels of the longer side of a picture in a report."""
WINDOWS = "windows"
LEVELS = 5
"""How many strengths of marks there are."""


@dataclasses.dataclass(frozen=True)
class Part:
    """One part.

    Attributes:
      label: which it is, in words.
      attribution: what it adds.
      std_error: of that.
      level: strength of its mark, 0 to `LEVELS`, as part of the largest of the row.
    """

    label: str
    attribution: float
    std_error: float
    level: int

    @property
    def sign(self) -> str:
        """Class of its mark."""
        return "plus" if self.attribution > 0 else "minus"


@dataclasses.dataclass(frozen=True)
class InsideRow:
    """The inside of a feature of one row.

    Attributes:
      example_id: which row.
      output: of which output the figures are; the one with the largest prediction.
      prediction: of that.
      attribution: of the whole feature.
      pictures: what they are -> data URI.
      spans: the text, span by span; empty where it is none.
      strip: the series; None where it is none, or has no steps.
      parts: the largest ones first.
      n_more: how many are not listed.
    """

    example_id: str
    output: str
    prediction: float
    attribution: float
    pictures: dict[str, str]
    spans: tuple[Part, ...]
    parts: tuple[Part, ...]
    n_more: int
    strip: Strip | None = None


@dataclasses.dataclass(frozen=True)
class InsideSection:
    """A feature that a method looked inside: some rows whose output it moved most, up and down."""

    feature: str
    method: str
    kind: str
    rows: tuple[InsideRow, ...]

    @property
    def adds_up(self) -> bool:
        """Whether parts add up to what the feature adds."""
        return self.method != OCCLUSION


def channels_of(manifest: Manifest) -> dict[str, int]:
    """Series -> how many channels it has, for those that a method looked inside."""
    of_methods: object = manifest.get("method")
    found: dict[str, int] = {}
    for entry in of_methods.values() if isinstance(of_methods, Mapping) else ():
        parts = entry.get("parts") if isinstance(entry, Mapping) else None
        for feature, of in parts.items() if isinstance(parts, Mapping) else ():
            n = of.get("channels") if isinstance(of, Mapping) else None
            if isinstance(n, int) and n > 0:
                found[feature] = n
    return found


def make_inside(
    examples: pa.RecordBatch, layout: RecordLayout, outputs: Sequence[str], channels: Mapping[str, int] | None = None
) -> list[InsideSection]:
    """The sections of a report.

    Args:
      examples: a sample of explained rows, as records hold them.
      layout: of the explanation.
      outputs: their names.
      channels: series -> how many channels it has; others have one.
    """
    made = []
    for shown in shown_insides(examples, layout):
        n_channels = (channels or {}).get(shown.feature, 1)
        inner = _Inner(layout.prefix(shown.method), shown.feature, shown.of, outputs, n_channels)
        rows = [inner.row(examples.slice(row, 1), place, moved) for row, place, moved in shown.rows]
        made.append(InsideSection(shown.feature, shown.method, shown.of.kind, tuple(rows)))
    return made


class ShownInside(NamedTuple):
    """Which rows are shown of a feature that a method looked inside.

    Attributes:
      method, feature: which.
      of: what its parts are.
      rows: (row, its output of the largest prediction, what the feature adds to that).
    """

    method: str
    feature: str
    of: PartsOf
    rows: tuple[tuple[int, int, float], ...]


def shown_insides(examples: pa.RecordBatch, layout: RecordLayout) -> Iterator[ShownInside]:
    """The rows that are shown, by method and feature."""
    for method, features in layout.parts.items():
        values = attribution_values(examples, layout, method) if examples.num_rows else {}
        for feature, of in features.items() if values else ():
            largest = values[PREDICTION].argmax(axis=1)
            moved = values[ATTRIBUTION_PREFIX + feature][np.arange(examples.num_rows), largest]
            rows = tuple((row, int(largest[row]), float(moved[row])) for row in _chosen(moved))
            yield ShownInside(method, feature, of, rows)


def _chosen(moved: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> list[int]:
    """The rows that were moved most, half of them up and half down."""
    order = np.argsort(-moved, kind="stable")
    if len(order) <= MAX_ROWS:
        return [int(row) for row in order]
    return [int(row) for row in (*order[: MAX_ROWS // 2], *order[-(MAX_ROWS // 2) :])]


@dataclasses.dataclass(frozen=True)
class _Inner:
    """A feature that a method looked inside.

    Attributes:
      prefix: of the method's columns.
      feature: its name.
      of: what its parts are.
      outputs: names of all outputs.
      n_channels: of a series.
    """

    prefix: str
    feature: str
    of: PartsOf
    outputs: Sequence[str]
    n_channels: int

    def row(self, row: pa.RecordBatch, place: int, moved: float) -> InsideRow:
        """One row, for one of the outputs, of which the feature moved so much."""
        frame = part_frame(row, self.prefix, self.feature, self.of, self.outputs, self.outputs[place])
        labels = _labels(row, self.feature, self.of, frame)
        largest = float(frame["attribution"].abs().max()) if len(frame) else 0.0
        parts = [
            Part(label, float(attribution), float(error), round(LEVELS * abs(attribution) / largest) if largest else 0)
            for label, attribution, error in zip(labels, frame["attribution"], frame["std_error"], strict=True)
        ]
        listed = sorted(parts, key=lambda part: -abs(part.attribution))[:MAX_LISTED]
        return InsideRow(
            example_id=str(text(row.column(EXAMPLE_ID).flatten()[0].as_py())),
            output=self.outputs[place],
            prediction=float(column_or_nulls(row, PREDICTION).flatten()[place].as_py()),
            attribution=float(moved),
            pictures=self._pictures(row, place) if self.of.has_maps else {},
            spans=tuple(parts) if self.of.kind == "spans" else (),
            parts=tuple(listed),
            n_more=len(parts) - len(listed),
            strip=self._strip(row, frame, parts) if self.of.kind == WINDOWS else None,
        )

    def _strip(self, row: pa.RecordBatch, frame: pd.DataFrame, parts: Sequence[Part]) -> Strip | None:
        """The series with its windows; None where the row does not hold it, as where a missing one has a default."""
        column = column_or_nulls(row, self.feature)
        if pa.types.is_large_binary(column.type.value_type):
            return None
        flat = column.flatten().to_numpy(zero_copy_only=False).astype(np.float64)
        values = flat[: len(flat) // self.n_channels * self.n_channels].reshape(-1, self.n_channels)
        marks = {"level": [part.level for part in parts], "sign": [part.sign for part in parts]}
        return make_strip(values, frame.assign(**marks))

    def _pictures(self, row: pa.RecordBatch, place: int) -> dict[str, str]:
        """The image and its regions as data URIs; nothing where Pillow is missing or the image cannot be drawn."""
        try:
            values = image_map(row, self.prefix, self.feature, self.of, self.outputs, self.outputs[place])
            picture = own_picture(row, self.feature, values.shape)
            drawn = {"as it is": thumbnail(picture, MAX_SIDE), "regions": overlay(picture, values, max_side=MAX_SIDE)}
        except (ConfigError, InputError):
            return {}
        return {name: f"data:image/png;base64,{base64.b64encode(file).decode()}" for name, file in drawn.items()}


def _labels(row: pa.RecordBatch, feature: str, of: PartsOf, frame: pd.DataFrame) -> list[str]:
    """What each part is called."""
    if of.kind == "regions":
        shares = 100 * frame["pixels"] / max(int(frame["pixels"].sum()), 1)
        return [
            f"region {place + 1} ({share:.{0 if share >= 1 else 1}f} % of the image)"
            if share
            else "what is left without any region"
            for place, share in enumerate(shares)
        ]
    if of.kind == "spans":
        whole = column_or_nulls(row, feature).flatten()
        content = bytes(whole[0].as_py()) if len(whole) else b""
        pairs = zip(frame["start"], frame["stop"], strict=True)
        return [content[start:stop].decode("utf-8", "replace") for start, stop in pairs]
    if of.kind == WINDOWS:
        return window_names(frame)
    return [
        " ".join(f"{name} {value}" for name, value in zip(of.columns, where, strict=True))
        for where in frame[list(of.columns)].to_numpy()
    ]
