"""The rows on which models are tried before a job, from the first rows of each split."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tfx_explain.methods.context import features_of
from tfx_explain.models import Inputs, Model
from tfx_explain.models.mixtures import joined
from tfx_explain.models.trust import check_rows
from tfx_explain.rows import column_or_nulls, list_lengths, take_rows

_N_ROWS = 64
_MOST_LISTS = 8


def check_models(
    models: Sequence[Model],
    peeked: Sequence[pa.RecordBatch],
    background: pa.RecordBatch,
    players: Mapping[str, Sequence[str]],
) -> None:
    """Refuses models that cannot be trusted row by row, tried on rows that differ from each other.

    Args:
      models: the model, and the baseline model if there is one.
      peeked: first rows of each split.
      background: first rows of the background.
      players: name -> features.

    Raises:
      ModelError: outputs depend on chance, calls, places or neighbours.
      ConfigError: features that only make sense together are different players.
    """
    for model in models:
        # As many of the background as of all splits together, taken in turn.
        per_split = max(_N_ROWS // (2 * len(peeked)), 1)
        examples = joined([_readable(model, rows, per_split) for rows in peeked])
        rows = joined([examples, _readable(model, background, _N_ROWS // 2)])
        if len(rows):
            check_rows(model, rows.take(_in_turn(len(examples), len(rows))), features_of(model, players))


def even_lists(models: Sequence[Model], peeked: Sequence[pa.RecordBatch]) -> frozenset[str]:
    """Lists of which all of the first rows have as many values, so that trying models on them shows nothing of others.

    Args:
      models: what says which features are lists.
      peeked: first rows of each split, and of the background.
    """
    names = {feature.name for model in models for feature in model.features if feature.kind != "dense"}
    return frozenset(name for name in names if len(np.unique(np.concatenate(_lengths(peeked, name)))) < 2)


class LaterLists:
    """Tries models once more where lists turn up that are of other lengths than those of the first rows.

    Args:
      models: the model, and the baseline model if there is one.
      players: name -> features.
      even: the lists that were of one length, as `even_lists` finds them.
    """

    def __init__(self, models: Sequence[Model], players: Mapping[str, Sequence[str]], even: frozenset[str]) -> None:
        self._models = models
        self._players = players
        self._untried = even

    def check(self, batch: pa.RecordBatch, background: pa.RecordBatch) -> None:
        """Refuses models as `check_models` does, by rows that are about to be mixed.

        Raises:
          ModelError: outputs depend on chance, calls, places or neighbours.
          ConfigError: features that only make sense together are different players.
        """
        odd = np.zeros(batch.num_rows, np.bool_)
        found: set[str] = set()
        for name in self._untried:
            of_batch, of_background = _lengths([batch, background], name)
            other = of_batch != of_background[0]
            if other.any() or (of_background != of_background[0]).any():
                found.add(name)
                odd |= other
        if found:
            rows = take_rows(batch, np.flatnonzero(odd)) if odd.any() else batch
            check_models(self._models, [rows], background, self._players)
            self._untried -= found


def _lengths(batches: Sequence[pa.RecordBatch], name: str) -> list[npt.NDArray[np.int64]]:
    return [list_lengths(column_or_nulls(batch, name)) for batch in batches]


def _readable(model: Model, rows: pa.RecordBatch, n: int) -> Inputs:
    """Up to n rows without row errors."""
    names = [feature.name for feature in model.features] or rows.schema.names
    chosen = take_rows(rows, telling_rows(rows, names, 2 * n))
    errors = model.row_errors(chosen)
    good = np.array([row for row in range(chosen.num_rows) if row not in errors], np.int64)
    return model.inputs(take_rows(chosen, good[:n]))


def telling_rows(rows: pa.RecordBatch, names: Sequence[str], n: int) -> npt.NDArray[np.int64]:
    """The shortest and the longest of each list among the features, then about n rows from everywhere."""
    extremes: list[int] = []
    for lengths in itertools.islice(_varying_lengths(rows, names), _MOST_LISTS):
        extremes += [int(np.argmax(lengths)), int(np.argmin(lengths))]
    evenly = np.linspace(0, rows.num_rows - 1, min(rows.num_rows, n)).astype(np.int64)
    return np.array(list(dict.fromkeys([*extremes, *evenly.tolist()])), np.int64)


def _varying_lengths(rows: pa.RecordBatch, names: Sequence[str]) -> Iterator[npt.NDArray[np.int64]]:
    for name in names:
        lengths = list_lengths(column_or_nulls(rows, name))
        if lengths.max(initial=0) > 1 and lengths.min() != lengths.max():
            yield lengths


def _in_turn(n_first: int, n: int) -> npt.NDArray[np.int64]:
    """(n,) rows of the first part and of the rest, one after the other."""
    places = np.concatenate([2 * np.arange(n_first), 2 * np.arange(n - n_first) + 1])
    return np.argsort(places, kind="stable")
