"""A portable runner on this machine: Beam's own Prism or the job server of JOB_ENDPOINT, and a pool of workers."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import apache_beam

import tfx_explain

CACHE = Path(__file__).resolve().parents[3] / ".cache" / "prism"
_SOURCE = "github.com/apache/beam/sdks/v2/go/cmd/prism"
_STARTING_SECONDS = 60
_PRETENDING = {
    "tfx_explain": "import tfx_explain.version\n\ntfx_explain.version.__version__ = '9.9'\n",
    # What a run compares is what is installed.
    "apache_beam": """import importlib.metadata

version = importlib.metadata.version
importlib.metadata.version = lambda name: "9.9" if name == "apache-beam" else version(name)
""",
}
_BUILDING_SECONDS = 600


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
    if os.environ.get("JOB_ENDPOINT") or binary().exists():
        return ""
    if not shutil.which("go"):
        return f"no portable runner: neither JOB_ENDPOINT, nor {binary()}, nor Go to build it with"
    try:
        build()
    except subprocess.SubprocessError as error:
        return f"no portable runner: Go cannot build Prism ({error})"
    return ""


def binary() -> Path:
    """Where Prism of this Beam's version is kept."""
    return CACHE / f"prism-{apache_beam.__version__}"


def build() -> Path:
    """Prism of this Beam's version, built by Go where it is not there yet."""
    made = binary()
    if not made.exists():
        into = CACHE / f"building-{os.getpid()}"
        into.mkdir(parents=True, exist_ok=True)
        source = f"{_SOURCE}@v{apache_beam.__version__}"
        environment = {**os.environ, "GOBIN": str(into)}
        subprocess.run(["go", "install", source], check=True, env=environment, timeout=_BUILDING_SECONDS)
        (into / "prism").replace(made)
        into.rmdir()
    return made


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
    with contextlib.ExitStack() as stack:
        pool_port = free_port()
        if pretended:
            (logs / "sitecustomize.py").write_text(_PRETENDING[pretended])
        command = [sys.executable, "-m", "portable.worker_pool", str(pool_port)]
        pool = stack.enter_context(_process(command, logs / "workers.txt", [str(logs)]))
        if endpoint is None:
            port = free_port()
            server = stack.enter_context(
                _process([str(build()), "-job_port", str(port), "-serve_http=false"], logs / "runner.txt")
            )
            endpoint = f"localhost:{port}"
        engine = Engine(name, endpoint, f"localhost:{pool_port}", pool, server)
        for process, address in ((server, engine.job_endpoint), (pool, engine.worker_pool)):
            _wait_for(address, process)
        yield engine


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
