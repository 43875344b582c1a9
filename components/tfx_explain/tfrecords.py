"""TFRecord files: their records with both checksums compared, and what is wrong with files that are damaged.

A file is a sequence of frames: the length of a record (8 bytes), a checksum of that, the record, a checksum of it.
A record whose own checksum is wrong is set aside alone. Where a length cannot be trusted, or a file ends too early, the
rest of the file cannot be read.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO, NamedTuple

import google_crc32c

from tfx_explain import storage
from tfx_explain.errors import InputError

_HEADER = struct.Struct("<QI")
_CHECKSUM = struct.Struct("<I")
_BUFFER_BYTES = 2**20
# Headers that were found to be right: records often have one of few lengths.
_MAX_LENGTHS = 4_096
_ZIPPED_BYTES = 2**16
_CUT = "ends in the middle of a record"
_MASK_DELTA = 0xA282EAD8
# What other formats begin with; a TFRecord begins with a length and its checksum, which decides first.
_FORMATS = {
    b"\x1f\x8b": "gzip",
    b"BZh": "bzip2",
    b"\xfd7zXZ\x00": "xz",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"PK\x03\x04": "zip",
    b"\x78\x01": "zlib",
    b"\x78\x5e": "zlib",
    b"\x78\x9c": "zlib",
    b"\x78\xda": "zlib",
    b"PAR1": "Parquet",
    b"Obj\x01": "Avro",
}


class Fault(NamedTuple):
    """Something that is wrong with a file.

    Attributes:
      record: the record that is damaged; empty where it is the rest of the file.
      reason: what is wrong and where, a sentence without a full stop.
      lost_bytes: how many bytes of the file, as it is stored, cannot be read because of it.
    """

    record: bytes
    reason: str
    lost_bytes: int = 0


def read_records(uri: str, faults: list[Fault] | None = None) -> Iterator[bytes]:
    """The records of one TFRecord file, plain or gzipped.

    Args:
      uri: the file; whether it is gzipped its content says, whatever its name.
      faults: gets what is wrong, and reading goes on behind it as far as that is possible; None = the first is raised.

    Raises:
      InputError: the file is damaged, or no TFRecord file, and `faults` is None.
    """
    report = _raise if faults is None else faults.append
    try:
        with storage.open_binary(uri) as raw:
            head = raw.read(_HEADER.size)
            if not head and not uri.endswith(".gz"):
                return
            raw.seek(0)
            plain = _is_header(head)
            if not plain and (reason := _no_tfrecord(uri, head)):
                report(Fault(b"", reason, storage.size(uri)))
                return
            source = raw if plain else _Unzipped(raw)
            with io.BufferedReader(source, _BUFFER_BYTES) as stream:
                yield from _frames(uri, source, stream, report)
    except OSError as error:
        report(Fault(b"", f"{uri} cannot be read ({error.strerror or error})"))


def _raise(fault: Fault) -> None:
    raise InputError(f"{fault.reason}; write the file again.")


def _no_tfrecord(uri: str, head: bytes) -> str:
    """What a file without a valid header is, empty where it is gzipped."""
    found = next((name for start, name in _FORMATS.items() if head.startswith(start)), "")
    if found == "gzip":
        return ""
    if not head:
        return f"{uri} is empty (0 bytes), which no gzipped file is"
    if found:
        return f"{uri} is a file in {found} format, which is not read; write TFRecords, plain or gzipped"
    if len(head) < _HEADER.size:
        return f"{uri} {_CUT} at byte 0"
    return f"{uri} is no TFRecord file, or is damaged at byte 0"


class _Unzipped(io.RawIOBase):
    """What a gzipped stream holds, up to the byte at which it is damaged or cut off; then `fault` says so.

    Python's own reader raises instead, and what it had read of the last block is lost.
    """

    def __init__(self, raw: BinaryIO) -> None:
        self.fault = ""
        self._raw = raw
        self._member = self._new_member()
        self._begun = False
        self._zipped = b""
        self._ready = memoryview(b"")

    def readable(self) -> bool:
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
            made = self._member.decompress(self._zipped, _BUFFER_BYTES)
        except zlib.error as error:
            self.fault = f"is gzipped and damaged ({error})"
            made = self._until_error(before)
        else:
            self._zipped = self._member.unconsumed_tail or self._member.unused_data
        self._ready = memoryview(made)
        return True

    def _until_error(self, member: Any) -> bytes:
        made = []
        for place in range(len(self._zipped)):
            try:
                made.append(member.decompress(self._zipped[place : place + 1]))
            except zlib.error:
                break
        return b"".join(made)


def _frames(
    uri: str, source: BinaryIO | io.RawIOBase, stream: io.BufferedReader, report: Callable[[Fault], None]
) -> Iterator[bytes]:
    checksum, unpack, read, start = google_crc32c.value, _CHECKSUM.unpack, stream.read, 0
    lengths: dict[bytes, int] = {}
    wrong = ""
    while header := read(_HEADER.size):
        length = lengths.get(header)
        if length is None:
            if len(header) < _HEADER.size or not _is_header(header):
                wrong = "is damaged (checksum of a length)" if len(header) == _HEADER.size else _CUT
                break
            length = _HEADER.unpack(header)[0]
            if len(lengths) < _MAX_LENGTHS:
                lengths[header] = length
        record, end = read(length), read(_CHECKSUM.size)
        if len(end) < _CHECKSUM.size:
            wrong = _CUT
            break
        crc = checksum(record)
        if unpack(end)[0] == ((crc >> 15 | crc << 17) + _MASK_DELTA) & 0xFFFFFFFF:
            yield record
        else:
            report(Fault(record, f"the record is damaged: its checksum in {uri} is another"))
        start += length + 16
    wrong = getattr(source, "fault", "") or wrong
    if wrong:
        lost = max(storage.size(uri) - source.tell(), 0)
        report(Fault(b"", f"{uri} {wrong} at byte {start}; what follows is lost", lost))


def _is_header(header: bytes) -> bool:
    """Whether this is the header of a frame: its checksum is that of its length."""
    if len(header) < _HEADER.size:
        return False
    crc = google_crc32c.value(header[:8])
    return bool(_HEADER.unpack(header)[1] == ((crc >> 15 | crc << 17) + _MASK_DELTA) & 0xFFFFFFFF)
