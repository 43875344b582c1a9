"""What all processes of a run must have the same version of."""

from __future__ import annotations

import contextlib
import functools
import importlib.metadata
import re
import sys
from collections.abc import Mapping

from tfx_explain.errors import WorkerError
from tfx_explain.version import __version__

_LIBRARIES = {"apache-beam": "Apache Beam", "tensorflow": "TensorFlow", "tfx": "TFX"}

_HEAL = "give the runner an image, or a pool of workers, with the versions of what starts the run"

# What Beam's worker says before it looks at its work; it names a container image of its own for either side.
_BEAM_DIFFERS = re.compile(
    r"Submission environment: \S*_python(\S+?)_sdk:(\S+)\.\s+Runtime environment: \S*_python(\S+?)_sdk:([\w.+-]*\w)"
)

_PACKAGE_ABSENT = re.compile(r"No module named \\?'tfx_explain\\?'")

_PART_ABSENT = re.compile(
    r"No module named \\?'tfx_explain\.[\w.]+"
    r"|(?:Can\\?'t get attribute|cannot import name) .{1,200}tfx_explain\."
    r"|module \\?'tfx_explain[\w.]*\\?' has no attribute"
)


@functools.cache
def versions() -> dict[str, str]:
    """What this process has: name -> version. Of Python the first two numbers count."""
    found = {"tfx-explain": __version__, "Python": f"{sys.version_info.major}.{sys.version_info.minor}"}
    for library, name in _LIBRARIES.items():
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(library)
    return found


def check_versions(started_with: Mapping[str, str]) -> None:
    """Refuses to work for a run that was started with other versions.

    Args:
      started_with: `versions()` of the process that started the run. What only one of the two has is no difference: the
        job does without TFX.

    Raises:
      WorkerError: versions differ.
    """
    if differ := _difference(started_with, versions()):
        raise differ


def versions_differ(said: str) -> WorkerError | None:
    """What is behind the words of a job that failed, where that is a worker of other versions, or without the package.

    Args:
      said: by Beam, with what its workers said.
    """
    if found := _BEAM_DIFFERS.search(said):
        return _difference(*({"Python": found[i], "Apache Beam": found[i + 1]} for i in (1, 3)))
    if _PACKAGE_ABSENT.search(said):
        return WorkerError(f"a worker of the Beam runner does not have tfx-explain; {_HEAL}.")
    if _PART_ABSENT.search(said):
        return WorkerError(
            f"a worker of the Beam runner has another version of tfx-explain than the run, which was started with "
            f"{__version__}; {_HEAL}."
        )
    return None


def _difference(started_with: Mapping[str, str], worker: Mapping[str, str]) -> WorkerError | None:
    names = [name for name, version in started_with.items() if worker.get(name, version) != version]
    had, has = (" and ".join(f"{name} {one[name]}" for name in names) for one in (started_with, worker))
    if not names:
        return None
    return WorkerError(f"a worker of the Beam runner has {has}, but the run was started with {had}; {_HEAL}.")
