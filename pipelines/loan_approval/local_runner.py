"""Runs candidates of the loan approval pipeline on this machine, under one policy; `make demo` calls it.

    python pipelines/loan_approval/local_runner.py                     two candidates: with and without race
    python pipelines/loan_approval/local_runner.py --candidates all    also one trained on noise and one with a leak

Everything goes to `demo/` in the clone: the log of TFX and TensorFlow to `demo/log.txt`, so that the terminal shows the
verdicts only.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import logging
import os
import sys
import time
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

from tfx_explain.errors import TfxExplainError

HERE = Path(__file__).resolve().parent
CLONE = HERE.parents[1]
DEMO = CLONE / "demo"
DATA, LEAKING_DATA = DEMO / "data", DEMO / "leaking_data"
SERVING = DEMO / "serving"
PIPELINE_NAME = "loan_approval"
CANDIDATES = {
    "A sees race": {"sees_race": True},
    "B does not see race": {"sees_race": False},
    "C is B trained on permuted labels": {"sees_race": False, "permutes_labels": True},
    "D is B with a leaked label": {"sees_race": False, "sees_outcome": True},
}
"""What `create_pipeline` is told of each candidate."""

CHOICES = {"two": 2, "all": len(CANDIDATES)}
"""What `--candidates` may be, and how many of them are run."""


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


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the demo.

    Args:
      arguments: of the command line; None = those of this process.

    Returns:
      0 where every candidate got its verdict, whatever it is; else 1.
    """
    parser = argparse.ArgumentParser(description="Train, explain and validate candidates of a loan approval model.")
    parser.add_argument(
        "--candidates", choices=list(CHOICES), default="two", help="`all` adds one trained on noise, one with a leak"
    )
    candidates = dict(list(CANDIDATES.items())[: CHOICES[parser.parse_args(arguments).candidates]])
    DEMO.mkdir(exist_ok=True)
    with (DEMO / "lock").open("w", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"demo failed: another demo is writing to {_shown(DEMO)}; wait for it to end.")
            return 1
        return _run_to_the_end(candidates)


def _run_to_the_end(candidates: Mapping[str, Mapping[str, bool]]) -> int:
    """The candidates, then how long it took or why it failed; returns the exit code."""
    started = time.monotonic()
    terminal = _redirect_noise(DEMO / "log.txt")
    try:
        _run_candidates(candidates, terminal)
    except Exception as error:  # noqa: BLE001 - the whole story goes to the log, the terminal gets its last sentence
        traceback.print_exc()
        print(f"demo failed: {_sentence(error)} Details: {_shown(DEMO / 'log.txt')}", file=terminal, flush=True)
        return 1
    print(f"\ndone in {time.monotonic() - started:.0f} s; log: {_shown(DEMO / 'log.txt')}", file=terminal, flush=True)
    return 0


def _redirect_noise(log_path: Path) -> TextIO:
    """Sends the process's output, TensorFlow's C++ included, to the log; returns what still writes to the terminal."""
    terminal = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    with log_path.open("w", encoding="utf-8") as log:
        os.dup2(log.fileno(), sys.stdout.fileno())
        os.dup2(log.fileno(), sys.stderr.fileno())
    return terminal


def _run_candidates(candidates: Mapping[str, Mapping[str, bool]], terminal: TextIO) -> None:
    print("starting TFX ...", file=terminal, flush=True)
    sys.path.insert(0, str(HERE.parent))
    # TensorFlow writes to the terminal while it is imported, so this waits for the redirection.
    from absl import logging as absl_logging

    from loan_approval import data

    absl_logging.set_verbosity(absl_logging.INFO)
    n_applications = data.write_csv(DATA)
    data.write_csv(LEAKING_DATA, leaks=True)
    print(
        f"{n_applications:,} mortgage applications, {len(candidates)} candidates, one policy: "
        f"{_shown(HERE / 'policy.yaml')}",
        file=terminal,
    )
    for name, switches in candidates.items():
        print(f"\ncandidate {name}", file=terminal, flush=True)
        progress = Progress(terminal)
        absl_logging.get_absl_logger().addHandler(progress)
        try:
            _run(switches)
        finally:
            absl_logging.get_absl_logger().removeHandler(progress)
        if progress.failed:
            raise DemoError(f"component {progress.failed} of candidate {name} could not resolve its inputs.")
        _print_verdict(name, terminal)
    print(f"\nserving directory {_shown(SERVING)}: {', '.join(_served()) or 'empty'}", file=terminal)


def _run(switches: Mapping[str, bool]) -> None:
    from tfx import v1 as tfx

    from loan_approval import pipeline
    from tfx_explain import ExplainConfig, ValidationConfig

    tfx.orchestration.LocalDagRunner().run(
        pipeline.create_pipeline(
            pipeline_name=PIPELINE_NAME,
            pipeline_root=str(DEMO / "artifacts"),
            data_root=str(LEAKING_DATA if switches.get("sees_outcome") else DATA),
            serving_dir=str(SERVING),
            explain_config=ExplainConfig.from_file(HERE / "explain.yaml"),
            validation_config=ValidationConfig.from_file(HERE / "policy.yaml"),
            **switches,
            metadata_connection_config=_metadata(),
        )
    )


def _metadata() -> Any:
    from tfx import v1 as tfx

    return tfx.orchestration.metadata.sqlite_metadata_connection_config(str(DEMO / "metadata.sqlite"))


def _print_verdict(name: str, terminal: TextIO) -> None:
    outputs = _outputs_of_last_run()
    if "tfx_explain.ExplanationValidation" not in outputs:
        raise DemoError(f"the run of candidate {name} ended without a verdict on its explanation.")
    validation = json.loads(
        (Path(outputs["tfx_explain.ExplanationValidation"].uri) / "findings.json").read_text("utf-8")
    )
    decisive = [finding for finding in validation["findings"] if finding["outcome"] != "pass"] or validation["findings"]
    print(f"  -> {'BLESSED' if validation['blessed'] else 'REFUSED'}", file=terminal)
    for finding in decisive:
        print(f"     {finding['rule']} {finding['outcome']}: {finding['message']}", file=terminal)
    report = Path(outputs["tfx_explain.Explanation"].uri) / "report.html"
    print(f"     report: {_shown(report)}", file=terminal)
    print(f"     pushed: {_pushed(outputs.get('PushedModel'))}", file=terminal, flush=True)


def _pushed(artifact: Any) -> str:
    if artifact is None or artifact.custom_properties["pushed"].int_value != 1:
        return "none"
    return _shown(Path(artifact.custom_properties["pushed_destination"].string_value))


def _outputs_of_last_run() -> dict[str, Any]:
    """The output artifacts of the newest run by the name of their type; of a type with several, any."""
    from ml_metadata import metadata_store
    from ml_metadata.proto import metadata_store_pb2

    store = metadata_store.MetadataStore(_metadata())
    run = max(store.get_contexts_by_type("pipeline_run"), key=lambda context: context.id)
    executions = [execution.id for execution in store.get_executions_by_context(run.id)]
    events = store.get_events_by_execution_ids(executions)
    outputs = [event.artifact_id for event in events if event.type == metadata_store_pb2.Event.OUTPUT]
    return {artifact.type: artifact for artifact in store.get_artifacts_by_id(outputs)}


def _served() -> list[str]:
    return sorted(str(path.name) for path in SERVING.glob("*/") if (path / "saved_model.pb").exists())


def _shown(path: Path) -> str:
    """The path as a person in the current directory would type it."""
    return os.path.relpath(path) if path.is_relative_to(Path.cwd()) else str(path)


def _sentence(error: BaseException) -> str:
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


if __name__ == "__main__":
    sys.exit(main())
