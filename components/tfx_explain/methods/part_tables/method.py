"""Tables of what is inside features as a method of a job: it sums up what others find there."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

import pandas as pd

from tfx_explain.methods.attribution_rows import AttributionRows
from tfx_explain.methods.background import JobPlan
from tfx_explain.methods.batch import Batch
from tfx_explain.methods.context import FirstRows, JobContext, Sample
from tfx_explain.methods.method import Accumulated, Contributed, Earlier, Result, SliceRows
from tfx_explain.methods.part_tables.images import ImageRows
from tfx_explain.methods.part_tables.made import all_tables
from tfx_explain.methods.part_tables.places import window_rows, word_rows
from tfx_explain.methods.part_tables.targets import IntArray, Target, TargetRows
from tfx_explain.models import Model
from tfx_explain.part_records import PartRows, PartsOf

KEY = "part_tables"


class LooksInside(Protocol):
    """A method that looks inside features."""

    @property
    def key(self) -> str:
        """Its name."""

    @property
    def parts(self) -> Mapping[str, PartsOf]:
        """Features -> what their parts are."""


@dataclasses.dataclass(frozen=True)
class PartTableRows:
    """What n rows have inside features, by one model.

    Attributes:
      of: whose parts -> what is summed up of them.
    """

    of: Mapping[Target, TargetRows]

    def take(self, rows: IntArray) -> PartTableRows:
        """The given rows, (k,) integers."""
        return PartTableRows({target: found.take(rows) for target, found in self.of.items()})


@dataclasses.dataclass(frozen=True)
class PartTables:
    """Words, windows, regions and mean maps, for any methods that look inside features.

    Attributes:
      context: of the job.
      methods: those that look inside features.
    """

    context: JobContext
    methods: tuple[LooksInside, ...]
    key: str = KEY
    n_sample: int = 0
    needs_row_count: bool = False
    attributes: bool = False

    @property
    def parts(self) -> Mapping[str, PartsOf]:
        """None of its own."""
        return {}

    @property
    def targets(self) -> dict[Target, PartsOf]:
        """What is inside which features, by which method."""
        return {Target(method.key, name): of for method in self.methods for name, of in method.parts.items()}

    def check(self, rows: FirstRows, models: Sequence[Model]) -> None:
        """Nothing stands in its way."""

    def plan(self, sample: Sample, models: Sequence[Model], plan: JobPlan) -> tuple[None, Mapping[str, int]]:
        """Nothing to settle."""
        return None, {}

    def for_rows(self, plan: None, n_rows: int, n_background: int) -> None:
        """The same for any number of rows."""

    def explainer(self, models: Sequence[Model]) -> PartTables:
        """Itself: it needs no model."""
        return self

    def explain(self, batch: Batch, plan: JobPlan, earlier: Earlier) -> Result[PartTableRows]:
        """What is summed up of a batch."""
        sides: list[dict[Target, TargetRows]] = [{} for _ in batch.sides]
        for target, of in self.targets.items():
            of_sides: tuple[AttributionRows, ...] = earlier.found[target.method]
            for made, side in zip(sides, of_sides, strict=True):
                found = _found(batch, target.feature, of, side.parts[target.feature])
                if found is not None:
                    made[target] = found
        return Result(tuple(PartTableRows(made) for made in sides))

    def contributions(self, rows: PartTableRows, side: str, part: SliceRows) -> Iterator[Contributed]:
        """Sums over places, and over rows."""
        for target, found in rows.of.items():
            yield from found.contributions(target, self.context.outputs, part)

    def differences(self, ours: PartTableRows, theirs: PartTableRows, part: SliceRows) -> Iterator[Contributed]:
        """The same of the model's figures less the baseline model's."""
        for target, found in ours.of.items():
            less = found.minus(theirs.of[target])
            if less is not None:
                yield from less.contributions(target, self.context.outputs, part)

    def tables(self, accumulated: Accumulated, plan: JobPlan) -> Mapping[str, pd.DataFrame]:
        """One for each kind of parts that methods look for."""
        return all_tables(accumulated, self.targets, self.context)

    def describe(self, accumulated: Accumulated, plan: JobPlan) -> Mapping[str, Mapping[str, Any]]:
        """Nothing: the methods that look inside features say what they do."""
        return {}


def _found(batch: Batch, feature: str, of: PartsOf, parts: PartRows) -> TargetRows | None:
    """What is summed up of parts of this kind; None where nothing is."""
    if of.kind == "spans":
        return word_rows(batch.rows, feature, of, parts)
    if of.kind == "windows":
        return window_rows(of, parts)
    return ImageRows.of(parts) if of.has_maps else None
