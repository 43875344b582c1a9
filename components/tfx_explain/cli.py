"""`tfx-explain`: explain a model, judge an explanation, write its report; without a TFX pipeline.

Exit codes: 0 done (`validate`: blessed), 1 refused (`validate` only), 2 whatever is no verdict: bad input, and anything
that goes wrong, 3 every rule was skipped (`validate` only), 130 interrupted by Ctrl-C or SIGTERM. Errors are one
sentence.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import logging
import os
import signal
import sys
import threading
import traceback
import warnings
import webbrowser
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tfx_explain.errors import InputError, TfxExplainError
from tfx_explain.printable import MAX_SENTENCE, printable, sentence, shortened

if TYPE_CHECKING:
    from tfx_explain.explanation_validator.judge import Verdict
    from tfx_explain.reader import ExplanationReader

_MAX_NAME = 60
BLESSED, REFUSED, NO_VERDICT, ALL_SKIPPED, INTERRUPTED = 0, 1, 2, 3, 130


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command.

    Args:
      argv: the arguments after the program's name; default: those of this process. What follows `--` goes to Beam.

    Returns:
      The exit code.
    """
    arguments, beam_args = _split_beam_args(list(sys.argv[1:] if argv is None else argv))
    options = _parser().parse_args(arguments)
    options.beam_args = beam_args
    try:
        with _sigterm_interrupts(), contextlib.nullcontext() if options.verbose else _quiet_libraries():
            code = int(options.run(options))
            if sys.stdout is not None:
                sys.stdout.flush()
            return code
    # Whatever it is, it is no verdict: Python's own exit code of an unexpected error would be that of a refusal.
    except BaseException as error:  # noqa: BLE001 - every kind is answered, none is passed over
        return _failed(error, verbose=options.verbose)


def _failed(error: BaseException, *, verbose: bool) -> int:
    """Says what went wrong, and gives the exit code."""
    if isinstance(error, OSError):
        # Nobody reads on, or the disk is full. Python would fail to flush at its end, and change the exit code.
        with contextlib.suppress(OSError, AttributeError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if sys.stderr is None:
        return INTERRUPTED if isinstance(error, KeyboardInterrupt) else NO_VERDICT
    with contextlib.suppress(OSError):
        if verbose:
            traceback.print_exception(type(error), error, error.__traceback__)
        sys.stderr.write(f"tfx-explain: {sentence(_told(error))}\n")
        sys.stderr.flush()
    return INTERRUPTED if isinstance(error, KeyboardInterrupt) else NO_VERDICT


def _told(error: BaseException) -> str:
    if isinstance(error, TfxExplainError):
        return str(error)
    if isinstance(error, KeyboardInterrupt):
        return "interrupted."
    if isinstance(error, BrokenPipeError):
        return "whoever read the output has stopped reading; the exit code is no verdict."
    if isinstance(error, SystemExit):
        return f"code that was run ended the program (exit code {error.code!r}); let it raise an error instead."
    if isinstance(error, MemoryError):
        return "there is not enough memory; explain fewer rows or features at a time."
    what = " ".join(filter(None, [type(error).__name__, f"({error})" if str(error) else ""]))
    return f"something unexpected went wrong: {what}; run the command with --verbose to see where."


def _split_beam_args(argv: list[str]) -> tuple[list[str], list[str]]:
    if "--" not in argv:
        return argv, []
    at = argv.index("--")
    return argv[:at], argv[at + 1 :]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="tfx-explain", description="Explain models as TFX pipelines do, without one.")
    parser.set_defaults(verbose=False)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--verbose", action="store_true", help="logs of the libraries, and tracebacks")

    _add_explain(commands.add_parser("explain", parents=[common], help="explain a model on examples"))
    validate = commands.add_parser("validate", parents=[common], help="judge an explanation by a policy")
    validate.add_argument("--explanation", required=True, metavar="DIR", help="what `explain` or Explainer wrote")
    validate.add_argument("--config", required=True, metavar="FILE", help="a ValidationConfig in YAML or JSON")
    validate.add_argument("--baseline", metavar="DIR", help="an explanation that rules about drift compare with")
    validate.add_argument("--output", metavar="DIR", help="a new directory for the findings, the page and the verdict")
    validate.add_argument(
        "--allow-skipped", action="store_true", help="bless where every rule was skipped, as on a first run"
    )
    validate.set_defaults(run=_validate)

    report = commands.add_parser("report", parents=[common], help="write an explanation's report again")
    report.add_argument("explanation", metavar="DIR", help="what `explain` or Explainer wrote")
    report.add_argument("--output", metavar="FILE", help="where to write it (default: report.html in the explanation)")
    report.add_argument("--open", action="store_true", help="show it in the browser")
    report.set_defaults(run=_report)
    return parser


def _add_explain(explain: argparse.ArgumentParser) -> None:
    explain.add_argument("--model", required=True, metavar="DIR", help="a SavedModel, or a TFX Model artifact")
    explain.add_argument(
        "--examples", required=True, metavar="GLOB", help="TFRecords of tf.Examples, or their directory"
    )
    explain.add_argument("--config", metavar="FILE", help="an ExplainConfig in YAML or JSON")
    explain.add_argument("--output", required=True, metavar="DIR", help="a new directory for the explanation")
    explain.add_argument(
        "--background", metavar="GLOB", help="examples to draw the background from (default: --examples)"
    )
    explain.add_argument("--baseline-model", metavar="DIR", help="a model to explain on the same rows, for comparison")
    explain.add_argument("--schema", metavar="FILE", help="a TFDV schema of the examples")
    explain.add_argument(
        "--transform-graph",
        metavar="DIR",
        help="what the Transform component wrote, for models of transformed features and labels made in Transform",
    )
    explain.add_argument(
        "--baseline-transform-graph",
        metavar="DIR",
        help="the same of the baseline model (default: --transform-graph)",
    )
    explain.epilog = (
        "Every path may be a URI. Apache Beam's options follow `--`, for instance `-- --direct_num_workers=4`."
    )
    explain.set_defaults(run=_explain)


def _explain(options: argparse.Namespace) -> int:
    from tfx_explain.api import explain  # noqa: PLC0415 - loads TensorFlow and Beam, which the other commands do without

    explanation = explain(
        model=options.model,
        examples=options.examples,
        output_dir=options.output,
        config=options.config,
        background=options.background,
        baseline_model=options.baseline_model,
        schema=options.schema,
        transform_graph=options.transform_graph,
        baseline_transform_graph=options.baseline_transform_graph,
        beam_args=options.beam_args,
    )
    _say(*_summary(explanation))
    return 0


def _summary(explanation: ExplanationReader) -> list[str]:
    """What a person wants to know first."""
    from tfx_explain import storage, tables  # noqa: PLC0415 - see `_validate`

    manifest = explanation.manifest
    lines = []
    for split, counts in manifest["counts"].items():
        failed = sum(manifest["failures"].get(split, {}).values())
        rows = f"{counts['explained']:,} of {counts['read']:,} rows explained"
        empty = f", files of 0 bytes: {counts['empty_files']:,}" if counts.get("empty_files") else ""
        lines.append(f"{split}: {rows}, {failed:,} failed, {counts['model_rows']:,} model rows{empty}")
    if not explanation.methods:
        lines.append(f"no method attributes outputs to players; computed: {', '.join(manifest['method'])}")
    by = f" by {explanation.methods[0]}" if len(explanation.methods) > 1 else ""
    for output in explanation.outputs if explanation.methods else ():
        lines.append(f"importance for {output}{by} (mean |attribution| in {manifest['model']['output_space']} units):")
        table = explanation.importance_for(output=output)
        table = table.assign(share=tables.shares_of_total(table)).head(10)
        names = [shortened(printable(player), _MAX_NAME) for player in table["player"]]
        width = max(len(name) for name in names)
        for row, name in zip(table.itertuples(), names, strict=True):
            half = (row.ci_high - row.ci_low) / 2
            lines.append(f"  {row.rank:>3}  {name:<{width}}  {row.value:9.4f} +- {half:.4f}  {row.share:6.1%}")
    lines.append(f"report: {storage.join(explanation.uri, tables.REPORT)}")
    return lines


def _validate(options: argparse.Namespace) -> int:
    # Here, so that a package that cannot be imported is no refusal, and so that `--help` is quick.
    from tfx_explain import storage, tables  # noqa: PLC0415
    from tfx_explain.config import ValidationConfig  # noqa: PLC0415
    from tfx_explain.explanation_validator.judge import judge  # noqa: PLC0415
    from tfx_explain.reader import load  # noqa: PLC0415

    made = None if options.output is None else storage.claim(options.output, tables.CLAIM)
    try:
        baseline = None if options.baseline is None else load(options.baseline)
        verdict = judge(load(options.explanation), ValidationConfig.from_file(options.config), baseline)
        undecided = verdict.is_all_skipped and not options.allow_skipped
        if undecided:
            verdict = dataclasses.replace(verdict, blessed=False)
        if options.output is not None:
            _write_verdict(verdict, options.output)
    finally:
        if made is not None:
            storage.remove(storage.join(options.output, tables.CLAIM))
            storage.release(made)
    _say(*verdict.lines())
    if undecided:
        _say("not judged: every rule was skipped; give --baseline, or --allow-skipped where that is meant")
        return ALL_SKIPPED
    _say("blessed" if verdict.blessed else "refused")
    return BLESSED if verdict.blessed else REFUSED


def _write_verdict(verdict: Verdict, directory: str) -> None:
    """Findings, page and verdict in a directory that was empty; all of it or nothing."""
    from tfx_explain import storage  # noqa: PLC0415 - see `_validate`

    try:
        verdict.write(directory)
    except BaseException:
        for name in verdict.file_names:
            storage.remove(storage.join(directory, name))
        raise


def _report(options: argparse.Namespace) -> int:
    from tfx_explain import storage, tables  # noqa: PLC0415 - see `_validate`
    from tfx_explain.reader import load  # noqa: PLC0415
    from tfx_explain.report import GENERATOR, render_explanation  # noqa: PLC0415

    explanation = load(options.explanation)
    if explanation.has_digests:
        explanation.verify()
    uri = options.output or storage.join(explanation.uri, tables.REPORT)
    page = render_explanation(explanation.uri).encode()
    if (
        options.output is not None
        and storage.exists(uri)
        and f'content="{GENERATOR}"'.encode() not in storage.read_start(uri)
    ):
        raise InputError(f"{uri} is there already and is no report; name a new file, or remove it.")
    storage.replace(uri, page)
    _say(uri)
    if options.open:
        webbrowser.open(Path(uri).resolve().as_uri() if storage.is_local(uri) else uri)
    return 0


def _say(*lines: str) -> None:
    """Prints lines, whatever is in them, in whatever encoding the terminal has."""
    if sys.stdout is not None:
        encoding = sys.stdout.encoding or "utf-8"
        text = "".join(f"{shortened(printable(line), MAX_SENTENCE)}\n" for line in lines)
        sys.stdout.write(text.encode(encoding, "backslashreplace").decode(encoding))


@contextlib.contextmanager
def _sigterm_interrupts() -> Iterator[None]:
    """SIGTERM, which schedulers send, is as Ctrl-C: what is half-written is removed, and workers end."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    # Another handler is the business of whoever set it, and threads can set none.
    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGTERM) != signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


@contextlib.contextmanager
def _quiet_libraries() -> Iterator[None]:
    """Libraries are loud at import; what they say does not concern who calls this command.

    TensorFlow's C++ writes to file descriptor 2 past every setting, so that descriptor leads nowhere meanwhile.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    logging.getLogger().setLevel(logging.ERROR)
    try:
        sys.stderr.flush()
        kept = os.dup(2)
    except (OSError, AttributeError):  # there is none, so nothing is loud
        yield
        return
    try:
        with warnings.catch_warnings(), open(os.devnull, "wb") as nowhere:
            warnings.simplefilter("ignore")
            os.dup2(nowhere.fileno(), 2)
            yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


if __name__ == "__main__":
    sys.exit(main())
