"""Rows that a model refuses: found by asking about fewer rows, down to single ones; all others are explained."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tfx_explain.errors import ModelCallError, TooManyFailedRowsError
from tfx_explain.models import Inputs, Model

T = TypeVar("T")
IntArray = npt.NDArray[np.int64]

_LONGEST = 300

NOT_FINITE = "the model's output is NaN or infinite for this row"
TOO_LARGE = "the model's output, or an attribution, is larger than the 3.4e38 that tf.Examples hold; scale the output"

REFUSED = "the model refuses the row"
REFUSED_MIXED = "the model refuses mixtures of this row with background rows"

GROUP = "features that must fit together belong in one group (`features.groups`)"
"""What to do about mixtures of rows that a model cannot take."""


def refused_rows(models: Sequence[Model], batch: pa.RecordBatch) -> dict[int, str]:
    """Row -> what a model says of it, for rows that one of the models cannot predict."""
    refused: dict[int, str] = {}
    for model in models:
        _, found = by_halves(batch.num_rows, functools.partial(_predict, model, model.inputs(batch)))
        refused = {**{row: f"{REFUSED}: {reason}" for row, reason in found.items()}, **refused}
    return refused


def _predict(model: Model, inputs: Inputs, rows: IntArray) -> None:
    model.predict(inputs.take(rows))


def by_halves(n: int, attempt: Callable[[IntArray], T], most: float | None = None) -> tuple[list[T], dict[int, str]]:
    """Does something for n rows, in halves where the model fails, and so on.

    Args:
      n: number of rows.
      attempt: does it for the rows at these positions, which ascend.
      most: so many rows may fail; None = all.

    Returns:
      What was done, and of each row for which it fails alone what the model says.

    Raises:
      TooManyFailedRowsError: more than `most` rows fail.
    """
    done: list[T] = []
    refused: dict[int, str] = {}
    waiting = [np.arange(n)] if n else []
    while waiting:
        rows = waiting.pop()
        try:
            done.append(attempt(rows))
        except ModelCallError as error:
            if len(rows) > 1:
                waiting += [rows[len(rows) // 2 :], rows[: len(rows) // 2]]
                continue
            refused[int(rows[0])] = said(error)
            if most is not None and len(refused) > most:
                raise TooManyFailedRowsError(said(error)) from error
    return done, refused


def said(error: Exception) -> str:
    """A model's error as part of a reason."""
    text = str(error).rstrip(".")
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "\N{HORIZONTAL ELLIPSIS}"
