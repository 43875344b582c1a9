"""What a shell is told when somebody presses Tab."""

import pytest

from tfx_explain.cli import main


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("tfx-explain va", ["plain,validate"]),
        ("tfx-explain report --o", ["plain,--output", "plain,--open"]),
        ("tfx-explain validate --format ", ["plain,text", "plain,json"]),
        ("tfx-explain report ex", ["dir,ex"]),
        ("tfx-explain validate --config po", ["file,po"]),
    ],
)
def test_a_shell_is_offered_what_could_come_next(
    typed: str, offered: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("_TFX_EXPLAIN_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", typed)
    monkeypatch.setenv("COMP_CWORD", str(len(typed.split(" ")) - 1))
    assert main([]) == 0
    assert capsys.readouterr().out.split() == offered


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_scripts_ask_the_program(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == 0
    said = capsys.readouterr()
    assert "_TFX_EXPLAIN_COMPLETE" in said.out
    assert said.err == ""
