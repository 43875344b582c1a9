"""`tfx-explain report`."""

from __future__ import annotations

import webbrowser
from pathlib import Path

import click

from tfx_explain.commands.exit_codes import DONE
from tfx_explain.commands.options import Command, Place, common_options
from tfx_explain.commands.saying import say, say_json
from tfx_explain.errors import InputError


@click.command("report", cls=Command, short_help="Write an explanation's report again.")
@click.argument("explanation", metavar="DIR", type=Place("dir"))
@click.option(
    "--output", metavar="FILE", type=Place("file"), help="Where to write it (default: report.html in the explanation)."
)
@click.option("--open", "opened", is_flag=True, help="Show it in the browser.")
@common_options
def report(explanation: str, output: str | None, *, opened: bool, as_json: bool) -> int:
    """Write the report of the explanation in DIR again, and print where it is."""
    from tfx_explain import storage, tables  # noqa: PLC0415 - see `validate._judged`
    from tfx_explain.reader import load  # noqa: PLC0415
    from tfx_explain.report import GENERATOR, render_explanation  # noqa: PLC0415

    loaded = load(explanation)
    if loaded.has_digests:
        loaded.verify()
    uri = output or storage.join(loaded.uri, tables.REPORT)
    page = render_explanation(loaded.uri).encode()
    if output is not None and storage.exists(uri) and f'content="{GENERATOR}"'.encode() not in storage.read_start(uri):
        raise InputError(f"{uri} is there already and is no report; name a new file, or remove it.")
    storage.replace(uri, page)
    if as_json:
        say_json({"report": uri})
    else:
        say(f"report: {uri}")
    if opened and not webbrowser.open(Path(uri).resolve().as_uri() if storage.is_local(uri) else uri):
        raise InputError(f"there is no browser that could be opened; the report is written: open {uri} yourself.")
    return DONE
