"""Text of strangers (names, values, messages of libraries) as it may stand in a terminal, a sentence or a page.

Characters that steer a terminal, turn the direction of reading or show nothing are written as their escapes, so that
what is read is what is there: `race` and `ra<zero width space>ce` look different.
"""

from __future__ import annotations

import re
import reprlib
from collections.abc import Sequence

MAX_SENTENCE = 1_500
"""Characters of the longest sentence: enough for the names of a hundred features."""

_INVISIBLE = (
    "\x00-\x1f\x7f-\x9f"  # C0 and C1: escape sequences, bell, newlines
    "\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u200e\u200f"
    "\u2028-\u202e\u2060-\u206f\u2800\u3164\ufeff\uffa0\ufff0-\ufffb"  # new lines, directions, zero width
    "\ud800-\udfff"  # surrogates on their own: no encoding can write them
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
# Joiners and variation selectors belong to emoji and to scripts other than Latin; between ASCII letters they only hide.
_JOINING = "\u200c\u200d\ufe00-\ufe0f"
_HIDDEN = re.compile(f"[{_INVISIBLE}]|(?<![^\x00-\x7f])[{_JOINING}]|[\u200c\u200d](?![^\x00-\x7f])")
_HIDDEN_BUT_NEWLINES = re.compile(_HIDDEN.pattern.replace("\x00-\x1f", "\x00-\x09\x0b-\x1f", 1))
_NAMED = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def printable(text: str, *, keep_newlines: bool = False) -> str:
    r"""The text on one line, with what is invisible or steers a terminal as its escape.

    Args:
      text: any text.
      keep_newlines: for text that has lines of its own.

    Example:
      >>> print(printable("ra\u200bce\x1b[2J\n"))
      ra\u200bce\x1b[2J\n
    """
    return (_HIDDEN_BUT_NEWLINES if keep_newlines else _HIDDEN).sub(_escape, text)


def _escape(found: re.Match[str]) -> str:
    character = found.group()
    code = ord(character)
    width, letter = (2, "x") if code < 0x100 else (4, "u") if code < 0x10000 else (8, "U")
    return _NAMED.get(character, f"\\{letter}{code:0{width}x}")


def shortened(text: str, limit: int) -> str:
    """The text, cut in the middle where it is longer than `limit`, with its length: what it ends in often matters."""
    if len(text) <= limit:
        return text
    cut = f"\N{HORIZONTAL ELLIPSIS} ({len(text):,} characters) \N{HORIZONTAL ELLIPSIS}"
    tail = max(limit - len(cut), 0) // 3
    head = max(limit - len(cut) - tail, 0)
    return f"{text[:head]}{cut}{text[len(text) - tail :]}"


def there_is(names: Sequence[str]) -> str:
    """What there is, in a sentence: `there is a`, `there are a, b`."""
    return f"there {'is' if len(names) == 1 else 'are'} {', '.join(names) or 'none'}"


def sentence(text: str) -> str:
    """What is said to a person: one line of bounded length without anything that a terminal would act upon."""
    one_line = " ".join(line.strip() for line in shortened(text, MAX_SENTENCE).splitlines())
    return shortened(printable(one_line), MAX_SENTENCE)


class _ShortRepr(reprlib.Repr):
    """`repr` that neither grows with what is in a value nor fails on it."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel, self.maxstring, self.maxother = 3, 60, 60

    def repr_int(self, x: int, level: int) -> str:
        """Python refuses to write whole numbers of thousands of digits."""
        return f"a number of {x.bit_length():,} bits" if x.bit_length() > 256 else repr(x)


_SHORT = _ShortRepr()


def shown(value: object, limit: int = 80) -> str:
    """A value in a sentence: its `repr`, never longer than `limit`, whatever is in it."""
    text = repr(value) if isinstance(value, str) else _SHORT.repr(value)
    return shortened(printable(shortened(text, limit)), limit)
