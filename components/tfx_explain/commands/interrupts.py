"""Ctrl-C and SIGTERM, which schedulers send, while a command runs."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
import time
from types import FrameType

from typing_extensions import Self

from tfx_explain.commands.exit_codes import INTERRUPTED
from tfx_explain.unfinished import remove_temporary_files, undo_all

_SECONDS = 0.8
"""How long the main thread may take to end by itself."""


class Interrupts:
    """Both raise KeyboardInterrupt in the main thread: what is half-written is removed, and workers end.

    Native code is not interrupted, and libraries wait for their threads when a process ends. So the program has a
    thread that sees the signal at once, and after a moment removes what is half-written and ends the process.

    Args:
      line: is said once.
      ends_process: whether the process is the program's own.
    """

    def __init__(self, line: str, *, ends_process: bool) -> None:
        self.happened = False
        self._line = line
        self._ends_process = ends_process
        self._said = threading.Lock()
        self._heeded: set[int] = set()
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Self:
        # Another handler is the business of whoever set it, and threads can set none.
        if threading.current_thread() is threading.main_thread():
            for number, usual in ((signal.SIGINT, signal.default_int_handler), (signal.SIGTERM, signal.SIG_DFL)):
                if signal.getsignal(number) == usual:
                    self._stack.callback(signal.signal, number, signal.signal(number, self._interrupt))
                    self._heeded.add(number)
            if self._ends_process:
                self._watch()
        return self

    def __exit__(self, *_: object) -> None:
        if not self._ends_process:
            self._stack.close()
            return
        # Nothing is left to do but to wait for threads of libraries.
        for number in self._heeded:
            signal.signal(number, signal.SIG_DFL)

    def may_say(self) -> bool:
        """Whether nobody has said yet that the program was interrupted; true once."""
        return self._said.acquire(blocking=False)

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        again, self.happened = self.happened, True
        # A second one would stop the removal of what is half-written, where the first has an end anyway.
        if not (again and self._ends_process):
            raise KeyboardInterrupt

    def _watch(self) -> None:
        heard, told = socket.socketpair()
        told.setblocking(False)
        signal.set_wakeup_fd(told.fileno(), warn_on_full_buffer=False)
        try:
            terminal = os.dup(2)  # descriptor 2 leads nowhere while libraries are quiet
        except OSError:
            terminal = -1
        threading.Thread(target=self._end_soon, args=(heard, told, terminal), name="interrupts", daemon=True).start()

    def _end_soon(self, heard: socket.socket, told: socket.socket, terminal: int) -> None:
        """Waits for a signal, and then for the end of the process, which comes by itself or from here."""
        with told:  # for as long as signals may be told
            while not self._heeded & set(heard.recv(1)):
                pass
        time.sleep(_SECONDS)
        undo_all()
        remove_temporary_files()
        if self.may_say():
            with contextlib.suppress(OSError):
                os.write(terminal, f"{self._line}\n".encode())
        os._exit(INTERRUPTED)
