"""Gzipped TFRecord files of bounded size, made in memory, so that each is written whole or not at all."""

from __future__ import annotations

import struct
import zlib

import google_crc32c

from tfx_explain.tfrecords import masked_checksum

SHARD_BYTES = 32 * 2**20
"""How large a file is, zipped, from which on another one is begun."""

_GZIP = 16 + zlib.MAX_WBITS

_LEVEL = 4
"""Of compression. The level that zlib would take needs more than twice the time, for files that are a tenth smaller."""


class Shard:
    """A gzipped TFRecord file that grows in memory.

    Attributes:
      n_bytes: how large it is so far, but for what the compressor still holds.
    """

    def __init__(self) -> None:
        self._compressor = zlib.compressobj(_LEVEL, wbits=_GZIP)
        self._made: list[bytes] = []
        self.n_bytes = 0

    def add(self, record: bytes) -> None:
        """Appends a record."""
        length = struct.pack("<Q", len(record))
        frame = (length, _checksum(length), record, _checksum(record))
        self._keep(self._compressor.compress(b"".join(frame)))

    def content(self) -> bytes:
        """The file; nothing is added afterwards."""
        self._keep(self._compressor.flush())
        return b"".join(self._made)

    def _keep(self, made: bytes) -> None:
        if made:
            self._made.append(made)
            self.n_bytes += len(made)


def _checksum(content: bytes) -> bytes:
    return struct.pack("<I", masked_checksum(google_crc32c.value(content)))
