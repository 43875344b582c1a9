"""Whether a model can be trusted row by row: tried on a few rows before any job, since Shapley values cannot show it.

What a row gives must depend on that row alone: not on chance, on earlier calls, on its place in the batch, or on the
other rows there. And each way in which we call the model must give what its own signature gives, on mixed rows too.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from tfx_explain.errors import ModelError
from tfx_explain.models.call_bytes import small_rows
from tfx_explain.models.closeness import Closeness
from tfx_explain.models.effort import FEWEST_ROWS, Effort
from tfx_explain.models.features import Inputs, Ragged
from tfx_explain.models.mixture_trials import MOST_MIXTURES, check_mixtures
from tfx_explain.models.model import Model
from tfx_explain.models.pairing import Judge

FloatArray = npt.NDArray[np.float64]


def check_rows(model: Model, rows: Inputs, players: Sequence[Sequence[str]]) -> None:
    """Refuses a model whose outputs depend on more than the row they are of.

    Args:
      model: the model.
      rows: about 50 different ones without row errors; the best to try come first.
      players: per player, the names of its features.

    Raises:
      ModelError: the model draws random numbers, counts, or looks at places or neighbours, or we call it wrongly.
      ConfigError: features that the model pairs up, or of which it refuses mixtures, are different players.
    """
    rows = rows.take(small_rows(rows, MOST_MIXTURES, FEWEST_ROWS))
    pair = _taken(model, rows, 2)
    effort = Effort.of(model, pair)
    rows = _taken(model, rows, effort.n_rows)
    judge, rows = Judge.of(model, rows)
    outputs, closeness = _check_repeats(model, rows)
    _check_neighbours(model, rows, outputs, closeness, effort)
    wrong = judge.wrong(rows)
    if wrong:
        raise ModelError(
            f"{model.what} does not give what its own signature gives when it is called past its parsing, {wrong}; "
            "call it with a `module_file` that loads the SavedModel."
        )
    check_mixtures(model, rows, outputs, players, closeness, effort, judge)


def _taken(model: Model, rows: Inputs, n: int) -> Inputs:
    """The first n of the rows that the model does not fail on.

    Raises:
      ModelError: it fails on all of them, or on some only together.
    """
    first = rows.take(np.arange(min(n, len(rows))))
    try:
        model.outputs(first)
        return first
    except ModelError:
        taken = [row for row in range(len(rows)) if _takes(model, rows, row)][:n]
        if not taken:
            raise
    first = rows.take(np.array(taken, np.int64))
    model.outputs(first)
    return first


def _takes(model: Model, rows: Inputs, row: int) -> bool:
    try:
        model.outputs(rows.take(np.array([row, row])))
    except ModelError:
        return False
    return True


def _check_width(model: Model, outputs: FloatArray) -> None:
    if outputs.shape[1] != model.n_outputs:
        raise ModelError(
            f"{model.what} gives {outputs.shape[1]} outputs for some batches and {model.n_outputs} for others, as many "
            "as the longest list there has values; export a model with a fixed number of outputs."
        )


def _check_repeats(model: Model, rows: Inputs) -> tuple[FloatArray, Closeness]:
    """The outputs of the rows, which are the same in a second call and at other places."""
    n = len(rows)
    order = np.concatenate([np.arange(n), np.arange(n)[::-1]])
    batch = rows.take(order)
    first, second = model.outputs(batch), model.outputs(batch)
    for made in (first, second):
        _check_width(model, made)
    forth, back = first[:n], first[n:][::-1]
    closeness = Closeness.of(forth, model.rounding)
    by_place = closeness.differing(forth, back).any()
    if closeness.differing(first, second).any():
        how = (
            "it draws random numbers, as dropout does that was left on"
            if by_place
            else "it counts its calls, keeps another state, or draws a random number for each call"
        )
        raise ModelError(
            f"{model.what} gives the same rows other outputs when it is called again, "
            f"{closeness.describe(first, second)}: {how}; export it in inference mode (training=False)."
        )
    if by_place:
        raise ModelError(
            f"{model.what} gives a row other outputs at another position in the batch, "
            f"{closeness.describe(forth, back)}: it adds noise or counts by position; export it in inference mode "
            "(training=False), so that an output depends on its row alone."
        )
    return forth, closeness


def _check_neighbours(model: Model, rows: Inputs, outputs: FloatArray, closeness: Closeness, effort: Effort) -> None:
    """The rows have the same outputs alone, and in batches of the size that `predict` makes."""
    for row in _telling_rows(rows, outputs)[: effort.n_alone]:
        alone = model.outputs(rows.take(np.array([row, row])))[:1]
        _check_width(model, alone)
        if closeness.differing(alone, outputs[[row]]).any():
            _refuse_neighbours(model, rows, row, alone, outputs[[row]], closeness)
    if effort.affords(model.rows_per_call) and model.rows_per_call > 1:
        predicted = model.predict(rows)
        differing = np.flatnonzero(closeness.differing(predicted, outputs))
        if len(differing):
            row = int(differing[0])
            _refuse_neighbours(model, rows, row, predicted[[row]], outputs[[row]], closeness)


def _telling_rows(rows: Inputs, outputs: FloatArray) -> list[int]:
    """Rows to try alone: those with the shortest of each kind of list, then others; those without any output last."""
    shortest = [int(np.argmin(column.lengths)) for column in rows.columns.values() if isinstance(column, Ragged)]
    ordered = list(dict.fromkeys([*shortest, 0, len(rows) // 2, len(rows) - 1, *range(len(rows))]))
    has_output = np.asarray(np.isfinite(outputs).any(axis=1))
    return sorted(ordered, key=lambda row: not has_output[row])


def _refuse_neighbours(
    model: Model, rows: Inputs, row: int, alone: FloatArray, among: FloatArray, closeness: Closeness
) -> None:
    lists = {name: column for name, column in rows.columns.items() if isinstance(column, Ragged)}
    places = np.full(len(rows), row)
    alike = Inputs(len(rows), {**rows.columns, **{name: column.take(places) for name, column in lists.items()}})
    pads = lists and not closeness.differing(model.outputs(alike)[[row]], alone).any()
    how = (
        "lists are filled up to the longest of the batch, and it does not mask the filling"
        if pads
        else "it uses statistics of the batch, as batch normalisation does in training"
    )
    raise ModelError(
        f"{model.what} gives a row other outputs among other rows than alone, {closeness.describe(alone, among)}: "
        f"{how}; export a model whose output depends on its row alone."
    )
