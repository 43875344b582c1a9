"""The commands of `tfx-explain`, a module each; they import what is heavy when they run, so that `--help` is quick."""

from __future__ import annotations

import click

from tfx_explain.commands.audit import audit
from tfx_explain.commands.card import card
from tfx_explain.commands.completion import completion
from tfx_explain.commands.convert import convert
from tfx_explain.commands.estimate import estimate
from tfx_explain.commands.explain import explain
from tfx_explain.commands.options import PROGRAM
from tfx_explain.commands.reasons import reasons
from tfx_explain.commands.report import report
from tfx_explain.commands.validate import validate
from tfx_explain.version import __version__


class _Program(click.Group):
    """Lists commands in the order in which people need them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Their names."""
        return list(self.commands)


@click.group(
    PROGRAM,
    cls=_Program,
    no_args_is_help=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit codes: 0 done, 1 refused (`validate`) or changed (`audit`), 2 bad input or anything else that went "
    "wrong, 3 every rule was skipped (`validate`), 130 interrupted. `tfx-explain COMMAND --help` has the options of a "
    "command.",
)
@click.version_option(__version__, prog_name=PROGRAM, message="%(prog)s %(version)s", help="Print the version.")
def program() -> None:
    """Explain a model, and judge the explanation by a policy, without a TFX pipeline."""


for _command in (explain, validate, report, card, reasons, estimate, convert, audit, completion):
    program.add_command(_command)
