"""Tables whose cells are shaded by what stands in them: the figure is there to read, in print as well."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence

import pandas as pd

from tfx_explain.report.text import percent
from tfx_explain.slicing import OVERALL

LEVELS = 5
MAX_CLASSES = 60
MAX_FEATURES = 10
_MOST_OF_TWO = 2


@dataclasses.dataclass(frozen=True)
class HeatCell:
    """One cell.

    Attributes:
      text: the figure.
      level: strength of its shade, 0 to `LEVELS`.
      sign: class of its colour: `plus`, `minus`, or nothing where figures have no sign.
      note: a second line.
    """

    text: str
    level: int
    sign: str = ""
    note: str = ""


@dataclasses.dataclass(frozen=True)
class HeatTable:
    """A shaded table.

    Attributes:
      label: what it shows.
      columns: headings.
      rows: (heading, cells).
      more: what is left out, a sentence.
    """

    label: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[HeatCell, ...]], ...]
    more: str = ""


def share_cell(share: float, largest: float) -> HeatCell:
    """A part of a whole."""
    return HeatCell(percent(share), level_of(share, largest))


def level_of(value: float, largest: float) -> int:
    """Strength of a shade, of figures up to `largest`."""
    return round(LEVELS * min(abs(value) / largest, 1.0)) if largest > 0 and math.isfinite(value) else 0


def class_table(importance: pd.DataFrame, outputs: Sequence[str]) -> HeatTable | None:
    """What matters for each class: classes by features; None for fewer than three outputs, or without importance.

    Args:
      importance: of the first method that attributes, as `importance.parquet` has it.
      outputs: of the explanation.
    """
    whole = importance[importance["slice"] == OVERALL]
    if len(outputs) <= _MOST_OF_TWO or whole.empty:
        return None
    shares = whole.pivot(index="player", columns="output", values="share")
    # By the largest share in any class, since a feature may matter for one class alone.
    order = shares.max(axis=1).sort_values(ascending=False, kind="stable").index[:MAX_FEATURES]
    shown = [output for output in outputs if output in shares][:MAX_CLASSES]
    largest = float(shares.max().max())
    rows = tuple(
        (output, tuple(share_cell(float(shares.loc[player, output]), largest) for player in order)) for output in shown
    )
    left_out = {"classes": len(outputs) - len(shown), "features": len(shares) - len(order)}
    return HeatTable("Share of the importance by class", tuple(map(str, order)), rows, _left_out(left_out))


def _left_out(counts: Mapping[str, int]) -> str:
    named = " and ".join(f"{n:,} more {what}" for what, n in counts.items() if n)
    return f"Not shown: {named}." if named else ""
