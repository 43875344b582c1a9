"""Checking the attributions of the rows of a batch."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from tfx_explain.config.faithfulness import FaithfulnessConfig
from tfx_explain.methods.attribution_rows import AttributionRows
from tfx_explain.methods.background import JobPlan
from tfx_explain.methods.batch import Batch
from tfx_explain.methods.context import JobContext
from tfx_explain.methods.faithfulness.curves import check_rows
from tfx_explain.methods.faithfulness.orders import correlation
from tfx_explain.methods.faithfulness.other_outputs import OtherOutputExplainers
from tfx_explain.methods.faithfulness.plan import KEY, FaithfulnessPlan
from tfx_explain.methods.faithfulness.players import PlayerRemoval, drawn_rows
from tfx_explain.methods.faithfulness.pointing import Boxes, no_boxes, point
from tfx_explain.methods.faithfulness.randomised import AttributingMethod, RandomisedExplainers, model_rows
from tfx_explain.methods.faithfulness.rows import CheckedRows, FaithfulnessRows, Target
from tfx_explain.methods.method import Earlier, Result
from tfx_explain.methods.refusals import by_halves
from tfx_explain.methods.removal import Removal, RemovesParts
from tfx_explain.models import Model
from tfx_explain.rows import HashArray

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

_Game = tuple[Removal, Sequence[Target]]
_FEWEST_COMPARED = 3


@dataclasses.dataclass(frozen=True)
class _Checking:
    """Rows of one batch.

    Attributes:
      batch: those of its rows that are looked at.
      plan: of the job.
      of_method: what each method says of these rows.
    """

    batch: Batch
    plan: JobPlan
    of_method: dict[str, AttributionRows]


class FaithfulnessExplainer:
    """At work with the model that is explained; the baseline model's attributions are not checked.

    Args:
      models: this model first.
      context: of the job.
      methods: whose attributions are checked.
    """

    def __init__(self, models: Sequence[Model], context: JobContext, methods: Sequence[AttributingMethod]) -> None:
        self._models, self._context, self._methods = tuple(models[:1]), context, tuple(methods)
        self._settings: FaithfulnessConfig = context.config.method(KEY)
        self._seed = context.config.seed
        self._randomised = RandomisedExplainers(models[0], methods)
        self._others = OtherOutputExplainers(models[0], methods, self._seed)

    def explain(self, batch: Batch, plan: JobPlan, earlier: Earlier) -> Result[FaithfulnessRows]:
        """What is found of the rows that are drawn to be checked; the others are there too, with nothing known."""
        settled: FaithfulnessPlan = plan.per_method[KEY]
        boxes, errors = self._boxes(batch)
        checked, few = settled.is_checked(batch.draws, self._seed, other_outputs=self._settings.random_logit)
        good = np.isin(np.arange(len(checked)), list(errors), invert=True)
        places = np.flatnonzero((checked | few) & good)
        if not len(places):
            return Result((FaithfulnessRows({}),), errors)
        some = batch.take(places)
        of_method = {method.key: earlier.found[method.key][0].take(places) for method in self._methods}
        checking = _Checking(dataclasses.replace(some, sides=some.sides[:1]), plan, of_method)
        found, games, counts = self._checked(checking, settled, np.flatnonzero(checked[places]))
        if boxes is not None:
            self._point(checking, boxes.take(places), np.flatnonzero(checked[places]), found)
        rows = np.flatnonzero(few[places])
        if settled.randomised:
            counts[f"{KEY}_randomised_model_rows"] = self._compare(checking, settled, rows, games, found)
        if self._settings.random_logit:
            counts[f"{KEY}_other_outputs_model_rows"] = self._contrast(checking, rows, games, found)
        rows_of = {target: one.spread(places, batch.rows.num_rows) for target, one in found.items()}
        return Result((FaithfulnessRows(rows_of).take(np.flatnonzero(good)),), errors, counts)

    def _boxes(self, batch: Batch) -> tuple[Boxes | None, dict[int, str]]:
        """The boxes of rows, and row -> what is wrong with its boxes; none where they were not asked for."""
        if self._settings.boxes is None:
            return None, {}
        boxes = Boxes.of(batch.rows, self._settings.boxes)
        return boxes, dict.fromkeys(np.flatnonzero(~boxes.is_right).tolist(), no_boxes(self._settings.boxes))

    def _checked(
        self, checking: _Checking, settled: FaithfulnessPlan, rows: IntArray
    ) -> tuple[dict[Target, CheckedRows], list[_Game], dict[str, int]]:
        """Curves of some rows, with what was taken away; the others are there too, with nothing known."""
        found, games, n_models = dict[Target, CheckedRows](), list(self._games(checking)), len(settled.randomised)
        draws, n = checking.batch.draws, checking.batch.rows.num_rows
        counts = {f"{KEY}_model_rows": 0}
        for removal, targets in games:
            said = [removal.attributions(checking.of_method[target.method]) for target in targets]
            into = [CheckedRows.empty(n, self._settings.num_steps, one.shape[2], n_models) for one in said]
            for target, one in zip(targets, into, strict=True):
                found[target] = one
                one.is_looked_at[:] = True
            counts[f"{KEY}_model_rows"] += self._check(removal, said, rows, draws, into)
        return found, games, counts

    def _point(self, checking: _Checking, boxes: Boxes, rows: IntArray, found: Mapping[Target, CheckedRows]) -> None:
        """Adds whether the strongest regions of some rows lie in boxes."""
        draws = checking.batch.draws[rows]
        for target, into in found.items():
            parts = checking.of_method[target.method].parts.get(target.feature)
            if parts is not None and parts.maps is not None:
                pointed = point(parts.take(rows), boxes.take(rows), draws, self._seed)
                into.hits[rows], into.box_areas[rows], into.has_no_box[rows] = pointed

    def _check(
        self,
        removal: Removal,
        said: Sequence[FloatArray],
        rows: IntArray,
        draws: HashArray,
        into: Sequence[CheckedRows],
    ) -> int:
        """Finds the curves of some rows, but of those that the model refuses without some of their parts."""

        def check(part: IntArray) -> int:
            return check_rows(removal, said, rows[part], draws, self._settings, self._seed, into)

        return sum(by_halves(len(rows), check)[0])

    def _games(self, checking: _Checking) -> Iterator[_Game]:
        """What is taken away, and whose attributions are about it: players of all methods, parts of each feature."""
        batch, plan, players = checking.batch, checking.plan, self._context.players
        if len(players) > 1:
            stand_ins = drawn_rows(batch.draws, plan.background.weights, self._settings.num_references, self._seed)
            of_all = [Target(method.key) for method in self._methods]
            yield PlayerRemoval.of(self._models[0], players, batch, plan, stand_ins), of_all
        for method in self._methods:
            if isinstance(method, RemovesParts):
                removals = method.parts_removals(self._models, batch, plan, checking.of_method[method.key])
                yield from ((removal, [Target(method.key, feature)]) for feature, removal in removals.items())

    def _compare(
        self,
        checking: _Checking,
        settled: FaithfulnessPlan,
        rows: IntArray,
        games: Sequence[_Game],
        found: Mapping[Target, CheckedRows],
    ) -> int:
        """Adds how alike attributions are to those of models with random weights; how many model rows that took."""
        part, n_model_rows = checking.batch.take(rows), 0
        for method in self._methods if len(rows) else ():
            for seed, of_model in enumerate(settled.randomised):
                explained = self._randomised.explain(method.key, seed, part, of_model)
                if explained is None:
                    continue
                good, theirs, counts = explained
                n_model_rows += model_rows(counts)
                ours = checking.of_method[method.key].take(rows[good])
                for removal, targets in games:
                    for target in targets:
                        if target.method == method.key:
                            found[target].similarity[rows[good], seed] = _alike(*removal.figures(ours, theirs))
        return n_model_rows

    def _contrast(
        self, checking: _Checking, rows: IntArray, games: Sequence[_Game], found: Mapping[Target, CheckedRows]
    ) -> int:
        """Adds how alike attributions are to those of other outputs; how many model rows that took."""
        part, n_model_rows = checking.batch.take(rows), 0
        for method in self._methods if len(rows) else ():
            said = checking.of_method[method.key].take(rows)
            others = self._others.explain(method.key, part, checking.plan, said)
            if others is None:
                continue
            n_model_rows += model_rows(others.counts)
            for removal, targets in games:
                for target in targets:
                    if target.method == method.key:
                        ours, theirs = removal.figures(said.take(others.good), others.rows)
                        theirs = np.take_along_axis(theirs, others.outputs[:, None], axis=2)
                        found[target].other_output[rows[others.good]] = _alike(ours, theirs)
        return n_model_rows


def _alike(first: FloatArray, second: FloatArray) -> FloatArray:
    """(n, c) correlations of (n, m, c) figures; not known where there are fewer than three to compare.

    Of sizes, not of ranks: those of the many parts that hardly matter are noise, and would hide what stays the same.
    """
    there = np.isfinite(first) & np.isfinite(second)
    ours, theirs = (np.where(there, values, 0.0) for values in (first, second))
    alike = [correlation(ours[..., c], theirs[..., c], there[..., c].astype(np.float64)) for c in range(first.shape[2])]
    return np.where(there.sum(axis=1) < _FEWEST_COMPARED, np.nan, np.stack(alike, axis=1))
