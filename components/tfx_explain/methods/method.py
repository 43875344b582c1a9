"""What a method is: the one shape that the job, the tables and the manifest know of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Generic, NamedTuple, Protocol, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
from typing_extensions import Self

from tfx_explain.methods.background import JobPlan
from tfx_explain.methods.batch import Batch
from tfx_explain.methods.context import FirstRows, Sample
from tfx_explain.models import Model
from tfx_explain.part_records import PartsOf
from tfx_explain.rows import HashArray

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

CANDIDATE, BASELINE, DIFFERENCE = "candidate", "baseline", "difference"
"""Whose figures an accumulator holds: the model's, the baseline model's, or those of one less the other, row by row."""


class Key(NamedTuple):
    """What an accumulator is of: a method's figures of one side, in one slice, for one output."""

    method: str
    side: str
    what: str
    slice_name: str
    output: str


TableRows: TypeAlias = pd.DataFrame | Iterator[pd.DataFrame]
"""Rows of a table; in frames of the same columns, one after the other, where all together take much memory."""

Contribution = tuple[Callable[[], Any], tuple[Any, ...]]
"""How to make an empty accumulator, and the arguments of its `add`."""


class Contributed(NamedTuple):
    """What some rows add to one accumulator.

    Attributes:
      what: which of the method's figures.
      output: of which output.
      contribution: to its accumulator.
    """

    what: str
    output: str
    contribution: Contribution


class SliceRows(NamedTuple):
    """Those rows of a batch that are in one slice.

    Attributes:
      places: (k,) which they are.
      weights: (k,) of them.
      draws: (k,) random numbers of them.
    """

    places: IntArray
    weights: FloatArray
    draws: HashArray


class RowsOfMethod(Protocol):
    """What a method has found of n rows with one model."""

    def take(self, rows: IntArray) -> Self:
        """The given rows, (k,) integers."""


Rows = TypeVar("Rows", bound=RowsOfMethod)
Plan = TypeVar("Plan")


@dataclasses.dataclass(frozen=True)
class Result(Generic[Rows]):
    """What a method has found of a batch.

    Attributes:
      sides: of the rows that are not among the errors, in their order: by the model, then by the baseline model.
      errors: row -> why it cannot be explained.
      counts: what was done how often; `model_rows`, or what ends in `_model_rows`, counts rows that models evaluated.
      lent: what methods that come after may use of these rows, a side each; not kept.
    """

    sides: tuple[Rows, ...]
    errors: Mapping[int, str] = dataclasses.field(default_factory=dict)
    counts: Mapping[str, int] = dataclasses.field(default_factory=dict)
    lent: tuple[Any, ...] = ()


@dataclasses.dataclass(frozen=True)
class Earlier:
    """What methods that come before have found of n rows.

    Attributes:
      found: method -> its rows, a side each.
      lent: method -> what it lends, a side each.
    """

    found: Mapping[str, tuple[Any, ...]] = dataclasses.field(default_factory=dict)
    lent: Mapping[str, tuple[Any, ...]] = dataclasses.field(default_factory=dict)


class BatchExplainer(Protocol[Rows]):
    """A method at work in one worker process: holds what it makes of the models once."""

    def explain(self, batch: Batch, plan: JobPlan, earlier: Earlier) -> Result[Rows]:
        """Explains n rows that all models can read.

        Args:
          batch: the rows.
          plan: of the job.
          earlier: what methods that come before have found of these rows.
        """


class Accumulated(NamedTuple):
    """What all rows of a job add up to, for one method: accumulators by key, the whole data before its slices."""

    of: Mapping[Key, Any]

    def side(self, side: str, what: str) -> dict[tuple[str, str], Any]:
        """(slice, output) -> accumulator."""
        return {(key.slice_name, key.output): value for key, value in self.of.items() if key[1:3] == (side, what)}


class Method(Protocol[Plan, Rows]):
    """One method of a job, or several that share their work, as one frozen object.

    Attributes:
      key: its name among the others, which its plan and its rows are kept under.
      n_sample: how many rows of the background split it is planned from, background rows among them.
      needs_row_count: whether its plan waits for the number of rows to explain, as `for_rows` takes it.
      attributes: whether its rows are `AttributionRows`, which records, report and statistics then hold.
      parts: features that it looks inside -> what their parts are; its rows then have them.
    """

    @property
    def key(self) -> str:
        """See above."""

    @property
    def n_sample(self) -> int:
        """See above."""

    @property
    def needs_row_count(self) -> bool:
        """See above."""

    @property
    def attributes(self) -> bool:
        """See above."""

    @property
    def parts(self) -> Mapping[str, PartsOf]:
        """See above."""

    def check(self, rows: FirstRows, models: Sequence[Model]) -> None:
        """Refuses what cannot be done, by what is known before the job.

        Args:
          rows: the first ones of each split.
          models: what is explained, and the baseline model if there is one.

        Raises:
          TfxExplainError: one sentence on what is wrong.
        """

    def plan(self, sample: Sample, models: Sequence[Model], plan: JobPlan) -> tuple[Plan, Mapping[str, int]]:
        """What it settles for the whole job, and what that took -> rows that the models were asked about.

        Args:
          sample: rows of the background split.
          models: what is explained, and the baseline model if there is one.
          plan: the job's so far.
        """

    def for_rows(self, plan: Plan, n_rows: int, n_background: int) -> Plan:
        """The plan for so many rows to explain."""

    def explainer(self, models: Sequence[Model]) -> BatchExplainer[Rows]:
        """Made once per worker."""

    def contributions(self, rows: Rows, side: str, part: SliceRows) -> Iterator[Contributed]:
        """What some rows add to the accumulators of a side.

        Args:
          rows: of one batch and that side.
          side: `CANDIDATE` or `BASELINE`.
          part: which rows.
        """

    def differences(self, ours: Rows, theirs: Rows, part: SliceRows) -> Iterator[Contributed]:
        """The same for the model less the baseline model, row by row."""

    def tables(self, accumulated: Accumulated, plan: JobPlan) -> Mapping[str, TableRows]:
        """File name of a table -> its rows of this method."""

    def describe(self, accumulated: Accumulated, plan: JobPlan) -> Mapping[str, Mapping[str, object]]:
        """Name of each method -> its entry in the manifest: settings as resolved, and what the whole data say."""


class SecondPass(Protocol):
    """A method that looks at a sample of the rows again once everything is accumulated.

    Attributes:
      name: as `methods` of the configuration has it.
      n_rows: how many rows its sample has.
    """

    @property
    def name(self) -> str:
        """See above."""

    @property
    def n_rows(self) -> int:
        """See above."""

    def check(self, rows: FirstRows, models: Sequence[Model]) -> None:
        """As `Method.check`."""

    def choose(self, accumulated: Mapping[Key, Any]) -> Sequence[Any]:
        """What is asked, from what is known of all rows."""

    def terms(self, asked: Sequence[Any]) -> Sequence[Any]:
        """What is evaluated for it, each of which any worker can do."""

    def evaluate(self, models: Sequence[Model], sample: pa.RecordBatch, term: Any) -> Any:
        """Evaluates one term."""

    def result(
        self, asked: Sequence[Any], sample: pa.RecordBatch | None, values: Mapping[Any, Any]
    ) -> tuple[Mapping[str, pd.DataFrame], Mapping[str, Any]]:
        """File name of a table -> its rows of this method; and its entry in the manifest."""
