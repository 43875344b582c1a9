"""Explaining batches of rows with one model: designs, model calls, attributions; knows nothing of Beam."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tfx_explain.attribution import (
    Attributions,
    Design,
    ExactDesign,
    PooledRegression,
    SolvableDesign,
    SurrogateDesign,
)
from tfx_explain.config import ExplainConfig
from tfx_explain.errors import EstimationError
from tfx_explain.methods.algebra import single_threaded_algebra
from tfx_explain.methods.batch import Batch, BatchSide
from tfx_explain.methods.context import features_of
from tfx_explain.methods.shapley.asked import AskedOutputs, GivenRows
from tfx_explain.methods.shapley.background import ShapleyBackground
from tfx_explain.methods.shapley.designs import shapley_design
from tfx_explain.methods.shapley.estimates import CoalitionValues, Estimates
from tfx_explain.methods.shapley.spreading import design_count, design_ids_of, part_count, typical_parts
from tfx_explain.models import Inputs, Model, Tally
from tfx_explain.models.calls import calls_at_once
from tfx_explain.rows import HashArray

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

# Arrays of so few rows, or values, stay in the cache, and in memory that is used again.
_ROWS_PER_SOLVE = 64
_VALUES_PER_SOLVE = 2**17
_SAFETY = 1.2
_MAX_COALITIONS_PER_PLAYER = 64
_MAX_DOUBLINGS = 16
_MAX_ENUMERATED_PLAYERS = 14
_PER_ROW = (
    "values",
    "design_std_error",
    "background_std_error",
    "completeness_gap",
    "interactions",
    "noise_ratio",
    "design_dof",
    "background_dof",
    "design_ids",
)


Solve = Callable[[FloatArray, FloatArray, FloatArray, IntArray | None], Attributions]
"""From values of coalitions, predictions and codes of the same rows, and which outputs these are where not all."""


class _Part(NamedTuple):
    """Some rows of a batch, by their positions, and what was found for them."""

    rows: IntArray
    found: Attributions
    coalition_values: CoalitionValues | None


class RowExplainer:
    """Explains rows with one model. Designs are made once and kept; they depend on configuration and background alone.

    Args:
      model: what is explained.
      players: name -> features; those that this model does not read have no effect on it.
      config: estimator, budget, seed.
      keep_coalitions: whether the outputs of coalitions are passed on too, where all of them are evaluated.
    """

    def __init__(
        self,
        model: Model,
        players: Mapping[str, Sequence[str]],
        config: ExplainConfig,
        *,
        keep_coalitions: bool = False,
    ) -> None:
        self.model = model
        self.players = features_of(model, players)
        self.config = config
        self.keep_coalitions = keep_coalitions
        self._designs: dict[tuple[str, int | None, int], Design] = {}
        self._regressions: dict[tuple[str, int | None, int], PooledRegression] = {}
        self._background_inputs: tuple[str, Inputs] | None = None
        # The same threads for all batches: memory that new ones leave behind would add up.
        self._threads = ThreadPoolExecutor(calls_at_once())

    def estimate(self, batch: Batch, side: BatchSide, background: ShapleyBackground) -> Estimates:
        """Attributions of each row.

        Rows are spread over several designs by their hashes, so that a mean over rows does not carry the error of one
        design. With `max_relative_error`, rows that miss it are explained once more, with the budget that their own
        error asks for.

        Args:
          batch: n rows without `row_errors`.
          side: what this model is fed for them, and predicts.
          background: reference rows, with what this model predicts for them.
        """
        first = self.first_round(batch, side, background)
        limit = self.config.shapley.max_relative_error
        if limit is None:
            return first
        budgets = self.needed_budgets(first.relative_error(), self._design(background, background.budget, 0))
        return self._refine(first, budgets, batch, side, background, limit)

    def first_round(self, batch: Batch, side: BatchSide, background: ShapleyBackground) -> Estimates:
        """As `estimate`, but all rows with one budget."""
        return self._round(side, batch.hashes, background, background.budget, batch.chosen)

    def needed_budgets(self, relative_error: FloatArray, design: Design) -> IntArray:
        """Coalitions per background row that bring rows of these errors (n,) under the limit; 0 where they are already.

        The error falls with the root of the budget; budgets grow by powers of two, so that few designs serve all.
        """
        limit = self.config.shapley.max_relative_error
        if limit is None or isinstance(design, ExactDesign):
            return np.zeros(len(relative_error), np.int64)
        most = _largest_budget(design)
        with np.errstate(divide="ignore", invalid="ignore"):
            doublings = np.ceil(np.log2(_SAFETY * (relative_error / limit) ** 2))
        # An error that is not known asks for all that there is.
        doublings = np.clip(np.nan_to_num(doublings, nan=_MAX_DOUBLINGS), 0, _MAX_DOUBLINGS).astype(np.int64)
        budgets = np.minimum(design.n_coalitions * 2**doublings, most)
        return np.where(~(relative_error <= limit) & (budgets > design.n_coalitions), budgets, 0)

    def doubled_budget(self, design: Design) -> int | None:
        """Twice the budget of a design, as far as it goes; None where it goes no further."""
        budget = min(2 * design.n_coalitions, _largest_budget(design))
        return budget if budget > design.n_coalitions else None

    def design(self, background: ShapleyBackground) -> Design:
        """The design of the first round, the same for all rows but for its random numbers."""
        return self._design(background, background.budget, 0)

    def _refine(
        self,
        first: Estimates,
        budgets: IntArray,
        batch: Batch,
        side: BatchSide,
        background: ShapleyBackground,
        limit: float,
    ) -> Estimates:
        n_model_rows, n_padding_rows = first.n_model_rows, first.n_padding_rows
        for budget in np.unique(budgets[budgets > 0]).tolist():
            rows = np.flatnonzero(budgets == budget)
            some = BatchSide(side.inputs.take(rows), side.prediction[rows])
            again = self._round(some, batch.hashes[rows], background, budget, batch.chosen[rows])
            n_model_rows += again.n_model_rows
            n_padding_rows += again.n_padding_rows
            for field in _PER_ROW:
                getattr(first, field)[rows] = getattr(again, field)
        return dataclasses.replace(
            first,
            n_model_rows=n_model_rows,
            n_padding_rows=n_padding_rows,
            n_refined=int((budgets > 0).sum()),
            n_imprecise=int((~(first.relative_error() <= limit)).sum()),
        )

    def _round(
        self,
        side: BatchSide,
        hashes: HashArray,
        background: ShapleyBackground,
        budget: int | None,
        chosen: IntArray,
    ) -> Estimates:
        """Every row explained with the same budget."""
        parts, tallies = self._parts(side, hashes, background, budget, chosen)
        # All rows share the design whose coalitions are kept, so these parts are in the order of the rows.
        kept = [part.coalition_values for part in parts if part.coalition_values is not None]
        order = np.argsort(np.concatenate([part.rows for part in parts]), kind="stable")

        def gathered(name: str) -> FloatArray:
            return np.asarray(np.concatenate([getattr(part.found, name) for part in parts])[order])

        def repeated(name: str) -> FloatArray:
            of_parts = np.array([getattr(part.found, name) for part in parts], np.float64)
            return np.repeat(of_parts, [len(part.rows) for part in parts])[order]

        return Estimates(
            prediction=side.prediction,
            values=gathered("values"),
            design_std_error=gathered("design_std_error"),
            background_std_error=gathered("background_std_error"),
            completeness_gap=gathered("completeness_gap"),
            interactions=np.concatenate([_interactions(part.found) for part in parts])[order],
            noise_ratio=repeated("noise_ratio"),
            design_dof=repeated("design_dof"),
            background_dof=repeated("background_dof"),
            design_ids=design_ids_of(hashes, self._design(background, budget, 0)),
            known=chosen >= 0,
            n_model_rows=sum(tally.rows for tally in tallies),
            n_padding_rows=sum(tally.padding for tally in tallies),
            coalition_values=CoalitionValues.joined(kept) if kept else None,
        )

    def _parts(
        self,
        side: BatchSide,
        hashes: HashArray,
        background: ShapleyBackground,
        budget: int | None,
        chosen: IntArray,
    ) -> tuple[list[_Part], list[Tally]]:
        """The batch in parts that share a design, explained; and the model rows they took.

        Two parts are worked on at a time: while the attributions of one are made, the model has the other.
        """
        given = self._given(side, background, budget, chosen)
        first = self._design(background, budget, 0)
        parts = [
            (rows, self._design(background, budget, design_id), self._solver(background, budget, design_id))
            for design_id, rows in self._by_design(hashes, first, given.n_values)
        ]
        if not self.model.is_thread_safe:
            explained = [self._explained(given, *part) for part in parts]
        else:
            # Threads of the linear algebra would wait for cores that the model keeps busy.
            with single_threaded_algebra:
                explained = list(self._threads.map(lambda part: self._explained(given, *part), parts))
        return list(itertools.chain.from_iterable(done for done, _ in explained)), [tally for _, tally in explained]

    def _given(self, side: BatchSide, background: ShapleyBackground, budget: int | None, chosen: IntArray) -> GivenRows:
        first = self._design(background, budget, 0)
        asked = AskedOutputs.of(chosen, background, self.model.n_outputs)
        keeps = self.keep_coalitions and isinstance(first, ExactDesign)
        n_values = self.model.n_outputs if keeps or asked.outputs is None else chosen.shape[1]
        return GivenRows(
            inputs=side.inputs,
            prediction=asked.picked(side.prediction),
            codes=self._codes(side.inputs, background, budget),
            asked=asked,
            keeps_coalitions=keeps,
            n_values=n_values,
            typical_parts=typical_parts(first, self.model.n_outputs),
            background_inputs=self._inputs_of(background),
            base=background.predictions,
        )

    def _explained(self, given: GivenRows, rows: IntArray, design: Design, solve: Solve) -> tuple[list[_Part], Tally]:
        """Some rows of a batch that share a design, and the model rows they took."""
        done, tally = list[_Part](), Tally()
        mixing = self.model.mixing(given.background_inputs, self.players, design)
        outputs = None if given.keeps_coalitions else given.asked.outputs
        values = mixing.values(given.inputs, rows, given.typical_parts, tally, outputs)
        n_solved = max(_ROWS_PER_SOLVE, _VALUES_PER_SOLVE // max(values[0].size, 1))
        for start in range(0, len(rows), n_solved):
            some, of_rows = rows[start : start + n_solved], values[start : start + n_solved]
            asked, kept = given.asked.take(some), None
            if given.keeps_coalitions and isinstance(design, ExactDesign):
                kept = CoalitionValues.of(design, of_rows, given.base)
                of_rows = asked.picked(of_rows)
            found = solve(of_rows, given.prediction[some], given.codes[some], asked.chosen)
            done.append(_Part(some, found, kept))
        return done, tally

    def _codes(self, inputs: Inputs, background: ShapleyBackground, budget: int | None) -> FloatArray:
        """(n, q) what the surrogate takes of each row; nothing for designs without one."""
        if background.surrogate is None or not isinstance(self._design(background, budget, 0), SurrogateDesign):
            return np.zeros((len(inputs), 0))
        # The number of threads must not show in the last bits, here or below.
        with single_threaded_algebra:
            return background.surrogate.encoder.encode(inputs)

    def _solver(self, background: ShapleyBackground, budget: int | None, design_id: int) -> Solve:
        """What makes attributions of the values of a design, the predictions and the codes of some rows."""
        design, of_background = self._design(background, budget, design_id), background.asked(background.predictions)
        if isinstance(design, SolvableDesign):
            return lambda values, prediction, codes, chosen: design.solve(values, prediction, of_background, chosen)
        return self._regression(background, budget, design_id).solve

    def _regression(self, background: ShapleyBackground, budget: int | None, design_id: int) -> PooledRegression:
        key, design = (background.digest, budget, design_id), self._design(background, budget, design_id)
        if key not in self._regressions:
            if background.surrogate is None or not isinstance(design, SurrogateDesign):
                raise EstimationError("the estimator `surrogate` needs a background that has one; `plan` fits it.")
            with single_threaded_algebra:
                of_background = background.asked(background.predictions)
                made = PooledRegression(design, background.surrogate.surrogate, of_background)
            self._regressions[key] = made
        return self._regressions[key]

    def _inputs_of(self, background: ShapleyBackground) -> Inputs:
        if self._background_inputs is None or self._background_inputs[0] != background.digest:
            self._background_inputs = (background.digest, self.model.inputs(background.rows))
        return self._background_inputs[1]

    def _by_design(self, hashes: HashArray, design: Design, n_values: int) -> Iterator[tuple[int, IntArray]]:
        """The rows of each design, no more at a time than memory has room for.

        Args:
          hashes: of the rows.
          design: the first one.
          n_values: kept of each mixture.
        """
        design_ids = design_ids_of(hashes, design)
        for design_id in range(design_count(design)):
            rows = np.flatnonzero(design_ids == design_id)
            for part in np.array_split(rows, part_count(len(rows), design, n_values)) if len(rows) else []:
                yield design_id, part

    def _design(self, background: ShapleyBackground, budget: int | None, design_id: int) -> Design:
        key = (background.digest, budget, design_id)
        if key not in self._designs:
            self._designs[key] = shapley_design(
                self.config, len(self.players), background.weights, design_id=design_id, budget=budget
            )
        return self._designs[key]


def _largest_budget(design: Design) -> int:
    """All coalitions of few players, a multiple of the players where there are many."""
    everything = 2**design.n_players - 2
    few = design.n_players <= _MAX_ENUMERATED_PLAYERS
    return everything if few else min(_MAX_COALITIONS_PER_PLAYER * design.n_players, everything)


def _interactions(result: Attributions) -> FloatArray:
    n, _, n_outputs = result.values.shape
    return np.zeros((n, 0, n_outputs)) if result.interactions is None else result.interactions
