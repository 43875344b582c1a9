"""From sums over what is inside features to tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from tfx_explain import tables
from tfx_explain.methods.context import JobContext
from tfx_explain.methods.method import BASELINE, CANDIDATE, DIFFERENCE, Accumulated, Key
from tfx_explain.methods.part_tables.targets import FloatArray, Target
from tfx_explain.part_records import PartsOf
from tfx_explain.slicing import OVERALL
from tfx_explain.summary.places import PlaceMoments
from tfx_explain.summary.region_shares import FIGURES
from tfx_explain.summary.row_means import RowMeans

MAX_ROWS = 2_000
"""Words, or windows, of a slice and an output: those that the most rows have."""

Figures = tuple[FloatArray, FloatArray]
"""(P, 2K) means of what is added and of its size, by output, and their standard errors."""

_SIDES = (CANDIDATE, BASELINE, DIFFERENCE)
_MAPS = f"{tables.IMAGE_MAPS.name}:"


def all_tables(
    accumulated: Accumulated, targets: Mapping[Target, PartsOf], context: JobContext
) -> dict[str, pd.DataFrame]:
    """File name -> table, for each kind of parts that there are, with or without rows."""
    kinds = {tables.WORDS: "spans", tables.SERIES: "windows"}
    made = {
        table.file: _of_places(table, accumulated, context)
        for table, kind in kinds.items()
        if any(of.kind == kind for of in targets.values())
    }
    if any(of.has_maps for of in targets.values()):
        made[tables.REGIONS.file] = _regions(accumulated)
        made[tables.IMAGE_MAPS.file] = _image_maps(accumulated, context.outputs)
    # Without a baseline model there is nothing of it, not even gaps.
    has_baseline = any(key.side == BASELINE for key in accumulated.of)
    described = {table.file: table for table in tables.TABLES}
    return {file: described[file].joined(frames, baseline=has_baseline) for file, frames in made.items()}


def _keys(accumulated: Accumulated, table: str) -> list[tuple[Key, Target]]:
    """Accumulators of the model, and whose parts they are of, for one table."""
    keys = [(key, *Target.of(key.what)) for key in accumulated.of if key.side == CANDIDATE]
    return [(key, target) for key, name, target in keys if name == table]


def _sides(accumulated: Accumulated, key: Key) -> dict[str, Any]:
    """Side -> its accumulator, of those that there are."""
    found = {side: accumulated.of.get(key._replace(side=side)) for side in _SIDES}
    return {side: sums for side, sums in found.items() if sums is not None}


def _whose(target: Target, slice_name: str, output: str) -> dict[str, str]:
    return {"slice": slice_name, "output": output, "feature": target.feature, "method": target.method}


def _of_places(table: tables.Table, accumulated: Accumulated, context: JobContext) -> list[pd.DataFrame]:
    frames, least = [], context.config.min_word_examples if table is tables.WORDS else 1
    for key, target in _keys(accumulated, table.name):
        sides: dict[str, PlaceMoments] = _sides(accumulated, key)
        ours = sides[CANDIDATE].result(least, MAX_ROWS)
        figures = {CANDIDATE: (ours.means, ours.std_errors)}
        figures |= {side: _alike(sums, ours.names) for side, sums in sides.items() if side != CANDIDATE}
        counts = {"num_examples": ours.num_examples, "num_left_out": sides[CANDIDATE].n_places - len(ours.names)}
        named = _place_columns(table, ours.names)
        for index, output in enumerate(context.outputs):
            whose = _whose(target, key.slice_name, output)
            frames.append(pd.DataFrame({**whose, **named, **_figures(figures, index), **counts}))
    return frames


def _place_columns(table: tables.Table, names: Sequence[str]) -> dict[str, Any]:
    if table is tables.WORDS:
        return {"word": np.array(names, object)}
    where = np.array([name.split(" ") for name in names], np.int64).reshape(-1, 3)
    return dict(zip(("start", "stop", "channel"), where.T, strict=True))


def _alike(sums: PlaceMoments, names: Sequence[str]) -> Figures:
    """Of the same places; NaN where there is nothing of them."""
    found = sums.result(1, sums.n_places)
    place = {name: index for index, name in enumerate(found.names)}
    at = np.array([place.get(name, -1) for name in names], np.int64)
    nothing = np.full((1, found.means.shape[1]), np.nan)
    means, errors = (np.concatenate([values, nothing])[at] for values in (found.means, found.std_errors))
    return means, errors


def _figures(sides: Mapping[str, Figures], index: int) -> dict[str, FloatArray]:
    """Columns of one output: means and sizes, of the baseline model too, and of the difference."""
    made: dict[str, FloatArray] = {}
    for side, (means, errors) in sides.items():
        n_outputs = means.shape[1] // 2
        for name, column in (("mean", index), ("mean_abs", n_outputs + index)):
            if side != DIFFERENCE or name == "mean":
                value, error = _names(side, name)
                made |= {value: means[:, column], error: errors[:, column]}
    return made


def _names(side: str, name: str) -> tuple[str, str]:
    """Of a figure and its error."""
    if side == DIFFERENCE:
        return "difference", "difference_std_error"
    prefix = tables.BASELINE_PREFIX if side == BASELINE else ""
    return prefix + name, prefix + ("std_error" if name == "mean" else f"{name}_std_error")


def _regions(accumulated: Accumulated) -> list[pd.DataFrame]:
    frames = []
    for key, target in _keys(accumulated, tables.REGIONS.name):
        sides: dict[str, RowMeans] = _sides(accumulated, key)
        ours = sides[CANDIDATE]
        columns: dict[str, Any] = dict(_whose(target, key.slice_name, key.output))
        columns["measure"], columns["rank"] = zip(*FIGURES, strict=True)
        for side, sums in sides.items():
            columns |= dict(zip(_names(side, "mean"), (sums.means(), sums.std_errors()), strict=True))
        if ours.n_examples:
            frames.append(pd.DataFrame({**columns, "num_examples": ours.n_examples, "num_left_out": ours.n_left_out}))
    return frames


def _image_maps(accumulated: Accumulated, outputs: Sequence[str]) -> list[pd.DataFrame]:
    of_targets: dict[Target, dict[str, dict[str, Key]]] = {}
    for key in accumulated.of:
        table, target = Target.of(key.what)
        if key.side == CANDIDATE and table.startswith(_MAPS):
            of_slices = of_targets.setdefault(target, {})
            of_slices.setdefault(key.slice_name, {})[table.removeprefix(_MAPS)] = key
    frames = []
    for target, of_slices in of_targets.items():
        counts = {
            name: {size: accumulated.of[key].n_examples for size, key in of_slice.items()}
            for name, of_slice in of_slices.items()
        }
        # The size that most rows have, the larger one of two.
        size = max(counts[OVERALL], key=lambda size: (counts[OVERALL][size], _shape_of(size)))
        for slice_name, n_rows in counts.items():
            if n_rows.get(size):
                sides: dict[str, RowMeans] = _sides(accumulated, of_slices[slice_name][size])
                of_slice = {"num_examples": n_rows[size], "num_left_out": sum(n_rows.values()) - n_rows[size]}
                frames += _maps(sides, [_whose(target, slice_name, output) | of_slice for output in outputs], size)
    return frames


def _shape_of(size: str) -> tuple[int, int]:
    down, across = size.split("x")
    return int(down), int(across)


def _maps(sides: Mapping[str, RowMeans], of_outputs: Sequence[dict[str, Any]], size: str) -> list[pd.DataFrame]:
    """The mean maps of one slice, for each output."""
    down, across = _shape_of(size)
    shape = (down * across, 2 * len(of_outputs))
    row, column = np.divmod(np.arange(down * across), across)
    figures = {side: (sums.means().reshape(shape), sums.std_errors().reshape(shape)) for side, sums in sides.items()}
    return [
        pd.DataFrame({**whose, "row": row, "column": column, **_figures(figures, index)})
        for index, whose in enumerate(of_outputs)
    ]
