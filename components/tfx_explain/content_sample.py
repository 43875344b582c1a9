"""Random samples of rows that no sharding, order or retry can change, in which copies count like any other rows.

Rows of equal content have nothing to tell them apart, so the copies of each content are numbered, and copy j has the
key mix(hash, j): a sample of n are the copies of the n smallest keys. Which these are follows from how often each
content occurs, which has to be known first: a content whose first copies were too large may have one that is not.
Contents are therefore counted, 16 bytes for each in one place, and the rows themselves stay where they are.
"""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tfx_explain.errors import InputError
from tfx_explain.rows import HashArray, concat_rows, mix, take_alike, take_rows

CountArray = npt.NDArray[np.int64]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_COPIES_AT_ONCE = 2**20
_UNCOUNTED = 2**16
_BUCKET_BITS = 3


def stream_of(seed: int, name: str) -> int:
    """The number that makes the keys of one sample independent of those of others, 64 bits."""
    return int.from_bytes(hashlib.blake2b(f"{seed} {name}".encode(), digest_size=8).digest(), "little")


def copy_keys(hashes: HashArray, copies: CountArray, stream: int) -> HashArray:
    """(n,) keys of copies, counted from 0, of contents: uniform and independent."""
    start = mix(hashes ^ np.uint64(stream))
    return mix(start + (copies.astype(np.uint64) + np.uint64(1)) * _GOLDEN)


def uniform_of(keys: HashArray) -> npt.NDArray[np.float64]:
    """Numbers from 0 to less than 1, of 53 bits, of keys of any shape."""
    return np.asarray((keys >> np.uint64(11)) * 2.0**-53)


def are_among(draws: HashArray, fraction: float, stream: int) -> npt.NDArray[np.bool_]:
    """(n,) which rows with these random numbers are among the part of them that a stream draws."""
    # Rows may have been selected by the numbers themselves.
    return np.asarray(uniform_of(mix(draws ^ np.uint64(stream))) < fraction)


def draws_of(keys: HashArray) -> HashArray:
    """(n,) random numbers of the copies with these keys, which say nothing of whose keys are small."""
    return mix(keys + _GOLDEN)


def first_keys(hashes: HashArray, counts: CountArray, stream: int) -> HashArray:
    """(n,) the smallest key of so many (at least one) copies of each content."""
    ends = np.cumsum(counts)
    starts = ends - counts
    copies = np.arange(ends[-1] if len(ends) else 0) - np.repeat(starts, counts)
    keys = copy_keys(np.repeat(hashes, counts), copies, stream)
    return np.minimum.reduceat(keys, starts) if len(starts) else keys


def in_buckets(hashes: HashArray, counts: CountArray) -> Iterator[tuple[int, tuple[HashArray, CountArray]]]:
    """Contents in the order of their hashes as parts that have none in common: few, and of equal size."""
    bounds = np.searchsorted(hashes, np.arange(2**_BUCKET_BITS, dtype=np.uint64) << np.uint64(64 - _BUCKET_BITS))
    for bucket, (start, end) in enumerate(itertools.pairwise([*bounds.tolist(), len(hashes)])):
        if start < end:
            yield bucket, (hashes[start:end].copy(), counts[start:end].copy())


class ContentCounts:
    """How often each content occurs: mergeable, in arrays."""

    def __init__(self) -> None:
        self._hashes: list[HashArray] = []
        self._counts: list[CountArray] = []
        self._held = 0
        self._room = _UNCOUNTED

    def add(self, hashes: HashArray, counts: CountArray) -> None:
        """Counts contents, (n,) each; one may come several times."""
        self._hashes.append(hashes)
        self._counts.append(counts)
        self._held += len(hashes)
        if self._held > self._room:
            self.compact()

    def merge(self, other: ContentCounts) -> None:
        """Adds what another one counted."""
        self.add(*other.result())

    def compact(self) -> None:
        """Leaves each content once, in the order of the hashes."""
        if len(self._hashes) > 1:
            hashes, counts = np.concatenate(self._hashes), np.concatenate(self._counts)
            self._hashes, self._counts = [], []
            order = np.argsort(hashes)
            hashes, counts = hashes[order], counts[order]
            starts = np.flatnonzero(np.concatenate([[True], hashes[1:] != hashes[:-1]]))
            self._hashes, self._counts = [hashes[starts]], [np.add.reduceat(counts, starts)]
            self._held = len(starts)
        self._room = _UNCOUNTED + self._held + self._held // 2

    def result(self) -> tuple[HashArray, CountArray]:
        """(n,) contents and how often each was added."""
        self.compact()
        if not self._hashes:
            return np.zeros(0, np.uint64), np.zeros(0, np.int64)
        return self._hashes[0], self._counts[0]


class PlaceContents(NamedTuple):
    """Some contents of one place, each once.

    Attributes:
      place: a file, and where in it a part of it begins.
      hashes: (n,).
      numbers: (n,) how often each occurs in it; or which number its first copy has.
    """

    place: tuple[str, int]
    hashes: HashArray
    numbers: CountArray


def number_places(counted: Iterable[PlaceContents]) -> Iterator[PlaceContents]:
    """Shares the numbers of the copies among places: those of a content are 0, 1, 2.. in all of them together.

    Contents that occur once are left out: their number is 0.
    """
    places = sorted(counted, key=lambda contents: contents.place)
    hashes = np.concatenate([contents.hashes for contents in places])
    counts = np.concatenate([contents.numbers for contents in places])
    place_of = np.repeat(np.arange(len(places)), [len(contents.hashes) for contents in places])
    order = np.argsort(hashes, kind="stable")
    hashes, counts, place_of = hashes[order], counts[order], place_of[order]
    starts = np.flatnonzero(np.concatenate([[True], hashes[1:] != hashes[:-1]]))
    lengths = np.diff(np.append(starts, len(hashes)))
    before = np.cumsum(counts) - counts
    first = before - np.repeat(before[starts], lengths)
    repeated = np.flatnonzero(np.repeat(np.add.reduceat(counts, starts) > 1, lengths))
    repeated = repeated[np.argsort(place_of[repeated], kind="stable")]
    ends = np.searchsorted(place_of[repeated], np.arange(len(places) + 1))
    for contents, start, end in zip(places, ends[:-1].tolist(), ends[1:].tolist(), strict=True):
        if start < end:
            rows = repeated[start:end]
            yield PlaceContents(contents.place, hashes[rows], first[rows])


class CopyNumbers:
    """Numbers the copies of each content in one place, while its rows pass.

    Args:
      parts: what `number_places` found for the place.
    """

    def __init__(self, parts: Iterable[PlaceContents]) -> None:
        known = list(parts)
        hashes = np.concatenate([np.zeros(0, np.uint64), *(part.hashes for part in known)])
        order = np.argsort(hashes)
        self._hashes = hashes[order]
        self._next = np.concatenate([np.zeros(0, np.int64), *(part.numbers for part in known)])[order]

    def number(self, hashes: HashArray) -> CountArray:
        """(n,) numbers of the next rows of the place."""
        numbers = np.zeros(len(hashes), np.int64)
        if not len(self._hashes):
            return numbers
        places = np.minimum(np.searchsorted(self._hashes, hashes), len(self._hashes) - 1)
        rows = np.flatnonzero(self._hashes[places] == hashes)
        rows = rows[np.argsort(places[rows], kind="stable")]
        contents, starts, counts = np.unique(places[rows], return_index=True, return_counts=True)
        numbers[rows] = np.arange(len(rows)) + np.repeat(self._next[contents] - starts, counts)
        self._next[contents] += counts
        return numbers


@dataclasses.dataclass(frozen=True)
class ContentSample:
    """Rows chosen at random, by their contents.

    Attributes:
      keys: (n,) of the copies, ascending.
      hashes: (n,) the content of each.
      n_rows: how many rows there were to choose from.
    """

    keys: HashArray
    hashes: HashArray
    n_rows: int

    @classmethod
    def choose(cls, hashes: HashArray, counts: CountArray, n: int, stream: int) -> ContentSample:
        """At most `n` of the rows.

        Args:
          hashes: (k,) different contents.
          counts: (k,) how often each occurs, at least once.
          n: rows to choose.
          stream: see `stream_of`.
        """
        ends = np.cumsum(counts)
        total = int(ends[-1]) if len(ends) else 0
        found = cls(np.zeros(0, np.uint64), np.zeros(0, np.uint64), 0)
        for start in range(0, total, _COPIES_AT_ONCE):
            rows = np.arange(start, min(start + _COPIES_AT_ONCE, total))
            contents = np.searchsorted(ends, rows, side="right")
            keys = copy_keys(hashes[contents], rows - (ends - counts)[contents], stream)
            small = keys <= found.keys[-1] if len(found.keys) >= n else np.ones(len(keys), np.bool_)
            found = cls.merged([found, cls(keys[small], hashes[contents[small]], 0)], n)
        return dataclasses.replace(found, n_rows=total)

    @classmethod
    def merged(cls, samples: Sequence[ContentSample], n: int) -> ContentSample:
        """At most `n` of the rows of samples that have no content in common."""
        keys = np.concatenate([np.zeros(0, np.uint64), *(sample.keys for sample in samples)])
        hashes = np.concatenate([np.zeros(0, np.uint64), *(sample.hashes for sample in samples)])
        order = np.lexsort([hashes, keys])[:n]
        return cls(keys[order], hashes[order], sum(sample.n_rows for sample in samples))

    def missing(self, hashes: HashArray) -> HashArray:
        """The contents, each once and in order, that are in the sample but not among these."""
        return np.setdiff1d(self.hashes, hashes)


class KeptContents:
    """One row of each of the `n` contents that promise the smallest keys: mergeable.

    How often a content occurs is not known while rows pass by, only what the passing ones say, so that a content of
    the sample may be missing in the end; it then has to be fetched. None is where no content occurs twice.
    """

    def __init__(self, n: int) -> None:
        self.n = n
        self._batches: list[pa.RecordBatch] = []
        self._hashes: list[HashArray] = []
        self._keys: list[HashArray] = []
        self._held = 0
        self._largest = np.uint64(2**64 - 1)

    def add(self, batch: pa.RecordBatch, hashes: HashArray, keys: HashArray) -> None:
        """Offers rows, (k,) hashes and keys; several may have one content."""
        rows = np.flatnonzero(keys <= self._largest)
        if len(rows):
            self._append(batch if len(rows) == batch.num_rows else take_rows(batch, rows), hashes[rows], keys[rows])

    def merge(self, other: KeptContents) -> None:
        """Offers what another one kept."""
        for part in zip(other._batches, other._hashes, other._keys, strict=True):
            self.add(*part)

    def _append(self, batch: pa.RecordBatch, hashes: HashArray, keys: HashArray) -> None:
        self._batches.append(batch)
        self._hashes.append(hashes)
        self._keys.append(keys)
        self._held += batch.num_rows
        if self._held > 2 * self.n + 1_000:
            self.compact()

    def compact(self) -> None:
        """Drops what is not among the smallest; what is left has few batches, and each content once."""
        if not self._batches:
            return
        hashes, keys = np.concatenate(self._hashes), np.concatenate(self._keys)
        order = np.lexsort([hashes, keys])
        order = order[np.sort(np.unique(hashes[order], return_index=True)[1])][: self.n]
        if len(order) == self.n:
            self._largest = keys[order[-1]]
        taken = take_alike(self._batches, order)
        self._batches = [batch for batch, _ in taken]
        self._hashes = [hashes[order[places]] for _, places in taken]
        self._keys = [keys[order[places]] for _, places in taken]
        self._held = len(order)

    def parts(self) -> list[tuple[pa.RecordBatch, HashArray]]:
        """The rows and their contents: one batch, but for features of several types."""
        self.compact()
        return list(zip(self._batches, self._hashes, strict=True))


class SampledRows(NamedTuple):
    """Rows chosen at random, in random order.

    Attributes:
      rows: n of them, copies as often as they were chosen; None where there are none.
      hashes: (n,) of their contents.
      draws: (n,) a random number for each, of copies too.
    """

    rows: pa.RecordBatch | None
    hashes: HashArray
    draws: HashArray

    @classmethod
    def of(cls, sample: ContentSample, parts: Sequence[tuple[pa.RecordBatch, HashArray]]) -> SampledRows:
        """All rows of the sample as one batch, features of several types made one; for the arguments see `batches`."""
        if not parts:
            return cls(None, np.zeros(0, np.uint64), np.zeros(0, np.uint64))
        together = concat_rows([rows for rows, _ in parts]), np.concatenate([hashes for _, hashes in parts])
        return next(cls.batches(sample, [together], max(len(sample.keys), 1)))

    @classmethod
    def batches(
        cls, sample: ContentSample, parts: Sequence[tuple[pa.RecordBatch, HashArray]], size: int
    ) -> Iterator[SampledRows]:
        """The rows of the sample, a few at a time, each feature of one type and with memory of their own.

        Args:
          sample: what was chosen.
          parts: rows and their contents; one row of each content of the sample at least.
          size: most rows at a time.

        Raises:
          InputError: there is no row of a content that was counted.
        """
        known = np.concatenate([np.zeros(0, np.uint64), *(hashes for _, hashes in parts)])
        if len(sample.missing(known)):
            raise InputError("examples changed while they were read; run again when nothing writes them any more.")
        order = np.argsort(known)
        places = order[np.searchsorted(known[order], sample.hashes)]
        start = 0
        for rows, hashes in parts:
            of_part = np.flatnonzero((start <= places) & (places < start + len(hashes)))
            for few in np.split(of_part, range(size, len(of_part), size)):
                if len(few):
                    taken = take_rows(rows, places[few] - start)
                    yield cls(taken, sample.hashes[few], draws_of(sample.keys[few]))
            start += len(hashes)


class SmallestDraws:
    """The `n` rows of the smallest random numbers, which are different for copies: mergeable."""

    def __init__(self, n: int) -> None:
        self.n = n
        self._batches: list[pa.RecordBatch] = []
        self._draws: list[HashArray] = []
        self._held = 0

    def add(self, batch: pa.RecordBatch, draws: HashArray) -> None:
        """Offers the rows of a batch."""
        if batch.num_rows:
            self._batches.append(batch)
            self._draws.append(draws)
            self._held += batch.num_rows
        if self._held > 2 * self.n + 1_000:
            self.compact()

    def merge(self, other: SmallestDraws) -> None:
        """Offers the rows that another one kept."""
        for part in other.parts():
            self.add(*part)

    def parts(self) -> list[tuple[pa.RecordBatch, HashArray]]:
        """Batches of rows and their draws, which together are what was kept."""
        return list(zip(self._batches, self._draws, strict=True))

    def compact(self) -> None:
        """Drops what can no longer be among the smallest; what is left has few batches, in the order of the draws."""
        if self._batches:
            draws = np.concatenate(self._draws)
            order = np.argsort(draws, kind="stable")[: self.n]
            taken = take_alike(self._batches, order)
            self._batches, self._held = [batch for batch, _ in taken], len(order)
            self._draws = [draws[order[places]] for _, places in taken]

    def result(self) -> pa.RecordBatch | None:
        """The kept rows in the order of their draws, features of several types made one; None where there are none."""
        self.compact()
        if len(self._batches) > 1:
            return take_rows(concat_rows(self._batches), np.argsort(np.concatenate(self._draws), kind="stable"))
        return self._batches[0] if self._batches else None
