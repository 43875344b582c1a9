"""Players as a few numbers, from whatever kind of features they have."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tfx_explain.attribution.row_products import row_products
from tfx_explain.models.features import Column, Inputs, Ragged

FloatArray = npt.NDArray[np.float64]

_MAX_LEVELS = 8
_MAX_CODES_PER_PLAYER = 2
# Beyond what the encoder has seen by more standard deviations than this, one number is as good as another.
_MARGIN = 1.0
_LARGEST = 1e100


@dataclass(frozen=True)
class _Reading:
    """How one feature becomes numbers: its values, or which of some levels it has; for lists, length and mean too.

    Attributes:
      name: of the feature.
      levels: the levels to tell apart; empty for plain numbers.
      width: how many numbers.
    """

    name: str
    levels: tuple[object, ...]
    width: int

    @classmethod
    def of(cls, name: str, column: Column) -> _Reading:
        values = column.values if isinstance(column, Ragged) else column.reshape(-1)
        levels: tuple[object, ...] = ()
        if values.dtype.kind != "f":
            counts = Counter(values.tolist())
            if values.dtype.kind == "O" or len(counts) <= _MAX_LEVELS:
                levels = tuple(sorted(counts, key=lambda level: (-counts[level], level))[:_MAX_LEVELS])
        if isinstance(column, Ragged):
            return cls(name, levels, 1 + (len(levels) or int(values.dtype.kind != "O")))
        return cls(name, levels, int(np.prod(column.shape[1:])) * (len(levels) or 1))

    def numbers(self, inputs: Inputs) -> FloatArray:
        """(n, width) of each row; NaN where there is no number."""
        column = inputs.columns.get(self.name)
        if column is not None:
            numbers = self._of(column, len(inputs))
            if numbers.shape[1] == self.width:
                return numbers
        # Features that cannot be known before may be absent from a batch, or of another type in it.
        return np.full((len(inputs), self.width), np.nan)

    def _of(self, column: Column, n: int) -> FloatArray:
        if not isinstance(column, Ragged):
            values = column.reshape(n, -1)
            if not self.levels:
                return values.astype(np.float64)
            return np.stack([values == level for level in self.levels], axis=2).reshape(n, -1).astype(np.float64)
        lengths = column.lengths
        rows = np.repeat(np.arange(n), lengths)
        parts = [lengths.astype(np.float64)]
        for level in self.levels:
            parts.append(np.bincount(rows, column.values == level, minlength=n).astype(np.float64))
        if not self.levels and column.values.dtype.kind != "O":
            sums = np.bincount(rows, column.values.astype(np.float64), minlength=n)
            parts.append(np.divide(sums, lengths, out=np.full(n, np.nan), where=lengths > 0))
        return np.stack(parts, axis=1)


@dataclass(frozen=True, eq=False)
class Encoder:
    """Turns each player's features into at most two numbers: the directions in which reference rows vary most.

    Attributes:
      readings: the features that are read.
      centre: (r,) of the raw numbers.
      projection: (r, q) from raw numbers less `centre` to codes of standard deviation 1.
      low: (q,) least code among the reference rows.
      high: (q,) largest.
      owners: (q,) the player of each code.
    """

    readings: tuple[_Reading, ...]
    centre: FloatArray
    projection: FloatArray
    low: FloatArray
    high: FloatArray
    owners: npt.NDArray[np.int64]

    @classmethod
    def fit(cls, reference: Inputs, players: Sequence[Sequence[str]]) -> Encoder:
        """Learns from reference rows; features that do not vary among them, or are not there, get no code."""
        owned = [(p, name) for p, names in enumerate(players) for name in names if name in reference.columns]
        readings = tuple(_Reading.of(name, reference.columns[name]) for _, name in owned)
        parts = [_with_missing(reading.numbers(reference)) for reading in readings]
        player_of = np.repeat([p for p, _ in owned], [part.shape[1] for part in parts]).astype(np.int64)
        raw = np.concatenate([*parts, np.zeros((len(reference), 0))], axis=1)
        centre = raw.mean(axis=0)
        scale = np.concatenate([*(_scale(part) for part in parts), np.zeros(0)])
        columns, owners = [], []
        for player in range(len(players)):
            own = np.flatnonzero((player_of == player) & (scale > 0))
            for direction in _main_directions((raw[:, own] - centre[own]) * scale[own]):
                column = np.zeros(raw.shape[1])
                column[own] = scale[own] * direction
                columns.append(column)
                owners.append(player)
        projection = np.stack(columns, axis=1) if columns else np.zeros((raw.shape[1], 0))
        codes = (raw - centre) @ projection
        return cls(readings, centre, projection, codes.min(axis=0), codes.max(axis=0), np.array(owners, dtype=np.int64))

    def encode(self, inputs: Inputs) -> FloatArray:
        """(n, q) codes of each row; those far outside of what the reference rows have are drawn in."""
        parts = [_with_missing(reading.numbers(inputs)) for reading in self.readings]
        raw = np.concatenate([*parts, np.zeros((len(inputs), 0))], axis=1)
        return np.clip(row_products(raw - self.centre, self.projection), self.low - _MARGIN, self.high + _MARGIN)


def _with_missing(numbers: FloatArray) -> FloatArray:
    """(n, 2 r): numbers, 0 where there are none or they are too large for sums, and whether that is so."""
    missing = ~(np.abs(numbers) < _LARGEST)
    return np.concatenate([np.where(missing, 0.0, numbers), missing], axis=1)


def _scale(numbers_with_missing: FloatArray) -> FloatArray:
    """(2 r,) what each column is multiplied by: all numbers of a feature by the same, constant columns by 0."""
    spread = numbers_with_missing.std(axis=0)
    varies = spread > 1e-9 * (1 + np.abs(numbers_with_missing.mean(axis=0)))
    half = len(spread) // 2
    common = np.concatenate([np.full(half, np.sqrt(np.square(spread[:half]).sum())), spread[half:]])
    return np.divide(1.0, common, out=np.zeros_like(common), where=varies)


def _main_directions(raw: FloatArray) -> FloatArray:
    """(at most 2, r) directions that give codes of standard deviation 1."""
    if not raw.size:
        return np.zeros((0, 0))
    _, lengths, directions = np.linalg.svd(raw, full_matrices=False)
    kept = np.flatnonzero(lengths > 1e-6 * lengths[0])[:_MAX_CODES_PER_PLAYER]
    return np.asarray(directions[kept] * (np.sqrt(len(raw)) / lengths[kept])[:, None])
