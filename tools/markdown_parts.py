"""What the pages that are made from descriptions have in common."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence


def code(text: str) -> str:
    """Text as code."""
    return f"`{text}`"


def link(heading: str, text: str) -> str:
    """A link to a heading of the same page."""
    return f"[{text}](#{re.sub(r'[^-_ a-z0-9]', '', heading.lower()).replace(' ', '-')})"


def as_table(heading: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table."""
    lines = [heading, ["---"] * len(heading), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
