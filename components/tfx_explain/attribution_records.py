"""The explained rows as records hold them: their own features, and beside them what each method found.

The first method that attributes has columns without a prefix, `attribution_<player>`; those of further ones begin with
their name, `integrated_gradients_attribution_<player>`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
from typing_extensions import Self

from tfx_explain import rests, tables
from tfx_explain.attribution.result import student_limits
from tfx_explain.errors import InputError
from tfx_explain.part_records import PartRows, PartsOf, part_columns, part_faults, part_names
from tfx_explain.records import lists_of, rows_to_frame
from tfx_explain.rows import column_or_nulls, list_lengths, name_errors
from tfx_explain.tables import (
    ATTRIBUTION_PREFIX,
    ATTRIBUTION_RECORDS,
    BASE_VALUE,
    BASELINE_PREFIX,
    COMPLETENESS_GAP,
    DEGREES_OF_FREEDOM,
    EXAMPLE_ID,
    PREDICTION,
    REST,
    STD_ERROR_PREFIX,
)
from tfx_explain.tables.manifest import PARTS, Manifest

CI_LOW_PREFIX, CI_HIGH_PREFIX = "ci_low_", "ci_high_"  # of what readers add

FloatArray = npt.NDArray[np.floating[Any]]
Float64Array = npt.NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class MethodFigures:
    """What one method found of n rows, p players and K outputs, in units of the output space.

    Attributes:
      base_value: (n, K) that attributions are counted from.
      attributions: (n, p, K).
      std_errors: the same shape.
      completeness_gap: (n, K).
      degrees_of_freedom: of `std_errors`, of the same shape; None = not known.
      baseline_attributions: as `attributions`, of the baseline model; None where there is none.
      parts: feature -> what is inside it, where the method looks there.
    """

    base_value: FloatArray
    attributions: FloatArray
    std_errors: FloatArray
    completeness_gap: FloatArray
    degrees_of_freedom: FloatArray | None = None
    baseline_attributions: FloatArray | None = None
    parts: Mapping[str, PartRows] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class RecordLayout:
    """Which columns records have beside the rows' own.

    Attributes:
      players: their names.
      n_outputs: values in each column of figures.
      methods: those that attribute; where there is none, records hold predictions and base values alone.
      has_baseline: whether there is a baseline model.
      parts: method -> feature -> what its parts are, where the method looks inside features.
      stored: the rows' own features that are written; None = all.
    """

    players: tuple[str, ...]
    n_outputs: int
    methods: tuple[str, ...] = (tables.SHAPLEY,)
    has_baseline: bool = False
    parts: Mapping[str, Mapping[str, PartsOf]] = dataclasses.field(default_factory=dict)
    stored: frozenset[str] | None = None

    @classmethod
    def of(cls, manifest: Manifest) -> Self:
        """That of a written explanation."""
        return cls(
            tuple(manifest["players"]),
            len(manifest["outputs"]),
            tables.attributing_methods(manifest),
            manifest.get("baseline_model") is not None,
            parts_of(manifest),
        )

    @property
    def names(self) -> frozenset[str]:
        """What records add to the examples' features, whose names they must not be."""
        of_parts = [
            self.prefix(method) + name
            for method, features in self.parts.items()
            for feature, of in features.items()
            for name in part_names(feature, of)
        ]
        every = ATTRIBUTION_RECORDS.names(self.players, baseline=self.has_baseline, methods=self.methods)
        return frozenset([*every, *of_parts])

    def describe_parts(self) -> dict[str, dict[str, dict[str, Any]]]:
        """What parts are, as the manifest has it; `parts_of` reads it."""
        return {
            method: {feature: of.describe() for feature, of in features.items()}
            for method, features in self.parts.items()
        }

    def prefix(self, method: str | None) -> str:
        """What the columns of a method begin with; of the first one where it is None.

        Raises:
          InputError: the method attributes nothing here.
        """
        if method is None or method in self.methods[:1]:
            return ""
        if method not in self.methods:
            there = (
                f"there are those by {', '.join(self.methods)}" if self.methods else "no method of the run makes any"
            )
            raise InputError(f"there are no attributions by `{method}`; {there}.")
        return tables.method_prefix(method)

    def figures(self, method: str | None) -> list[str]:
        """The columns whose rests `__rest__` holds, in its order, of a method; each has one value per output."""
        prefix, sides = self.prefix(method), [BASELINE_PREFIX] if self.has_baseline else []
        per_output = [BASE_VALUE] if prefix else [PREDICTION, BASE_VALUE, *(side + PREDICTION for side in sides)]
        per_player = [ATTRIBUTION_PREFIX, *(side + ATTRIBUTION_PREFIX for side in sides), STD_ERROR_PREFIX]
        of_players = [kind + player for kind in per_player for player in (self.players if self.methods else ())]
        return [prefix + name for name in (*per_output, *of_players)]

    def _blocks(self) -> Iterator[tuple[str | None, list[str]]]:
        """Method and its figures; of no method where none attributes."""
        for method in self.methods or (None,):
            yield method, self.figures(method)

    def faults(self, batch: pa.RecordBatch) -> list[str]:
        """The names of what a batch of explained rows lacks, or has too much of."""
        n_values, faults = batch.num_rows * self.n_outputs, []
        for method, figures in self._blocks():
            prefix = self.prefix(method)
            gap = [prefix + COMPLETENESS_GAP] if self.methods else []
            faults += [
                name for name in [*figures, *gap] if int(list_lengths(column_or_nulls(batch, name)).sum()) != n_values
            ]
            longest = list_lengths(column_or_nulls(batch, prefix + REST)).max(initial=0)
            faults += [prefix + REST] if longest > len(figures) * self.n_outputs else []
            for feature, of in self.parts.get(method or "", {}).items():
                faults += part_faults(batch, prefix, feature, of, self.n_outputs)
        return faults


def parts_of(manifest: Manifest) -> dict[str, dict[str, PartsOf]]:
    """Method -> feature -> what its parts are, of a written explanation."""
    return {
        method: {feature: PartsOf.read(entry) for feature, entry in features.items()}
        for method, features in manifest.get(PARTS, {}).items()
    }


def attribution_batch(
    rows: pa.RecordBatch,
    layout: RecordLayout,
    example_ids: Sequence[bytes],
    predictions: Sequence[FloatArray],
    found: Sequence[MethodFigures],
) -> pa.RecordBatch:
    """The rows with their attributions beside those of their own features that are stored.

    Args:
      rows: the explained rows, n of them.
      layout: what is added.
      example_ids: one for each row.
      predictions: (n, K) of the model, then of the baseline model if there is one.
      found: what each of the layout's methods found; where it has none, the base values, without players.

    Raises:
      InputError: a row has a feature of a name that is added here.
    """
    for reason in name_errors(rows, set(layout.names)).values():
        raise InputError(f"{reason}.")
    own = zip(rows.schema.names, rows.columns, strict=True)
    columns = {name: column for name, column in own if layout.stored is None or name in layout.stored}
    columns[EXAMPLE_ID] = lists_of(np.array(list(example_ids), object)[:, None], pa.large_binary())
    for method, figures in zip(layout.methods or (None,), found, strict=True):
        prefix = layout.prefix(method)
        values = _figures_of(figures, () if prefix else predictions)
        columns |= {name: lists_of(v, pa.float32()) for name, v in zip(layout.figures(method), values, strict=True)}
        # Errors need no more digits than a float32 has.
        n_errors = figures.std_errors.shape[1]
        exact, errors = values[: len(values) - n_errors], values[len(values) - n_errors :]
        left = [*map(rests.rests_of, exact), *map(rests.rests_of_tiny, errors)]
        kept = rests.to_lists(np.concatenate(left, axis=1))
        if kept is not None:
            columns[prefix + REST] = kept
        if method is not None:
            columns[prefix + COMPLETENESS_GAP] = lists_of(figures.completeness_gap, pa.float32())
        if figures.degrees_of_freedom is not None:
            columns[prefix + DEGREES_OF_FREEDOM] = _few(figures.degrees_of_freedom.reshape(rows.num_rows, -1))
        for feature, of in layout.parts.get(method or "", {}).items():
            inside = part_columns(feature, of, figures.parts[feature])
            columns |= {prefix + name: column for name, column in inside.items()}
    names = sorted(columns)
    return pa.RecordBatch.from_arrays([columns[name] for name in names], names=names)


def _figures_of(found: MethodFigures, predictions: Sequence[FloatArray]) -> list[FloatArray]:
    """(n, K) each, in the order of `RecordLayout.figures`."""
    theirs = [] if found.baseline_attributions is None else [found.baseline_attributions]
    per_player = [found.attributions, *theirs, found.std_errors]
    of_players = [values[:, player] for values in per_player for player in range(values.shape[1])]
    return [*predictions[:1], found.base_value, *predictions[1:], *of_players]


def _few(values: FloatArray) -> pa.Array:
    """A list column from (n_rows, n_values): one value in rows where all are the same."""
    same = (values == values[:, :1]).all(axis=1)
    lengths = np.where(same, min(values.shape[1], 1), values.shape[1])
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
    kept = values[np.arange(values.shape[1]) < lengths[:, None]]
    return pa.LargeListArray.from_arrays(pa.array(offsets), pa.array(kept.astype(np.float32)))


def attribution_values(
    batch: pa.RecordBatch, layout: RecordLayout, method: str | None = None
) -> dict[str, Float64Array]:
    """What `attribution_batch` added of numbers, as they were computed; those of earlier versions as float32 has them.

    Args:
      batch: list columns, as `attribution_batch` made them.
      layout: of the explanation.
      method: whose attributions; None = the first one's.

    Returns:
      (n_rows, n_outputs) by name, whatever the method without a prefix: `attribution_<player>`.
    """
    prefix = layout.prefix(method)
    names = layout.figures(method)
    shape = (batch.num_rows, layout.n_outputs)
    kept = np.concatenate([_numbers(batch, name).reshape(shape) for name in names], axis=1)
    left = rests.from_lists(column_or_nulls(batch, prefix + REST), kept.shape[1])
    exact = rests.with_rests(kept, left).reshape(batch.num_rows, len(names), layout.n_outputs)
    values = {name.removeprefix(prefix): exact[:, index] for index, name in enumerate(names)}
    if prefix:
        first = attribution_values(batch, layout)
        values |= {name: first[name] for name in (PREDICTION, BASELINE_PREFIX + PREDICTION) if name in first}
    if not layout.methods:
        return values
    return {**values, COMPLETENESS_GAP: _numbers(batch, prefix + COMPLETENESS_GAP).reshape(shape).astype(np.float64)}


def attribution_frames(
    batch: pa.RecordBatch,
    layout: RecordLayout,
    outputs: Sequence[str],
    *,
    method: str | None = None,
    confidence: float | None = None,
) -> dict[str, pd.DataFrame]:
    """Explained rows as `attribution_batch` made them, one frame for each output.

    Args:
      batch: list columns; the added ones hold one value per output.
      layout: of the explanation.
      outputs: their names.
      method: whose attributions; None = the first one's.
      confidence: of the limits `ci_low_<player>` and `ci_high_<player>`; None = no limits.

    Returns:
      Output -> a frame with the rows' own features and, for that output, `prediction`, `base_value`,
      `completeness_gap`, `attribution_<player>` and `std_error_<player>`.
    """
    added = layout.names - {EXAMPLE_ID}
    own = [name for name in batch.schema.names if name not in added]
    features = rows_to_frame(pa.RecordBatch.from_arrays([batch.column(name) for name in own], names=own))
    values = attribution_values(batch, layout, method)
    names = sorted(values)
    if confidence is not None:
        dof = column_or_nulls(batch, layout.prefix(method) + DEGREES_OF_FREEDOM)
        limits = _limits(dof, values, layout.players, confidence)
        for player, (low, high) in zip(layout.players, limits, strict=True):
            values |= {CI_LOW_PREFIX + player: low, CI_HIGH_PREFIX + player: high}
            names += [CI_LOW_PREFIX + player, CI_HIGH_PREFIX + player]
    return {
        output: pd.concat([features, pd.DataFrame({name: values[name][:, i] for name in names})], axis=1)
        for i, output in enumerate(outputs)
    }


def _limits(
    column: pa.Array, values: Mapping[str, Float64Array], players: Sequence[str], confidence: float
) -> list[tuple[Float64Array, Float64Array]]:
    """Confidence limits of each player, (n_rows, n_outputs)."""
    found, errors = (
        np.stack([values[prefix + player] for player in players], axis=1)
        for prefix in (ATTRIBUTION_PREFIX, STD_ERROR_PREFIX)
    )
    lengths, n_values = list_lengths(column), found[0].size
    if not np.isin(lengths, (1, n_values)).all():
        raise InputError(
            "the attribution records do not say how many degrees of freedom their errors have, as those of earlier "
            "versions; explain the model again, or leave out `confidence`."
        )
    flat = column.flatten().to_numpy()
    dof = flat[(np.cumsum(lengths) - lengths)[:, None] + np.where(lengths[:, None] == 1, 0, np.arange(n_values))]
    low, high = student_limits(found, errors, dof.reshape(found.shape).astype(np.float64), confidence)
    return [(low[:, index], high[:, index]) for index in range(len(players))]


def _numbers(batch: pa.RecordBatch, name: str) -> npt.NDArray[np.generic]:
    """All values of a column."""
    return np.asarray(column_or_nulls(batch, name).flatten().to_numpy())
