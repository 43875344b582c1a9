"""What a worker process runs: Beam's own worker, which never outlives the process that started it."""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def end_with(parent: int) -> None:
    """Lets the system end this process when the thread that started it ends, even where this process is stopped.

    Args:
      parent: the process that started this one; if it is gone already, this process ends at once.
    """
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, ctypes.c_ulong(signal.SIGKILL))
    if os.getppid() != parent:
        os._exit(1)


if __name__ == "__main__":
    end_with(int(sys.argv[1]))
    # Not at the top: it takes seconds, in which the parent may end.
    from apache_beam.runners.worker import sdk_worker_main

    sdk_worker_main.main(sys.argv)
