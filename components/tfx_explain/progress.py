"""How far a job is: counted by each of its processes, and gathered by the one that started it."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

_DIRECTORY = "TFX_EXPLAIN_PROGRESS"
"""Variable that names a directory to worker processes on this machine, which write there how far they are."""

_SECONDS_BETWEEN_FILES = 1.0
SECONDS_BETWEEN_LINES = 60.0


class Done(NamedTuple):
    """How far a job is.

    Attributes:
      explained: rows.
      chosen: rows that were chosen to be explained; 0 where that is not known, as where all are.
      model_rows: that were evaluated for the explained rows.
    """

    explained: int = 0
    chosen: int = 0
    model_rows: int = 0

    def plus(self, other: Done) -> Done:
        """Both together."""
        return Done(*(mine + its for mine, its in zip(self, other, strict=True)))

    def minus(self, other: Done) -> Done:
        """What came after the other."""
        return Done(*(mine - its for mine, its in zip(self, other, strict=True)))

    def line(self, seconds: float) -> str:
        """For people: rows, rows a second, time left.

        Args:
          seconds: since the first row was begun.
        """
        of = f" of {self.chosen:,}" if self.chosen else ""
        said = f"explained {self.explained:,}{of} rows"
        if self.explained and seconds > 0:
            said += f", {self.explained / seconds:,.0f} rows/s, {self.model_rows / seconds:,.0f} model rows/s"
            left = (self.chosen - self.explained) * seconds / self.explained
            said += f", about {duration(left)} left" if left > 0 else ""
        return said


class Progress:
    """Counts of one process. Safe to share between threads.

    Args:
      clock: gives seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._done = Done()
        self._began: float | None = None
        self._lined = self._filed = clock()

    @property
    def done(self) -> Done:
        """So far."""
        with self._lock:
            return self._done

    def choose(self, n_rows: int) -> None:
        """Takes note of rows that will be explained."""
        with self._lock:
            self._done = self._done.plus(Done(chosen=n_rows))
        self._file()

    def begin(self) -> None:
        """Takes note that rows are being explained from now on."""
        with self._lock:
            if self._began is None:
                self._began = self._lined = self._clock()

    def explain(self, n_rows: int, model_rows: int) -> str | None:
        """Takes note of rows that are explained; a line for the log where the last one is a minute old."""
        with self._lock:
            self._done = self._done.plus(Done(n_rows, 0, model_rows))
            now = self._clock()
            began = now if self._began is None else self._began
            is_due = now - self._lined >= SECONDS_BETWEEN_LINES
            self._lined = now if is_due else self._lined
            line = self._done._replace(chosen=0).line(now - began) if is_due else None
        self._file()
        return line

    def _file(self) -> None:
        directory = os.environ.get(_DIRECTORY)
        now = self._clock()
        if directory is None or now - self._filed < _SECONDS_BETWEEN_FILES:
            return
        self._filed = now
        # Whoever reads may be gone; what is read in the middle of writing is told from what is whole.
        with contextlib.suppress(OSError), open(os.path.join(directory, str(os.getpid())), "w") as file:
            json.dump(self.done, file)


PROGRESS = Progress()
"""Of this process."""


@contextlib.contextmanager
def gathered() -> Iterator[Callable[[], Done]]:
    """Within this, worker processes that start on this machine are counted too; gives how far all are since."""
    before = PROGRESS.done
    with tempfile.TemporaryDirectory(prefix="tfx-explain-") as directory:
        os.environ[_DIRECTORY] = directory
        try:
            yield lambda: _all_done(directory).minus(before)
        finally:
            del os.environ[_DIRECTORY]


def _all_done(directory: str) -> Done:
    total = PROGRESS.done
    for name in os.listdir(directory):
        if name != str(os.getpid()):
            with contextlib.suppress(OSError, ValueError), open(os.path.join(directory, name)) as file:
                total = total.plus(Done(*json.load(file)))
    return total


def duration(seconds: float) -> str:
    """Some time, for people."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7_200 else f"{seconds / 3_600:.1f} h"
