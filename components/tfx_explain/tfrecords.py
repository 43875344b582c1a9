"""TFRecord files: their records with both checksums compared, and what is wrong with files that are damaged.

A file is a sequence of frames: the length of a record (8 bytes), a checksum of that, the record, a checksum of it.
A record whose own checksum is wrong is set aside alone. Where a length cannot be trusted, or a file ends too early, the
rest of the file cannot be read.
"""

from __future__ import annotations

import contextlib
import io
import struct
from collections.abc import Callable, Iterator
from typing import BinaryIO, NamedTuple

import google_crc32c

from tfx_explain import storage
from tfx_explain.errors import InputError
from tfx_explain.unzipped import Unzipped

_HEADER = struct.Struct("<QI")
_CHECKSUM = struct.Struct("<I")
_BUFFER_BYTES = 2**20
# Headers that were found to be right: records often have one of few lengths.
_MAX_LENGTHS = 4_096
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


class FileRange(NamedTuple):
    """A part of a TFRecord file that begins and ends between two records.

    Attributes:
      uri: the file.
      start: where the part begins, in bytes of the unzipped file.
      stop: where it ends; None = with the file.
    """

    uri: str
    start: int = 0
    stop: int | None = None


def read_records(uri: str, faults: list[Fault] | None = None) -> Iterator[bytes]:
    """The records of one TFRecord file, plain or gzipped.

    Args:
      uri: the file; whether it is gzipped its content says, whatever its name.
      faults: gets what is wrong, and reading goes on behind it as far as that is possible; None = the first is raised.

    Raises:
      InputError: the file is damaged, or no TFRecord file, and `faults` is None.
    """
    with contextlib.closing(RecordReader(uri)) as reader:
        yield from reader.records(faults)


class RecordReader:
    """Reads one TFRecord file from its beginning towards its end, and can stop and go on between any two records.

    Args:
      uri: the file, plain or gzipped.

    Attributes:
      position: where the next record begins, in bytes of the unzipped file.
      ended: whether nothing more can be read: the file has ended, or the rest of it is damaged.
      is_zipped: whether the file is gzipped, so that there is no way to a place but through all before it. Known once
        something was read.
    """

    def __init__(self, uri: str) -> None:
        self.uri = uri
        self.position = 0
        self.ended = False
        self.is_zipped = False
        self._held = contextlib.ExitStack()
        self._stream: io.BufferedReader | None = None
        self._source: BinaryIO | Unzipped
        self._lengths: dict[bytes, int] = {}

    def close(self) -> None:
        """Nothing is read any more."""
        self.ended = True
        self._held.close()

    def content_bytes(self) -> float:
        """How long the unzipped file is, about, as far as what was read of it tells."""
        source = self._source
        if not isinstance(source, Unzipped):
            return float(self._stored_bytes)
        # Nothing is known to be unzipped where the first block is damaged.
        return self._stored_bytes * source.made_bytes / max(source.tell(), 1)

    def records(self, faults: list[Fault] | None = None, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        """The next records.

        Args:
          faults: as of `read_records`.
          start: what lies before this position is passed over.
          stop: of the first record that is not read; None = all are.

        Raises:
          InputError: the file is damaged, or no TFRecord file, and `faults` is None; or it ends before `start`.
        """
        report = _raise if faults is None else faults.append
        try:
            if self._stream is None and not self.ended:
                self._open(report)
            if self._stream is not None and not self.ended:
                self._pass_over(start)
                yield from self._frames(self._stream, report, stop)
        except OSError as error:
            self.ended = True
            report(Fault(b"", f"{self.uri} cannot be read ({error.strerror or error})"))

    def _open(self, report: Callable[[Fault], None]) -> None:
        raw = self._held.enter_context(storage.open_binary(self.uri))
        head = raw.read(_HEADER.size)
        raw.seek(0)
        self.is_zipped = not _is_header(head)
        if not head and not self.uri.endswith(".gz"):
            self.ended = True
        elif self.is_zipped and (reason := _no_tfrecord(self.uri, head)):
            self.ended = True
            report(Fault(b"", reason, storage.size(self.uri)))
        else:
            self._source = Unzipped(raw) if self.is_zipped else raw
            self._stored_bytes = storage.size(self.uri)
            self._stream = self._held.enter_context(io.BufferedReader(self._source, _BUFFER_BYTES))

    def _pass_over(self, start: int) -> None:
        stream = self._stream
        if stream is None or start <= self.position:
            return
        if not self.is_zipped:
            self.position = stream.seek(start)
        while self.position < start and (passed := stream.read(min(start - self.position, _BUFFER_BYTES))):
            self.position += len(passed)
        if self.position < start:
            raise changed(self.uri)

    def _frames(self, stream: io.BufferedReader, report: Callable[[Fault], None], stop: int | None) -> Iterator[bytes]:
        checksum, unpack, read, start = google_crc32c.value, _CHECKSUM.unpack, stream.read, self.position
        lengths, wrong = self._lengths, ""
        while stop is None or start < stop:
            header = read(_HEADER.size)
            length = lengths.get(header)
            if length is None:
                if not header:
                    self.ended = True
                    break
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
            self.position = start = start + length + 16
            crc = checksum(record)
            if unpack(end)[0] == masked_checksum(crc):
                yield record
            else:
                report(Fault(record, f"the record is damaged: its checksum in {self.uri} is another"))
        if wrong or self.ended:
            self._say_end(wrong, report)

    def _say_end(self, wrong: str, report: Callable[[Fault], None]) -> None:
        """Reports what is wrong where reading ended, if anything is."""
        self.ended = True
        wrong = getattr(self._source, "fault", "") or wrong
        if wrong:
            lost = max(self._stored_bytes - self._source.tell(), 0)
            report(Fault(b"", f"{self.uri} {wrong} at byte {self.position}; what follows is lost", lost))


def changed(uri: str) -> InputError:
    """What is said of a file that is read again and is not the one that it was."""
    return InputError(
        f"{uri} changed, or can no longer be read, while it was read; run again when nothing writes it any more."
    )


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


def _is_header(header: bytes) -> bool:
    """Whether this is the header of a frame: its checksum is that of its length."""
    if len(header) < _HEADER.size:
        return False
    return bool(_HEADER.unpack(header)[1] == masked_checksum(google_crc32c.value(header[:8])))


def masked_checksum(crc: int) -> int:
    """A CRC-32C as TFRecord files hold it."""
    return ((crc >> 15 | crc << 17) + _MASK_DELTA) & 0xFFFFFFFF
