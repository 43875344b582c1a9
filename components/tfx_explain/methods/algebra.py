"""Linear algebra beside a model that uses all cores."""

from __future__ import annotations

import threading
from types import TracebackType
from typing import Any

from threadpoolctl import ThreadpoolController


class _SingleThreadedAlgebra:
    """While a thread is inside, NumPy's matrix products use one thread; afterwards as many as before.

    The setting is the process's: the first thread to come in makes it, the last one to leave takes it back.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._n_inside = 0
        self._pools: Any = None
        self._limit: Any = None

    def __enter__(self) -> None:
        with self._lock:
            self._n_inside += 1
            if self._n_inside == 1:
                # Looking for the libraries takes some milliseconds, so it is done once.
                self._pools = self._pools or ThreadpoolController().select(user_api="blas")
                self._limit = self._pools.limit(limits=1)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            self._n_inside -= 1
            if not self._n_inside:
                self._limit.restore_original_limits()


single_threaded_algebra = _SingleThreadedAlgebra()
"""The one of this process."""
