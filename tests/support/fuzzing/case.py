"""What one case may and must do: the words in which all families report."""

from __future__ import annotations

import dataclasses
import traceback
import unicodedata
import zlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tfx_explain.errors import TfxExplainError

MAX_SENTENCE = 1_000
"""Characters of an error that a person still reads as one sentence, without the paths in it."""


@dataclasses.dataclass
class Result:
    """What became of one case.

    Attributes:
      counts: what it did how often, for the line of its family.
      violations: what fell, a sentence each.
      seconds: processor time of the slowest single thing in it.
      files: name -> content of what shows a violation, kept for whoever looks into it.
    """

    counts: Counter[str] = dataclasses.field(default_factory=Counter)
    violations: list[str] = dataclasses.field(default_factory=list)
    seconds: float = 0.0
    files: dict[str, bytes] = dataclasses.field(default_factory=dict)


Case = Callable[[int], Result]
Prepare = Callable[[int, Path], Case]


def generator(seed: int, family: str, index: int) -> np.random.Generator:
    """The randomness of one case."""
    return np.random.default_rng([seed, zlib.crc32(family.encode()), index])


def pick(rng: np.random.Generator, choices: list | tuple):
    """One of several things of any type."""
    return choices[int(rng.integers(len(choices)))]


def fault_of(error: BaseException) -> str:
    """What is wrong with an exception as an answer to bad input; empty where it is one clear sentence of ours."""
    if not isinstance(error, TfxExplainError):
        where = traceback.extract_tb(error.__traceback__)
        ours = [f"{Path(frame.filename).name}:{frame.lineno}" for frame in where if "tfx_explain" in frame.filename]
        return f"{type(error).__name__} is none of ours, from {' < '.join(ours[::-1][:4])}: {str(error)[:300]!r}"
    return fault_of_sentence(str(error))


def fault_of_sentence(text: str) -> str:
    """What is wrong with an error's text."""
    if not text.strip():
        return "the error says nothing"
    odd = control_characters(text)
    if odd:
        return f"the error holds control characters {odd}: {text[:300]!r}"
    if len(text) > MAX_SENTENCE:
        return f"the error has {len(text)} characters: {text[:200]!r}"
    return ""


_BIDI = {chr(code) for code in (*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200E, 0x200F, 0x061C)}
_BREAKS = {"\u2028", "\u2029"}


def control_characters(text: str, allowed: str = "") -> list[str]:
    """Characters that a terminal or reader obeys instead of showing them."""
    odd = {c for c in text if unicodedata.category(c) in ("Cc", "Cs") or c in _BIDI or c in _BREAKS}
    return sorted(repr(character) for character in odd - set(allowed))[:5]
