"""What the tables of what is inside features must agree in: with the manifest, and with arithmetic."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from tfx_explain import tables
from tfx_explain.errors import InputError
from tfx_explain.tables.manifest import FILES, PARTS, Manifest

_CLOSE = 1e-7
_ERRORS = ("std_error", "mean_abs_std_error", "baseline_std_error", "difference_std_error")
_OF_MAPS = (tables.REGIONS, tables.IMAGE_MAPS, tables.ROW_IMAGES)
_SETTING = "min_word_examples"
_KINDS = {tables.WORDS: "spans", tables.SERIES: "windows"}


def check_parts(table: pd.DataFrame, described: tables.Table, uri: str, manifest: Manifest) -> None:
    """Rows of the manifest's slices, outputs, and methods that look inside features, with possible figures.

    Raises:
      InputError: the table is not what was written.
    """
    for fault in _faults(table, described, manifest):
        raise InputError(f"{uri}/{described.file} is not what was explained: {fault}; explain the model again.")


def check_images(table: pd.DataFrame, uri: str, manifest: Manifest) -> None:
    """Whether the table of pictures lists files of the manifest.

    Raises:
      InputError: the table is not what was written.
    """
    fault = tables.ROW_IMAGES.fault(table)
    listed = {*table["overlay"], *table["label_map"]} if not fault else set()
    if not fault and not listed <= set(manifest[FILES]):
        fault = "it names files that were not written"
    if fault:
        raise InputError(f"{uri}/{tables.ROW_IMAGES.file} is not what was explained: {fault}; explain the model again.")


def parts_tables(manifest: Manifest) -> list[str]:
    """Files of what is inside features that an explanation as the manifest describes it has.

    Those written before 2026-11-29 have none of them; their configuration does not know the setting of such a table.
    """
    if _SETTING not in manifest["config"]:
        return []
    kinds = {of["kind"] for features in manifest.get(PARTS, {}).values() for of in features.values()}
    has_maps = any(of["has_maps"] for features in manifest.get(PARTS, {}).values() for of in features.values())
    names = [table.file for table, kind in _KINDS.items() if kind in kinds]
    return [*names, *([table.file for table in _OF_MAPS] if has_maps else [])]


def _faults(table: pd.DataFrame, described: tables.Table, manifest: Manifest) -> Iterator[str]:
    fault = described.fault(table)
    if fault:
        yield fault
        return
    if table.duplicated(list(described.key)).any():
        yield "it has two rows of one key"
    counts = {one["slice"]: one["num_examples"] for one in manifest["slices"]["included"]}
    targets = {
        (method, feature)
        for method, features in manifest.get(PARTS, {}).items()
        for feature, of in features.items()
        if of["kind"] == _KINDS.get(described, of["kind"]) and (described in _KINDS or of["has_maps"])
    }
    if not table["slice"].isin(counts).all() or not table["output"].isin(manifest["outputs"]).all():
        yield "it has slices or outputs that the manifest does not have"
        return
    if not set(zip(table["method"], table["feature"], strict=True)) <= targets:
        yield "it has features that no method of the manifest looks inside"
    if not table["num_examples"].between(1, table["slice"].map(counts)).all() or (table["num_left_out"] < 0).any():
        yield "its numbers of examples are not possible"
    errors = table[[name for name in _ERRORS if name in table]].to_numpy(np.float64)
    if (errors < 0).any() or np.isinf(errors).any():
        yield "a standard error is not a number of 0 or more"
    value = table["mean"].to_numpy(np.float64)
    if np.isinf(value).any() or (described is not tables.REGIONS and np.isnan(value).any()):
        yield "a mean is not a number"
    yield from _own_faults(table, described)


def _own_faults(table: pd.DataFrame, described: tables.Table) -> Iterator[str]:
    """What follows from what the figures are."""
    value = table["mean"].to_numpy(np.float64)
    if described is tables.REGIONS:
        is_part = ~table["measure"].isin(("num_regions", "noise")).to_numpy()
        if (value < 0).any() or (value[is_part] > 1 + _CLOSE).any():
            yield "a share is not from 0 to 1"
    if described is tables.IMAGE_MAPS and len(table):
        sizes = table["mean_abs"].to_numpy(np.float64)
        if not (np.abs(value) <= sizes + _CLOSE * (1 + sizes)).all():
            yield "a mean is larger than the mean of sizes"
        groups = table.groupby(["slice", "output", "feature", "method"], sort=False)
        whole = (groups["row"].max() + 1) * (groups["column"].max() + 1)
        if (groups.size() != whole).any() or (table[["row", "column"]] < 0).any(axis=None):
            yield "a cell of a map is missing"
