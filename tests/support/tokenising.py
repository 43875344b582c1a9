"""Made-up tokenisers, and models that number what they give."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Sequence

import numpy as np

Tokenise = Callable[[bytes], list[bytes]]
SLOTS = 8
SOME = [b"a good film", b"a bad film, not good"]


def words(text: bytes) -> list[bytes]:
    return [word.encode() for word in re.findall(r"\w+", text.decode("utf-8", "ignore").lower())]


def pairs(text: bytes) -> list[bytes]:
    own = words(text)
    return [first + b" " + second for first, second in itertools.pairwise(own)]


def pieces(text: bytes) -> list[bytes]:
    """Pieces of words of up to three letters, as subwords are."""
    return [word[at : at + 3] for word in words(text) for at in range(0, len(word), 3)]


def characters(text: bytes) -> list[bytes]:
    return [letter.encode() for letter in text.decode("utf-8", "replace")]


def blanks(text: bytes) -> list[bytes]:
    return text.split()


def once(text: bytes) -> list[bytes]:
    return list(dict.fromkeys(words(text)))


def numbered(text: bytes) -> list[bytes]:
    return [b"%d" % place + word for place, word in enumerate(words(text))]


def with_signs(text: bytes) -> list[bytes]:
    return [b"[CLS]", *words(text)[: SLOTS - 2], b"[SEP]"]


def begun(text: bytes) -> list[bytes]:
    return [b"[CLS]", *words(text)]


def last_ones(text: bytes) -> list[bytes]:
    return words(text)[-SLOTS:]


def reader(
    *ways: Tokenise, known: Sequence[bytes] | None = None, slots: int = SLOTS
) -> Callable[..., list[np.ndarray]]:
    """Numbers of tokens, 0 behind the last one; unknown words are 1, or 0 where `known` begins with nothing."""
    vocabulary: dict[bytes, int] = {}

    def number(token: bytes) -> int:
        if known is not None and token not in known:
            return 0 if known[0] == b"" else 1
        return vocabulary.setdefault(token, len(vocabulary) + 2)

    def read(texts: Sequence[bytes]) -> list[np.ndarray]:
        made = []
        for way in ways:
            rows = [[number(token) for token in way(text)][:slots] for text in texts]
            made.append(np.array([row + [0] * (slots - len(row)) for row in rows], np.int64)[..., None])
        return made

    return read


def with_first(text: bytes) -> list[bytes]:
    """Each word with the first one, which all depend on."""
    return [words(text)[0] + b" " + word for word in words(text)]


def with_next(text: bytes) -> list[bytes]:
    """Pairs of words, of which the last one's other is nothing."""
    return pairs(text + b" end")


def counted(text: bytes) -> list[bytes]:
    """Each word with the number of words, so that the first of three are others where two stand."""
    return [b"%d " % len(words(text)) + word for word in words(text)]
