"""How far a job is, for whoever watches the command: a line that changes on a terminal, elsewhere a line a minute."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterator

from tfx_explain.progress import SECONDS_BETWEEN_LINES, Done, duration, gathered

_ERASE = "\r\x1b[K"
_SECONDS_ON_TERMINAL = 0.5
_WIDTH = 80


@contextlib.contextmanager
def shown_progress(descriptor: int | None, trying: bool = False) -> Iterator[None]:
    """Shows how far the job inside is.

    Args:
      descriptor: of the file that is written to; None = nobody watches.
      trying: whether it is none, but several on few rows, whose counts say nothing.
    """
    if descriptor is None:
        yield
        return
    over = threading.Event()
    with gathered() as done:
        shown = (descriptor, Done if trying else done, over)
        thread = threading.Thread(target=_show, args=shown, name="progress", daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()


def _show(descriptor: int, done: Callable[[], Done], over: threading.Event) -> None:
    started, began = time.monotonic(), None
    on_terminal = os.isatty(descriptor)
    with contextlib.suppress(OSError):  # nobody reads on
        while not over.wait(_SECONDS_ON_TERMINAL if on_terminal else SECONDS_BETWEEN_LINES):
            now, so_far = time.monotonic(), done()
            if began is None and (so_far.chosen or so_far.explained):
                began = now
            if began is None or not so_far.explained:
                line = f"preparing: {duration(now - started)}"
            else:
                line = so_far.line(now - began)
            os.write(descriptor, (f"{_ERASE}{line[: _width(descriptor) - 1]}" if on_terminal else f"{line}\n").encode())
        if on_terminal:
            os.write(descriptor, _ERASE.encode())


def _width(descriptor: int) -> int:
    try:
        return os.get_terminal_size(descriptor).columns or _WIDTH
    except OSError:
        return _WIDTH
