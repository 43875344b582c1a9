"""`tfx-explain reasons`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from tfx_explain.commands.exit_codes import DONE
from tfx_explain.commands.options import Command, Place, verbose_option
from tfx_explain.commands.saying import figure, say, say_csv, say_json
from tfx_explain.errors import InputError
from tfx_explain.printable import printable

if TYPE_CHECKING:
    import pandas as pd

    from tfx_explain.reader import ExplanationReader


@click.command("reasons", cls=Command, short_help="Print why rows have an adverse output.")
@click.argument("explanation", metavar="DIR", type=Place("dir"))
@click.option("--row", metavar="ID", help="The row alone, by its `example_id` (default: all rows that have reasons).")
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "json", "csv"]),
    default="table",
    show_default=True,
    help="What is printed: lines for people, or JSON or CSV for programs.",
)
@verbose_option
def reasons(explanation: str, row: str | None, form: str) -> int:
    """Print the reasons in the explanation in DIR: what moved each row most to the adverse side of the output."""
    from tfx_explain.reader import load  # noqa: PLC0415 - see `validate._judged`

    loaded = load(explanation)
    found = loaded.reasons
    if row is not None:
        found = found[found["example_id"] == row]
        if found.empty:
            _check_row(loaded, row)
    found = found.astype(object).where(found.notna(), None)
    if form == "json":
        say_json(found.to_dict("records"))
    elif form == "csv":
        say_csv(list(found.columns), found.itertuples(index=False))
    else:
        say(*_lines(found, several=len(loaded.manifest["reasons"]["adverse"]) > 1))
    return DONE


def _check_row(loaded: ExplanationReader, row: str) -> None:
    """Whether there is such a row, which then has no reasons.

    Raises:
      InputError: there is none.
    """
    from tfx_explain import records, tables  # noqa: PLC0415 - see `validate._judged`

    for batch in loaded.attribution_batches():
        if row in map(records.text, batch.column(tables.EXAMPLE_ID).flatten().to_pylist()):
            return
    raise InputError(f"{loaded.uri} has no explained row with the id `{row}`; `attributions` lists them.")


def _lines(found: pd.DataFrame, *, several: bool) -> list[str]:
    """A line for each reason, under a heading for each row and, of several, output."""
    if found.empty:
        return ["no reasons: nothing moved the output to its adverse side"]
    lines: list[str] = []
    heading = None
    for one in found.itertuples():
        above = (one.row, one.output)
        if above != heading:
            lines.append(f"row {printable(one.example_id)}{f', {printable(one.output)}' if several else ''}:")
            heading = above
        code = f"{printable(one.code)}  " if one.code else ""
        doubts = [word for word, holds in (("tied", one.tied), ("rank uncertain", one.rank_uncertain)) if holds]
        error = "" if one.std_error is None else f" +- {figure(one.std_error)}"
        note = f"  ({', '.join(doubts)})" if doubts else ""
        lines.append(f"  {one.rank}  {code}{printable(one.text)}  {figure(one.attribution, '+')}{error}{note}")
    return lines
