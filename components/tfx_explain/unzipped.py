"""Gzipped files, read up to the byte at which they are damaged."""

from __future__ import annotations

import io
import zlib
from typing import Any, BinaryIO

_ZIPPED_BYTES = 2**16
_MADE_BYTES = 2**20


class Unzipped(io.RawIOBase):
    """What a gzipped stream holds, up to the byte at which it is damaged or cut off; then `fault` says so.

    Python's own reader raises instead, and what it had read of the last block is lost.

    Attributes:
      fault: what is wrong with it, as far as it was read.
      made_bytes: how much was unzipped.
    """

    def __init__(self, raw: BinaryIO) -> None:
        self.fault = ""
        self.made_bytes = 0
        self._raw = raw
        self._member = self._new_member()
        self._begun = False
        self._zipped = b""
        self._ready = memoryview(b"")

    def readable(self) -> bool:
        """True."""
        return True

    def tell(self) -> int:
        """How much of the gzipped stream was read."""
        return int(self._raw.tell()) - len(self._zipped)

    def readinto(self, target: Any) -> int:
        """Fills a buffer; 0 at the end."""
        while not self._ready and self._more():
            pass
        n = min(len(target), len(self._ready))
        target[:n] = self._ready[:n]
        self._ready = self._ready[n:]
        return n

    @staticmethod
    def _new_member() -> Any:
        return zlib.decompressobj(16 + zlib.MAX_WBITS)

    def _more(self) -> bool:
        """Unzips a little; False at the end."""
        if self.fault:
            return False
        self._zipped = self._zipped or self._raw.read(_ZIPPED_BYTES)
        if self._member.eof:
            # Another member may follow, or zeros that fill a block.
            self._zipped = self._zipped.lstrip(b"\0")
            if self._zipped:
                self._member, self._begun = self._new_member(), False
        if not self._zipped:
            if self._begun and not self._member.eof:
                self.fault = "is gzipped and ends too early"
            return False
        before, self._begun = self._member.copy(), True
        try:
            made = self._member.decompress(self._zipped, _MADE_BYTES)
        except zlib.error as error:
            self.fault = f"is gzipped and damaged ({error})"
            made = self._until_error(before)
        else:
            self._zipped = self._member.unconsumed_tail or self._member.unused_data
        self._ready = memoryview(made)
        self.made_bytes += len(made)
        return True

    def _until_error(self, member: Any) -> bytes:
        made = []
        for place in range(len(self._zipped)):
            try:
                made.append(member.decompress(self._zipped[place : place + 1]))
            except zlib.error:
                break
        return b"".join(made)
