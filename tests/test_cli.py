"""The command line, as a stranger meets it."""

import asyncio
import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import tfx_explain
from tfx_explain.cli import main
from tfx_explain.commands.explain import summary
from tfx_explain.commands.saying import say

POLICY = "rules: [max_share: {players: [race], value: %s}, max_completeness_gap: {value: 1.0e-6}]\n"


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


def test_shares_on_the_terminal_are_of_a_total_that_is_not_cut_off(explanation: str) -> None:
    reader = tfx_explain.load(explanation)
    first = reader.importance_for().iloc[0]
    reader.importance["cut_off"] = np.where(reader.importance["rank"] == 1, 0.0, -0.1 * reader.importance["value"])
    table = reader.importance_for()
    share = first["value"] / (table["value"].sum() + table["cut_off"].sum())
    assert f"{share:.1%}" != f"{first['share']:.1%}"
    (line,) = [line for line in summary(reader) if line.split()[:2] == ["1", first["player"]]]
    assert line.endswith(f"{share:.1%}")


def test_small_figures_on_the_terminal_keep_their_digits(explanation: str) -> None:
    reader = tfx_explain.load(explanation)
    first = reader.importance_for().iloc[0]
    for column in ("value", "ci_low", "ci_high"):
        reader.importance[column] *= 1e-6 / first["value"]
    (line,) = [line for line in summary(reader) if line.split()[:2] == ["1", first["player"]]]
    half = (first["ci_high"] - first["ci_low"]) / 2 / first["value"] * 1e-6
    assert line.split()[2:5] == ["1e-06", "+-", f"{half:.4g}"]


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
    assert capsys.readouterr().out.strip() == f"report: {path}"


def test_a_report_that_no_browser_shows_is_written_all_the_same(
    explanation: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("webbrowser.open", lambda uri: False)
    page = tmp_path / "page.html"
    assert main(["report", explanation, "--output", str(page), "--open"]) == 2
    assert f"no browser that could be opened; the report is written: open {page} yourself." in capsys.readouterr().err
    assert page.is_file()


def test_report_follows_no_link_and_replaces_nothing_else(
    explanation: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, mine = Path(explanation, "report.html"), tmp_path / "mine"
    mine.write_text("mine")
    before = path.read_bytes()
    path.unlink()
    path.symlink_to(mine)
    try:
        assert main(["report", explanation]) == 2
        assert "is a symbolic link" in capsys.readouterr().err
        assert main(["report", explanation, "--output", str(mine)]) == 2
        assert main(["report", explanation, "--output", str(tmp_path)]) == 2
        assert mine.read_text() == "mine"
    finally:
        path.unlink()
        path.write_bytes(before)
    for _ in range(2):
        assert main(["report", explanation, "--output", str(tmp_path / "new" / "page.html")]) == 0
        assert (tmp_path / "new" / "page.html").read_bytes() == before
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["mine", "new", "page.html"]


def test_verdicts_are_written_to_a_new_directory(
    explanation: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["validate", "--explanation", explanation, "--config", str(tmp_path / "policy.yaml")]
    for allowed, code, name in ((0.9, 0, "BLESSED"), (0.001, 1, "NOT_BLESSED")):
        (tmp_path / "policy.yaml").write_text(POLICY % allowed)
        assert main([*command, "--output", str(tmp_path / name)]) == code
        assert {path.name for path in (tmp_path / name).iterdir()} == {
            *("findings.json", "history.parquet", "report.html", "verdict.html"),
            name,
        }
        assert json.loads((tmp_path / name / "findings.json").read_text())["blessed"] is (code == 0)
    assert main([*command, "--output", str(tmp_path / "BLESSED")]) == 2
    assert "is not empty" in capsys.readouterr().err
    assert {path.name for path in (tmp_path / "BLESSED").iterdir()} == {
        *("findings.json", "history.parquet", "report.html", "verdict.html"),
        "BLESSED",
    }
    assert main(["validate", "--explanation", explanation, "--config", "absent", "--output", str(tmp_path / "x")]) == 2
    assert not (tmp_path / "x").exists()


def test_where_every_rule_was_skipped_there_is_no_verdict(
    explanation: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "policy.yaml").write_text("rules: [drift: default]\n")
    command = ["validate", "--explanation", explanation, "--config", str(tmp_path / "policy.yaml")]
    assert main([*command, "--output", str(tmp_path / "out")]) == 3
    assert "not judged: every rule was skipped" in capsys.readouterr().out.splitlines()[-1]
    assert (tmp_path / "out" / "NOT_BLESSED").exists()
    assert json.loads((tmp_path / "out" / "findings.json").read_text())["promise"].startswith("Nothing was checked")
    assert main([*command, "--allow-skipped"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "blessed"
    (tmp_path / "policy.yaml").write_text("rules: [drift: default, max_share: {players: [race], value: 0.9}]\n")
    assert main(command) == 0


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (KeyError("x\x1b[2J\ny"), 2, "something unexpected went wrong: KeyError"),
        (RecursionError(), 2, "RecursionError; run the command with --verbose"),
        (MemoryError(), 2, "not enough memory"),
        (SystemExit(0), 2, "ended the program (exit code 0)"),
        (SystemExit(1), 2, "ended the program (exit code 1)"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (BrokenPipeError(), 2, "stopped reading"),
        (asyncio.CancelledError(), 2, "CancelledError"),
    ],
)
@pytest.mark.parametrize("verbose", [[], ["--verbose"]])
def test_whatever_goes_wrong_is_no_verdict(
    error: BaseException,
    code: int,
    said: str,
    verbose: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr("tfx_explain.reader.load", fail)
    # A descriptor of its own: that of a broken pipe is led to nowhere.
    with open(os.devnull, "w") as out, monkeypatch.context() as patched:
        patched.setattr(sys, "stdout", out)
        assert main(["validate", "--explanation", "x", "--config", "y", *verbose]) == code
    told = capfd.readouterr().err
    assert said in told
    assert ("Traceback" in told) == bool(verbose)
    assert "\x1b" not in told.splitlines()[-1]
    assert verbose or told.count("\n") == 1


def test_sigterm_interrupts_as_ctrl_c_does(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("tfx_explain.reader.load", lambda *_: signal.raise_signal(signal.SIGTERM))
    assert main(["validate", "--explanation", "x", "--config", "y"]) == 130
    assert capsys.readouterr().err == "tfx-explain: interrupted.\n"
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def test_an_interrupt_within_a_step_of_the_job_is_an_interrupt(
    linear_model: str,
    linear_examples: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("tfx_explain.transforms.plan.plan", lambda *_: signal.raise_signal(signal.SIGINT))
    command = ["explain", "--model", linear_model, "--examples", linear_examples, "--output", str(tmp_path / "out")]
    assert main(command) == 130
    assert capsys.readouterr().err == "tfx-explain: interrupted.\n"
    assert not list(tmp_path.iterdir())


def test_a_pipe_or_disk_that_takes_no_verdict_is_exit_code_2(explanation: str, tmp_path: Path) -> None:
    (tmp_path / "policy.yaml").write_text(POLICY % 0.9)
    program = (
        f"{sys.executable} -m tfx_explain.cli validate --explanation {explanation} --config {tmp_path}/policy.yaml"
    )
    full = subprocess.run(["bash", "-c", f"{program} > /dev/full"], capture_output=True, text=True, check=False)
    assert full.returncode == 2
    assert full.stderr == (
        "tfx-explain: no space is left where the output goes; make room, or write elsewhere; the exit code is no "
        "verdict.\n"
    )


def test_the_terminal_gets_no_commands(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    say("pass  a\x1b[2Jb\x9bc\nrefused\u202e", "x" * 1_000_000)
    out = capsys.readouterr().out
    assert out.startswith("pass  a\\x1b[2Jb\\x9bc\\nrefused\\u202e\n")
    assert len(out) < 2_000
    ascii_only = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", ascii_only)
    say("größe")
    ascii_only.seek(0)
    assert ascii_only.read() == "gr\\xf6\\xdfe\n"


def test_programs_read_json(
    explanation: str, linear_model: str, linear_examples: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = str(tmp_path / "out")
    command = ["explain", "--model", linear_model, "--examples", linear_examples, "--output", out]
    assert main([*command, "--format", "json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["explanation"] == out
    assert said["report"] == f"{out}/report.html"
    assert said["counts"]["eval"]["explained"] == 120
    table = tfx_explain.load(out).importance_for()
    assert [row["player"] for row in said["importance"]] == table["player"].tolist()
    assert [row["value"] for row in said["importance"]] == table["value"].tolist()
    (tmp_path / "policy.yaml").write_text(POLICY % 0.001)
    command = ["validate", "--explanation", explanation, "--config", str(tmp_path / "policy.yaml"), "--format", "json"]
    assert main([*command, "--output", str(tmp_path / "verdict")]) == 1
    said = json.loads(capsys.readouterr().out)
    assert said.pop("verdict") == "refused"
    assert said == json.loads((tmp_path / "verdict" / "findings.json").read_text())
    assert main(["report", explanation, "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"report": f"{explanation}/report.html"}


def test_version_and_help_are_answers(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"tfx-explain {tfx_explain.__version__}\n"
    for command in ([], ["explain"], ["validate"], ["report"], ["completion"]):
        assert main([*command, "--help"]) == 0
        said = capsys.readouterr()
        assert said.err == ""
        assert said.out.startswith(" ".join(["Usage: tfx-explain", *command]))


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
