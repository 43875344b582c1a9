"""`tfx-explain`: runs one command, and answers whatever happens with an exit code of `commands.exit_codes`.

Errors are one sentence on standard error.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import sys
import traceback
import warnings
from collections.abc import Iterator, Sequence

import click

from tfx_explain.commands import program
from tfx_explain.commands.completion import answered_shell
from tfx_explain.commands.exit_codes import INTERRUPTED, NO_VERDICT
from tfx_explain.commands.interrupts import Interrupts
from tfx_explain.commands.options import PROGRAM, is_verbose, wrong_use
from tfx_explain.errors import TfxExplainError
from tfx_explain.printable import sentence

_INTERRUPTED = "interrupted."


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command.

    Args:
      argv: the arguments after the program's name; default: those of this process. What follows `--` goes to Beam.

    Returns:
      The exit code.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    verbose = is_verbose(arguments)
    interrupts = Interrupts(f"{PROGRAM}: {_INTERRUPTED}", ends_process=argv is None)
    try:
        with interrupts, contextlib.nullcontext(2) if verbose else _quiet_libraries() as terminal:
            code = _run(arguments, terminal)
            if sys.stdout is not None:
                sys.stdout.flush()
            return code
    # Whatever it is, it is no verdict: Python's own exit code of an unexpected error would be that of a refusal.
    except BaseException as error:  # noqa: BLE001 - every kind is answered, none is passed over
        if interrupts.happened and not isinstance(error, KeyboardInterrupt):
            error = KeyboardInterrupt()  # libraries make errors of their own of it, as where it meets an import
        if isinstance(error, KeyboardInterrupt) and not interrupts.may_say():
            return INTERRUPTED
        return _failed(error, verbose=verbose)


def _run(arguments: list[str], terminal: int | None) -> int:
    """Click's own `main` gives exit codes of its own, 1 for a closed pipe among them, so its parts are called here.

    Args:
      arguments: after the program's name.
      terminal: descriptor for how far a job is; None where there is none.
    """
    answered = answered_shell(program)
    if answered is not None:
        return answered
    try:
        with program.make_context(PROGRAM, arguments, obj=terminal) as context:
            return int(program.invoke(context))
    except click.exceptions.Exit as done:  # `--help` and `--version`
        return done.exit_code


def _failed(error: BaseException, *, verbose: bool) -> int:
    """Says what went wrong, and gives the exit code."""
    if isinstance(error, OSError):
        # Nobody reads on, or the disk is full. Python would fail to flush at its end, and change the exit code.
        with contextlib.suppress(OSError, AttributeError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    code = INTERRUPTED if isinstance(error, KeyboardInterrupt) else NO_VERDICT
    if sys.stderr is None:
        return code
    with contextlib.suppress(OSError):
        if verbose:
            traceback.print_exception(type(error), error, error.__traceback__)
        sys.stderr.write(f"{PROGRAM}: {sentence(_told(error))}\n")
        sys.stderr.flush()
    return code


def _told(error: BaseException) -> str:
    if isinstance(error, TfxExplainError):
        return str(error)
    if isinstance(error, click.ClickException):
        return wrong_use(error)
    if isinstance(error, KeyboardInterrupt):
        return _INTERRUPTED
    if isinstance(error, BrokenPipeError):
        return "whoever read the output has stopped reading; the exit code is no verdict."
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        where = f"for {error.filename}" if error.filename else "where the output goes"
        return f"no space is left {where}; make room, or write elsewhere; the exit code is no verdict."
    if isinstance(error, SystemExit):
        return f"code that was run ended the program (exit code {error.code!r}); let it raise an error instead."
    if isinstance(error, MemoryError):
        return "there is not enough memory; explain fewer rows or features at a time."
    what = " ".join(filter(None, [type(error).__name__, f"({error})" if str(error) else ""]))
    return f"something unexpected went wrong: {what}; run the command with --verbose to see where."


@contextlib.contextmanager
def _quiet_libraries() -> Iterator[int | None]:
    """Libraries are loud at import; what they say does not concern who calls this command.

    TensorFlow's C++ writes to file descriptor 2 past every setting, so that descriptor leads nowhere meanwhile. Gives
    another one that leads to where it led.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    logging.getLogger().setLevel(logging.ERROR)
    try:
        sys.stderr.flush()
        kept = os.dup(2)
    except (OSError, AttributeError):  # there is none, so nothing is loud
        yield None
        return
    try:
        with warnings.catch_warnings(), open(os.devnull, "wb") as nowhere:
            warnings.simplefilter("ignore")
            os.dup2(nowhere.fileno(), 2)
            yield kept
    finally:
        os.dup2(kept, 2)
        os.close(kept)


if __name__ == "__main__":
    sys.exit(main())
