"""Which features are varied, and where: settled once, from a sample of rows, before any row is explained.

The sample are `N_SAMPLE` rows of the background split: the same ones however the data is sharded, so that all workers
add to the same curves. Quantiles of so many rows are within 2 % of the true ones in rank.
A mergeable quantile sketch would see all rows, but its answers depend on the order in which parts of it are merged, and
with them every point of every curve; nor would it tell which levels text has, or how often a value is missing.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tfx_explain.config import ExplainConfig
from tfx_explain.errors import ConfigError
from tfx_explain.rows import column_or_nulls, list_lengths
from tfx_explain.summary import Bins, Grid, choose_bins, choose_grid
from tfx_explain.summary.grids import Value

PARTIAL_DEPENDENCE = "partial_dependence"
ACCUMULATED_LOCAL_EFFECTS = "accumulated_local_effects"
METHODS = (PARTIAL_DEPENDENCE, ACCUMULATED_LOCAL_EFFECTS)

N_SAMPLE = 4_096
_MOSTLY = 0.5
"""Rows that grids and bins are chosen from."""

_UNREAD = "the model does not read it"
_ABSENT = "it has no value in any of the rows sampled"
_SEVERAL = "it has several values per row"
_CONSTANT = "it has only one value in the rows sampled"
_TEXT = "it is text, which has no order; `partial_dependence` takes it"
_FILES = "it holds files, each of which would be a level of its own; look inside it by `xrai`"
_CONTROLS = re.compile(rb"[\x00-\x08\x0e-\x1f]")


@dataclasses.dataclass(frozen=True)
class ProfilePlan:
    """What is evaluated for profiles.

    Attributes:
      grids: of the features with a partial dependence curve.
      bins: of the features with accumulated local effects.
      grid_rows: a row per grid point, grids one after the other: a real row with that feature's value replaced; then a
        row per point of each surface, its second feature changing fastest.
      edge_rows: the same for the edges of the bins.
      left_out: method -> feature -> why it has no profile.
      n_rows: how many rows all this was chosen from.
      surfaces: the grids of each pair of features that are varied together.
    """

    grids: tuple[Grid, ...]
    bins: tuple[Bins, ...]
    grid_rows: pa.RecordBatch
    edge_rows: pa.RecordBatch
    left_out: Mapping[str, Mapping[str, str]]
    n_rows: int
    surfaces: tuple[tuple[Grid, Grid], ...] = ()

    def describe(self, config: ExplainConfig) -> dict[str, object]:
        """Method -> settings as resolved, for the manifest."""
        common = {"rows_sampled": self.n_rows}
        described: dict[str, Any] = {}
        if config.method(PARTIAL_DEPENDENCE) is not None:
            described[PARTIAL_DEPENDENCE] = {
                **common,
                "features": {grid.feature: _describe_grid(grid) for grid in self.grids},
                "features_left_out": dict(self.left_out[PARTIAL_DEPENDENCE]),
                "pairs": {_pair_name(a.feature, b.feature): len(a.values) * len(b.values) for a, b in self.surfaces},
                "num_ice": config.method(PARTIAL_DEPENDENCE).num_ice,
                "model_rows_per_example": self.grid_rows.num_rows,
            }
        if config.method(ACCUMULATED_LOCAL_EFFECTS) is not None:
            described[ACCUMULATED_LOCAL_EFFECTS] = {
                **common,
                "features": {bins.feature: {"bins": bins.n_bins} for bins in self.bins},
                "features_left_out": dict(self.left_out[ACCUMULATED_LOCAL_EFFECTS]),
                "model_rows_per_example": 2 * len(self.bins),
            }
        return described


def wants_profiles(config: ExplainConfig) -> bool:
    """Whether any of the methods is asked for."""
    return any(config.method(name) is not None for name in METHODS)


def num_ice(config: ExplainConfig) -> int:
    """How many single curves are kept."""
    settings = config.method(PARTIAL_DEPENDENCE)
    return 0 if settings is None else int(settings.num_ice)


def check_features(config: ExplainConfig, known: Iterable[str]) -> None:
    """Refuses features that neither the examples nor the model have.

    Raises:
      ConfigError: there is such a feature.
    """
    there = sorted(set(known))
    for method, key in [*((method, "features") for method in METHODS), (PARTIAL_DEPENDENCE, "pairs")]:
        for name in _names(getattr(config.method(method), key, None) or ()):
            if name not in there:
                raise ConfigError(
                    f"`methods.{method}.{key}` names `{name}`, which is no feature of the examples; "
                    f"name features, not groups: {', '.join(there)}."
                )


def _names(listed: Iterable[str | tuple[str, str]]) -> list[str]:
    """The features in a list of features or of pairs of them."""
    return [name for entry in listed for name in ([entry] if isinstance(entry, str) else entry)]


def plan_profiles(
    rows: pa.RecordBatch, config: ExplainConfig, explained: Sequence[str], read: Sequence[str]
) -> ProfilePlan:
    """Grids and bins of the features asked for.

    Args:
      rows: the sample, at least one row that the model can read.
      config: which methods, and their settings.
      explained: the features that have profiles where none are named.
      read: the features that the model reads.
    """
    grids: list[Grid] = []
    bins: list[Bins] = []
    left_out: dict[str, dict[str, str]] = {method: {} for method in METHODS}
    for method in METHODS:
        settings = config.method(method)
        if settings is None:
            continue
        for name in dict.fromkeys(explained if settings.features is None else settings.features):
            values, n_missing, reason = _values(rows, name) if name in read else (np.zeros(0), 0, _UNREAD)
            found: Grid | Bins | None = None
            if not reason and method == PARTIAL_DEPENDENCE:
                found = choose_grid(name, values, n_missing, settings.grid_size)
            elif not reason and values.dtype.kind not in "iufb":
                reason = _TEXT
            elif not reason:
                found = choose_bins(name, values, settings.num_bins)
            if isinstance(found, Grid):
                grids.append(found)
            elif isinstance(found, Bins):
                bins.append(found)
            else:
                left_out[method][name] = reason or _CONSTANT
    surfaces = _plan_surfaces(rows, config, read, left_out[PARTIAL_DEPENDENCE])
    varied = [{grid.feature: grid.values} for grid in grids] + [_crossed(*pair) for pair in surfaces]
    return ProfilePlan(
        grids=tuple(grids),
        bins=tuple(bins),
        grid_rows=_replaced(rows, varied),
        edge_rows=_replaced(rows, [{one.feature: one.edges} for one in bins]),
        left_out=left_out,
        n_rows=rows.num_rows,
        surfaces=tuple(surfaces),
    )


def _plan_surfaces(
    rows: pa.RecordBatch, config: ExplainConfig, read: Sequence[str], left_out: dict[str, str]
) -> list[tuple[Grid, Grid]]:
    """The grids of the pairs asked for; says in `left_out` why one has none."""
    settings = config.method(PARTIAL_DEPENDENCE)
    surfaces = []
    for pair in () if settings is None else settings.pairs:
        grids: list[Grid] = []
        for name in pair:
            values, n_missing, reason = _values(rows, name) if name in read else (np.zeros(0), 0, _UNREAD)
            grid = None if reason else choose_grid(name, values, n_missing, settings.pair_grid_size)
            if grid is None:
                left_out[_pair_name(*pair)] = f"`{name}`: {reason or _CONSTANT}"
                break
            grids.append(grid)
        else:
            surfaces.append((grids[0], grids[1]))
    return surfaces


def _pair_name(first: str, second: str) -> str:
    return f"{first} x {second}"


def _crossed(first: Grid, second: Grid) -> dict[str, Sequence[Value]]:
    """Every point of the first with every point of the second, which changes fastest."""
    return {
        first.feature: [value for value in first.values for _ in second.values],
        second.feature: [*second.values] * len(first.values),
    }


def single_values(batch: pa.RecordBatch, name: str) -> tuple[npt.NDArray[np.generic], npt.NDArray[np.intp]]:
    """The values of a feature and the rows they are in; rows with none or several are left out."""
    column = column_or_nulls(batch, name)
    rows = np.flatnonzero(list_lengths(column) == 1)
    if not len(rows):
        return np.zeros(0), rows
    values = pc.list_flatten(column.take(pa.array(rows)))
    return values.to_numpy(zero_copy_only=False), rows


def _values(rows: pa.RecordBatch, name: str) -> tuple[npt.NDArray[np.generic], int, str]:
    """The values of a feature, how many rows lack it, and why it cannot have a profile, empty where it can."""
    lengths = list_lengths(column_or_nulls(rows, name))
    longest = lengths.max(initial=0)
    values = single_values(rows, name)[0]
    reason = "" if longest == 1 else _SEVERAL if longest else _ABSENT
    if not reason and values.dtype.kind == "O" and np.mean([_is_file(value) for value in values]) > _MOSTLY:
        reason = _FILES
    return values, int((lengths == 0).sum()), reason


def _is_file(value: bytes) -> bool:
    """Whether bytes are no text: characters that steer are in it, and it is no UTF-8."""
    if not _CONTROLS.search(value):
        return False
    try:
        value.decode()
    except UnicodeDecodeError:
        return True
    return False


def _replaced(rows: pa.RecordBatch, replacements: Sequence[Mapping[str, Sequence[Value]]]) -> pa.RecordBatch:
    """The first row once for each of the values (of several features together, where so named) instead of its own."""
    n_rows = sum(len(next(iter(values.values()))) for values in replacements)
    columns = {name: [column[0].as_py()] * n_rows for name, column in zip(rows.schema.names, rows.columns, strict=True)}
    start = end = 0
    for together in replacements:
        for name, values in together.items():
            end = start + len(values)
            columns[name][start:end] = [None if value is None else [value] for value in values]
        start = end
    arrays = [pa.array(columns[field.name], field.type) for field in rows.schema]
    return pa.RecordBatch.from_arrays(arrays, schema=rows.schema)


def _describe_grid(grid: Grid) -> dict[str, object]:
    described: dict[str, Any] = {"kind": "quantiles" if grid.ordered else "levels", "points": len(grid.values)}
    if grid.n_levels_left_out:
        described["levels_left_out"] = grid.n_levels_left_out
        described["fraction_of_rows_left_out"] = round(grid.fraction_left_out, 6)
    return described
