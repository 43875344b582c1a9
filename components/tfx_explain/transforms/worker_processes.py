"""The worker processes of a job on this machine: started, watched, and none left behind.

A thread per worker sleeps in the kernel until its process ends or is stopped; no worker is polled meanwhile.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from concurrent import futures
from concurrent.futures import Future, InvalidStateError
from typing import Any, TypeVar

from tfx_explain.errors import WorkerError
from tfx_explain.unfinished import unfinished

T = TypeVar("T")

STOPPED_SECONDS = 10.0
"""How long a worker may be stopped: who suspends a whole job continues its processes one after the other."""

LEAVING_SECONDS = 10.0
"""How long a worker that has nothing left to do may take to end."""

UNWINDING_SECONDS = 5.0
"""How long the driver of a job that has failed may take to see it; then it is left to itself."""

_UNHEARD_SECONDS = 0.5
"""How long Ctrl-C may go unheard: a signal that comes just before a thread falls asleep does not wake it."""

_COMMAND = [sys.executable, "-m", "tfx_explain.transforms.worker_main"]
_CONNECTION_LOST = "Channel closed prematurely"
_CRASHES = {signal.SIGSEGV, signal.SIGBUS, signal.SIGILL, signal.SIGFPE, signal.SIGABRT}


@dataclasses.dataclass
class _Worker:
    """One process.

    Attributes:
      name: what an error calls it.
      environment: its variables.
      fail: tells Beam's driver that this worker answers nothing any more.
      dismissed: it has nothing left to do, so that it may end.
      process: what the system made of it.
      thread: waits for the process.
      late: kills the process if it does not end when it is dismissed.
    """

    name: str
    environment: Mapping[str, str]
    fail: Callable[[str], None]
    dismissed: bool = False
    process: subprocess.Popen[bytes] | None = None
    thread: threading.Thread | None = None
    late: threading.Timer | None = None


class WorkerProcesses:
    """The workers of one job.

    Args:
      n_workers: how many there will be.
    """

    def __init__(self, n_workers: int) -> None:
        self._n_workers = n_workers
        self._workers: dict[str, _Worker] = {}
        self._lock = threading.Lock()
        self._over = False
        self._outcome: Future[Any] = Future()
        self._first_end: WorkerError | None = None

    def drive(self, work: Callable[[], T]) -> T:
        """Runs the driver of the job, which starts workers, to its end or to the loss of a worker.

        The driver has a thread of its own: it may wait for ever for a worker that is lost, and does not see Ctrl-C
        while it waits. However this ends, no worker is left.

        Raises:
          WorkerError: a worker ended, or was stopped for long, before it was dismissed.
        """
        driver = threading.Thread(target=self._settle, args=(work,), name="beam_driver", daemon=True)
        try:
            driver.start()
            with unfinished(self._end):
                while not futures.wait([self._outcome], _UNHEARD_SECONDS).done:
                    pass
                return self._outcome.result()
        except RuntimeError as error:
            # Beam may see that a worker is gone before the system says how it ended.
            if _CONNECTION_LOST not in str(error) or self._first_end is None:
                raise
            raise self._first_end from error
        finally:
            self._end()
            if driver.is_alive():
                driver.join(UNWINDING_SECONDS)

    def start(self, key: str, environment: Mapping[str, str], fail: Callable[[str], None]) -> None:
        """Starts a worker.

        Args:
          key: what the driver calls it.
          environment: its variables.
          fail: called with a reason when the job ends before the worker does.
        """
        worker = _Worker(f"worker {len(self._workers) + 1} of {self._n_workers}", environment, fail)
        # The system ends a worker with the thread that started it, so that one also waits for it.
        worker.thread = threading.Thread(target=self._attend, args=(worker,), name=worker.name, daemon=True)
        self._workers[key] = worker
        worker.thread.start()

    def dismiss(self, key: str) -> None:
        """Expects a worker to end, as it is about to be told to, and sees to it that it does."""
        worker = self._workers[key]
        worker.dismissed = True
        worker.late = threading.Timer(LEAVING_SECONDS, self._kill, args=(worker,))
        worker.late.daemon = True
        worker.late.start()

    def wait(self, key: str) -> None:
        """Waits until a worker that is dismissed, or killed, has ended."""
        worker = self._workers[key]
        if worker.thread is not None:
            worker.thread.join(2 * LEAVING_SECONDS)
        if worker.late is not None:
            worker.late.cancel()

    def _settle(self, work: Callable[[], Any]) -> None:
        with contextlib.suppress(InvalidStateError):  # a worker was lost meanwhile
            try:
                self._outcome.set_result(work())
            except BaseException as error:  # noqa: BLE001 - raised where the outcome is awaited
                self._outcome.set_exception(error)

    def _end(self) -> None:
        """Kills what is left, and waits until it is gone: nobody writes files any more."""
        with self._lock:
            self._over = True
        left = dict(self._workers)
        for worker in left.values():
            self._kill(worker)
        for key, worker in left.items():
            self.wait(key)
            worker.fail("the job is over")

    def _kill(self, worker: _Worker) -> None:
        # With the lock, so that the number is still that of the process.
        with self._lock:
            if worker.process is not None and worker.process.returncode is None:
                _kill_group(worker.process.pid)

    def _attend(self, worker: _Worker) -> None:
        """Starts a worker and waits for its end, and removes what it leaves of files that are for itself alone."""
        with contextlib.ExitStack() as left:
            self._start_and_wait(worker, left)

    def _start_and_wait(self, worker: _Worker, left: contextlib.ExitStack) -> None:
        try:
            with self._lock:
                if self._over:
                    return
                # Whoever is killed, or ends without ado, removes nothing, say of the copy of a model.
                own = left.enter_context(tempfile.TemporaryDirectory(prefix="tfx-explain-", ignore_cleanup_errors=True))
                command = [*_COMMAND, str(os.getpid())]
                # In a session of its own Ctrl-C reaches the driver alone, which then ends the workers.
                worker.process = subprocess.Popen(
                    command,
                    env={**worker.environment, "TMPDIR": own},
                    stdin=subprocess.DEVNULL,
                    start_new_session=True,
                )
                worker.name += f" (process {worker.process.pid})"
        except OSError as error:
            self._lose(worker, f"could not be started ({error.strerror or error}); use fewer workers")
            return
        seen = self._wait_for_end(worker, worker.process.pid)
        with self._lock:
            _kill_group(worker.process.pid)
            worker.process.wait()
        self._lose(worker, _how_it_ended(seen))

    def _wait_for_end(self, worker: _Worker, pid: int) -> os.waitid_result | None:
        """How a process ended, which is left for `Popen` to take note of; None if others have asked before."""
        while True:
            try:
                seen = os.waitid(os.P_PID, pid, os.WEXITED | os.WSTOPPED | os.WNOWAIT)
            except ChildProcessError:
                return None
            if seen is None or seen.si_code != os.CLD_STOPPED:
                return seen
            if _stays_stopped(pid):
                name = signal.Signals(seen.si_status).name
                self._lose(worker, f"was stopped by {name} and not continued; start the run again, and let it work")
                self._kill(worker)

    def _lose(self, worker: _Worker, how: str) -> None:
        """Takes note of the end of a worker, and ends the job if it still had work."""
        error = WorkerError(f"{worker.name} {how}.")
        self._first_end = self._first_end or error
        if not worker.dismissed and not self._over:
            with contextlib.suppress(InvalidStateError):  # another one was lost before, or the job is done
                self._outcome.set_exception(error)


def _kill_group(leader: int) -> None:
    """Kills a process and what it has started, unless all that is gone."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(leader, signal.SIGKILL)


def _stays_stopped(pid: int) -> bool:
    """Whether a process that is stopped is so for longer than may be."""
    until = time.monotonic() + STOPPED_SECONDS
    while time.monotonic() < until:
        time.sleep(0.1)
        with contextlib.suppress(ChildProcessError):
            seen = os.waitid(os.P_PID, pid, os.WEXITED | os.WSTOPPED | os.WNOWAIT | os.WNOHANG)
            if seen is not None and seen.si_code == os.CLD_STOPPED:
                continue
        return False
    return True


def _how_it_ended(seen: os.waitid_result | None) -> str:
    """The end of a worker, and what to do about it."""
    if seen is None:
        return "ended before the job was done, and how is not known; start the run again"
    if seen.si_code == os.CLD_EXITED:
        return (
            f"ended with exit code {seen.si_status} before the job was done; a model whose code ends the program does "
            "that: run it with one worker to see its error"
        )
    number = signal.Signals(seen.si_status)
    if number == signal.SIGKILL:
        advice = (
            "where nobody did that, the machine ran out of memory: use fewer workers (`--direct_num_workers`), or "
            "explain fewer rows or features at a time"
        )
    elif number in _CRASHES:
        advice = "native code of the model or of a library crashed: run it with one worker to see where"
    else:
        advice = "start the run again, and let its workers work"
    return f"was ended by {number.name} before the job was done; {advice}"
