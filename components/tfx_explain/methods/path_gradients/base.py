"""What integrated and expected gradients have in common as methods of a job."""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Mapping, Sequence
from typing import Generic, Protocol, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tfx_explain.methods.attributing import Attributing
from tfx_explain.methods.attribution_rows import AttributionRows
from tfx_explain.methods.background import JobPlan, pool_size
from tfx_explain.methods.batch import Batch
from tfx_explain.methods.context import FirstRows, JobContext, features_of
from tfx_explain.methods.method import Earlier, Result
from tfx_explain.methods.path_gradients.model_paths import paths_of, starts_of
from tfx_explain.methods.path_gradients.references import References
from tfx_explain.methods.path_gradients.rows import AskedSide, PathEstimates
from tfx_explain.methods.refusals import refused_rows
from tfx_explain.models import Inputs, Model
from tfx_explain.models.path_gradients import Paths, Points
from tfx_explain.part_records import PartsOf
from tfx_explain.rows import HashArray, take_rows

_N_TRIED = 32


@dataclasses.dataclass(frozen=True)
class PathMethod(Attributing):
    """A method that follows gradients along paths.

    Attributes:
      context: of the job.
      key: its name.
    """

    context: JobContext
    key: str
    needs_row_count: bool = False
    attributes: bool = True

    @property
    def parts(self) -> Mapping[str, PartsOf]:
        """None: it does not look inside features."""
        return {}

    @property
    def inside(self) -> tuple[str, ...]:
        """Features that its paths are cut inside of: none."""
        return ()

    @property
    def n_sample(self) -> int:
        """Background rows."""
        return pool_size(self.context.config.background)

    def check(self, rows: FirstRows, models: Sequence[Model]) -> None:
        """Raises a ModelError where a model has no gradients, or none for some feature."""
        first = next(iter(rows.splits.values()))
        for model in models:
            good = np.setdiff1d(np.arange(first.num_rows), list(model.row_errors(first)))[:_N_TRIED]
            tried = take_rows(first, good)
            # No tensor is made of a row that the model refuses, as of a damaged picture.
            taken = np.setdiff1d(np.arange(len(good)), list(refused_rows([model], tried)))
            if len(taken):
                inputs = model.inputs(take_rows(tried, taken))
                paths = model.paths(inputs, features_of(model, self.context.players), self.inside)
                self.check_paths(paths, model)

    def check_paths(self, paths: Paths, model: Model) -> None:
        """Nothing more is asked of paths than that they are there."""

    def for_rows(self, plan: References, n_rows: int, n_background: int) -> References:
        """The same for any number of rows."""
        return plan


@dataclasses.dataclass(frozen=True)
class PathSide:
    """What one model needs to explain n rows.

    Attributes:
      paths: of the model.
      starts: B references.
      weights: (B,) of sum 1.
      inputs: n rows.
      hashes: (n,) of the rows' contents.
      draws: (n,) random numbers of the rows, of copies too.
      asked: what the model says of the rows.
      rows: the same n rows, as examples have them.
      index: which of the models it is.
    """

    paths: Paths
    starts: Points
    weights: npt.NDArray[np.float64]
    inputs: Inputs
    hashes: HashArray
    draws: HashArray
    asked: AskedSide
    rows: pa.RecordBatch
    index: int


class Found(Protocol):
    """What the rows of one side come to."""

    @property
    def estimates(self) -> PathEstimates:
        """Their attributions."""

    def errors(self) -> dict[int, str]:
        """Row -> what is wrong with it."""


FoundT = TypeVar("FoundT", bound=Found)


class PathExplainer(abc.ABC, Generic[FoundT]):
    """At work with all models.

    Args:
      models: what is explained, and the baseline model if there is one.
      context: of the job.
      key: name of the method.
      inside: features that its paths are cut inside of.
    """

    def __init__(self, models: Sequence[Model], context: JobContext, key: str, inside: Sequence[str] = ()) -> None:
        self._models, self._players, self._key, self._inside = tuple(models), context.players, key, tuple(inside)

    def explain(self, batch: Batch, plan: JobPlan, earlier: Earlier) -> Result[AttributionRows]:
        """Attributions of each row; errors where they are not finite or too large."""
        sides = [self._side(index, batch, plan) for index in range(len(self._models))]
        found = [self._explain_side(side, plan) for side in sides]
        errors: dict[int, str] = {}
        for one in found:
            errors = {**one.errors(), **errors}
        finite = np.isin(np.arange(batch.rows.num_rows), list(errors), invert=True)
        rows = (self._rows(side, one, finite) for side, one in zip(sides, found, strict=True))
        return Result(tuple(rows), errors, self._counts(found, finite))

    def _rows(self, side: PathSide, found: FoundT, kept: npt.NDArray[np.bool_]) -> AttributionRows:
        """Those rows that are kept, (n,) booleans."""
        return found.estimates.rows(side.asked, side.hashes, kept)

    def _side(self, index: int, batch: Batch, plan: JobPlan) -> PathSide:
        model, side, references = self._models[index], batch.sides[index], plan.per_method[self._key].side(index)
        paths = paths_of(model, self._players, plan.background, self._inside)
        asked = AskedSide.of(side, references, batch.chosen)
        starts = starts_of(paths, model, references)
        return PathSide(
            paths, starts, references.weights, side.inputs, batch.hashes, batch.draws, asked, batch.rows, index
        )

    @abc.abstractmethod
    def _explain_side(self, side: PathSide, plan: JobPlan) -> FoundT:
        """What one model's rows come to."""

    @abc.abstractmethod
    def _counts(self, found: Sequence[FoundT], finite: npt.NDArray[np.bool_]) -> Mapping[str, int]:
        """Numbers for the manifest.

        Args:
          found: of all sides.
          finite: (n,) which rows have attributions.
        """
