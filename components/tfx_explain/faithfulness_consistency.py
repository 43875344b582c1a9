"""What the tables of faithfulness must agree in: with the manifest, with each other, and with arithmetic."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from tfx_explain import tables
from tfx_explain.errors import InputError
from tfx_explain.tables.manifest import Manifest

_CLOSE = 1e-7
_MEASURES = ("deletion", "insertion", "mu_fidelity", "randomisation", "random_logit", "pointing_game")


def check_faithfulness(table: pd.DataFrame, uri: str, manifest: Manifest) -> None:
    """A row per slice, output, method, feature and measure, with figures that follow from each other.

    Raises:
      InputError: the table is not what was written.
    """
    _raise_first(_faults(table, manifest), uri, tables.FAITHFULNESS.file)


def check_curves(table: pd.DataFrame, uri: str, manifest: Manifest) -> None:
    """The same of the curves.

    Raises:
      InputError: the table is not what was written.
    """
    _raise_first(_curve_faults(table, manifest), uri, tables.FAITHFULNESS_CURVES.file)


def _raise_first(faults: Iterator[str], uri: str, file: str) -> None:
    for fault in faults:
        raise InputError(f"{uri}/{file} is not what was explained: {fault}; explain the model again.")


def _faults(table: pd.DataFrame, manifest: Manifest) -> Iterator[str]:
    yield from _key_faults(table, manifest, tables.FAITHFULNESS)
    if not table["measure"].isin(_MEASURES).all():
        yield "it has a measure that there is not"
    slices = {one["slice"]: one["num_examples"] for one in manifest["slices"]["included"]}
    if not table["num_examples"].between(1, table["slice"].map(slices)).all() or (table["num_left_out"] < 0).any():
        yield "its numbers of examples are not possible"
    value, error, low, high, freedom = (
        table[name].to_numpy(np.float64) for name in ("value", "std_error", "ci_low", "ci_high", "degrees_of_freedom")
    )
    if (error < 0).any() or np.isinf(np.concatenate([value, error])).any() or not (freedom >= -_CLOSE).all():
        yield "an error is not a number of 0 or more"
    known = np.isfinite(low) & np.isfinite(high)
    room = _CLOSE * (1 + np.abs(value))
    is_share = table["measure"].eq("pointing_game").to_numpy()
    # Wilson's interval is not symmetric.
    off = np.where(is_share, np.maximum(low - value, value - high), np.abs((low + high) / 2 - value))
    if (off[known] > room[known]).any() or (high < low - room)[known].any():
        yield "an interval is not about its figure"
    is_curve = table["measure"].isin(("deletion", "insertion")).to_numpy()
    area, random, change = (table[name].to_numpy(np.float64) for name in ("area", "random_area", "change"))
    gain = np.where(table["measure"] == "deletion", random - area, area - random)
    size = np.abs(area) + np.abs(random)
    follows = np.abs(gain - value * change) <= _CLOSE * size
    if not (follows | (np.isnan(value) & ~(change > 0)) | ~is_curve).all():
        yield "a `value` does not follow from its areas"
    if (np.abs(value[~is_curve]) > 1 + _CLOSE).any():
        yield "a correlation is not between -1 and 1"
    if (value[is_share] < 0).any():
        yield "a share is not between 0 and 1"


def _curve_faults(table: pd.DataFrame, manifest: Manifest) -> Iterator[str]:
    yield from _key_faults(table, manifest, tables.FAITHFULNESS_CURVES)
    if not table["curve"].isin(("deletion", "insertion")).all() or not table["share"].between(0, 1).all():
        yield "it has points that there are not"
    if not np.isfinite(table[["value", "random_value"]].to_numpy(np.float64)).all():
        yield "an output is not a number"


def _key_faults(table: pd.DataFrame, manifest: Manifest, described: tables.Table) -> Iterator[str]:
    fault = described.fault(table)
    if fault:
        yield fault
    elif table.duplicated(list(described.key)).any():
        yield "it has two rows of one key"
    else:
        slices = [one["slice"] for one in manifest["slices"]["included"]]
        checked = manifest["method"].get(tables.FAITHFULNESS_METHOD, {}).get("methods", [])
        for column, names in (("slice", slices), ("output", manifest["outputs"]), ("method", checked)):
            if not table[column].isin(names).all():
                yield f"its column `{column}` has names that the manifest has not"
