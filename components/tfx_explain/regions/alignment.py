"""Which token of a model comes from which bytes of a text: not guessed from the tokens, but tried on other texts.

A model cuts a text into tokens and numbers them, slot by slot. Where the text is cut at a byte and another word is put
behind what comes before, that word shows in the slot that would come next: so many slots does the beginning of the text
take. The cut holds where the beginning gives the same tokens whatever follows it, and the end gives the same ones
whatever stands before it. Where it does not, as inside a token, or between words that are numbered in pairs, what
stands on both sides is one part.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import regex

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

Read = Callable[[Sequence[bytes]], Sequence[IntArray]]
"""Per way in which a model cuts texts into tokens, (n, slots, m): m numbers that say which token stands in a slot."""

OUTSIDE = -1
"""Of a slot in which nothing of the text stands."""

NO_WORDS = "tells no two single words of the background split apart"
UNCERTAIN = "numbers tokens that are not of one word alone, as of pairs of words"
NOTHING_BUT_PARTS = "makes tokens that come from no part of it, as of its beginning or end"

_WORD = regex.compile(r"[\p{L}\p{N}]+", regex.V1)
_SPACES = regex.compile(rb"\s+", regex.V1)
_BEHIND_SPACE = regex.compile(rb"\s(?=\S+$)", regex.V1)
_MOST_WORDS = 64
# Numbers of tokens that are held at a time: 128 MiB, and as much of what is compared with them.
_MOST_NUMBERS = 2**24


@dataclass(frozen=True)
class Alignment:
    """A text in parts, and the slots that each has.

    Attributes:
      spans: (k, 2) bytes of each part.
      owners: (slots,) of all ways together: the part whose token stands there, or `OUTSIDE`.
      seen: (k,) whether the model reads as far as where the part starts.
    """

    spans: IntArray
    owners: IntArray
    seen: BoolArray


def find_markers(read: Read, texts: Sequence[bytes]) -> tuple[bytes, bytes] | None:
    """Two words of some texts that a model numbers, each in one slot if there are such, and differently.

    Args:
      read: the model.
      texts: some that it may get.

    Returns:
      None where it tells no two words apart.
    """
    counts = Counter(word for text in texts for word in _WORD.findall(text.decode("utf-8", "ignore")))
    words = [word.encode() for word, _ in sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))[:_MOST_WORDS]]
    if len(words) < 2:
        return None
    ways = read([b"", *words])
    differs = [(of_way[1:] != of_way[:1]).any(axis=2) for of_way in ways]
    shown = np.all([of_way.any(axis=1) for of_way in differs], axis=0)
    n_slots = sum(of_way.sum(axis=1) for of_way in differs)
    order = [place for place in np.argsort(n_slots, kind="stable").tolist() if shown[place]]
    for number, second in enumerate(order):
        for first in order[:number]:
            pairs = [(of_way[first + 1], of_way[second + 1]) for of_way in ways]
            at_first = (
                _first_difference(*pair) == place[first].argmax() for pair, place in zip(pairs, differs, strict=True)
            )
            if all(at_first):
                return words[first], words[second]
    return None


class Aligner:
    """Says which slots a text's parts have.

    Args:
      read: the model.
      markers: two words that it numbers differently.
      absent: what the text is where it is absent.
    """

    def __init__(self, read: Read, markers: tuple[bytes, bytes], absent: bytes) -> None:
        self._read, self._markers = read, markers
        twice = [one + other for one in markers for other in markers]
        apart = [one + b" " + other for one in markers for other in markers]
        made = read([b"", absent, *markers, *twice, *apart])
        self._empty, self._absent = ([of_way[place] for of_way in made] for place in (0, 1))
        self._begins = [int(_first_difference(of_way[2], of_way[3])) for of_way in made]
        self._lengths = [of_way.shape[1] for of_way in made]
        # Of characters, a space is one more; words would be glued without one.
        self._space = b"" if all(map(_stands_twice, made, self._begins)) else b" "
        start = 8 if self._space else 4
        # Per way, the slot behind each marker.
        self._behind = [
            _first_difference(of_way[[start, start + 2]], of_way[[start + 1, start + 3]]) for of_way in made
        ]

    @property
    def n_ways(self) -> int:
        """In how many ways the model cuts texts into tokens."""
        return len(self._lengths)

    def align(self, texts: Sequence[bytes], spans: Sequence[IntArray]) -> list[Alignment | str]:
        """Per text, its parts and their slots, or why that cannot be told.

        Args:
          texts: n of them.
          spans: (k, 2) of each, k at least 1, without gaps: its parts, as fine as they are wanted. A sign before a word
            that is of the word's token (a quotation mark) moves to the word's part.
        """
        found = self._align(texts, spans)
        moved = {place: _moved(texts[place], spans[place], of_text) for place, of_text in enumerate(found)}
        again = {place: of_text for place, of_text in moved.items() if of_text is not None}
        made = self._align([texts[place] for place in again], list(again.values()))
        for place, of_text in zip(again, made, strict=True):
            if n_parts(of_text) > n_parts(found[place]):
                found[place] = of_text
        return found

    def n_read(self, texts: Sequence[bytes]) -> list[int]:
        """Per text, how many of its bytes the model reads: what stands behind them changes none of its tokens.

        They end behind a space, or anywhere where there is none.
        """
        places = [_ends(text) for text in texts]
        own = self._read(texts) if len(texts) else []
        low, high = np.zeros(len(texts), np.int64), np.array([len(of_text) - 1 for of_text in places], np.int64)
        while len(active := np.flatnonzero(low < high)):
            middle = (low[active] + high[active]) // 2
            tried = [
                self._before(texts[row][: places[row][place]]) + marker
                for row, place in zip(active.tolist(), middle.tolist(), strict=True)
                for marker in self._markers
            ]
            same = np.ones(len(active), bool)
            for of_way, made in zip(own, self._read(tried), strict=True):
                pairs = made.reshape(len(active), 2, *made.shape[1:])
                same &= (pairs == of_way[active, None]).all(axis=(1, 2, 3))
            high[active[same]] = middle[same]
            low[active[~same]] = middle[~same] + 1
        return [int(of_text[place]) for of_text, place in zip(places, high.tolist(), strict=True)]

    def _align(self, texts: Sequence[bytes], spans: Sequence[IntArray]) -> list[Alignment | str]:
        """As `align`, at these cuts and no others."""
        sizes = np.cumsum([4 * len(of_text) + 1 for of_text in spans]) * sum(self._lengths)
        found: list[Alignment | str] = []
        for some in np.split(np.arange(len(texts)), np.flatnonzero(np.diff(sizes // _MOST_NUMBERS)) + 1):
            tried = [self._trials(texts[place], spans[place]) for place in some.tolist()]
            made = self._read([trial for of_text in tried for trial in of_text]) if tried else []
            bounds = np.cumsum([len(of_text) for of_text in tried])[:-1]
            of_texts = zip(*(np.split(of_way, bounds) for of_way in made), strict=True)
            found += [self._one(spans[place], list(ways)) for place, ways in zip(some.tolist(), of_texts, strict=False)]
        return found

    def _trials(self, text: bytes, spans: IntArray) -> list[bytes]:
        """The text; its beginnings, each with one marker behind it, then with the other; its ends behind each."""
        cuts = [0, *spans[:, 1].tolist()]
        beginnings = [self._before(text[:cut]) for cut in cuts]
        behind = [beginning + marker for marker in self._markers for beginning in beginnings]
        ends = [marker + self._space + text[cut:] for marker in self._markers for cut in cuts[1:-1]]
        return [text, *behind, *ends]

    def _before(self, text: bytes) -> bytes:
        """A beginning that nothing can be glued to."""
        return text if not text or text[-1:].isspace() else text + self._space

    def _one(self, spans: IntArray, ways: list[IntArray]) -> Alignment | str:
        n_cuts = len(spans) + 1
        places = [_first_difference(way[1 : 1 + n_cuts], way[1 + n_cuts : 1 + 2 * n_cuts]) for way in ways]
        holds = np.ones(n_cuts, bool)
        for number, way in enumerate(ways):
            holds[1:-1] &= self._holds(number, way, places[number], n_cuts)
        for place in places:
            # What comes later has no earlier slots.
            holds[1:-1] &= place[1:-1] <= place[-1]
            kept = np.maximum.accumulate(np.where(holds, place, 0))
            holds[1:-1] &= place[1:-1] >= kept[:-2]
        cuts = np.flatnonzero(holds)
        owners = [self._owners(number, places[number][cuts]) for number in range(len(ways))]
        for number, way in enumerate(ways):
            outside = owners[number] == OUTSIDE
            if (way[0][outside] != self._absent[number][outside]).any():
                return NOTHING_BUT_PARTS
        if _is_mostly_joined(cuts, np.concatenate(owners), len(ways)):
            return UNCERTAIN
        starts = np.append(spans[:, 0], spans[-1, 1])[cuts]
        seen = np.any([place[cuts[:-1]] < length for place, length in zip(places, self._lengths, strict=True)], axis=0)
        return Alignment(np.column_stack([starts[:-1], starts[1:]]), np.concatenate(owners), seen)

    def _holds(self, number: int, way: IntArray, place: IntArray, n_cuts: int) -> BoolArray:
        """(n_cuts - 2,) whether each inner cut of a text lies between tokens that do not depend on each other."""
        text, beginnings, ends = way[0], way[2:n_cuts], np.split(way[1 + 2 * n_cuts :], 2)
        length, cuts = self._lengths[number], place[1:-1]
        slots = np.arange(length)
        holds = ((beginnings == text).all(axis=2) | (slots >= cuts[:, None])).all(axis=1)
        for behind, of_marker in zip(self._behind[number].tolist(), ends, strict=True):
            # The end of the text stands behind the marker, its slots so many further on or back.
            moved = slots - behind + cuts[:, None]
            expected = np.where((moved < length)[..., None], text[np.minimum(moved, length - 1)], self._empty[number])
            # What the model cuts off of the text is not known.
            unknown = (moved >= length) & (place[-1] >= length)
            same = ((of_marker == expected).all(axis=2) | (slots < behind) | unknown).all(axis=1)
            holds &= (same & (behind < length)) | (cuts >= length)
        return np.asarray(holds)

    def _owners(self, number: int, cuts: IntArray) -> IntArray:
        """(slots,) whose each is, of parts that begin and end at slots (k + 1,)."""
        owners = np.searchsorted(cuts, np.arange(self._lengths[number]), side="right") - 1
        return np.where(owners < len(cuts) - 1, owners, OUTSIDE)


def _ends(text: bytes) -> IntArray:
    """Bytes at which a text may be cut off, its own end among them: behind spaces, or else between characters."""
    behind = [match.end() for match in _SPACES.finditer(text)]
    if not behind:
        behind = np.flatnonzero((np.frombuffer(text, np.uint8) & 0xC0) != 0x80).tolist()
    return np.array([*(place for place in behind if place < len(text)), len(text)], np.int64)


def n_parts(of_text: Alignment | str) -> int:
    """How many parts a text has; 0 where that cannot be told."""
    return 0 if isinstance(of_text, str) else len(of_text.spans)


def _moved(text: bytes, spans: IntArray, of_text: Alignment | str) -> IntArray | None:
    """(k, 2) the spans, with starts that do not hold moved back to the last space; None where none is moved."""
    held = {0} if isinstance(of_text, str) else set(of_text.spans[:, 0].tolist())
    starts = spans[:, 0].copy()
    for place in range(1, len(spans)):
        if starts[place] not in held:
            behind = _BEHIND_SPACE.search(text, int(spans[place - 1, 0]), int(spans[place, 0]))
            starts[place] = spans[place, 0] if behind is None else behind.end()
    if np.array_equal(starts, spans[:, 0]):
        return None
    return np.column_stack([starts, np.append(starts[1:], spans[-1, 1])])


def _is_mostly_joined(cuts: IntArray, owners: IntArray, n_ways: int) -> bool:
    """Whether more than half of a text's cuts do not hold, and several tokens, no single long one, are the reason.

    Args:
      cuts: (k + 1,) which of the cuts hold, the first and the last among them.
      owners: (slots,) of all ways together: the part whose token stands there.
      n_ways: how many ways there are.
    """
    n_parts, n_wanted = len(cuts) - 1, int(cuts[-1])
    n_slots = np.bincount(owners[owners != OUTSIDE], minlength=n_parts)
    return bool(2 * (n_parts - 1) < n_wanted - 1 and ((np.diff(cuts) > 1) & (n_slots > n_ways)).any())


def _stands_twice(way: IntArray, begins: int) -> bool:
    """Whether a marker that stands twice, without a space, gives its own tokens twice.

    Args:
      way: (5 or more, slots, m) of nothing, of what absent means, of both markers, and of the first one twice.
      begins: the first slot of a text.
    """
    changed = np.flatnonzero((way[2] != way[0]).any(axis=-1))
    n = int(changed[-1]) + 1 - begins if len(changed) else 0
    own, twice = way[2, begins : begins + n], way[4, begins : begins + 2 * n]
    return bool(n) and twice.shape[0] == 2 * n and np.array_equal(twice, np.concatenate([own, own]))


def _first_difference(first: IntArray, second: IntArray) -> IntArray:
    """(...) the first slot in which tokens (..., slots, m) differ; the number of slots where there is none."""
    differs = (first != second).any(axis=-1)
    return np.where(differs.any(axis=-1), differs.argmax(axis=-1), differs.shape[-1])
