"""Pieces of a text: spans of its bytes that cover it, each of which starts with a word, a sentence or a paragraph."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import regex

from tfx_explain.errors import InputError

IntArray = npt.NDArray[np.int64]

Unit = Literal["word", "sentence", "paragraph", "pattern"]

_SECONDS_PER_PATTERN = 5.0
_TELLING = regex.compile(r"[^\s\p{Z}\p{P}\p{Cc}\p{Cf}]+", regex.V1)
# `(?w)` makes `\b` the default word boundary of Unicode (UAX 29), which keeps joined emoji and `can't` whole.
_BREAKS = {
    "word": regex.compile(r"(?w)\b", regex.V1),
    # Looking behind, and never back, keeps long runs of one character from being tried from each of its places.
    # After "." a small letter goes on with the sentence, as in "e.g. this" (UAX 29, rule SB8).
    "sentence": regex.compile(
        r"""(?<![!?‼-⁉…؟])[!?‼-⁉…؟]++[\p{Pe}\p{Pf}"']*+\s++"""
        r"""|[。！？｡।॥]++[\p{Pe}\p{Pf}"']*+\s*+"""
        r"""|(?<!\.)\.++[\p{Pe}\p{Pf}"']*+\s++(?!\p{Ll})"""
        r"""|[\r\n\x85\u2028\u2029]\s*+""",
        regex.V1,
    ),
    "paragraph": regex.compile(
        r"(?:\r\n|[\r\n])(?:[^\S\r\n]*+(?:\r\n|[\r\n]))++\s*+|\u2029\s*+",
        regex.V1,
    ),
}


# Of all texts that a model reads for one row: 128 MiB.
_MOST_BYTES = 2**27
_TEXTS_PER_SPAN = 32
_FEW_SPANS = 10


@dataclass(frozen=True)
class Splitter:
    """How texts are cut into spans.

    Attributes:
      unit: what a span starts with: a word by the default boundaries of Unicode, where scripts without spaces have one
        per character or syllable; a sentence; a paragraph; or a match of `pattern`.
      pattern: a regular expression, as the package `regex` reads it.
      max_parts: a text of more has neighbours taken together, as evenly as can be; so has a text of many bytes, see
        `most_parts`.
    """

    unit: Unit = "word"
    pattern: str | None = None
    max_parts: int = 128

    def split(self, text: bytes) -> IntArray:
        """The spans of a text, as many as there may be.

        Args:
          text: in UTF-8.

        Returns:
          (k, 2) as of `spans`.

        Raises:
          InputError: the pattern takes too long.
        """
        return together(self.spans(text), min(self.max_parts, most_parts(len(text))))

    def spans(self, text: bytes) -> IntArray:
        """All spans of a text, however many there are.

        Punctuation and spaces belong to the span before them, those at the start to the first one. Bytes that are no
        UTF-8 are kept: a run of them is a word.

        Args:
          text: in UTF-8.

        Returns:
          (k, 2) first byte, and the byte after the last one, of each. They cover the text without a gap; an empty text
          has none, any other one at least one.

        Raises:
          InputError: the pattern takes too long.
        """
        decoded = text.decode("utf-8", "surrogateescape")
        if not decoded:
            return np.zeros((0, 2), np.int64)
        codes = np.frombuffer(decoded.encode("utf-32-le", "surrogatepass"), np.uint32)
        starts = self._matches(decoded) if self.pattern is not None else _telling_starts(decoded, codes, self.unit)
        starts[0] = 0
        bounds = np.append(_first_bytes(codes)[starts], len(text))
        return np.stack([bounds[:-1], bounds[1:]], axis=1)

    def _matches(self, decoded: str) -> IntArray:
        """Where the matches of the pattern start; where there is none, the whole is one."""
        found = regex.finditer(self.pattern, decoded, regex.V1, timeout=_SECONDS_PER_PATTERN)
        try:
            starts = [match.start() for match in found if match.end() > match.start()]
        except TimeoutError as error:
            raise InputError(
                f"the pattern {self.pattern!r} of `parts` takes more than {_SECONDS_PER_PATTERN:g} s for a text of "
                f"{len(decoded)} characters; write one that does not try so many ways."
            ) from error
        return np.array(starts or [0], np.int64)


def together(spans: IntArray, n_parts: int) -> IntArray:
    """(k, 2) spans, neighbours of more than `n_parts` taken together, as evenly as can be."""
    bounds = evenly(np.append(spans[:, 0], spans[-1:, 1]), n_parts)
    return np.stack([bounds[:-1], bounds[1:]], axis=1)


def evenly(bounds: IntArray, n_parts: int) -> IntArray:
    """(k + 1,) bounds of parts, of more than `n_parts` those of runs that hold as many each as can be."""
    n_there = max(len(bounds) - 1, 0)
    n_kept = min(n_parts, n_there)
    return bounds if n_kept == n_there else bounds[np.arange(n_kept + 1) * n_there // n_kept]


def most_texts(n_bytes: int) -> int:
    """How many texts of so many bytes a model may read for one row, 4 or more."""
    return max(_MOST_BYTES // max(n_bytes, 1), 4)


def most_parts(n_bytes: int) -> int:
    """How many spans of a text of so many bytes can be told apart while all that a model reads for it stays bounded.

    Some 32 texts are made for each span, or all subsets of few spans.
    """
    n_texts = most_texts(n_bytes)
    return n_texts // _TEXTS_PER_SPAN if n_texts >= 2**_FEW_SPANS else n_texts.bit_length() - 1


def spoken(span: bytes) -> str:
    """What a span says: without punctuation and spaces around it, and whether its letters are large; "" of nothing."""
    decoded = span.decode("utf-8", "replace")
    runs = list(_TELLING.finditer(decoded))
    return decoded[runs[0].start() : runs[-1].end()].casefold() if runs else ""


def _telling_starts(decoded: str, codes: npt.NDArray[np.uint32], unit: Unit) -> IntArray:
    """Where pieces start that hold more than punctuation and spaces; where there is none, the whole is one."""
    ends = np.array([match.end() for match in _BREAKS[unit].finditer(decoded)], np.int64)
    starts = np.unique(np.concatenate([[0], ends[ends < len(decoded)]]))
    invalid = _is_escaped(codes)
    if unit == "word":
        inside = (starts > 0) & invalid[starts] & invalid[starts - 1]
        starts = starts[~inside]
    tells, runs_end = np.array([match.span() for match in _TELLING.finditer(decoded)], np.int64).reshape(-1, 2).T
    stops = np.append(starts[1:], len(decoded))
    # The first run that ends behind a piece's start begins before the piece's end.
    run = np.searchsorted(runs_end, starts, side="right")
    telling = np.append(tells, len(decoded))[run] < stops
    return starts[telling] if telling.any() else starts[:1]


def _is_escaped(codes: npt.NDArray[np.uint32]) -> npt.NDArray[np.bool_]:
    """Which characters stand for a byte that is no UTF-8 (PEP 383)."""
    return np.asarray((codes >= 0xDC80) & (codes <= 0xDCFF))


def _first_bytes(codes: npt.NDArray[np.uint32]) -> IntArray:
    """(n,) where each character starts."""
    sizes = 1 + (codes >= 0x80).astype(np.int64) + (codes >= 0x800) + (codes >= 0x10000)
    sizes[_is_escaped(codes)] = 1
    return np.cumsum(sizes) - sizes
