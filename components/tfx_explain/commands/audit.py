"""`tfx-explain audit`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from tfx_explain.commands.exit_codes import DONE, NO_VERDICT, REFUSED
from tfx_explain.commands.options import Command, Place, verbose_option
from tfx_explain.commands.saying import say, say_csv, say_json

if TYPE_CHECKING:
    import datetime

    from tfx_explain.audit.cases import Case
    from tfx_explain.audit.check import Check
    from tfx_explain.audit.showing import LogShown


class _Moment(click.ParamType["datetime.datetime"]):
    """A day, or a moment, in ISO 8601."""

    name = "date"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> datetime.datetime:
        """The moment.

        Raises:
          click.BadParameter: it is none.
        """
        from tfx_explain.audit.choosing import moment_of  # noqa: PLC0415 - see `validate._judged`

        try:
            return moment_of(value)
        except ValueError:
            self.fail("it is no day such as 2026-11-23 and no moment such as 2026-11-23T18:00.", param, ctx)


@click.command(
    "audit",
    cls=Command,
    short_help="Ask ML Metadata what was explained, judged and pushed.",
    epilog="Exit codes: 0 done, 1 something is not as it was recorded (`--verify`, `--log`), 2 bad input or anything "
    "that went wrong, 130 interrupted.",
)
@click.option(
    "--metadata", metavar="STORE", help="`sqlite:FILE` or `mysql://USER@HOST:PORT/DATABASE`; it is never written."
)
@click.option("--model", metavar="URI", type=Place("dir"), help="Say all about one model, as why it was refused.")
@click.option("--since", metavar="DATE", type=_Moment(), help="Only what happened since then (ISO 8601, UTC).")
@click.option("--pushed", is_flag=True, help="Only models that were pushed.")
@click.option("--verify", is_flag=True, help="Compute digests again, and say what was changed and what is gone.")
@click.option("--log", metavar="FILE", type=Place("file"), help="Verify a log of all verdicts, and add new ones to it.")
@click.option(
    "--format", "shape", type=click.Choice(["table", "json", "csv"]), default="table", show_default=True,
    help="What is printed: lines for people, one JSON value, or a CSV file.",
)  # fmt: skip
@verbose_option
def audit(
    metadata: str | None,
    model: str | None,
    since: datetime.datetime | None,
    log: str | None,
    shape: str,
    *,
    pushed: bool,
    verify: bool,
) -> int:
    """Say which models were explained, on what data, with which verdict, which rule decided, and what was pushed."""
    from tfx_explain.audit.checks import check_cases  # noqa: PLC0415 - see `validate._judged`

    if metadata is None and (log is None or not verify or model or since or pushed):
        raise click.UsageError("`--metadata` is missing; without it `--verify --log FILE` verifies a log, and no more.")
    if shape == "csv" and (verify or log):
        raise click.UsageError("a CSV file has no place for what `--verify` and `--log` find; name another format.")
    store, cases = ("", []) if metadata is None else _cases(metadata)
    shown = _chosen(cases, store, model, since, pushed=pushed)
    checks = check_cases(shown) if verify else []
    seen = None if log is None else _log(log, cases, store if metadata else None)
    _print(shape, store, shown, checks if verify and metadata else None, seen, in_full=model is not None)
    states = {check.state for check in checks}
    if "changed" in states or (seen is not None and (seen.problems or seen.contradictions)):
        return REFUSED
    return NO_VERDICT if "not checked" in states else DONE


def _cases(metadata: str) -> tuple[str, list[Case]]:
    """The store's name, and all that it holds."""
    from tfx_explain.audit.joining import cases_of  # noqa: PLC0415 - see `validate._judged`
    from tfx_explain.audit.lineage import read_lineage  # noqa: PLC0415
    from tfx_explain.audit.stores import opened  # noqa: PLC0415

    with opened(metadata) as store:
        return store.name, cases_of(read_lineage(store))


def _chosen(
    cases: list[Case], store: str, model: str | None, since: datetime.datetime | None, *, pushed: bool
) -> Sequence[Case]:
    from tfx_explain.audit import choosing  # noqa: PLC0415 - see `validate._judged`

    chosen = cases if model is None else choosing.of_model(cases, model, store)
    if since is not None:
        chosen = choosing.since(chosen, since)
    return choosing.pushed(chosen) if pushed else chosen


def _log(path: str, cases: Sequence[Case], store: str | None) -> LogShown:
    """Verifies a log; with a store also against that, and adds what is new."""
    from tfx_explain.audit.log import append, read_log  # noqa: PLC0415 - see `validate._judged`
    from tfx_explain.audit.logged import contradictions  # noqa: PLC0415
    from tfx_explain.audit.showing import LogShown  # noqa: PLC0415

    state, added = (read_log(path), 0) if store is None else append(path, cases, store)
    is_comparable = store is not None and not state.problems
    differ = contradictions(state.entries, cases, str(store)) if is_comparable else ()
    return LogShown(path, len(state.entries), added, state.digest, state.problems, differ, state.notes)


def _print(
    shape: str,
    store: str,
    cases: Sequence[Case],
    checks: Sequence[Check] | None,
    log: LogShown | None,
    *,
    in_full: bool,
) -> None:
    from tfx_explain.audit import showing  # noqa: PLC0415 - see `validate._judged`

    if shape == "json":
        found = {"store": store, "cases": [showing.as_data(case) for case in cases]}
        checked = {} if checks is None else {"checks": [check._asdict() for check in checks]}
        say_json({**found, **checked, **({} if log is None else {"log": log._asdict()})})
    elif shape == "csv":
        say_csv(showing.HEADINGS, [showing.row(case) for case in cases])
    else:
        lines = [line for case in cases for line in showing.details(case)] if in_full else showing.table(cases)
        if store and not cases:
            lines = ["nothing in the store is about an explanation, a verdict or a push that was asked for"]
        lines += [] if checks is None else showing.checked(checks)
        say(*lines, *([] if log is None else showing.logged(log)))
