"""What commands share: options, kinds of values, and how a wrong use is told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click
from click.shell_completion import CompletionItem

F = TypeVar("F", bound=Callable[..., Any])

PROGRAM = "tfx-explain"
BEAM_ARGS = "tfx_explain.beam_args"
"""Where the context of a command keeps what follows `--`."""


class Place(click.ParamType[str]):
    """A path or URI; what is there is found out by whoever reads it.

    Args:
      kind: what a shell offers for it: `dir` or `file`.
    """

    name = "path"

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The path.

        Raises:
          click.BadParameter: it is empty, as an unset variable of a shell is, or no path can have it.
        """
        if not value.strip() or "\0" in value:
            self.fail("it is empty." if not value.strip() else "no path has a null character.", param, ctx)
        return value

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Has the shell offer paths."""
        return [CompletionItem(incomplete, type=self.kind)]


class Command(click.Command):
    """A command whose errors know where they come from."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Reads the arguments."""
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as error:
            error.ctx = error.ctx or ctx
            raise


class BeamCommand(Command):
    """A command that hands what follows `--` to Apache Beam."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Keeps Beam's options apart."""
        at = args.index("--") if "--" in args else len(args)
        ctx.meta[BEAM_ARGS] = args[at + 1 :]
        return super().parse_args(ctx, args[:at])

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        """What `--help` begins with."""
        return [*super().collect_usage_pieces(ctx), "[-- BEAM_OPTIONS]"]


def common_options(function: F) -> F:
    """The options of every command that reads or writes explanations; `as_json` is among its arguments."""
    choice = click.option(
        "--format",
        "as_json",
        type=click.Choice(["text", "json"]),
        default="text",
        show_default=True,
        callback=lambda ctx, param, value: value == "json",
        help="What is printed: lines for people, or one JSON value for programs.",
    )
    return choice(verbose_option(function))


def verbose_option(function: F) -> F:
    """`--verbose`, which every command has; `is_verbose` reads it."""
    option = click.option(
        "--verbose", is_flag=True, expose_value=False, help="Show the libraries' logs, and where an error came from."
    )
    return option(function)


def is_verbose(arguments: list[str]) -> bool:
    """Whether `--verbose` is among the arguments, whatever else is wrong with them."""
    return "--verbose" in arguments[: arguments.index("--") if "--" in arguments else None]


def wrong_use(error: click.ClickException) -> str:
    """What is wrong with the arguments, in a sentence that leads to the help."""
    context = getattr(error, "ctx", None)
    about = context.command_path if context is not None else PROGRAM
    near = getattr(error, "possibilities", None)
    if isinstance(error, click.NoSuchOption):
        what = f"there is no option {error.option_name}"
    elif isinstance(error, click.exceptions.NoSuchCommand):
        what = f"there is no command `{error.command_name}`"
    else:
        said = error.format_message().strip().rstrip(".")
        what = said[:1].lower() + said[1:]
    if near:
        what += f"; did you mean {' or '.join(sorted(near))}?"
    if what == "missing command" and context is not None and isinstance(context.command, click.Group):
        what = f"name a command: {', '.join(context.command.list_commands(context))}"
    stray = isinstance(error, click.NoSuchOption) or "unexpected extra argument" in what
    if stray and not near and isinstance(getattr(context, "command", None), BeamCommand):
        what += "; Apache Beam's options follow `--`"
    return f"{what}{'' if near else ';'} see `{about} --help`."
