"""How many outputs a model has, where its graph does not say: the model is asked, with rows that it is to explain."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import tensorflow as tf

from tfx_explain.errors import ModelError, SignatureError
from tfx_explain.models.features import Inputs, blank_inputs
from tfx_explain.models.messages import first_line
from tfx_explain.models.reading import Reader
from tfx_explain.rows import take_rows

_MAX_TRIED = 32


@dataclass(frozen=True)
class Probe:
    """What is known before a model is loaded.

    Attributes:
      n_outputs: the answer, where the model was asked before.
      batches: rows to ask it with, the first that it takes; zeros and empty strings where there are none.
    """

    n_outputs: int | None = None
    batches: tuple[pa.RecordBatch, ...] = ()

    def width(self, reader: Reader, call: Callable[[Inputs], npt.ArrayLike], what: str) -> int:
        """The number of outputs.

        Args:
          reader: of the features that the model reads.
          call: from inputs to outputs, (n,) or (n, n_outputs).
          what: the model, for messages.

        Raises:
          SignatureError: the model fails on all rows, or gives something else.
        """
        if self.n_outputs is not None:
            return self.n_outputs
        failed: Exception | None = None
        for inputs in self._inputs(reader):
            try:
                outputs = np.asarray(call(inputs))
            except (ModelError, tf.errors.OpError, ValueError) as error:
                failed = failed or error
                continue
            if outputs.ndim not in (1, 2) or len(outputs) != len(inputs):
                raise SignatureError(
                    f"{what} gives shape {outputs.shape} for {len(inputs)} examples; "
                    "it must give (batch,) or (batch, outputs)."
                )
            return int(outputs.shape[1]) if outputs.ndim == 2 else 1
        reason = "there are no rows" if failed is None else first_line(failed)
        raise SignatureError(f"The number of outputs of {what} is unknown: {reason}.") from failed

    def _inputs(self, reader: Reader) -> Iterator[Inputs]:
        """Two rows at a time: different ones, then each of some twice, as a model may refuse single ones."""
        readable = False
        for batch in self.batches:
            good = np.setdiff1d(np.arange(batch.num_rows), list(reader.row_errors(batch)))[:_MAX_TRIED]
            if not len(good):
                continue
            readable = True
            inputs = reader.inputs(take_rows(batch, good))
            yield inputs.take(np.array([0, len(good) - 1]))
            for row in range(len(good)):
                yield inputs.take(np.array([row, row]))
        if not readable:
            yield blank_inputs(reader.specs, 2)


BLANK = Probe()
"""Asks with zeros and empty strings."""
