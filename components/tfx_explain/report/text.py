"""Numbers and values as a reader sees them."""

from __future__ import annotations

import math
import numbers
from collections.abc import Sequence
from typing import Any

import pandas as pd

UNKNOWN = "\N{EN DASH}"


NOISE = 1e-6
"""What is smaller than this part of the figures beside it is rounding: models of 32 bits give no more."""


def number(value: float, digits: int = 4, scale: float = 0.0) -> str:
    """Significant digits with a true minus sign; a dash where unknown.

    Args:
      value: any figure.
      digits: significant ones.
      scale: size of the figures beside it, of which noise is shown as 0; 0 = unknown.
    """
    if not math.isfinite(value):
        return UNKNOWN
    return f"{0.0 if abs(value) < NOISE * scale else value + 0.0:.{digits}g}".replace("-", "\N{MINUS SIGN}")


def signed(value: float, scale: float = 0.0) -> str:
    """Three significant digits with a sign; 0 without one, also for noise beside figures of size `scale`."""
    if not math.isfinite(value):
        return UNKNOWN
    if abs(value) <= NOISE * scale:
        return "0"
    return f"{value + 0.0:+.3g}".replace("-", "\N{MINUS SIGN}")


def percent(fraction: float) -> str:
    """One decimal, `< 0.1 %` for less than it can show; a dash where unknown."""
    if 0 < fraction < 0.0005:
        return "< 0.1 %"
    return f"{100 * fraction:.1f} %" if math.isfinite(fraction) else UNKNOWN


def count(value: Any) -> str:
    """A whole number with thousands separated; a dash where unknown."""
    return f"{value:,}" if isinstance(value, numbers.Real) else UNKNOWN


def words_of(names: Sequence[str], most: int) -> str:
    """Names in a sentence; of more than `most` the number that is left out."""
    left_out = [f"and {count(len(names) - most)} more"] if len(names) > most else []
    return ", ".join([*map(str, names[:most]), *left_out])


def cell(value: Any, limit: int = 28) -> str:
    """A feature's value, shortened: text as it is, numbers with four digits, lists joined, else `missing`."""
    if value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value)):
        return "missing"
    if isinstance(value, str) and _is_file(value):
        return "bytes of a file"
    if isinstance(value, list | tuple):
        text = ", ".join(cell(part, limit) for part in value) or "missing"
    else:
        text = number(float(value)) if hasattr(value, "__float__") and not isinstance(value, str) else str(value)
    return shortened(text, limit)


def _is_file(value: str) -> bool:
    """Whether bytes that were no text have become this one."""
    return "\N{REPLACEMENT CHARACTER}" in value and any(sign < " " and sign not in "\t\n\r" for sign in value)


def shortened(text: str, limit: int) -> str:
    """The text, cut in the middle where it is longer than `limit`: names often differ only at their ends."""
    if len(text) <= limit:
        return text
    tail = (limit - 1) // 3
    return f"{text[: limit - 1 - tail]}\N{HORIZONTAL ELLIPSIS}{text[-tail:]}"
