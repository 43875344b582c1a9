"""What commands print."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from tfx_explain.printable import MAX_SENTENCE, printable, shortened


def say(*lines: str) -> None:
    """Prints lines, whatever is in them, in whatever encoding the terminal has."""
    if sys.stdout is not None:
        encoding = sys.stdout.encoding or "utf-8"
        text = "".join(f"{shortened(printable(line), MAX_SENTENCE)}\n" for line in lines)
        sys.stdout.write(text.encode(encoding, "backslashreplace").decode(encoding))


def say_csv(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Prints a table as CSV with a header, without what steers a terminal; empty cells where there is nothing."""
    if sys.stdout is not None:
        made = io.StringIO()
        writer = csv.writer(made, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows([printable(one) if isinstance(one, str) else one for one in row] for row in rows)
        encoding = sys.stdout.encoding or "utf-8"
        sys.stdout.write(made.getvalue().encode(encoding, "backslashreplace").decode(encoding))


def say_json(value: Any) -> None:
    """Prints one JSON value, in ASCII, so that nothing in it steers a terminal."""
    if sys.stdout is not None:
        sys.stdout.write(json.dumps(value, indent=1, allow_nan=False).replace("\x7f", "\\u007f") + "\n")
