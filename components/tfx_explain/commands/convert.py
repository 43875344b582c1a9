"""`tfx-explain convert`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from tfx_explain.commands.exit_codes import DONE
from tfx_explain.commands.options import Command, Place, common_options
from tfx_explain.commands.saying import say_json, say_text, warn
from tfx_explain.errors import InputError

if TYPE_CHECKING:
    from tfx_explain.conversion import Converted, System


@click.command("convert", cls=Command, short_help="Turn another system's configuration into one of this.")
@click.argument("source", metavar="FILE", type=Place("file"))
@click.option(
    "--from",
    "system",
    required=True,
    type=click.Choice(["clarify", "vertex"]),
    help="Whose it is: SageMaker Clarify's analysis_config.json, or Vertex AI's ExplanationSpec or its metadata.",
)
@click.option(
    "--output", metavar="FILE", type=Place("file"), help="Where the configuration goes (default: standard output)."
)
@click.option("--feature", metavar="NAME", help="The feature with the image or text, where FILE does not name it.")
@common_options
@click.pass_context
def convert(
    context: click.Context, /, source: str, system: System, output: str | None, feature: str | None, *, as_json: bool
) -> int:
    """Turn FILE, another system's configuration of explanations, into an ExplainConfig in YAML.

    What is not carried over as it is goes to standard error, and into comments of the configuration.
    """
    from tfx_explain.conversion import convert_file, told  # noqa: PLC0415 - see `validate._judged`

    converted = convert_file(source, system, feature)
    if output is not None:
        _write(converted.text, output)
    if as_json:
        say_json(_described(converted))
        return DONE
    if output is None:
        say_text(converted.text)
    warn(context.obj, *told(converted.notes))
    return DONE


def _described(converted: Converted) -> dict[str, Any]:
    return {
        "config": converted.config.model_dump(mode="json", exclude_defaults=True),
        "notes": [
            {"key": note.key, "fate": note.fate.value, "to": note.to, "says": note.says} for note in converted.notes
        ],
    }


def _write(text: str, path: str) -> None:
    """Writes a new file, or one that this command wrote, anew."""
    from tfx_explain import storage  # noqa: PLC0415 - see `validate._judged`
    from tfx_explain.conversion import MADE_BY  # noqa: PLC0415

    if storage.exists(path) and not storage.read_start(path).startswith(MADE_BY.encode()):
        raise InputError(f"{path} is there already and was not made by `convert`; name a new file, or remove it.")
    storage.replace(path, text.encode())
