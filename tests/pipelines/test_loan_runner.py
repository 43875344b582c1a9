"""What the demo says on the terminal: a line per component, and one sentence where it fails."""

import io
import logging

import pytest

from loan_approval import local_runner
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
    assert local_runner._sentence(failed_with(*errors)) == sentence


def test_what_an_error_hides_on_purpose_stays_hidden():
    hiding = ValueError("outer")
    hiding.__context__ = KeyError("inner")
    hiding.__suppress_context__ = True
    assert local_runner._sentence(hiding) == "ValueError: outer."


def said(*records):
    """Progress and its lines after some log records."""
    terminal = io.StringIO()
    progress = local_runner.Progress(terminal)
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


@pytest.mark.parametrize(("flags", "letters"), [([], "AB"), (["--candidates", "all"], "ABCD")])
def test_two_candidates_run_unless_all_are_asked_for(flags, letters, tmp_path, monkeypatch):
    ran = []
    monkeypatch.setattr(local_runner, "DEMO", tmp_path / "demo")
    monkeypatch.setattr(local_runner, "_redirect_noise", lambda log: io.StringIO())
    monkeypatch.setattr(local_runner, "_run_candidates", lambda candidates, terminal: ran.extend(candidates.values()))
    assert local_runner.main(flags) == 0
    assert ran == list(local_runner.CANDIDATES.values())[: len(letters)]
    assert [name[0] for name in local_runner.CANDIDATES][: len(ran)] == list(letters)


def test_inputs_that_cannot_be_resolved_count_as_failure():
    progress, lines = said(
        ("Component %s is running.", "A"),
        ("[%s] Input resolution error: %s", "A", "why"),
        ("Component %s is finished.", "A"),
    )
    assert progress.failed == "A"
    assert lines[0].split() == ["A", "failed"]
