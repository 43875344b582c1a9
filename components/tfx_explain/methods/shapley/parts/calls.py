"""Asking a model about the games of many rows at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tfx_explain.methods.shapley.parts.contexts import Contexts
from tfx_explain.methods.shapley.parts.jobs import SpanGame
from tfx_explain.models import Inputs, Model
from tfx_explain.models.call_bytes import MAX_CALL_BYTES
from tfx_explain.models.features import Column, Ragged, take_rows

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

# A model fills up calls that have fewer rows than there is room for, so that less at a time would cost more.
_ROWS_PER_CALL = 8_192


class _Stretch(NamedTuple):
    game: SpanGame
    start: int
    stop: int


@dataclass(frozen=True, eq=False)
class TextCalls:
    """Rows whose text, and other features, are present or absent as games ask for.

    Attributes:
      model: that is asked.
      feature: the text.
      others: features of each other player that the model reads.
      rows: n rows, then those of the background.
      n_rows: n.
    """

    model: Model
    feature: str
    others: Sequence[Sequence[str]]
    rows: Inputs
    n_rows: int

    @classmethod
    def of(
        cls, model: Model, feature: str, others: Sequence[Sequence[str]], rows: Inputs, background: Inputs
    ) -> TextCalls:
        """The same, from rows and background."""
        return cls(model, feature, others, rows.followed_by(background), len(rows))

    def values(self, games: Sequence[SpanGame], outputs: IntArray) -> FloatArray:
        """(N, c) outputs of all model rows of all games, one game after the other.

        Args:
          games: of these rows.
          outputs: (n, c) which outputs of the model each row asks for.
        """
        found = []
        for stretches in _in_calls(games):
            rows = np.repeat([part.game.row for part in stretches], [part.stop - part.start for part in stretches])
            texts = [part.game.texts.texts(part.game.coalitions(part.start, part.stop)) for part in stretches]
            contexts = [part.game.contexts.take(_contexts(part)) for part in stretches]
            predicted = self.predict(rows, np.concatenate(texts), Contexts.joined(contexts))
            found.append(np.take_along_axis(predicted, outputs[rows], axis=1))
        return np.concatenate(found)

    def predict(self, rows: IntArray, texts: npt.NDArray[np.object_], contexts: Contexts) -> FloatArray:
        """(N, n_outputs) what the model gives for rows (N,) with other texts (N,), each in one of N contexts."""
        columns = {name: take_rows(column, rows) for name, column in self.rows.columns.items() if name != self.feature}
        for player, names in enumerate(self.others):
            taken = np.where(contexts.present[:, player], rows, self.n_rows + contexts.background)
            columns |= {name: take_rows(self.rows.columns[name], taken) for name in names}
        columns[self.feature] = _as(self.rows.columns[self.feature], texts)
        return self.model.predict(Inputs(len(rows), columns))


def _contexts(part: _Stretch) -> IntArray:
    """(stop - start,) the context of each model row."""
    return part.game.context_of_block[np.arange(part.start, part.stop) // part.game.n_per_context]


def _as(column: Column, texts: npt.NDArray[np.object_]) -> Column:
    """Single texts as a column of this kind has them."""
    if isinstance(column, Ragged):
        return Ragged.from_lengths(texts, np.ones(len(texts), np.int64))
    return texts.reshape(len(texts), *column.shape[1:])


def _in_calls(games: Sequence[SpanGame]) -> Iterator[list[_Stretch]]:
    """All model rows in calls of bounded size."""
    waiting: list[_Stretch] = []
    n_rows = n_bytes = 0
    for part in _stretches(games):
        waiting.append(part)
        n_rows += part.stop - part.start
        n_bytes += (part.stop - part.start) * part.game.texts.size
        if n_rows >= _ROWS_PER_CALL or n_bytes >= MAX_CALL_BYTES:
            yield waiting
            waiting, n_rows, n_bytes = [], 0, 0
    if waiting:
        yield waiting


def _stretches(games: Sequence[SpanGame]) -> Iterator[_Stretch]:
    for game in games:
        step = max(1, min(_ROWS_PER_CALL, MAX_CALL_BYTES // game.texts.size))
        for start in range(0, game.n_model_rows, step):
            yield _Stretch(game, start, min(start + step, game.n_model_rows))
