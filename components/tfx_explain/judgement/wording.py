"""Numbers and names in sentences."""

from __future__ import annotations

import math
from collections.abc import Sequence

_MAX_DECIMALS = 6


def joined(names: Sequence[str]) -> str:
    """Names as a person lists them: `a`, `a and b`, `a, b and c`."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def percent(fraction: float) -> str:
    """A fraction that a person chose, as they wrote it: 0.05 is `5 %`, 0.975 is `97.5 %`."""
    return f"{100 * fraction:.6g} %"


def confidence_percent(level: float) -> str:
    """A confidence in percent, its error to two digits and never too small: 1 - 0.05 / 7 is `99.28 %`."""
    decimals = max(1 - math.floor(math.log10(100 * (1 - level))), 1)
    shown = math.floor(100 * level * 10**decimals + 1e-6) / 10**decimals
    return f"{shown:.{decimals}f}".rstrip("0").rstrip(".") + " %"


def sure(level: float) -> str:
    """`with 95 % confidence`."""
    return f"with {confidence_percent(level)} confidence"


def with_sign(number: float) -> str:
    """Three significant digits, always with a sign."""
    return f"{number:+.3g}"


def percents(*fractions: float, threshold: float) -> list[str]:
    """Fractions as percentages with equal decimals, at least one and enough that none reads as equal to a threshold."""
    known = [f for f in fractions if 0 < f < math.inf]
    apart = [f for f in fractions if math.isfinite(f) and not math.isclose(f, threshold, rel_tol=1e-9, abs_tol=1e-12)]
    # A tenth of a percent and less gets two significant digits: "at most 0.0 %" would be untrue of any use at all.
    decimals = 1 if not known or max(known) >= 0.001 else min(-1 - math.floor(math.log10(max(known))), _MAX_DECIMALS)
    while decimals < _MAX_DECIMALS and any(
        f"{100 * f:.{decimals}f}" == f"{100 * threshold:.{decimals}f}" for f in apart
    ):
        decimals += 1
    return [f"{100 * f:.{decimals}f} %" if math.isfinite(f) else "unknown" for f in fractions]


def count(number: float) -> str:
    """A whole number with thousands separated."""
    return f"{number:,.0f}"


def roughly(number: float) -> str:
    """A forecast: rounded up to two digits, thousands separated."""
    step = 10.0 ** max(math.floor(math.log10(number)) - 1, 0)
    return count(math.ceil(number / step) * step)
