"""The insides of one text feature, by one model, of the rows of a batch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tfx_explain.config import ExplainConfig
from tfx_explain.errors import InputError
from tfx_explain.methods.attribution_rows import AttributionRows
from tfx_explain.methods.background import SideBackground
from tfx_explain.methods.batch import Batch, BatchSide
from tfx_explain.methods.context import features_of
from tfx_explain.methods.rounding import rounding_floor
from tfx_explain.methods.shapley.parts.calls import TextCalls
from tfx_explain.methods.shapley.parts.contexts import Contexts
from tfx_explain.methods.shapley.parts.designs import SpanDesigns
from tfx_explain.methods.shapley.parts.jobs import SpanGame, span_values
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

    def explain(
        self,
        batch: Batch,
        side: BatchSide,
        background: SideBackground,
        rows: AttributionRows,
        spans: Sequence[IntArray],
    ) -> tuple[PartRows, dict[int, str], int]:
        """The parts of n rows, row -> what is wrong with it, and the model rows that were asked about.

        Args:
          batch: n rows.
          side: what the model is fed for them.
          background: as the model sees it.
          rows: attributions of the features of the same rows.
          spans: of each row.
        """
        lengths = np.array([len(of_row) for of_row in spans], np.int64)
        values = np.zeros((int(lengths.sum()), rows.attributions.shape[2]))
        errors = np.zeros_like(values)
        firsts = np.cumsum(lengths) - lengths
        # A text of one span is that span.
        single = np.flatnonzero(lengths == 1)
        values[firsts[single]] = rows.attributions[single, self.place]
        errors[firsts[single]] = rows.std_error[single, self.place]
        reasons: dict[int, str] = {}
        n_model_rows = 0
        floor = _floor(batch, side, background)
        for games, outputs in self._answered(batch, side, background, spans):
            for game, answers in zip(games, outputs, strict=True):
                n_model_rows += game.n_model_rows
                if not np.isfinite(answers).all():
                    reasons[game.row] = _NOT_FINITE.format(self.feature)
                    continue
                feature = rows.attributions[game.row, self.place], rows.std_error[game.row, self.place]
                here = slice(firsts[game.row], firsts[game.row] + lengths[game.row])
                values[here], errors[here] = span_values(*game.solve(answers), *feature, floor[game.row])
        where = np.concatenate([np.zeros((0, 2), np.int64), *spans])
        return PartRows(lengths, where, values, errors), reasons, n_model_rows

    def _answered(
        self, batch: Batch, side: BatchSide, background: SideBackground, spans: Sequence[IntArray]
    ) -> Iterator[tuple[list[SpanGame], list[FloatArray]]]:
        """Games of rows with several spans, and what the model gives for each, (n_model_rows, c)."""
        if not self.is_read:
            return
        inputs = self.model.inputs(background.rows)
        calls = TextCalls.of(self.model, self.feature, self.others, side.inputs, inputs)
        asked = background.outputs[np.maximum(batch.chosen, 0)]
        texts = single_texts(batch.rows, self.feature)
        waiting: list[SpanGame] = []
        for row in [row for row, of_row in enumerate(spans) if len(of_row) > 1]:
            waiting.append(self._game(batch, row, texts[row], spans[row], background.weights))
            if sum(game.n_model_rows for game in waiting) * asked.shape[1] >= _MOST_VALUES:
                yield waiting, _answers(calls, waiting, asked)
                waiting = []
        if waiting:
            yield waiting, _answers(calls, waiting, asked)

    def _game(self, batch: Batch, row: int, text: bytes, spans: IntArray, weights: FloatArray) -> SpanGame:
        row_hash = int(batch.hashes[row])
        contexts = Contexts.draw(self.seed, row_hash, len(self.others), weights, self.settings.num_contexts)
        design = self.designs.design(len(spans), len(contexts), row_hash)
        return SpanGame(row, SpanTexts.of(text, spans, self.settings.absent_text), contexts, design)


def _answers(calls: TextCalls, games: Sequence[SpanGame], asked: IntArray) -> list[FloatArray]:
    values = calls.values(games, asked)
    return np.split(values, np.cumsum([game.n_model_rows for game in games])[:-1])


def _floor(batch: Batch, side: BatchSide, background: SideBackground) -> FloatArray:
    """(n, c) rounding of the outputs that each row asks for."""
    floor = rounding_floor(background.asked(side.prediction), background.asked(background.predictions))
    return np.take_along_axis(floor, np.maximum(batch.chosen, 0), axis=1)


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
