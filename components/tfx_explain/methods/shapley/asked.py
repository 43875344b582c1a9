"""What rows of a batch have, and which of a model's outputs they ask for, so that nothing is made of the others."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tfx_explain.methods.background import SideBackground
from tfx_explain.models import Inputs

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


class AskedOutputs(NamedTuple):
    """Which outputs n rows ask for, c each.

    Attributes:
      outputs: (n, c) of the model's; None = all of them, each row.
      chosen: (n, c) of the explained ones; None = all of them, each row.
    """

    outputs: IntArray | None
    chosen: IntArray | None

    @classmethod
    def of(cls, chosen: IntArray, background: SideBackground, n_outputs: int) -> AskedOutputs:
        """From which of the explained outputs the rows ask for; a row that asks for another one gets the first."""
        known = np.maximum(chosen, 0)
        is_every = np.array_equal(known, np.tile(np.arange(len(background.outputs)), (len(known), 1)))
        outputs = background.outputs[known]
        is_whole = is_every and np.array_equal(background.outputs, np.arange(n_outputs))
        return cls(None if is_whole else outputs, None if is_every else known)

    def take(self, rows: IntArray) -> AskedOutputs:
        """Some of the rows, (k,) integers."""
        return AskedOutputs(*(None if of_rows is None else of_rows[rows] for of_rows in self))

    def picked(self, values: FloatArray) -> FloatArray:
        """(n, ..., c) of what the model gives for the rows, (n, ..., K)."""
        if self.outputs is None:
            return values
        n, n_asked = self.outputs.shape
        index = self.outputs.reshape(n, *[1] * (values.ndim - 2), n_asked)
        return np.take_along_axis(values, index, axis=-1)


class GivenRows(NamedTuple):
    """What n rows of a batch have, to be explained in parts.

    Attributes:
      inputs: what the model is fed.
      prediction: (n, c) of the outputs that each asks for.
      codes: (n, q) what a surrogate takes.
      asked: which outputs these are.
      keeps_coalitions: whether outputs of coalitions are passed on, of all outputs of the model.
      n_values: that are kept of each mixture.
      typical_parts: how many rows come at once, each number as likely as the others.
      background_inputs: what the model is fed for the background.
      base: (n_background, K) what it gives for it.
    """

    inputs: Inputs
    prediction: FloatArray
    codes: FloatArray
    asked: AskedOutputs
    keeps_coalitions: bool
    n_values: int
    typical_parts: tuple[int, ...]
    background_inputs: Inputs
    base: FloatArray
