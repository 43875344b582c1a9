"""Ways to run the container of a step: in this process, in one of its own, or in an image."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from absl import flags

Container = Callable[[Sequence[str], Path], None]
"""Runs a command line, whose output goes to a file; raises ContainerError where it fails."""


class ContainerError(Exception):
    """A step's container failed."""


def in_process(command: Sequence[str], log: Path) -> None:
    """Runs `python -m module ...` in this process, which spares the imports; the log is that of the process.

    Raises:
      ContainerError: it raised; the error is its cause.
    """
    python, minus_m, module, *arguments = command
    if (python, minus_m) != ("python", "-m"):
        raise NotImplementedError(f"{command[:3]} is no module of Python.")
    entry = importlib.import_module(module)
    if not flags.FLAGS.is_parsed():
        flags.FLAGS(["launcher"])
    try:
        entry.main(entry._parse_flags([module, *arguments]))
    except Exception as error:
        raise ContainerError(f"{module}: {error}") from error


def in_processes(import_path: Sequence[Path], environment: Mapping[str, str] | None = None) -> Container:
    """Runs each command in a process of its own.

    Args:
      import_path: put before what Python imports from.
      environment: added to that of this process.
    """
    path = os.pathsep.join(map(str, import_path))

    def run(command: Sequence[str], log: Path) -> None:
        program = [sys.executable if command[0] == "python" else command[0], *command[1:]]
        with log.open("ab") as output:
            code = subprocess.run(
                program, env={**os.environ, "PYTHONPATH": path, **(environment or {})}, cwd=log.parent, stdout=output,
                stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, check=False, timeout=1200,
            ).returncode  # fmt: skip
        if code:
            raise ContainerError(f"exit code {code}; see {log}")

    return run
