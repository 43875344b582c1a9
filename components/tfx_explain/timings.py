"""What a process spends its time on: how often each thing was done, and for how long."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple, TypeVar

T = TypeVar("T")

LOAD = "load"
TRACE = "trace"
READ = "read"
PILOT = "pilot"
MODEL = "model"
SOLVE = "solve"
WRITE = "write"
CALL = "call"
"""A call of a model, for whatever purpose."""

COUNTED = {
    LOAD: "models that were loaded",
    TRACE: "functions that TensorFlow traced, within what follows",
    READ: "records that were read; those of files that are read twice count twice",
    PILOT: "plans of background, grids, designs and surrogates, made before rows are explained",
    MODEL: "calls of models while rows are explained",
    SOLVE: "batches of rows that were explained; the seconds are those without a call of a model",
    WRITE: "batches and tables that were written",
}
"""What is timed -> what is counted with it."""


class Spent(NamedTuple):
    """What one thing took.

    Attributes:
      times: how often it was done.
      seconds: for how long somebody was at it; threads that are at it together count once.
    """

    times: int = 0
    seconds: float = 0.0


class Timings:
    """Stopwatches by name. Safe to share between threads.

    Args:
      clock: gives seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._spent: dict[str, Spent] = {}
        self._taken: dict[str, Spent] = {}
        self._running: dict[str, tuple[int, float]] = {}

    @contextlib.contextmanager
    def of(self, what: str, times: int = 1) -> Iterator[None]:
        """Times what is done inside, which is done so many times."""
        with self._lock:
            n, since = self._running.get(what, (0, 0.0))
            self._running[what] = n + 1, since if n else self._clock()
        try:
            yield
        finally:
            with self._lock:
                n, since = self._running[what]
                self._running[what] = n - 1, since
                self._add(what, times, 0.0 if n > 1 else self._clock() - since)

    def steps(self, what: str, made: Iterable[T], times: Callable[[T], int]) -> Iterator[T]:
        """Passes on what is made, and times the making of it without what its user does meanwhile.

        Args:
          what: is done.
          made: by it.
          times: how often it was done for each.
        """
        iterator = iter(made)
        while True:
            with self.of(what, 0):
                try:
                    item = next(iterator)
                except StopIteration:
                    return
            with self._lock:
                self._add(what, times(item), 0.0)
            yield item

    def spent(self, what: str) -> Spent:
        """On one thing, as far as it is over, since the process began."""
        with self._lock:
            return self._spent.get(what, Spent())

    def take(self) -> dict[str, Spent]:
        """What was spent since this was asked last, on each thing that is in `COUNTED`."""
        with self._lock:
            taken, self._taken = self._taken, dict(self._spent)
            return {
                what: Spent(spent.times - before.times, spent.seconds - before.seconds)
                for what, spent in self._spent.items()
                if what in COUNTED and spent != (before := taken.get(what, Spent()))
            }

    @contextlib.contextmanager
    def explaining(self) -> Iterator[None]:
        """Times the explaining of a batch: what calls of models take of it, and the rest."""
        before, started = self.spent(CALL), self._clock()
        yield
        elapsed, after = self._clock() - started, self.spent(CALL)
        of_calls = min(after.seconds - before.seconds, elapsed)
        with self._lock:
            self._add(MODEL, after.times - before.times, of_calls)
            self._add(SOLVE, 1, elapsed - of_calls)

    def _add(self, what: str, times: int, seconds: float) -> None:
        before = self._spent.get(what, Spent())
        self._spent[what] = Spent(before.times + times, before.seconds + seconds)


TIMINGS = Timings()
"""Of this process."""
