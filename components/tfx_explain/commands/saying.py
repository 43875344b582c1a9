"""What commands print."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from tfx_explain.printable import MAX_SENTENCE, printable, shortened


def say(*lines: str) -> None:
    """Prints lines, whatever is in them, in whatever encoding the terminal has."""
    say_text(_shown(lines))


def say_text(text: str) -> None:
    """Prints a text that programs read as it is, so that nothing in it is cut short."""
    if sys.stdout is not None:
        encoding = sys.stdout.encoding or "utf-8"
        sys.stdout.write(text.encode(encoding, "backslashreplace").decode(encoding))


def say_csv(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Prints a table as CSV with a header, without what steers a terminal; empty cells where there is nothing."""
    made = io.StringIO()
    writer = csv.writer(made, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([printable(one) if isinstance(one, str) else one for one in row] for row in rows)
    say_text(made.getvalue())


def warn(terminal: int | None, *lines: str) -> None:
    """Prints lines for people where errors go, as the answer itself is for programs.

    Args:
      terminal: descriptor of what standard error led to when the program began; None where there was none.
      *lines: what is said.
    """
    if terminal is not None:
        encoding = getattr(sys.stderr, "encoding", None) or "utf-8"
        # Nobody need read them: the configuration has them as comments.
        with (
            contextlib.suppress(OSError),
            open(terminal, "w", encoding=encoding, errors="backslashreplace", closefd=False) as stream,
        ):
            stream.write(_shown(lines))


def _shown(lines: Sequence[str]) -> str:
    return "".join(f"{shortened(printable(line), MAX_SENTENCE)}\n" for line in lines)


def figure(value: float, sign: str = "-") -> str:
    """Four decimals; of what is too small for them four digits, so that nothing looks like 0 that is not.

    Args:
      value: may be NaN.
      sign: `+` writes the sign of what is positive, too.
    """
    return f"{value:{sign}.4f}" if value == 0 or not abs(value) < 1e-3 else f"{value:{sign}.4g}"


def say_json(value: Any) -> None:
    """Prints one JSON value, in ASCII, so that nothing in it steers a terminal."""
    if sys.stdout is not None:
        sys.stdout.write(json.dumps(value, indent=1, allow_nan=False).replace("\x7f", "\\u007f") + "\n")
