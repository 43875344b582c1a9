"""What the table of reasons must agree in: with the manifest, and with arithmetic."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from tfx_explain import tables
from tfx_explain.errors import InputError
from tfx_explain.tables.manifest import REASONS, Manifest


def check_reasons(table: pd.DataFrame, uri: str, manifest: Manifest) -> None:
    """Ranked attributions to the adverse side, of players that may be reasons.

    Raises:
      InputError: the table is not what was written.
    """
    for fault in _faults(table, manifest):
        raise InputError(f"{uri}/{tables.REASONS.file} is not what was explained: {fault}; explain the model again.")


def _faults(table: pd.DataFrame, manifest: Manifest) -> Iterator[str]:
    fault = tables.REASONS.fault(table)
    if fault:
        yield fault
        return
    asked = manifest.get(REASONS, {})
    if not {"k", "adverse", "players", "codes"} <= set(asked):
        yield "the manifest does not say what may be a reason"
        return
    if table.duplicated(list(tables.REASONS.key)).any():
        yield "a reason is there twice"
    if not set(table["player"]) <= set(asked["players"]) or not set(table["output"]) <= set(asked["adverse"]):
        yield "it has players or outputs that may not be reasons"
        return
    if not set(table["split"]) <= set(manifest["examples"]["splits"]):
        yield "it has splits that were not explained"
    if (table["code"].fillna("") != table["player"].map(asked["codes"]).fillna("")).any():
        yield "its codes are not the manifest's"
    explained = sum(counts["explained"] for counts in manifest["counts"].values())
    if table["row"].nunique() > explained or not table["row"].between(0, explained - 1).all():
        yield "it has more rows than were explained"
    yield from _wrong_figures(table, manifest)


def _wrong_figures(table: pd.DataFrame, manifest: Manifest) -> Iterator[str]:
    asked = manifest[REASONS]
    signs = table["output"].map(asked["adverse"]).map({"low": -1.0, "high": 1.0}).to_numpy(np.float64)
    sizes = pd.Series(signs * table["attribution"].to_numpy(np.float64), table.index)
    if not (np.isfinite(sizes) & (sizes > 0)).all():
        yield "an attribution is not to the adverse side"
    if (table["std_error"] < 0).any() or not (table["margin"] >= 0).all():
        yield "a standard error or a margin is below 0"
    groups = table.groupby(["row", "output"], sort=False)
    place = groups.cumcount() + 1
    if len(table) and (place.max() > asked["k"] or (table["rank"] > place).any()):
        yield "a row has more reasons than were asked for, or ranks that are not possible"
    # Those that are tied stand in their own order.
    before = sizes.groupby([table["row"], table["output"]], sort=False).shift()
    is_next = table["rank"] > groups["rank"].shift()
    if (is_next & (sizes >= before)).any() or (table["margin"] > sizes).any():
        yield "reasons are not in the order of their attributions"
    if groups[["split", "example_id"]].nunique().gt(1).any(axis=None):
        yield "a row has two names"
