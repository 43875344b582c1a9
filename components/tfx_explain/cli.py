"""`tfx-explain`: explain a model, judge an explanation, write its report; without a TFX pipeline.

Exit codes: 0 done (`validate`: blessed), 1 refused (`validate` only), 2 bad input. Errors are one sentence.
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import sys
import warnings
import webbrowser
from collections.abc import Iterator, Sequence
from pathlib import Path

from tfx_explain import storage
from tfx_explain.config import ValidationConfig
from tfx_explain.errors import TfxExplainError
from tfx_explain.explanation_validator.judge import judge
from tfx_explain.reader import ExplanationReader, load
from tfx_explain.records import REPORT
from tfx_explain.report import render_explanation

BLESSED, REFUSED, BAD_INPUT = 0, 1, 2


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
        with contextlib.nullcontext() if options.verbose else _quiet_libraries():
            return int(options.run(options))
    except TfxExplainError as error:
        if options.verbose:
            raise
        sys.stderr.write(f"tfx-explain: {error}\n")
        return BAD_INPUT


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

    explain = commands.add_parser("explain", parents=[common], help="explain a model on examples")
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
    explain.epilog = "Apache Beam's options follow `--`, for instance `-- --direct_num_workers=4`."
    explain.set_defaults(run=_explain)

    validate = commands.add_parser("validate", parents=[common], help="judge an explanation by a policy")
    validate.add_argument("--explanation", required=True, metavar="DIR", help="what `explain` or Explainer wrote")
    validate.add_argument("--config", required=True, metavar="FILE", help="a ValidationConfig in YAML or JSON")
    validate.add_argument("--baseline", metavar="DIR", help="an explanation that rules about drift compare with")
    validate.set_defaults(run=_validate)

    report = commands.add_parser("report", parents=[common], help="write an explanation's report again")
    report.add_argument("explanation", metavar="DIR", help="what `explain` or Explainer wrote")
    report.add_argument("--open", action="store_true", help="show it in the browser")
    report.set_defaults(run=_report)
    return parser


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
        beam_args=options.beam_args,
    )
    _say(_summary(explanation))
    return 0


def _summary(explanation: ExplanationReader) -> str:
    """What a person wants to know first."""
    manifest = explanation.manifest
    lines = []
    for split, counts in manifest["counts"].items():
        failed = sum(manifest["failures"].get(split, {}).values())
        rows = f"{counts['explained']:,} of {counts['read']:,} rows explained"
        lines.append(f"{split}: {rows}, {failed:,} failed, {counts['model_rows']:,} model rows")
    for output in explanation.outputs:
        lines.append(f"importance for {output} (mean |attribution| in {manifest['model']['output_space']} units):")
        table = explanation.importance_for(output=output).head(10)
        width = max(len(player) for player in table["player"])
        for row in table.itertuples():
            half = (row.ci_high - row.ci_low) / 2
            lines.append(f"  {row.rank:>3}  {row.player:<{width}}  {row.value:9.4f} +- {half:.4f}  {row.share:6.1%}")
    lines.append(f"report: {storage.join(explanation.uri, REPORT)}")
    return "\n".join(lines)


def _validate(options: argparse.Namespace) -> int:
    baseline = None if options.baseline is None else load(options.baseline)
    verdict = judge(load(options.explanation), ValidationConfig.from_file(options.config), baseline)
    for finding in verdict.findings:
        _say(f"{finding.outcome.replace('_', ' '):<21}  {finding.rule:<21}  {finding.message}")
    _say("blessed" if verdict.blessed else "refused")
    return BLESSED if verdict.blessed else REFUSED


def _report(options: argparse.Namespace) -> int:
    explanation = load(options.explanation)
    uri = storage.join(explanation.uri, REPORT)
    storage.write_bytes(uri, render_explanation(explanation.uri).encode())
    _say(uri)
    if options.open:
        webbrowser.open(Path(uri).resolve().as_uri() if storage.is_local(uri) else uri)
    return 0


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")


@contextlib.contextmanager
def _quiet_libraries() -> Iterator[None]:
    """Libraries are loud at import; what they say does not concern who calls this command.

    TensorFlow's C++ writes to file descriptor 2 past every setting, so that descriptor leads nowhere meanwhile.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    logging.getLogger().setLevel(logging.ERROR)
    sys.stderr.flush()
    kept = os.dup(2)
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
