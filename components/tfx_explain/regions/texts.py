"""Texts with some of their spans absent, many at a time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

_SPACES = b" \t\r\n\v\f"


@dataclass(frozen=True)
class SpanTexts:
    """A text in spans, each of which is present or absent.

    Attributes:
      pieces: 2k of them: each span as it is, then what stands for it where a run of absent spans ends with it.
      has_space: (k,) whether a span ends with a space, so that nothing can be glued to it.
      absent: what the text is where no span is present.
    """

    pieces: pa.Array
    has_space: BoolArray
    absent: bytes

    @classmethod
    def of(cls, text: bytes, spans: IntArray, absent: bytes) -> SpanTexts:
        """The texts that can be made.

        Args:
          text: in UTF-8.
          spans: (k, 2) of its bytes, without gaps; k is at least 1.
          absent: what a run of absent spans becomes; empty = it is deleted.
        """
        own = [text[start:stop] for start, stop in spans.tolist()]
        spaces = [_spaces_behind(span) for span in own]
        instead = [absent + space for space in spaces[:-1]]
        pieces = pa.array([*own, *instead, absent], pa.large_binary())
        return cls(pieces, np.array([bool(space) for space in spaces]), absent)

    def texts(self, coalitions: BoolArray) -> npt.NDArray[np.object_]:
        """(n,) bytes of coalitions (n, k), True = present.

        All present gives the text itself; all absent gives `absent`. The spaces behind a run of absent spans stay where
        a word would else be glued to the next one. No step goes through coalitions one by one: the pieces of all texts
        are taken in one go, and cut anew where one text ends and the next begins.
        """
        n, k = coalitions.shape
        ends_run = ~coalitions
        ends_run[:, :-1] &= coalitions[:, 1:]
        if not self.absent:
            before = np.maximum.accumulate(np.where(coalitions, np.arange(k), -1), axis=1)
            ends_run &= (before >= 0) & ~self.has_space[before]
        shown = coalitions | ends_run
        piece = np.arange(k) + np.where(coalitions, 0, k)
        taken = self.pieces.take(pa.array(piece[shown]))
        offsets = np.frombuffer(taken.buffers()[1], np.int64, len(taken) + 1, taken.offset * 8)
        bounds = np.concatenate([[0], np.cumsum(shown.sum(axis=1))])
        joined = [None, pa.py_buffer(np.ascontiguousarray(offsets[bounds])), taken.buffers()[2]]
        return np.asarray(pa.Array.from_buffers(pa.large_binary(), n, joined).to_numpy(zero_copy_only=False))

    @property
    def size(self) -> int:
        """Bytes of the text, roughly: as many as one of its texts may have."""
        return int(self.pieces.nbytes)


def _spaces_behind(span: bytes) -> bytes:
    return span[len(span.rstrip(_SPACES)) :]
