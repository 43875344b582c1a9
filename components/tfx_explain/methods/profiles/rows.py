"""Profiles of batches of rows: the model with one feature set to other values, and the accumulators they go to."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from tfx_explain.methods.profiles.plan import (
    ACCUMULATED_LOCAL_EFFECTS,
    PARTIAL_DEPENDENCE,
    ProfilePlan,
    single_values,
)
from tfx_explain.methods.rounding import level, settled
from tfx_explain.models import Inputs, Model, SingleRowBlocks
from tfx_explain.rows import HashArray
from tfx_explain.summary import AccumulatedLocalEffectsAccumulator, IceCurves, PartialDependenceAccumulator
from tfx_explain.summary.grids import Grid, Value
from tfx_explain.tables import PROFILES, Kind

FloatArray = npt.NDArray[np.float64]

MISSING = "(missing)"
"""What the missing value is called where values are written."""


@dataclasses.dataclass(frozen=True)
class ProfiledRows:
    """A batch of n examples with features varied, for the outputs that were asked for.

    Attributes:
      plan: what was varied, where.
      curves: per grid of the plan, (n, n_points, n_outputs): output with the feature set to each point; then per
        surface the same, its points as in `ProfilePlan.grid_rows`.
      differences: per bins of the plan, (n, n_outputs): output at the upper edge of the example's bin less that at the
        lower.
      bins: per bins of the plan, (n,): the example's bin, -1 where it has none.
      places: per bins of the plan, (n,): its place in the bin, from 0 at the lower edge to 1.
      example_ids: (n,).
    """

    plan: ProfilePlan
    curves: tuple[FloatArray, ...]
    differences: tuple[FloatArray, ...]
    bins: tuple[npt.NDArray[np.int64], ...]
    places: tuple[FloatArray, ...]
    example_ids: npt.NDArray[np.object_]

    def take(self, rows: npt.NDArray[np.int64]) -> ProfiledRows:
        """The given rows, (k,) integers."""
        return ProfiledRows(
            plan=self.plan,
            curves=tuple(curves[rows] for curves in self.curves),
            differences=tuple(differences[rows] for differences in self.differences),
            bins=tuple(bins[rows] for bins in self.bins),
            places=tuple(places[rows] for places in self.places),
            example_ids=self.example_ids[rows],
        )

    def __sub__(self, other: ProfiledRows) -> ProfiledRows:
        """The same rows' outputs less those of another model, varied by the same plan."""
        return dataclasses.replace(
            self,
            curves=tuple(ours - theirs for ours, theirs in zip(self.curves, other.curves, strict=True)),
            differences=tuple(ours - theirs for ours, theirs in zip(self.differences, other.differences, strict=True)),
        )


class Profiler:
    """Varies features of rows with one model; what the model does not read changes nothing.

    Args:
      model: what is explained.
      features: those of all players.
    """

    def __init__(self, model: Model, features: Sequence[str]) -> None:
        self.model = model
        self.features = tuple(spec.name for spec in model.features) or tuple(features)
        self._grid_inputs: tuple[ProfilePlan, Inputs, Inputs] | None = None

    def profile(
        self,
        batch: pa.RecordBatch,
        plan: ProfilePlan,
        outputs: npt.NDArray[np.int64],
        example_ids: Sequence[bytes],
        floor: FloatArray,
    ) -> tuple[ProfiledRows, int]:
        """Evaluates the rows at every grid point, and at the edges of the bins they are in.

        Steps from point to point, and changes over bins, that are nothing but rounding are 0.

        Args:
          batch: n rows without `row_errors`.
          plan: what is varied, where.
          outputs: (n, n_outputs) indices of the outputs that are kept for each row.
          example_ids: of the rows.
          floor: (n, n_outputs) one unit in the last place of the kept outputs; see `rounding`.

        Returns:
          The outputs, and how many model rows they took.
        """
        if self._grid_inputs is None or self._grid_inputs[0] is not plan:
            self._grid_inputs = (plan, self.model.inputs(plan.grid_rows), self.model.inputs(plan.edge_rows))
        _, grid_inputs, edge_inputs = self._grid_inputs
        inputs = self.model.inputs(batch)
        curves = tuple(level(curve, floor) for curve in self._curves(inputs, grid_inputs, plan, outputs))
        differences, bins, places, start = [], [], [], 0
        for one in plan.bins:
            values, rows = single_values(batch, one.feature)
            found, place = np.full(len(inputs), -1, np.int64), np.zeros(len(inputs))
            found[rows], place[rows] = one.bin_of(values)
            change = self._differences(inputs, edge_inputs, one.feature, found, start, outputs)
            differences.append(settled(change, np.zeros_like(floor), floor))
            bins.append(found)
            places.append(place)
            start += len(one.edges)
        read = [found for one, found in zip(plan.bins, bins, strict=True) if one.feature in edge_inputs.columns]
        n_model_rows = len(inputs) * len(grid_inputs) + 2 * sum(int((found >= 0).sum()) for found in read)
        ids = np.array(example_ids, object)
        profiled = ProfiledRows(plan, curves, tuple(differences), tuple(bins), tuple(places), ids)
        return profiled, n_model_rows

    def _curves(
        self, inputs: Inputs, grid_inputs: Inputs, plan: ProfilePlan, outputs: npt.NDArray[np.int64]
    ) -> tuple[FloatArray, ...]:
        """Every example with one feature or pair at a time from a row that holds a point of its grid.

        Features that are players of their own, as they mostly are for Shapley values, share their prepared graph.
        """
        varied = [(grid,) for grid in plan.grids] + list(plan.surfaces)
        sizes = [int(np.prod([len(grid.values) for grid in grids])) for grids in varied]
        if not sizes:
            return ()
        lacking = [np.isin(self.features, [grid.feature for grid in grids]) for grids in varied]
        blocks = SingleRowBlocks.of_lenders(np.repeat(np.array(lacking), sizes, axis=0))
        players = [(name,) for name in self.features]
        values = self.model.block_values(inputs, grid_inputs, players, blocks)[:, :, 0]
        kept = np.take_along_axis(values, outputs[:, None], axis=2)
        return tuple(np.split(kept, np.cumsum(sizes)[:-1], axis=1))

    def _differences(
        self,
        inputs: Inputs,
        edges: Inputs,
        feature: str,
        bins: npt.NDArray[np.int64],
        start: int,
        outputs: npt.NDArray[np.int64],
    ) -> FloatArray:
        """(n, n_outputs) change over each example's bin; NaN for those without one. `start` is the first edge's row."""
        differences = np.full(outputs.shape, np.nan)
        rows = np.flatnonzero(bins >= 0)
        if feature not in edges.columns:
            differences[rows] = 0.0
        elif len(rows):
            binned, lower = inputs.take(rows), start + bins[rows]
            above = self.model.predict(binned.with_column(feature, edges, lower + 1))
            below = self.model.predict(binned.with_column(feature, edges, lower))
            asked = outputs[rows]
            differences[rows] = np.take_along_axis(above, asked, axis=1) - np.take_along_axis(below, asked, axis=1)
        return differences


class ProfileAccumulator:
    """The curves of all profiled features of one (slice, output)."""

    def __init__(self, plan: ProfilePlan, num_ice: int) -> None:
        products = [np.outer(first.fractions, second.fractions).ravel() for first, second in plan.surfaces]
        self.curves = PartialDependenceAccumulator([grid.fractions for grid in plan.grids], num_ice)
        self.surfaces = PartialDependenceAccumulator([fractions.tolist() for fractions in products])
        self.effects = AccumulatedLocalEffectsAccumulator([bins.edges for bins in plan.bins])

    def add(self, profiled: ProfiledRows, output: int, draws: HashArray, weights: FloatArray | None = None) -> None:
        """Adds a batch for one output; `draws` and `weights` of its rows, None = all 1."""
        curves = [of_points[..., output] for of_points in profiled.curves]
        n_grids = len(self.curves.fractions)
        self.curves.add(curves[:n_grids], weights, draws, profiled.example_ids)
        self.surfaces.add(curves[n_grids:], weights)
        differences = [of_bins[:, output] for of_bins in profiled.differences]
        self.effects.add(differences, profiled.bins, profiled.places, weights)

    def merge(self, other: ProfileAccumulator) -> None:
        """Adds everything that another accumulator of the same plan has seen."""
        self.curves.merge(other.curves)
        self.surfaces.merge(other.surfaces)
        self.effects.merge(other.effects)


def profile_table(accumulated: Mapping[tuple[str, str], ProfileAccumulator], plan: ProfilePlan) -> pd.DataFrame:
    """The curves as `profiles.parquet` has them.

    Args:
      accumulated: (slice, output) -> what was accumulated.
      plan: what was varied, where.
    """
    parts = []
    for (slice_name, output), profiles in accumulated.items():
        key = {"slice": slice_name, "output": output}
        for place, grid in enumerate(plan.grids):
            about = {**key, "method": PARTIAL_DEPENDENCE, "feature": grid.feature}
            about |= _points(grid.values, ordered=grid.ordered)
            columns = profiles.curves.result(place).columns()
            parts.append(_columns({**about, "kind": "curve", **_steps_of_line(columns, about)}))
            parts.append(_ice_columns(about, profiles.curves.ice(place)))
        for place, bins in enumerate(plan.bins):
            about = {**key, "method": ACCUMULATED_LOCAL_EFFECTS, "feature": bins.feature}
            about |= _points(bins.edges, ordered=True)
            parts.append(_columns({**about, "kind": "curve", **profiles.effects.result(place).columns()}))
        for place, (first, second) in enumerate(plan.surfaces):
            about = {**key, "method": PARTIAL_DEPENDENCE, **_surface_points(first, second)}
            columns = profiles.surfaces.result(place).columns()
            parts.append(_columns({**about, "kind": "surface", **_steps_of_line(columns, about)}))
    # One frame at the end: making hundreds of small ones takes seconds.
    empty = {name: [np.zeros(0, kind)] for name, kind in _TYPES.items()}
    return pd.DataFrame({name: np.concatenate(empty[name] + [part[name] for part in parts]) for name in _TYPES})


def baseline_profile_table(
    accumulated: Mapping[tuple[str, str], ProfileAccumulator],
    differences: Mapping[tuple[str, str], ProfileAccumulator],
    plan: ProfilePlan,
) -> pd.DataFrame:
    """The curves as `baseline_profiles.parquet` has them.

    Args:
      accumulated: (slice, output) -> what was accumulated of the baseline model.
      differences: the same of the candidate less the baseline model, row by row.
      plan: what was varied, where.
    """
    figures = profile_table(differences, plan)
    columns = {name: figures[of] for name, of in _DIFFERENCES.items()}
    return profile_table(accumulated, plan).assign(**columns)


def _steps_of_line(columns: dict[str, Any], about: Mapping[str, Any]) -> dict[str, Any]:
    """The columns of a curve with steps only between points that lie on a line."""
    on_line = np.array([level is None for level in about["level"]]) & ("feature_b" not in about)
    return columns | {name: np.where(on_line, columns[name], np.nan) for name in _STEP_COLUMNS}


def _surface_points(first: Grid, second: Grid) -> dict[str, Any]:
    """The points of a surface, the second feature changing fastest; its columns end in `_b`."""
    one, other = (_points(grid.values, ordered=grid.ordered) for grid in (first, second))
    n_first, n_second = len(first.values), len(second.values)
    return {
        "feature": first.feature,
        "feature_b": second.feature,
        **{name: np.repeat(value, n_second) for name, value in one.items()},
        **{f"{name}_b": np.tile(value, n_first) for name, value in other.items()},
    }


def _ice_columns(about: Mapping[str, Any], ice: IceCurves) -> dict[str, npt.NDArray[np.generic]]:
    """Single curves of one feature, one after the other."""
    n_curves, n_points = ice.values.shape
    ids = np.array([example_id.decode("utf-8", "replace") for example_id in ice.example_ids], object)
    columns = {
        name: np.tile(value, n_curves) if isinstance(value, np.ndarray) else value for name, value in about.items()
    }
    columns |= {"kind": "ice", "example_id": np.repeat(ids, n_points)}
    return _columns({**columns, "value": ice.values.ravel(), "centred_value": ice.centred_values.ravel()})


_STEP_COLUMNS = ("step", "step_std_error", "step_skewness")
_DTYPES = {Kind.TEXT: "object", Kind.NUMBER: "float64", Kind.WHOLE: "int64", Kind.FLAG: "bool"}
_TYPES = {column.name: _DTYPES[column.kind] for column in PROFILES.columns}
_DIFFERENCES = {
    f"{prefix}difference{suffix}": prefix + (suffix[1:] or "value")
    for prefix in ("", "centred_")
    for suffix in ("", "_std_error", "_ci_low", "_ci_high")
}
"""Columns of the candidate's curves less the baseline model's, and which columns of a curve they are."""

_BLANK = {"object": None, "float64": np.nan, "int64": 1, "bool": False}


def _columns(columns: Mapping[str, Any]) -> dict[str, npt.NDArray[np.generic]]:
    """Every column of the table, those not given filled with what stands for nothing."""
    n_rows = len(columns["position"])
    made = {}
    for name, kind in _TYPES.items():
        value = columns.get(name, -1 if name == "position_b" else _BLANK[kind])
        filled = value if isinstance(value, np.ndarray) else np.full(n_rows, value, object)
        made[name] = filled.astype(kind)
    return made


def _points(values: Sequence[Value], *, ordered: bool) -> dict[str, Any]:
    numbers = np.array([float(v) if isinstance(v, int | float) else np.nan for v in values])
    levels = [None if ordered and value is not None else _label(value) for value in values]
    return {
        "position": np.arange(len(values)),
        "grid_value": numbers,
        "level": np.array(levels, object),
        "is_missing": np.array([value is None for value in values]),
    }


def _label(value: Value) -> str:
    """A level as text."""
    if value is None:
        return MISSING
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
