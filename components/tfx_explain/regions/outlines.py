"""Texts of many spans, from the top down: what the units above the spans are, and what is inside of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from tfx_explain.regions.spans import Splitter, Unit, evenly

IntArray = npt.NDArray[np.int64]

_ABOVE: dict[str, Unit | None] = {"sentence": "paragraph", "paragraph": None}
# As many as a sentence has words; of more, runs are looked at before what is inside of them.
_MOST_INSIDE = 24


@dataclass(frozen=True, eq=False)
class Outline:
    """A text in spans, and where the units above them start: paragraphs above sentences, sentences above all others.

    Attributes:
      spans: (N, 2) bytes of the text; N is at least 1.
      starts: (U,) the span that each unit starts with.
    """

    spans: IntArray
    starts: IntArray

    @classmethod
    def of(cls, text: bytes, spans: IntArray, unit: Literal["token"] | Unit) -> Outline:
        """The units of a text; there are none above paragraphs.

        Args:
          text: in UTF-8.
          spans: (N, 2) of its bytes, without gaps.
          unit: of the spans.
        """
        above: Unit | None = _ABOVE.get(unit, "sentence")
        starts = np.zeros(0, np.int64) if above is None else Splitter(above).spans(text)[:, 0]
        # A span holds the signs behind it, so that a unit that starts with a sign starts with the next span.
        return cls(spans, np.unique(np.searchsorted(spans[:, 0], starts)))

    def between(self, bounds: IntArray) -> IntArray:
        """(k, 2) first byte, and the byte after the last one, of what lies between bounds (k + 1,) in spans."""
        return np.stack([self.spans[bounds[:-1], 0], self.spans[bounds[1:] - 1, 1]], axis=1)

    def first(self, n_spans: int, most: int) -> IntArray:
        """(m + 1,) bounds, in spans, of the units of the first spans; of more than `most`, neighbours are together."""
        return evenly(self._bounds(0, n_spans), most)

    def inside(self, start: int, stop: int, most: int) -> IntArray | None:
        """(k + 1,) bounds of what is inside of two spans or more: units, or else spans; None where `most` is too few.

        Of more than a sentence has words, or than there may be, neighbours are together: about as many runs as each of
        them holds, which finds what matters in the fewest steps.
        """
        bounds = self._bounds(start, stop)
        n_inside = len(bounds) - 1
        if n_inside > min(most, _MOST_INSIDE):
            bounds = evenly(bounds, int(np.ceil(np.sqrt(n_inside))))
        return bounds if len(bounds) - 1 <= most else None

    def _bounds(self, start: int, stop: int) -> IntArray:
        inner = self.starts[(self.starts > start) & (self.starts < stop)]
        return np.concatenate([[start], inner, [stop]]) if len(inner) else np.arange(start, stop + 1)
