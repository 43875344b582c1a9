"""The page of the command line lists every exit code and every command."""

import re
from pathlib import Path

from tfx_explain.commands import exit_codes, program

PAGE = (Path(__file__).parents[2] / "docs/command_line.md").read_text()


def test_the_page_lists_every_exit_code() -> None:
    given = sorted(value for name, value in vars(exit_codes).items() if name.isupper())
    assert sorted(map(int, re.findall(r"^\| (\d+) \|", PAGE, re.MULTILINE))) == given


def test_the_page_lists_every_command() -> None:
    assert re.findall(r"^\| `tfx-explain (\w+)` \|", PAGE, re.MULTILINE) == list(program.commands)
