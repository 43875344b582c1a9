"""`tfx-explain completion`, and what shells ask."""

from __future__ import annotations

import os

import click
from click.shell_completion import get_completion_class, shell_complete

from tfx_explain.commands.exit_codes import DONE, NO_VERDICT
from tfx_explain.commands.options import PROGRAM, Command
from tfx_explain.errors import InputError

_VARIABLE = "_TFX_EXPLAIN_COMPLETE"
_SHELLS = ("bash", "zsh", "fish")


@click.command("completion", cls=Command, short_help="Let a shell complete commands and options.")
@click.argument("shell", type=click.Choice(_SHELLS))
@click.pass_context
def completion(context: click.Context, shell: str) -> int:
    """Print a script that lets SHELL complete commands and options with the Tab key.

    For bash, add this line to ~/.bashrc: eval "$(tfx-explain completion bash)"
    """
    found = get_completion_class(shell)
    if found is None:
        raise InputError(f"there is no completion for `{shell}`; there is for {', '.join(_SHELLS)}.")
    click.echo(found(context.find_root().command, {}, PROGRAM, _VARIABLE).source())
    return DONE


def answered_shell(command: click.Command) -> int | None:
    """Answers a shell that asks what could come next; None where none asks."""
    asked = os.environ.get(_VARIABLE)
    if not asked:
        return None
    return NO_VERDICT if shell_complete(command, {}, PROGRAM, _VARIABLE, asked) else DONE
