"""Asking a model about the games of many rows at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from tfx_explain.methods.shapley.parts.contexts import Contexts
from tfx_explain.methods.shapley.parts.values import PartValues
from tfx_explain.models import Inputs
from tfx_explain.models.call_bytes import MAX_CALL_BYTES
from tfx_explain.models.engine import Predicts
from tfx_explain.models.features import Column, Ragged, concat_rows, take_rows

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

# A model fills up calls that have fewer rows than there is room for, so that less at a time would cost more.
_ROWS_PER_CALL = 8_192
# Doubles of outputs that are held at a time.
_MOST_VALUES = 2**20


class Game(Protocol):
    """The parts of one row's feature, present or absent in each of its contexts; contexts have as many model rows.

    Attributes:
      row: which it is.
      values: that the feature can have.
      contexts: of its other features.
    """

    @property
    def row(self) -> int:
        """See above."""

    @property
    def values(self) -> PartValues:
        """See above."""

    @property
    def contexts(self) -> Contexts:
        """See above."""

    @property
    def n_per_context(self) -> int:
        """Model rows of each context."""

    @property
    def n_model_rows(self) -> int:
        """Model rows of all contexts."""

    @property
    def context_of_block(self) -> IntArray:
        """(C,) which context each block of model rows is of."""

    def coalitions(self, start: int, stop: int) -> BoolArray:
        """(stop - start, k) which parts are present in these model rows."""

    def has_gone(self, start: int, stop: int) -> BoolArray:
        """(stop - start,) in which of these model rows the feature is that of the background."""


GameT = TypeVar("GameT", bound=Game)


class _Stretch(NamedTuple):
    game: Game
    start: int
    stop: int


@dataclass(frozen=True, eq=False)
class PartCalls:
    """Rows of which a feature's parts, and other features, are present or absent as games ask for.

    Attributes:
      model: that is asked.
      feature: that is looked into.
      others: features of each other player that the model reads.
      rows: n rows, then those of the background.
      n_rows: n.
    """

    model: Predicts
    feature: str
    others: Sequence[Sequence[str]]
    rows: Inputs
    n_rows: int

    @classmethod
    def of(
        cls, model: Predicts, feature: str, others: Sequence[Sequence[str]], rows: Inputs, background: Inputs
    ) -> PartCalls:
        """The same, from rows and background."""
        return cls(model, feature, others, rows.followed_by(background), len(rows))

    def values(self, games: Sequence[Game], outputs: IntArray) -> FloatArray:
        """(N, c) outputs of all model rows of all games, one game after the other.

        Args:
          games: of these rows.
          outputs: (n, c) which outputs of the model each row asks for.
        """
        found = []
        for stretches in _in_calls(games):
            rows = np.repeat([part.game.row for part in stretches], [part.stop - part.start for part in stretches])
            of_parts = [part.game.contexts.take(_contexts(part)) for part in stretches]
            made = [
                part.game.values.column(part.game.coalitions(part.start, part.stop), own.background)
                for part, own in zip(stretches, of_parts, strict=True)
            ]
            contexts = Contexts.joined(of_parts)
            has_gone = np.concatenate([part.game.has_gone(part.start, part.stop) for part in stretches])
            column = self._with_gone(joined([self.as_read(values) for values in made]), has_gone, contexts)
            predicted = self.predict(rows, column, contexts)
            found.append(np.take_along_axis(predicted, outputs[rows], axis=1))
        return np.concatenate(found)

    def answers(self, games: Iterable[GameT], outputs: IntArray) -> Iterator[tuple[GameT, FloatArray]]:
        """Each game, and what the model gives for it, (n_model_rows, c); no more of them at a time than is held well.

        Args:
          games: of these rows.
          outputs: as of `values`.
        """
        waiting: list[GameT] = []
        n_values = 0
        for game in games:
            waiting.append(game)
            n_values += game.n_model_rows * outputs.shape[1]
            if n_values >= _MOST_VALUES:
                yield from self._answered(waiting, outputs)
                waiting, n_values = [], 0
        yield from self._answered(waiting, outputs)

    def _answered(self, games: Sequence[GameT], outputs: IntArray) -> Iterator[tuple[GameT, FloatArray]]:
        if games:
            ends = np.cumsum([game.n_model_rows for game in games])[:-1]
            yield from zip(games, np.split(self.values(games, outputs), ends), strict=True)

    def predict(self, rows: IntArray, values: Column, contexts: Contexts) -> FloatArray:
        """(N, n_outputs) what the model gives for rows (N,) with N other values of the feature, each in a context."""
        columns = {name: take_rows(column, rows) for name, column in self.rows.columns.items() if name != self.feature}
        for player, names in enumerate(self.others):
            taken = np.where(contexts.present[:, player], rows, self.n_rows + contexts.background)
            columns |= {name: take_rows(self.rows.columns[name], taken) for name in names}
        columns[self.feature] = self.as_read(values)
        return self.model.predict(Inputs(len(rows), columns))

    def as_read(self, values: Column) -> Column:
        """Values of the feature, as many as the model reads, as its column has them."""
        column = self.rows.columns[self.feature]
        if isinstance(values, Ragged):
            return values
        if isinstance(column, Ragged):
            n_items = values.size // max(len(values), 1)
            return Ragged.from_lengths(values.reshape(-1), np.full(len(values), n_items, np.int64))
        return values.reshape(len(values), *column.shape[1:])

    def _with_gone(self, column: Column, has_gone: BoolArray, contexts: Contexts) -> Column:
        """N values of the feature, of which some are those of the background rows of their contexts."""
        if not has_gone.any():
            return column
        background = take_rows(self.rows.columns[self.feature], self.n_rows + contexts.background[has_gone])
        places = np.arange(len(has_gone))
        places[has_gone] = len(has_gone) + np.arange(has_gone.sum())
        return take_rows(concat_rows(column, background), places)


def joined(columns: Sequence[Column]) -> Column:
    """The rows of all, one after the other."""
    lists = [column for column in columns if isinstance(column, Ragged)]
    if len(lists) < len(columns):
        return np.concatenate([np.asarray(column) for column in columns])
    lengths = np.concatenate([column.lengths for column in lists])
    return Ragged.from_lengths(np.concatenate([column.values for column in lists]), lengths)


def _contexts(part: _Stretch) -> IntArray:
    """(stop - start,) the context of each model row."""
    return part.game.context_of_block[np.arange(part.start, part.stop) // part.game.n_per_context]


def _in_calls(games: Sequence[Game]) -> Iterator[list[_Stretch]]:
    """All model rows in calls of bounded size."""
    waiting: list[_Stretch] = []
    n_rows = n_bytes = 0
    for part in _stretches(games):
        waiting.append(part)
        n_rows += part.stop - part.start
        n_bytes += (part.stop - part.start) * part.game.values.size
        if n_rows >= _ROWS_PER_CALL or n_bytes >= MAX_CALL_BYTES:
            yield waiting
            waiting, n_rows, n_bytes = [], 0, 0
    if waiting:
        yield waiting


def _stretches(games: Sequence[Game]) -> Iterator[_Stretch]:
    for game in games:
        step = max(1, min(_ROWS_PER_CALL, MAX_CALL_BYTES // game.values.size))
        for start in range(0, game.n_model_rows, step):
            yield _Stretch(game, start, min(start + step, game.n_model_rows))
