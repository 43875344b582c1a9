"""HTML for notebooks: whole pages within a cell, and the way from the base value to one row's prediction."""

from __future__ import annotations

import html
from collections.abc import Iterable

from tfx_explain.printable import printable, shortened

_MAX_TEXT = 80
_CELL = "padding:2px 8px;border:0"
_BARS = ("#9a3412", "#1d4ed8")
"""Colours of what raises an output and of what lowers it; signs say it too."""


def framed(page: str, title: str, height: int = 800) -> str:
    """A page as a frame of its own, so that neither its styles nor its scripts meet those of the notebook.

    Args:
      page: whole HTML.
      title: what the frame is called for those who do not see it.
      height: in pixels.
    """
    # Within a block of its own: IPython warns of HTML that is a frame and nothing else.
    return (
        f'<div><iframe title="{text(title)}" sandbox="allow-scripts allow-popups" style="width:100%;height:{height}px;'
        f'border:1px solid #ccc;background:#fff" srcdoc="{html.escape(page)}"></iframe></div>'
    )


def text(value: object) -> str:
    """Anything that may come from strangers, as text in HTML."""
    return html.escape(printable(shortened(value if isinstance(value, str) else str(value), _MAX_TEXT)))


def waterfall_html(
    caption: str, ends: tuple[float, float], steps: Iterable[tuple[str, str, float, float]], unit: str
) -> str:
    """A table with a bar for each step.

    Args:
      caption: says what is explained.
      ends: base value and prediction.
      steps: name, value, attribution and standard error of each player, in order.
      unit: of all figures.
    """
    base, prediction = ends
    corners, rows = [base], []
    steps = list(steps)
    for _, _, attribution, _ in steps:
        corners.append(corners[-1] + attribution)
    low, high = min(*corners, prediction), max(*corners, prediction)
    scale = 100 / ((high - low) or 1.0)
    for (name, value, attribution, error), start, end in zip(steps, corners, corners[1:], strict=False):
        left, width = (min(start, end) - low) * scale, abs(end - start) * scale
        bar = (
            f'<div style="width:200px;height:12px"><div style="position:relative;left:{left:.2f}%;width:{width:.2f}%;'
            f'min-width:1px;height:12px;background:{_BARS[attribution < 0]}"></div></div>'
        )
        known = "" if error != error else f" &plusmn; {error:.3g}"
        cells = [text(name), text(value), bar, f"{attribution:+.4g}{known}"]
        rows.append("".join(f'<td style="{_CELL}">{cell}</td>' for cell in cells))
    head = "".join(
        f'<th scope="col" style="{_CELL};text-align:left">{name}</th>'
        for name in ("feature", "value", "", f"attribution &plusmn; standard error ({text(unit)})")
    )
    body = "".join(f"<tr>{row}</tr>" for row in rows)
    return (
        f'<table><caption style="text-align:left">{text(caption)}: from the base value {base:.4g} to the prediction '
        f"{prediction:.4g}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    )
