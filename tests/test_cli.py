"""The command line, as a stranger meets it."""

import logging
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import tfx_explain
from tfx_explain.cli import main

POLICY = "rules: [max_share: {players: [race], value: %s}, max_completeness_gap: {value: 1.0e-6}]\n"


@pytest.fixture(autouse=True)
def _log_level() -> Iterator[None]:
    level = logging.getLogger().level
    yield
    logging.getLogger().setLevel(level)


@pytest.fixture(scope="module")
def explanation(linear_model: str, linear_examples: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    root = tmp_path_factory.mktemp("cli")
    (root / "config.yaml").write_text("background: {num_rows: 8}\nid_key: application_id\n")
    command = ["explain", "--model", linear_model, "--examples", linear_examples]
    assert main([*command, "--config", str(root / "config.yaml"), "--output", str(root / "out")]) == 0
    return str(root / "out")


def test_explain_says_what_matters_and_where_the_report_is(
    linear_model: str, linear_examples: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["explain", "--model", linear_model, "--examples", linear_examples, "--output", str(tmp_path / "out")]
    assert main(command) == 0
    said = capsys.readouterr().out
    explanation = tfx_explain.load(str(tmp_path / "out"))
    assert "eval: 120 of 120 rows explained, 0 failed" in said
    top = explanation.importance_for().iloc[0]
    assert f"1  {top['player']}" in " ".join(said.split(" ")).replace("   ", " ")
    assert f"report: {tmp_path}/out/report.html" in said
    assert main(command) == 2
    assert "is not empty" in capsys.readouterr().err


@pytest.mark.parametrize(("allowed", "code", "word"), [(0.9, 0, "blessed"), (0.001, 1, "refused")])
def test_validate_answers_by_exit_code(
    explanation: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], allowed: float, code: int, word: str
) -> None:
    (tmp_path / "policy.yaml").write_text(POLICY % allowed)
    assert main(["validate", "--explanation", explanation, "--config", str(tmp_path / "policy.yaml")]) == code
    said = capsys.readouterr().out.splitlines()
    assert said[-1] == word
    assert said[0].startswith("pass" if code == 0 else "fail")
    assert "race carries" in said[0]


def test_report_is_written_again(explanation: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = Path(explanation, "report.html")
    before = path.read_text()
    path.unlink()
    assert main(["report", explanation]) == 0
    assert path.read_text() == before
    assert capsys.readouterr().out.strip() == str(path)


def test_bad_input_is_one_sentence_and_code_2(
    explanation: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "policy.yaml").write_text("rules: [max_share: {players: [rase], value: 0.1}]\n")
    (tmp_path / "typo.yaml").write_text("rulez: []\n")
    cases = {
        "no explanation": ["validate", "--explanation", str(tmp_path), "--config", "x.yaml"],
        "policy about no player": ["validate", "--explanation", explanation, "--config", str(tmp_path / "policy.yaml")],
        "unknown key": ["validate", "--explanation", explanation, "--config", str(tmp_path / "typo.yaml")],
        "no report": ["report", str(tmp_path)],
    }
    said = {}
    for name, command in cases.items():
        assert main(command) == 2, name
        captured = capsys.readouterr()
        assert captured.out == ""
        assert captured.err.count("\n") == 1, captured.err
        said[name] = captured.err
    assert "did you mean `race`" in said["policy about no player"]
    assert "did you mean `rules`" in said["unknown key"]


def test_program_prints_nothing_but_its_answer(explanation: str, tmp_path: Path) -> None:
    (tmp_path / "policy.yaml").write_text(POLICY % 0.9)
    command = [sys.executable, "-m", "tfx_explain.cli", "validate", "--explanation", explanation]
    done = subprocess.run(
        [*command, "--config", str(tmp_path / "policy.yaml")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0
    assert done.stderr == ""
    assert done.stdout.splitlines()[-1] == "blessed"
