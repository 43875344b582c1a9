"""What demos say on the terminal: a line per component, and one sentence where they fail."""

import io
import logging

import pytest

import demonstration
from tfx_explain.errors import ModelError


def failed_with(*errors):
    """The last of the errors, each raised while the one before was handled."""
    try:
        raise errors[0]
    except type(errors[0]) as error:
        for one in errors[1:]:
            one.__context__ = error
            error = one
        return error


@pytest.mark.parametrize(
    ("errors", "sentence"),
    [
        ([ValueError("bad row.\nwhile running Explain"), OSError()], "ValueError: bad row."),
        ([KeyError("x"), ModelError("the model has no output."), RuntimeError("in Beam")], "the model has no output."),
        ([OSError()], "OSError: no message."),
    ],
)
def test_a_failure_is_told_by_what_began_it(errors, sentence):
    assert demonstration.sentence(failed_with(*errors)) == sentence


def test_what_an_error_hides_on_purpose_stays_hidden():
    hiding = ValueError("outer")
    hiding.__context__ = KeyError("inner")
    hiding.__suppress_context__ = True
    assert demonstration.sentence(hiding) == "ValueError: outer."


def said(*records):
    """Progress and its lines after some log records."""
    terminal = io.StringIO()
    progress = demonstration.Progress(terminal)
    for message, *arguments in records:
        progress.handle(logging.LogRecord("absl", logging.INFO, "", 0, message, tuple(arguments), None))
    return progress, terminal.getvalue().splitlines()


def test_each_component_gets_one_line():
    start, end = "Component %s is running.", "Component %s is finished."
    progress, lines = said(
        (start, "A"), (end, "A"),
        (start, "B"), ("A cached execution %d is used.", 3), (end, "B"),
        (start, "C"), ("Skipping execution for %s", "C"), ("noise",), (end, "C"),
        (start, "D"),
    )  # fmt: skip
    assert [line.split() for line in lines] == [["A", "0", "s"], ["B", "reused"], ["C", "skipped"]]
    assert progress.failed is None


def test_inputs_that_cannot_be_resolved_count_as_failure():
    progress, lines = said(
        ("Component %s is running.", "A"),
        ("[%s] Input resolution error: %s", "A", "why"),
        ("Component %s is finished.", "A"),
    )
    assert progress.failed == "A"
    assert lines[0].split() == ["A", "failed"]


def run(directory, monkeypatch, demo):
    """The exit code of a demo, and what it wrote for a person."""
    terminal = io.StringIO()
    monkeypatch.setattr(demonstration, "_redirect_noise", lambda log: terminal)
    return demonstration.run_alone(directory, demo), terminal.getvalue()


def test_a_demo_that_fails_says_why_and_where_to_read_on(tmp_path, monkeypatch):
    def fails(terminal):
        raise ModelError("the model has no output.")

    code, said = run(tmp_path / "demo", monkeypatch, fails)
    assert code == 1
    assert said == f"demo failed: the model has no output. Details: {tmp_path / 'demo' / 'log.txt'}\n"


def test_a_directory_is_written_to_by_one_demo_at_a_time(tmp_path, monkeypatch, capsys):
    codes = []
    code, _ = run(tmp_path, monkeypatch, lambda terminal: codes.append(run(tmp_path, monkeypatch, print)[0]))
    assert (code, codes) == (0, [1])
    assert "another demo is writing" in capsys.readouterr().out
