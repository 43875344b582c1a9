"""Which candidates the demo of loans runs."""

import io

import pytest

import demonstration
from loan_approval import local_runner


@pytest.mark.parametrize(("flags", "letters"), [([], "AB"), (["--candidates", "all"], "ABCD")])
def test_two_candidates_run_unless_all_are_asked_for(flags, letters, tmp_path, monkeypatch):
    ran = []
    monkeypatch.setattr(local_runner, "DEMO", tmp_path / "demo")
    monkeypatch.setattr(demonstration, "_redirect_noise", lambda log: io.StringIO())
    monkeypatch.setattr(local_runner, "_run_candidates", lambda candidates, terminal: ran.extend(candidates.values()))
    assert local_runner.main(flags) == 0
    assert ran == list(local_runner.CANDIDATES.values())[: len(letters)]
    assert [name[0] for name in local_runner.CANDIDATES][: len(ran)] == list(letters)
