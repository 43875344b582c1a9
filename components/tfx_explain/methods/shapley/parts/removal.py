"""Parts of features that are taken away: spans of texts, windows of series; what absent means stands in their place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from tfx_explain.config.parts import BACKGROUND, RegionsConfig, SomeParts, SpansConfig, WindowsConfig
from tfx_explain.methods.absent import Absent
from tfx_explain.methods.attribution_rows import AttributionRows
from tfx_explain.methods.background import JobPlan
from tfx_explain.methods.batch import Batch
from tfx_explain.methods.context import JobContext
from tfx_explain.methods.images import ImageForm
from tfx_explain.methods.removal import padded, rows_per_call, stand_ins
from tfx_explain.methods.series import SeriesForm
from tfx_explain.methods.shapley.parts.calls import PartCalls, joined
from tfx_explain.methods.shapley.parts.contexts import Contexts
from tfx_explain.methods.shapley.parts.image_parts import ImageParts
from tfx_explain.methods.shapley.parts.images import REGION_PARTS
from tfx_explain.methods.shapley.parts.inside import parts_of
from tfx_explain.methods.shapley.parts.model_feature import ModelFeature
from tfx_explain.methods.shapley.parts.rows import RowParts
from tfx_explain.methods.shapley.parts.series import series_rows
from tfx_explain.methods.shapley.parts.texts import text_rows
from tfx_explain.methods.shapley.parts.values import PartValues
from tfx_explain.models import Model
from tfx_explain.part_records import PartRows, PartsOf

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

_SEEN = "seen"


@dataclass(frozen=True, eq=False)
class PartsRemoval:
    """The parts of a feature of n rows; all else is as the row has it. What is left where all are absent is no part.

    Attributes:
      calls: the rows, and the model that is asked about them.
      asked: (n, c) which of the model's outputs each row asks for.
      values_of: of each row, what the feature can be; None of rows without parts.
      of: what its parts are.
      stand_ins: (R,) rows of the background that stand in, where absent means those.
    """

    calls: PartCalls
    asked: IntArray
    values_of: Sequence[PartValues | None]
    of: PartsOf
    stand_ins: IntArray = field(default_factory=lambda: np.zeros(1, np.int64))

    @property
    def lengths(self) -> IntArray:
        """(n,) how many parts each row has."""
        return np.array([0 if values is None else values.n_parts for values in self.values_of], np.int64)

    @property
    def sizes(self) -> FloatArray:
        """(n, U) pixels of regions, ones of all other parts."""
        sizes = [values.sizes for values in self.values_of if values is not None]
        return padded(self.lengths, np.concatenate([np.zeros(0), *sizes]))

    @property
    def n_references(self) -> int:
        """One, the feature without its parts, unless images of the background stand in."""
        return len(self.stand_ins)

    def values(self, rows: IntArray, kept: BoolArray, references: IntArray) -> FloatArray:
        """(m, c), as `Removal.values`."""
        longest = max((values.size for values in self.values_of if values is not None), default=1)
        step = rows_per_call(longest)
        # Of one row together, so that its values are made in one go.
        order = np.argsort(rows, kind="stable")
        found = np.empty((len(rows), self.asked.shape[1]))
        for start in range(0, len(rows), step):
            places = order[start : start + step]
            some, coalitions, instead = rows[places], kept[places], self.stand_ins[references[places]]
            columns = []
            for row, first, n in zip(*np.unique(some, return_index=True, return_counts=True), strict=True):
                values = self.values_of[row]
                if values is not None:
                    here = slice(first, first + n)
                    columns.append(values.column(coalitions[here, : values.n_parts], instead[here]))
            contexts = Contexts.all_present(len(some), len(self.calls.others))
            predicted = self.calls.predict(some, joined([self.calls.as_read(column) for column in columns]), contexts)
            found[places] = np.take_along_axis(predicted, self.asked[some], axis=1)
        return found

    def attributions(self, said: AttributionRows) -> FloatArray:
        """(n, U, c) of the parts that can be taken away, which come first."""
        parts, lengths = said.parts[self.calls.feature], self.lengths
        first = padded(parts.lengths, parts.attributions)[:, : int(lengths.max(initial=0))]
        return np.where((np.arange(first.shape[1]) < lengths[:, None])[..., None], first, 0.0)

    def figures(self, ours: AttributionRows, theirs: AttributionRows) -> tuple[FloatArray, FloatArray]:
        """(n, U, c) attributions of the parts; NaN where a row has fewer."""
        both = (ours.parts[self.calls.feature], theirs.parts[self.calls.feature])
        if _SEEN in self.of.columns:
            both = in_common(*both)
        first, second = (padded(parts.lengths, parts.attributions) for parts in both)
        n_told = np.minimum(*(n_seen(parts, self.of) for parts in both))
        is_none = np.arange(first.shape[1]) >= n_told[:, None]
        first[is_none] = second[is_none] = np.nan
        return first, second


def n_seen(parts: PartRows, of: PartsOf) -> IntArray:
    """(n,) how many parts of each row the model sees: all, where nothing is said of that."""
    if _SEEN not in of.columns:
        return parts.lengths
    ends = np.concatenate([[0], np.cumsum(parts.where[:, of.columns.index(_SEEN)])])
    stops = np.cumsum(parts.lengths)
    return np.asarray(ends[stops] - ends[stops - parts.lengths])


def in_common(ours: PartRows, theirs: PartRows) -> tuple[PartRows, PartRows]:
    """Spans of the same texts, which were cut for one model each: as one what lies between places that both have.

    What is told of such a span is the sum of what is told of its own; it is seen where the first of these is.
    """
    behind = 1 + max(int(parts.where[:, 1].max(initial=0)) for parts in (ours, theirs))
    rows = [np.repeat(np.arange(len(parts.lengths)), parts.lengths) for parts in (ours, theirs)]
    places = [row * behind + parts.where[:, 0] for row, parts in zip(rows, (ours, theirs), strict=True)]
    made = []
    for row, place, parts in zip(rows, places, (ours, theirs), strict=True):
        firsts = np.flatnonzero(np.isin(place, np.intersect1d(places[0], places[1])))
        where = parts.where[firsts].copy()
        where[:, 1] = parts.where[np.append(firsts, len(place))[1:] - 1, 1]
        sums = (np.add.reduceat(one, firsts) for one in (parts.attributions, parts.std_errors))
        made.append(PartRows(np.bincount(row[firsts], minlength=len(parts.lengths)), where, *sums))
    return made[0], made[1]


@dataclass(frozen=True, eq=False)
class Removed:
    """Rows that parts are taken away from.

    Attributes:
      model: what is explained first.
      batch: n rows, none of which has features that cannot be cut.
      plan: of the job.
      rows: what is said of them.
    """

    model: Model
    batch: Batch
    plan: JobPlan
    rows: AttributionRows


def removals_of(
    context: JobContext, parts: Mapping[str, SomeParts], absent: Absent, removed: Removed
) -> dict[str, PartsRemoval]:
    """Feature -> its parts, of each feature that a method looks into.

    Args:
      context: of the job.
      parts: features that are looked into -> how.
      absent: series -> what absent values of each channel are; image -> the number that all become, if one.
      removed: the rows.
    """
    model, batch, made = removed.model, removed.batch, {}
    for feature, settings in parts.items():
        if isinstance(settings, RegionsConfig):
            made[feature] = _of_images(context, feature, settings, absent, removed)
            continue
        cut = _cut(batch, feature, settings, absent, removed)
        calls = ModelFeature.of(model, feature, context.players).calls(batch.sides[0], removed.plan.background)
        column = batch.sides[0].inputs.columns.get(feature)
        of = parts_of(parts)[feature]
        # Where the seen ones go, what was cut off behind them would come into sight: it is no part of the game.
        counts = np.minimum(cut.lengths, n_seen(removed.rows.parts[feature], of)).tolist()
        values = [cut.values(row, n, column) if n and column is not None else None for row, n in enumerate(counts)]
        made[feature] = PartsRemoval(calls, removed.plan.outputs[batch.chosen], values, of)
    return made


def _of_images(
    context: JobContext, feature: str, settings: RegionsConfig, absent: Absent, removed: Removed
) -> PartsRemoval:
    """The regions of all rows at once."""
    plan, batch = removed.plan, removed.batch
    of_model = ModelFeature.of(removed.model, feature, context.players)
    of_images = ImageParts(of_model, settings, ImageForm.of(feature, [removed.model]))
    background = plan.side(0)
    asked = plan.outputs[batch.chosen]
    instead = stand_ins(background.weights) if settings.absent == BACKGROUND else np.zeros(1, np.int64)
    cuts = list(of_images.cuts(batch, 0, background, absent[feature], batch.rows.num_rows))
    values = [one for cut in cuts for one in cut.images.pictures]
    return PartsRemoval(cuts[0].calls, asked, values, REGION_PARTS, instead)


def _cut(
    batch: Batch, feature: str, settings: SpansConfig | WindowsConfig, absent: Absent, removed: Removed
) -> RowParts:
    """A feature of the rows in the parts that the method has."""
    if isinstance(settings, WindowsConfig):
        form = SeriesForm.of(feature, settings, [removed.model])
        return series_rows(batch.rows, feature, settings, form, absent[feature])[0]
    parts = removed.rows.parts[feature]
    spans = np.split(parts.where[:, :2], np.cumsum(parts.lengths)[:-1])[: len(parts.lengths)]
    # Whatever the unit, spans are where the method has them.
    as_a_whole = settings.model_copy(update={"unit": "word", "pattern": None, "max_parts": 1})
    return replace(text_rows(batch.rows, feature, as_a_whole)[0], spans=spans)
