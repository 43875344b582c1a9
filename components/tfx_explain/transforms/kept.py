"""Parts of files that were read and will be read again."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from typing import TypeAlias

from tfx_explain.job.split_rows import SplitRows
from tfx_explain.transforms.decode import Element

Place: TypeAlias = tuple[str, int]
"""A file, and where in it a part of it begins, in bytes of the unzipped file."""


class KeptParts:
    """What was read of parts of files, until it is taken: they are read twice, but then decoded once.

    The second reading may come in another process, which reads the file itself; what is left behind is bounded.

    Args:
      most_bytes: of rows and records that are kept together. What other jobs left goes to make room; parts of the
        same job stay, since they are read again in the order of the first reading.
    """

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._kept: dict[tuple[str, Place], tuple[int, list[Element]]] = {}
        self._lock = threading.Lock()

    def keep(self, job: str, place: Place, elements: Iterable[Element]) -> Iterator[Element]:
        """Passes on what is read of a part, and keeps it where it is small.

        Args:
          job: names one reading of files, so that no other gets what may have changed since.
          place: where the part begins.
          elements: what is read of it.
        """
        kept, n_bytes = [], 0
        for element in elements:
            n_bytes += _n_bytes(element)
            if n_bytes <= self._most_bytes:
                kept.append(element)
            yield element
        if n_bytes <= self._most_bytes:
            with self._lock:
                self._kept[job, place] = n_bytes, kept
                others = [key for key in self._kept if key[0] != job]
                while sum(size for size, _ in self._kept.values()) > self._most_bytes:
                    del self._kept[others.pop(0) if others else (job, place)]

    def take(self, job: str, place: Place) -> list[Element] | None:
        """What was kept of a part, once; None where nothing is."""
        with self._lock:
            return self._kept.pop((job, place), (0, None))[1]


def _n_bytes(element: Element) -> int:
    if not isinstance(element, SplitRows):
        return 0
    return int(element.rows.nbytes + element.hashes.nbytes) + sum(map(len, element.records or ()))
