"""`tfx-explain card`."""

from __future__ import annotations

import click

from tfx_explain.commands.exit_codes import DONE
from tfx_explain.commands.options import Command, Place, verbose_option
from tfx_explain.commands.saying import say, say_text
from tfx_explain.errors import InputError

_DIRECTORY, _FILE = Place("dir"), Place("file")


@click.command("card", cls=Command, short_help="Write a model card from an explanation.")
@click.argument("explanation", metavar="DIR", type=_DIRECTORY)
@click.option(
    "--validation",
    metavar="DIR",
    type=_DIRECTORY,
    help="The verdict on it, as ExplanationValidator or `validate --output` wrote it.",
)
@click.option("--details", metavar="FILE", type=_FILE, help="What only the owner of the model knows, in YAML or JSON.")
@click.option("--output", metavar="FILE", type=_FILE, help="Where to write it (default: print it).")
@click.option(
    "--format",
    "kind",
    type=click.Choice(["markdown", "json"]),
    default="markdown",
    show_default=True,
    help="Markdown for people, or the JSON of the Model Card Toolkit (schema v0.0.2).",
)
@verbose_option
def card(explanation: str, validation: str | None, details: str | None, output: str | None, kind: str) -> int:
    """Write what the explanation in DIR, a verdict on it and the owner say of the model, each figure with its source.

    What the explanation cannot know is listed as to be filled in by the owner.
    """
    text = _made(explanation, validation, details, kind)
    if output is None:
        say_text(text)
        return DONE
    from tfx_explain import storage  # noqa: PLC0415 - see `validate._judged`
    from tfx_explain.card.markdown import MARK  # noqa: PLC0415
    from tfx_explain.card.toolkit import JSON_START  # noqa: PLC0415

    if storage.exists(output) and not storage.read_start(output).startswith((MARK.encode(), JSON_START.encode())):
        raise InputError(f"{output} is there already and is no model card; name a new file, or remove it.")
    storage.replace(output, text.encode())
    say(output)
    return DONE


def _made(explanation: str, validation: str | None, details: str | None, kind: str) -> str:
    from tfx_explain.card import OwnerDetails, Validation, make_card, to_markdown, to_model_card  # noqa: PLC0415
    from tfx_explain.card.toolkit import as_text  # noqa: PLC0415
    from tfx_explain.reader import load  # noqa: PLC0415

    told = OwnerDetails() if details is None else OwnerDetails.from_file(details)
    loaded = load(explanation)
    verdict = None if validation is None else Validation.read(validation, loaded)
    made = make_card(loaded, verdict, told)
    return to_markdown(made) if kind == "markdown" else as_text(to_model_card(made, loaded, told))
