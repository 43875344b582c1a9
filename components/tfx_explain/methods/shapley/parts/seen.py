"""How much of a text a model sees: what lies behind the place where it cuts texts off is no player."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tfx_explain.methods.shapley.parts.calls import PartCalls
from tfx_explain.methods.shapley.parts.contexts import Contexts
from tfx_explain.models.call_bytes import MAX_CALL_BYTES
from tfx_explain.rows import column_or_nulls

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

_UNITS = 4.0
_PROBE_TEXTS = 16
_PROBE_BYTES = 200


def probe_of(rows: pa.RecordBatch, feature: str) -> bytes:
    """Other words than a text has, to put in the place of its end: the beginnings of some texts."""
    texts = [values[0][:_PROBE_BYTES] for values in column_or_nulls(rows, feature).to_pylist() if values and values[0]]
    return b" ".join(texts[:_PROBE_TEXTS])


@dataclass(frozen=True, eq=False)
class Sight:
    """Texts that a model is asked about with other endings.

    Attributes:
      calls: of the model.
      outputs: (n, c) which outputs each row asks for.
      floor: (n, c) their rounding.
      probe: what endings are replaced by.
    """

    calls: PartCalls
    outputs: IntArray
    floor: FloatArray
    probe: bytes

    def n_seen(
        self, rows: IntArray, texts: Sequence[bytes], spans: Sequence[IntArray], contexts: Sequence[Contexts]
    ) -> tuple[IntArray, int]:
        """How many spans of each text the model sees, 1 or more, and the model rows that it took to find that.

        The others change no output in any context, whether they are deleted or other words stand in their place.

        Args:
          rows: (r,) which they are.
          texts: r of them.
          spans: (k, 2) of each; k is at least 2.
          contexts: of each, as many for all.
        """
        most = np.array([len(of_row) for of_row in spans], np.int64)
        if not self.probe or not len(rows):
            return most, 0
        whole = self._outputs(rows, [[text] for text in texts], contexts)
        n_model_rows = len(contexts[0]) * len(rows)
        # What is known of each row: spans from `high` on are not seen; `low` are.
        low, high = np.ones_like(most), most.copy()
        tried = most - 1
        while len(active := np.flatnonzero(low < high)):
            endings = [self._endings(texts[one], spans[one], int(tried[one])) for one in active.tolist()]
            found = self._outputs(rows[active], endings, [contexts[one] for one in active.tolist()])
            n_model_rows += 2 * len(contexts[0]) * len(active)
            off = np.abs(found - whole[active]) <= _UNITS * self.floor[rows[active]][:, None, None]
            is_unseen = off.all(axis=(1, 2, 3))
            high[active[is_unseen]] = tried[active[is_unseen]]
            low[active[~is_unseen]] = tried[active[~is_unseen]] + 1
            tried = (low + high) // 2
        return high, n_model_rows

    def _endings(self, text: bytes, spans: IntArray, n_kept: int) -> list[bytes]:
        start = text[: spans[n_kept, 0]]
        return [start, start + self.probe]

    def _outputs(self, rows: IntArray, texts: Sequence[Sequence[bytes]], contexts: Sequence[Contexts]) -> FloatArray:
        """(r, t, C, c) outputs of r rows with t texts each, in each of C contexts."""
        n_contexts, n_texts = len(contexts[0]), len(texts[0])
        flat = np.array([text for of_row in texts for text in of_row], object)
        sizes = np.array([len(text) for text in flat], np.int64) * n_contexts
        found = []
        for some in _in_calls(sizes):
            owner = some // n_texts
            each = Contexts.joined([contexts[one] for one in owner.tolist()])
            asked = np.repeat(rows[owner], n_contexts)
            predicted = self.calls.predict(asked, np.repeat(flat[some], n_contexts), each)
            found.append(np.take_along_axis(predicted, self.outputs[asked], axis=1))
        return np.concatenate(found).reshape(len(rows), n_texts, n_contexts, -1)


def _in_calls(sizes: IntArray) -> Iterator[IntArray]:
    """Places (n,) of texts, as many at a time as there is room for."""
    call = np.cumsum(sizes) // MAX_CALL_BYTES
    yield from np.split(np.arange(len(sizes)), np.flatnonzero(np.diff(call)) + 1)
