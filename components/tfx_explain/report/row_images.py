"""Pictures of the rows that a report shows, as files that people can use elsewhere."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from tfx_explain import records, storage, tables
from tfx_explain.attribution_records import RecordLayout
from tfx_explain.errors import ConfigError, InputError
from tfx_explain.image_maps import image_map, own_picture
from tfx_explain.part_records import part_maps
from tfx_explain.regions import overlay
from tfx_explain.report.inside import ShownInside, shown_insides
from tfx_explain.rows import column_or_nulls
from tfx_explain.tables.manifest import Manifest

MAX_FILES = 48
MAX_BYTES = 2**26
MAX_SIDE = 4_096
_LETTERS = 32
_UNSAFE = re.compile(r"[^A-Za-z0-9_-]+")


def write_row_images(explanation_dir: str, manifest: Manifest) -> None:
    """Writes the pictures and the table of them, where a method finds regions of an image.

    Args:
      explanation_dir: path or URI; it holds the rows for the report already.
      manifest: as far as it is known before there are digests.
    """
    layout = RecordLayout.of(manifest)
    uri = storage.join(explanation_dir, tables.REPORT_EXAMPLES.file)
    if not any(of.has_maps for features in layout.parts.values() for of in features.values()):
        return
    rows: list[dict[str, Any]] = []
    n_bytes = 0
    for row, files in _images(records.read_rows(uri), layout, manifest["outputs"]) if storage.exists(uri) else ():
        # A smaller one that comes later may still find room.
        if 2 * len(rows) + len(files) > MAX_FILES or n_bytes + row["num_bytes"] > MAX_BYTES:
            continue
        for name, content in files.items():
            storage.write_bytes(storage.join(explanation_dir, name), content)
        rows.append(row)
        n_bytes += row["num_bytes"]
    table = tables.ROW_IMAGES.joined([pd.DataFrame(rows)] if rows else [])
    records.write_table(storage.join(explanation_dir, tables.ROW_IMAGES.file), table)


def _images(
    examples: pa.RecordBatch, layout: RecordLayout, outputs: Sequence[str]
) -> Iterator[tuple[dict[str, Any], Mapping[str, bytes]]]:
    """A row of the table and its files, of each picture that can be drawn."""
    taken = set[str]()
    for shown in shown_insides(examples, layout):
        for row, place, _ in shown.rows if shown.of.has_maps else ():
            one = examples.slice(row, 1)
            stem = _stem(shown, one, taken)
            try:
                yield _image(one, shown, layout.prefix(shown.method), outputs, place, stem)
            except (ConfigError, InputError):
                continue
            taken.add(stem)


def _image(
    one: pa.RecordBatch, shown: ShownInside, prefix: str, outputs: Sequence[str], place: int, stem: str
) -> tuple[dict[str, Any], Mapping[str, bytes]]:
    """One of them.

    Raises:
      ConfigError: Pillow is missing.
      InputError: it cannot be drawn.
    """
    values = image_map(one, prefix, shown.feature, shown.of, outputs, outputs[place])
    picture, limit = own_picture(one, shown.feature, values.shape), float(np.abs(values).max())
    drawn = overlay(picture, values, limit=limit, max_side=MAX_SIDE)
    labels = part_maps(one, prefix, shown.feature)[0]
    height, width = (int.from_bytes(drawn[at : at + 4], "big") for at in (20, 16))  # of a PNG's first chunk
    files = {f"{stem}.png": drawn, f"{stem}.labels.png": labels}
    overlay_file, label_map = files
    row = {
        "example_id": _id_of(one),
        "feature": shown.feature,
        "method": shown.method,
        "output": outputs[place],
        "overlay": overlay_file,
        "label_map": label_map,
        "height": height,
        "width": width,
        "num_bytes": len(drawn) + len(labels),
        "limit": limit,
    }
    return row, files


def _id_of(one: pa.RecordBatch) -> str:
    return str(records.text(column_or_nulls(one, tables.EXAMPLE_ID).flatten()[0].as_py()))


def _stem(shown: ShownInside, one: pa.RecordBatch, taken: set[str]) -> str:
    """A name that is safe anywhere: letters, digits, `-` and `_` of what it is of, and a digest."""
    whose = (shown.method, shown.feature, _id_of(one))
    digest = hashlib.sha256("\0".join(whose).encode("utf-8", "surrogatepass")).hexdigest()[:12]
    readable = "-".join(_UNSAFE.sub("_", name)[:_LETTERS] for name in whose)
    stem = f"{tables.IMAGES}/{readable}-{digest}"
    # Copies of a row have one id.
    return next(name for n in range(len(taken) + 1) if (name := stem + (f"-{n + 1}" if n else "")) not in taken)
