"""What the local runners of the pipelines share: one line per component, the verdict, and one sentence where it fails.

Nothing here imports TFX before the process's output is redirected: TensorFlow writes to the terminal while it is
imported.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

from tfx_explain.errors import TfxExplainError


class DemoError(Exception):
    """The demo could not reach a verdict; the message is one sentence."""


class Progress(logging.Handler):
    """Turns what LocalDagRunner logs about components into one line for each."""

    def __init__(self, terminal: TextIO) -> None:
        super().__init__()
        self._terminal = terminal
        self._started = 0.0
        self._note = ""
        self.failed: str | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Reads one log record."""
        if record.msg == "Component %s is running.":
            self._started, self._note = time.monotonic(), ""
        elif record.msg == "A cached execution %d is used.":
            self._note = "reused"
        elif record.msg == "Skipping execution for %s":
            self._note = "skipped"
        elif record.msg == "[%s] Input resolution error: %s":
            self._note = "failed"
            self.failed = str(record.args[0]) if isinstance(record.args, tuple) else "a component"
        elif record.msg == "Component %s is finished." and isinstance(record.args, tuple):
            note = self._note or f"{time.monotonic() - self._started:.0f} s"
            print(f"  {record.args[0]:30}{note:>8}", file=self._terminal, flush=True)


def run_alone(directory: Path, run: Callable[[TextIO], None]) -> int:
    """Runs a demo that writes to a directory, unless another one does already.

    Args:
      directory: where the demo writes; made where it is missing. The log goes to `log.txt` in it.
      run: the demo; it is given what it may write to for a person to read.

    Returns:
      0 where the demo came to its end, else 1: the exit code.
    """
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / "lock").open("w", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"demo failed: another demo is writing to {shown(directory)}; wait for it to end.")
            return 1
        return _run_to_the_end(directory / "log.txt", run)


def _run_to_the_end(log: Path, run: Callable[[TextIO], None]) -> int:
    """The demo, then how long it took or why it failed; returns the exit code."""
    started = time.monotonic()
    terminal = _redirect_noise(log)
    try:
        run(terminal)
    except Exception as error:  # noqa: BLE001 - the whole story goes to the log, the terminal gets its last sentence
        traceback.print_exc()
        print(f"demo failed: {sentence(error)} Details: {shown(log)}", file=terminal, flush=True)
        return 1
    print(f"\ndone in {time.monotonic() - started:.0f} s; log: {shown(log)}", file=terminal, flush=True)
    return 0


def _redirect_noise(log_path: Path) -> TextIO:
    """Sends the process's output, TensorFlow's C++ included, to the log; returns what still writes to the terminal."""
    terminal = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    with log_path.open("w", encoding="utf-8") as log:
        os.dup2(log.fileno(), sys.stdout.fileno())
        os.dup2(log.fileno(), sys.stderr.fileno())
    return terminal


def run_pipeline(pipeline: Any, name: str, terminal: TextIO) -> None:
    """Runs a pipeline on this machine, with a line for each component.

    Args:
      pipeline: the pipeline.
      name: what is run, for messages.
      terminal: where the lines go.

    Raises:
      DemoError: a component could not resolve its inputs.
    """
    from absl import logging as absl_logging
    from tfx import v1 as tfx

    absl_logging.set_verbosity(absl_logging.INFO)
    progress = Progress(terminal)
    absl_logging.get_absl_logger().addHandler(progress)
    try:
        tfx.orchestration.LocalDagRunner().run(pipeline)
    finally:
        absl_logging.get_absl_logger().removeHandler(progress)
    if progress.failed:
        raise DemoError(f"component {progress.failed} of {name} could not resolve its inputs.")


def metadata(directory: Path) -> Any:
    """ML Metadata of the runs that write to a directory."""
    from tfx import v1 as tfx

    return tfx.orchestration.metadata.sqlite_metadata_connection_config(str(directory / "metadata.sqlite"))


def print_verdict(directory: Path, name: str, terminal: TextIO) -> None:
    """The verdict of the last run with its decisive findings, and where to read on.

    Args:
      directory: where the runs' metadata are.
      name: what was run, for messages.
      terminal: where to print.

    Raises:
      DemoError: it has no verdict.
    """
    outputs = _outputs_of_last_run(directory)
    if "tfx_explain.ExplanationValidation" not in outputs:
        raise DemoError(f"the run of {name} ended without a verdict on its explanation.")
    judged = Path(outputs["tfx_explain.ExplanationValidation"].uri)
    validation = json.loads((judged / "findings.json").read_text("utf-8"))
    decisive = [finding for finding in validation["findings"] if finding["outcome"] != "pass"] or validation["findings"]
    print(f"  -> {'BLESSED' if validation['blessed'] else 'REFUSED'}", file=terminal)
    for finding in decisive:
        print(f"     {finding['rule']} {finding['outcome']}: {finding['message']}", file=terminal)
    print(f"     report: {shown(Path(outputs['tfx_explain.Explanation'].uri) / 'report.html')}", file=terminal)
    print(f"     verdict: {shown(judged / 'verdict.html')}", file=terminal)
    print(f"     pushed: {_pushed(outputs.get('PushedModel'))}", file=terminal, flush=True)


def _pushed(artifact: Any) -> str:
    if artifact is None or artifact.custom_properties["pushed"].int_value != 1:
        return "none"
    return shown(Path(artifact.custom_properties["pushed_destination"].string_value))


def _outputs_of_last_run(directory: Path) -> dict[str, Any]:
    """The output artifacts of the newest run by the name of their type; of a type with several, any."""
    from ml_metadata import metadata_store
    from ml_metadata.proto import metadata_store_pb2

    store = metadata_store.MetadataStore(metadata(directory))
    run = max(store.get_contexts_by_type("pipeline_run"), key=lambda context: context.id)
    executions = [execution.id for execution in store.get_executions_by_context(run.id)]
    events = store.get_events_by_execution_ids(executions)
    outputs = [event.artifact_id for event in events if event.type == metadata_store_pb2.Event.OUTPUT]
    return {artifact.type: artifact for artifact in store.get_artifacts_by_id(outputs)}


def served(serving: Path) -> list[str]:
    """The versions of the model that a directory holds."""
    return sorted(str(path.name) for path in serving.glob("*/") if (path / "saved_model.pb").exists())


def shown(path: Path) -> str:
    """The path as a person in the current directory would type it."""
    return os.path.relpath(path) if path.is_relative_to(Path.cwd()) else str(path)


def sentence(error: BaseException) -> str:
    """The error that began it all, in a sentence: Beam and TFX raise their own on the way up.

    Errors raised on purpose win over what they were raised from.
    """
    chain = [error]
    while earlier := chain[-1].__cause__ or (None if chain[-1].__suppress_context__ else chain[-1].__context__):
        chain.append(earlier)
    on_purpose = [one for one in chain if isinstance(one, DemoError | TfxExplainError)]
    first = (on_purpose or chain)[-1]
    text = (str(first).strip().splitlines() or ["no message"])[0].rstrip(".")
    return f"{text}." if on_purpose else f"{type(first).__name__}: {text}."
