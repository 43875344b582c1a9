"""`tfx-explain validate`."""

from __future__ import annotations

import contextlib
import dataclasses
from typing import TYPE_CHECKING

import click

from tfx_explain.commands.exit_codes import ALL_SKIPPED, DONE, REFUSED
from tfx_explain.commands.options import Command, Place, common_options
from tfx_explain.commands.saying import say, say_json

if TYPE_CHECKING:
    from tfx_explain.explanation_validator.judge import Verdict

_DIRECTORY = Place("dir")
_WORDS = {DONE: "blessed", REFUSED: "refused", ALL_SKIPPED: "not judged"}
_WHY_NOT_JUDGED = "every rule was skipped; give --baseline, or --allow-skipped where that is meant"


@click.command(
    "validate",
    cls=Command,
    short_help="Judge an explanation by a policy.",
    epilog="Exit codes: 0 blessed, 1 refused, 2 no verdict (bad input, or anything that went wrong), 3 every rule was "
    "skipped, 130 interrupted.",
)
@click.option("--explanation", required=True, metavar="DIR", type=_DIRECTORY, help="What `explain` or Explainer wrote.")
@click.option("--config", required=True, metavar="FILE", type=Place("file"), help="A ValidationConfig in YAML or JSON.")
@click.option("--baseline", metavar="DIR", type=_DIRECTORY, help="An explanation that rules about drift compare with.")
@click.option(
    "--output", metavar="DIR", type=_DIRECTORY, help="A new directory for the findings, the page and the verdict."
)
@click.option(
    "--previous",
    metavar="DIR",
    type=_DIRECTORY,
    help="What --output wrote the time before: its history goes on in the new one.",
)
@click.option("--allow-skipped", is_flag=True, help="Bless where every rule was skipped, as on a first run.")
@common_options
def validate(
    explanation: str,
    config: str,
    baseline: str | None,
    output: str | None,
    previous: str | None,
    *,
    allow_skipped: bool,
    as_json: bool,
) -> int:
    """Judge an explanation by a policy, and print what each rule found.

    The exit code is the verdict.
    """
    from tfx_explain.claims import claimed  # noqa: PLC0415 - see `_judged`

    if previous is not None and output is None:
        raise click.UsageError("--previous goes on in what --output writes; give both")

    with contextlib.nullcontext() if output is None else claimed(output):
        verdict = _judged(explanation, config, baseline)
        undecided = verdict.is_all_skipped and not allow_skipped
        if undecided:
            verdict = dataclasses.replace(verdict, blessed=False)
        if output is not None:
            verdict = _with_history(verdict, previous)
            verdict = _write(verdict, output)
    code = ALL_SKIPPED if undecided else DONE if verdict.blessed else REFUSED
    if as_json:
        say_json({"verdict": _WORDS[code], **verdict.to_dict()})
    else:
        say(*verdict.lines(), f"{_WORDS[code]}: {_WHY_NOT_JUDGED}" if undecided else _WORDS[code])
    return code


def _judged(explanation: str, config: str, baseline: str | None) -> Verdict:
    # Here, so that a package that cannot be imported is no refusal, and so that `--help` is quick.
    from tfx_explain.config import ValidationConfig  # noqa: PLC0415
    from tfx_explain.explanation_validator.judge import judge  # noqa: PLC0415
    from tfx_explain.reader import load  # noqa: PLC0415

    compared = None if baseline is None else load(baseline)
    return judge(load(explanation), ValidationConfig.from_file(config), compared)


def _with_history(verdict: Verdict, previous: str | None) -> Verdict:
    """The verdict with the runs before it."""
    from tfx_explain import storage, tables  # noqa: PLC0415 - see `_judged`
    from tfx_explain.errors import InputError  # noqa: PLC0415
    from tfx_explain.explanation_validator.history import History  # noqa: PLC0415
    from tfx_explain.reader import load  # noqa: PLC0415

    if previous is not None and not storage.exists(storage.join(previous, tables.FINDINGS)):
        raise InputError(f"{previous} holds no verdict ({tables.FINDINGS}); name what `validate --output` wrote.")
    earlier = None if previous is None else History.read(previous)
    return verdict.with_history(load(verdict.explanation_uri), earlier)


def _write(verdict: Verdict, directory: str) -> Verdict:
    """Findings, pages and verdict in a directory that was empty; all of it or nothing. What was written."""
    from tfx_explain import storage  # noqa: PLC0415 - see `_judged`

    try:
        return verdict.write(directory)
    except BaseException:
        for name in verdict.file_names:
            storage.remove(storage.join(directory, name))
        raise
