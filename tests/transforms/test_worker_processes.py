"""Processes that end, stop or stay: the job learns of it, and none is left. Shells stand in for workers."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tfx_explain.errors import WorkerError
from tfx_explain.transforms import worker_processes
from tfx_explain.transforms.worker_processes import WorkerProcesses


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """The numbers of the processes that are started; all are gone afterwards."""
    numbers: list[int] = []
    popen = subprocess.Popen

    def start(*args: object, **kwargs: object) -> subprocess.Popen:
        process = popen(*args, **kwargs)  # type: ignore[call-overload]
        numbers.append(process.pid)
        return process

    monkeypatch.setattr(worker_processes.subprocess, "Popen", start)
    yield numbers
    for number in numbers:
        with pytest.raises(ProcessLookupError):
            os.kill(number, 0)


def use(monkeypatch: pytest.MonkeyPatch, *scripts: str) -> tuple[WorkerProcesses, Callable[[], None], list[str]]:
    """Workers that run these scripts of a shell, a function that starts them, and what they were told at the end."""
    workers, told = WorkerProcesses(len(scripts)), list[str]()

    def start() -> None:
        for key, script in enumerate(scripts):
            workers.start(str(key), {**os.environ, "SCRIPT": script}, told.append)

    monkeypatch.setattr(worker_processes, "_COMMAND", ["sh", "-c", 'eval "$SCRIPT"'])
    return workers, start, told


def started_and_waiting(start: Callable[[], None]) -> Callable[[], None]:
    """A driver that starts its workers, and waits for ever for one."""

    def drive() -> None:
        start()
        threading.Event().wait()

    return drive


@pytest.mark.parametrize(
    ("script", "how"),
    [
        ("kill -KILL $$", "was ended by SIGKILL before the job was done; where nobody did that, the machine ran out"),
        ("kill -TERM $$", "was ended by SIGTERM before the job was done; start the run again"),
        ("kill -STOP $$", "was stopped by SIGSTOP and not continued; start the run again"),
        ("kill -SEGV $$", "was ended by SIGSEGV before the job was done; native code of the model"),
        ("exit 3", "ended with exit code 3 before the job was done; a model whose code ends"),
        ("exit 0", "ended with exit code 0 before the job was done; a model whose code ends"),
    ],
)
def test_the_end_of_a_worker_ends_a_job_that_waits_for_it(
    script: str, how: str, monkeypatch: pytest.MonkeyPatch, started: list[int]
) -> None:
    monkeypatch.setattr(worker_processes, "STOPPED_SECONDS", 0.2)
    monkeypatch.setattr(worker_processes, "UNWINDING_SECONDS", 0.0)
    workers, start, told = use(monkeypatch, "sleep 60", script)
    with pytest.raises(WorkerError) as raised:
        workers.drive(started_and_waiting(start))
    assert len(started) == 2
    assert re.match(rf"worker 2 of 2 \(process ({'|'.join(map(str, started))})\) {how}", str(raised.value))
    assert told == ["the job is over"] * 2


def test_what_a_worker_that_is_killed_leaves_for_itself_alone_is_removed(
    monkeypatch: pytest.MonkeyPatch, started: list[int], tmp_path: Path
) -> None:
    monkeypatch.setattr(worker_processes, "UNWINDING_SECONDS", 0.0)
    script = f'mkdir "$TMPDIR/copy"; echo "$TMPDIR" > {tmp_path}/told; kill -KILL $$'
    workers, start, _ = use(monkeypatch, script)
    with pytest.raises(WorkerError):
        workers.drive(started_and_waiting(start))
    own = (tmp_path / "told").read_text().strip()
    assert own != tempfile.gettempdir()
    assert not os.path.exists(own)


def test_a_worker_that_is_stopped_and_continued_is_not_lost(
    monkeypatch: pytest.MonkeyPatch, started: list[int], tmp_path: Path
) -> None:
    done = tmp_path / "done"
    workers, start, _ = use(monkeypatch, f"(sleep 0.5; kill -CONT $$) & kill -STOP $$; touch {done}; sleep 60")

    def drive() -> str:
        start()
        while not done.exists():
            time.sleep(0.01)
        return "all"

    assert workers.drive(drive) == "all"


def test_a_worker_that_cannot_be_started_ends_the_job(monkeypatch: pytest.MonkeyPatch) -> None:
    workers, start, _ = use(monkeypatch, "exit 0")
    monkeypatch.setattr(worker_processes, "_COMMAND", ["/no/such/program"])
    monkeypatch.setattr(worker_processes, "UNWINDING_SECONDS", 0.0)
    with pytest.raises(WorkerError, match=r"worker 1 of 1 could not be started \(No such file.*\); use fewer workers"):
        workers.drive(started_and_waiting(start))


def test_a_worker_that_is_dismissed_may_end_and_must(monkeypatch: pytest.MonkeyPatch, started: list[int]) -> None:
    monkeypatch.setattr(worker_processes, "LEAVING_SECONDS", 0.2)
    workers, start, _ = use(monkeypatch, "exit 1", "trap '' TERM; while :; do sleep 1; done")

    def drive() -> list[int | None]:
        for key in ("0", "1"):
            workers.dismiss(key)
            workers.wait(key)
        return [worker.process and worker.process.returncode for worker in workers._workers.values()]

    start_all(workers, start)
    assert workers.drive(drive) == [1, -signal.SIGKILL]


def start_all(workers: WorkerProcesses, start: Callable[[], None]) -> None:
    """Starts workers that are dismissed before they can end."""
    with workers._lock:
        start()
        for worker in workers._workers.values():
            worker.dismissed = True


def test_what_ends_the_driver_ends_the_workers(monkeypatch: pytest.MonkeyPatch, started: list[int]) -> None:
    workers, start, _ = use(monkeypatch, "sleep 60")

    def drive() -> None:
        start()
        while not started:
            time.sleep(0.01)
        raise KeyError("x")

    with pytest.raises(KeyError, match="x"):
        workers.drive(drive)


def test_a_lost_connection_is_the_end_of_the_worker_that_beam_saw_first(
    monkeypatch: pytest.MonkeyPatch, started: list[int]
) -> None:
    workers, start, _ = use(monkeypatch, "kill -KILL $$")

    def drive() -> None:
        start_all(workers, start)
        workers.wait("0")
        raise RuntimeError("Channel closed prematurely.")

    with pytest.raises(WorkerError, match="was ended by SIGKILL"):
        workers.drive(drive)


def test_what_a_worker_has_started_ends_with_it(
    monkeypatch: pytest.MonkeyPatch, started: list[int], tmp_path: Path
) -> None:
    number = tmp_path / "number"
    workers, start, _ = use(monkeypatch, f"sleep 60 & echo $! > {number}; exit 1")
    monkeypatch.setattr(worker_processes, "UNWINDING_SECONDS", 0.0)
    with pytest.raises(WorkerError, match="exit code 1"):
        workers.drive(started_and_waiting(start))
    gone(int(number.read_text()))


@pytest.mark.parametrize("wakes", [True, False], ids=["wakes", "does not wake"])
def test_ctrl_c_ends_the_workers_of_a_driver_that_waits(
    wakes: bool, monkeypatch: pytest.MonkeyPatch, started: list[int], tmp_path: Path
) -> None:
    monkeypatch.setattr(worker_processes, "UNWINDING_SECONDS", 0.0)
    ended = tmp_path / "ended"
    workers, start, _ = use(monkeypatch, f"kill -INT {os.getpid()}; sleep 20; : >'{ended}'")
    over = threading.Event()
    with contextlib.ExitStack() as stack:
        if not wakes:
            # The system gives the signal to this thread: the others do not take it.
            threading.Thread(target=over.wait).start()
            stack.callback(over.set)
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
            stack.callback(signal.pthread_sigmask, signal.SIG_UNBLOCK, {signal.SIGINT})
        with pytest.raises(KeyboardInterrupt):
            workers.drive(started_and_waiting(start))
    assert not ended.exists()


WORKER = """
import os, sys, time
from tfx_explain.transforms.worker_main import end_with
end_with(int(sys.argv[1]))
print(os.getpid(), flush=True)
time.sleep(60)
"""
PARENT = """
import os, subprocess, sys, time
subprocess.Popen([sys.executable, "-c", sys.argv[1], str(os.getpid())])
time.sleep(60)
"""


@pytest.mark.parametrize("is_stopped", [False, True])
def test_a_worker_ends_with_the_process_that_started_it(is_stopped: bool) -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT, WORKER], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        if is_stopped:
            os.kill(child, signal.SIGSTOP)
        parent.kill()
        assert parent.stdout.read() == ""  # the child has let go of it
    gone(child)


def test_a_worker_whose_parent_has_gone_before_ends_at_once() -> None:
    done = subprocess.run([sys.executable, "-c", WORKER, "0"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")


def gone(number: int) -> None:
    """Waits until the system has forgotten a process whose parent died, or lists it as dead."""
    with contextlib.suppress(OSError):
        while "State:\tZ" not in Path(f"/proc/{number}/status").read_text():
            time.sleep(0.01)
