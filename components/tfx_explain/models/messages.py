"""Other people's exceptions in one sentence of ours."""

from __future__ import annotations

import itertools


def first_line(error: BaseException) -> str:
    """What an exception says, in one line without a full stop; its type where it says nothing.

    TensorFlow puts what went wrong in a graph after a traceback of where the graph was made, before the failing node.
    """
    if isinstance(error, SystemExit):
        return f"it ended the program with exit code {error.code!r}"
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    for line, following in itertools.pairwise(lines):
        if following.startswith("[[{{node"):
            return line.rstrip(". ")
    return (lines[0] if lines else type(error).__name__).rstrip(".: ")
