"""A portable runner on this machine: Beam's own Prism or the job server of JOB_ENDPOINT, and a pool of workers."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import apache_beam

import tfx_explain

_MAKE_BEAM_PROGRAM = Path(__file__).resolve().parents[3] / "tools" / "make_beam_program"
_BOOT = Path("/opt/apache/beam/boot")
_BOOT_PORT = 50_000  # which nothing moves
_STARTING_SECONDS = 60
_PRETENDING = {
    "tfx_explain": "import tfx_explain.version\n\ntfx_explain.version.__version__ = '9.9'\n",
    # What a run compares is what is installed.
    "apache_beam": """import importlib.metadata

version = importlib.metadata.version
importlib.metadata.version = lambda name: "9.9" if name == "apache-beam" else version(name)
""",
}


@dataclasses.dataclass(frozen=True)
class Engine:
    """A portable runner that is ready.

    Attributes:
      name: of the runner, with its version.
      job_endpoint: host:port of its job server.
      worker_pool: host:port of the pool.
      pool: the pool's process, leader of its workers' group.
      server: the job server's process; None where somebody else started it.
    """

    name: str
    job_endpoint: str
    worker_pool: str
    pool: subprocess.Popen[bytes]
    server: subprocess.Popen[bytes] | None

    @property
    def beam_args(self) -> list[str]:
        """What a run is told."""
        return tfx_explain.beam_args("prism", job_endpoint=self.job_endpoint, worker_pool=self.worker_pool)

    def workers(self) -> list[int]:
        """The processes that the pool has started and not ended."""
        children = Path(f"/proc/{self.pool.pid}/task/{self.pool.pid}/children")
        threads = Path(f"/proc/{self.pool.pid}/task").glob("*/children")
        found = [one.read_text().split() for one in threads] if children.exists() else []
        return sorted({int(pid) for pids in found for pid in pids})


def lacking() -> str:
    """Why there can be no portable runner here; "" where there can."""
    if os.environ.get("JOB_ENDPOINT"):
        return ""
    try:
        prism()
    except subprocess.CalledProcessError as error:
        return f"no portable runner: {str(error.stderr).strip()}"
    return ""


def prism() -> str:
    """The program Prism of this Beam's version, which Go builds where it is not there yet."""
    command = [str(_MAKE_BEAM_PROGRAM), "prism", apache_beam.__version__]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@contextlib.contextmanager
def started(logs: Path, pretended: str = "") -> Iterator[Engine]:
    """Everything on loopback, and ended however the block ends.

    Args:
      logs: directory for what runner and workers say.
      pretended: a package that workers have another version of: `tfx_explain` or `apache_beam`.
    """
    logs.mkdir(parents=True, exist_ok=True)
    endpoint, server = os.environ.get("JOB_ENDPOINT"), None
    name = f"the job server at {endpoint}" if endpoint else f"Prism {apache_beam.__version__}"
    name += ", workers started by Beam's boot" if _BOOT.exists() else ""
    with contextlib.ExitStack() as stack:
        command, pool_port = _pool()
        if pretended:
            (logs / "sitecustomize.py").write_text(_PRETENDING[pretended])
        pool = stack.enter_context(_process(command, logs / "workers.txt", [str(logs)]))
        if endpoint is None:
            port = free_port()
            server = stack.enter_context(
                _process([prism(), "-job_port", str(port), "-serve_http=false"], logs / "runner.txt")
            )
            endpoint = f"localhost:{port}"
        engine = Engine(name, endpoint, f"localhost:{pool_port}", pool, server)
        for process, address in ((server, engine.job_endpoint), (pool, engine.worker_pool)):
            _wait_for(address, process)
        yield engine


def _pool() -> tuple[list[str], int]:
    """The command of a pool of workers, and its port. Where there is Beam's boot it starts them, as on a cluster."""
    if _BOOT.exists():
        return [str(_BOOT), "--worker_pool"], _BOOT_PORT
    port = free_port()
    return [sys.executable, "-m", "portable.worker_pool", str(port)], port


@contextlib.contextmanager
def _process(command: Sequence[str], log: Path, path: Sequence[str] = ()) -> Iterator[subprocess.Popen[bytes]]:
    """A process in a group of its own, all of which is ended."""
    # Beam starts workers as `python`; a test's own path is not that of the processes it starts.
    programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    modules = [*path, str(Path(__file__).resolve().parents[1]), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PATH": programs, "PYTHONPATH": os.pathsep.join(filter(None, modules))},
            start_new_session=True,
        )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def free_port() -> int:
    """A port of loopback that nobody listens at."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


def _wait_for(address: str, process: subprocess.Popen[bytes] | None) -> None:
    host, _, port = address.rpartition(":")
    last = time.monotonic() + _STARTING_SECONDS
    while True:
        try:
            socket.create_connection((host, int(port)), timeout=1).close()
            return
        except OSError:
            if time.monotonic() > last or (process is not None and process.poll() is not None):
                raise
            time.sleep(0.1)
