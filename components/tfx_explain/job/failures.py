"""Whether too much of a run failed, and what a run that failed altogether has to say."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Collection, Mapping, Sequence

from tfx_explain import errors, storage
from tfx_explain.errors import InputError, TfxExplainError, TooManyFailedRowsError, WorkerError
from tfx_explain.job.results import JobResults
from tfx_explain.job.versions import versions_differ

FILE_BYTES = "file_bytes"
"""What of the counts says how large the files are, as they are stored."""

LOST_BYTES = "lost_bytes"
"""What of the counts says how much of that cannot be read, because a file is damaged before."""

EMPTY_FILES = "empty_files"
"""What of the counts says how many files have 0 bytes."""

_NAMED_REASONS = 3

_WORKER_GONE = ("Channel closed prematurely", "SDK worker disconnected", "SDK exited unexpectedly")
"""What Beam's runners say where a process that they did not start themselves has gone."""

_SERVER_GONE = ("StatusCode.UNAVAILABLE", "FutureTimeoutError", "StatusCode.DEADLINE_EXCEEDED")
"""What gRPC says where the job server does not answer any more."""


def check_failures(results: JobResults, splits: Collection[str], allowed: float) -> None:
    """Refuses a run of which too much is missing.

    Args:
      results: of the run.
      splits: which were to be explained; counts and failures are of the background as well.
      allowed: fraction of rows, and of bytes, that may be missing.

    Raises:
      TooManyFailedRowsError: more is.
      InputError: a split has no explained row.
    """
    for split, counts in results.counts.items():
        reasons = results.failures.get(split, {})
        read, explained, selected = (counts.get(what, 0) for what in ("read", "explained", "selected"))
        lost_bytes, file_bytes = counts.get(LOST_BYTES, 0), counts.pop(FILE_BYTES, 0)
        failed = sum(reasons.values())
        cut = f" and {lost_bytes:,} of {file_bytes:,} bytes not read" if lost_bytes else ""
        # Rows that cannot be read are as large as those that can.
        too_many_lost = lost_bytes > allowed * file_bytes
        if failed > allowed * read or too_many_lost or selected - explained > allowed * selected:
            raise TooManyFailedRowsError(
                f"{failed} of {read} rows of split `{split}` could not be explained{cut}, more than the fraction "
                f"{allowed} that `max_failed_fraction` allows; most often {most_frequent(reasons)}."
            )
        if split in splits and not explained:
            why = f"; most often {most_frequent(reasons)}" if reasons else ""
            raise InputError(f"no row of split `{split}` could be explained ({read} read){why}.")


def most_frequent(reasons: Mapping[str, int]) -> str:
    """Up to three reasons, the most frequent first, and how many rows each of them had."""
    first = sorted(reasons.items(), key=lambda item: (-item[1], item[0]))[:_NAMED_REASONS]
    return ", then ".join(f"({n} rows): {reason.rstrip('.')}" for reason, n in first)


def raised_by_us(error: BaseException, directories: Sequence[str]) -> TfxExplainError | None:
    """The error of ours behind one that Beam raised: Beam wraps those of its workers in their own text."""
    if isinstance(error, TfxExplainError):
        return type(error)(_without_stage(str(error)))
    found = re.findall(r"tfx_explain\.errors\.(\w+): (.+)", str(error))
    if found and hasattr(errors, found[-1][0]):
        ours = getattr(errors, found[-1][0])(_without_stage(found[-1][1]))
        return ours if isinstance(ours, TfxExplainError) else None
    if differ := versions_differ(str(error)):
        return differ
    if any(text in str(error) for text in _WORKER_GONE):
        return WorkerError(
            "a worker of the Beam runner ended before the job was done; the log of the runner says how: where the "
            "machine ran out of memory, use fewer workers, or explain fewer rows or features at a time."
        )
    if any(text in f"{type(error).__name__} {error}" for text in _SERVER_GONE):
        return WorkerError(
            "the job server of the Beam runner does not answer any more; its log says why: start it again, and the run."
        )
    return _full_or_read_only(error, directories)


def is_interrupt(error: BaseException) -> bool:
    """Whether Ctrl-C is behind an error: of one that meets a step in this process Beam makes an error of its own."""
    return isinstance(error, KeyboardInterrupt) or str(error).startswith("KeyboardInterrupt [while running")


def _full_or_read_only(error: BaseException, directories: Sequence[str]) -> InputError | None:
    """What Beam says of a disk that takes no more, in one sentence of ours."""
    said = str(error)
    ours = any(directory in said for directory in directories)
    for number in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, *([errno.EACCES] if ours else [])):
        if getattr(error, "errno", None) == number or f"[Errno {number}]" in said:
            return storage.cannot_write(directories[0], OSError(number, os.strerror(number)))
    return None


def _without_stage(message: str) -> str:
    return re.sub(r" \[while running '[^']*'\]", "", message.split("\\n")[0]).strip()
