"""The insides of one text feature, by one model, of the rows of a batch."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tfx_explain.config import ExplainConfig
from tfx_explain.errors import InputError
from tfx_explain.methods.attribution_rows import AttributionRows
from tfx_explain.methods.batch import Batch, BatchSide
from tfx_explain.methods.context import features_of
from tfx_explain.methods.rounding import rounding_floor
from tfx_explain.methods.shapley.background import ShapleyBackground
from tfx_explain.methods.shapley.parts.calls import TextCalls
from tfx_explain.methods.shapley.parts.contexts import Contexts
from tfx_explain.methods.shapley.parts.designs import SpanDesigns
from tfx_explain.methods.shapley.parts.jobs import SpanGame, span_values
from tfx_explain.methods.shapley.parts.seen import Sight
from tfx_explain.models import Model
from tfx_explain.part_records import PartRows
from tfx_explain.regions.spans import Splitter
from tfx_explain.regions.texts import SpanTexts
from tfx_explain.rows import column_or_nulls, list_lengths

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

_NOT_FINITE = "the model's output is NaN or infinite for some spans of the text `{}` of this row"
# Doubles of outputs that are held at a time.
_MOST_VALUES = 2**20


@dataclasses.dataclass(frozen=True, eq=False)
class TextBatch:
    """n rows with a text each, as one model sees them.

    Attributes:
      batch: the rows.
      side: what the model is fed for them.
      background: as the model sees it.
      texts: n of them.
      spans: (k, 2) of each.
    """

    batch: Batch
    side: BatchSide
    background: ShapleyBackground
    texts: Sequence[bytes]
    spans: Sequence[IntArray]

    @property
    def asked(self) -> IntArray:
        """(n, c) the outputs of the model that each row asks for."""
        return self.background.outputs[np.maximum(self.batch.chosen, 0)]

    @functools.cached_property
    def floor(self) -> FloatArray:
        """(n, c) rounding of these outputs."""
        background = self.background
        floor = rounding_floor(background.asked(self.side.prediction), background.asked(background.predictions))
        return np.take_along_axis(floor, np.maximum(self.batch.chosen, 0), axis=1)


class Texts:
    """What the spans of a text add to a model's output.

    Args:
      model: that is explained.
      feature: the text, a player of its own.
      players: name -> features, of all players.
      config: says what spans are, and what absent means.
    """

    def __init__(self, model: Model, feature: str, players: Mapping[str, Sequence[str]], config: ExplainConfig) -> None:
        self.model = model
        self.feature = feature
        self.place = list(players).index(feature)
        read = features_of(model, players)
        self.is_read = bool(read[self.place])
        self.others = [names for place, names in enumerate(read) if names and place != self.place]
        self.settings = config.shapley.parts[feature]
        self.seed = config.seed
        self.designs = SpanDesigns(self.settings, config.seed)

    def explain(self, of: TextBatch, rows: AttributionRows) -> tuple[PartRows, dict[int, str], int]:
        """The parts of n rows, row -> what is wrong with it, and the model rows that were asked about.

        Args:
          of: the rows.
          rows: attributions of the features of the same rows.
        """
        lengths = np.array([len(spans) for spans in of.spans], np.int64)
        firsts = np.cumsum(lengths) - lengths
        values = np.zeros((int(lengths.sum()), rows.attributions.shape[2]))
        errors = np.zeros_like(values)
        calls, floor = self._calls(of), of.floor
        contexts = {row: self._contexts(of, row) for row in np.flatnonzero(lengths > 1).tolist()}
        seen, n_model_rows = self._seen(of, calls, lengths, contexts)
        # A text of one span is that span.
        single = np.flatnonzero(seen == 1)
        values[firsts[single]] = rows.attributions[single, self.place]
        errors[firsts[single]] = rows.std_error[single, self.place]
        reasons: dict[int, str] = {}
        for game, answers in self._answered(of, calls, seen, contexts):
            n_model_rows += game.n_model_rows
            if not np.isfinite(answers).all():
                reasons[game.row] = _NOT_FINITE.format(self.feature)
                continue
            feature = rows.attributions[game.row, self.place], rows.std_error[game.row, self.place]
            here = slice(firsts[game.row], firsts[game.row] + seen[game.row])
            values[here], errors[here] = span_values(*game.solve(answers), *feature, floor[game.row])
        places = np.arange(len(values)) - np.repeat(firsts, lengths)
        where = np.concatenate([np.zeros((0, 2), np.int64), *of.spans])
        where = np.column_stack([where, places < np.repeat(seen, lengths)])
        return PartRows(lengths, where, values, errors), reasons, n_model_rows

    def _calls(self, of: TextBatch) -> TextCalls:
        background = self.model.inputs(of.background.rows)
        return TextCalls.of(self.model, self.feature, self.others, of.side.inputs, background)

    def _contexts(self, of: TextBatch, row: int) -> Contexts:
        row_hash, weights = int(of.batch.hashes[row]), of.background.weights
        return Contexts.draw(self.seed, row_hash, len(self.others), weights, self.settings.num_contexts)

    def _seen(
        self, of: TextBatch, calls: TextCalls, lengths: IntArray, contexts: Mapping[int, Contexts]
    ) -> tuple[IntArray, int]:
        """(n,) how many spans of each text the model sees, and the model rows that it took to find that."""
        if not self.is_read:
            return np.zeros_like(lengths), 0
        seen, several = lengths.copy(), np.array(list(contexts), np.int64)
        sight = Sight(calls, of.asked, of.floor, of.background.probes[self.feature])
        texts, spans = [of.texts[row] for row in contexts], [of.spans[row] for row in contexts]
        seen[several], n_model_rows = sight.n_seen(several, texts, spans, list(contexts.values()))
        return seen, n_model_rows

    def _answered(
        self, of: TextBatch, calls: TextCalls, seen: IntArray, contexts: Mapping[int, Contexts]
    ) -> Iterator[tuple[SpanGame, FloatArray]]:
        """The game of each row with several spans, and what the model gives for it, (n_model_rows, c)."""
        waiting: list[SpanGame] = []
        n_values = 0
        for row in np.flatnonzero(seen > 1).tolist():
            spans = of.spans[row][: seen[row]]
            design = self.designs.design(len(spans), len(contexts[row]), int(of.batch.hashes[row]))
            texts = SpanTexts.of(of.texts[row], spans, self.settings.absent_text)
            waiting.append(SpanGame(row, texts, contexts[row], design))
            n_values += waiting[-1].n_model_rows * of.asked.shape[1]
            if n_values >= _MOST_VALUES:
                yield from zip(waiting, _answers(calls, waiting, of.asked), strict=True)
                waiting, n_values = [], 0
        if waiting:
            yield from zip(waiting, _answers(calls, waiting, of.asked), strict=True)


def _answers(calls: TextCalls, games: Sequence[SpanGame], asked: IntArray) -> list[FloatArray]:
    values = calls.values(games, asked)
    return np.split(values, np.cumsum([game.n_model_rows for game in games])[:-1])


def single_texts(rows: pa.RecordBatch, feature: str) -> list[bytes]:
    """The text of each row; empty where it has none. Rows have no more than one."""
    return [values[0] if values else b"" for values in column_or_nulls(rows, feature).to_pylist()]


def spans_of(rows: pa.RecordBatch, feature: str, config: ExplainConfig) -> tuple[list[IntArray], dict[int, str]]:
    """The spans of each row's text, and row -> why it cannot be cut, where its spans are none.

    An empty text has no spans where absent means empty, as nothing comes of its absence; else, and where a row has no
    text, one that holds nothing.
    """
    settings = config.shapley.parts[feature]
    splitter = Splitter(settings.unit, settings.pattern, settings.max_parts)
    column = column_or_nulls(rows, feature)
    counts = list_lengths(column)
    reasons = {row: f"the text `{feature}` has {counts[row]} values" for row in np.flatnonzero(counts > 1).tolist()}
    found: list[IntArray] = []
    for row, values in enumerate(column.to_pylist()):
        spans = np.zeros((0 if values == [settings.absent_text] else 1, 2), np.int64)
        if values and values[0] and row not in reasons:
            try:
                spans = splitter.split(values[0])
            except InputError as error:
                reasons[row] = str(error).rstrip(".")
        found.append(spans)
    return found, reasons
