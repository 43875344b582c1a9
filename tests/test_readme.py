"""The README says what works: its commands and programs are run here."""

import re
import shlex
import subprocess
from pathlib import Path

import pytest
from tfx import v1 as tfx

import worlds
from tfx_explain.cli import main
from tfx_explain.config.explain import Method
from tfx_explain.config.validation import Rule

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_make_targets_exist() -> None:
    commands = blocks("bash")[0].split("\n")
    for command in filter(None, commands):
        assert command.startswith("make ")
        subprocess.run([*command.split(), "--dry-run"], cwd=ROOT, check=True, capture_output=True)


def test_wiring_is_twenty_lines_and_builds() -> None:
    wiring = blocks("python")[0]
    assert len([line for line in wiring.split("\n") if line.strip() not in ("", ")")]) <= 20
    example_gen = tfx.components.CsvExampleGen(input_base="data")
    trainer = tfx.components.Trainer(
        run_fn="nowhere.run_fn",
        examples=example_gen.outputs["examples"],
        train_args=tfx.proto.TrainArgs(),
        eval_args=tfx.proto.EvalArgs(),
    )
    filesystem = tfx.proto.PushDestination.Filesystem(base_directory="serving")
    names = {
        "example_gen": example_gen,
        "trainer": trainer,
        "push_destination": tfx.proto.PushDestination(filesystem=filesystem),
    }
    exec(wiring, names)
    components = [example_gen, trainer, *(names[name] for name in ("explainer", "validator", "pusher", "statistics"))]
    pipeline = tfx.dsl.Pipeline(pipeline_name="readme", pipeline_root="root", components=components)
    assert {node.id for node in pipeline.components} >= {"Explainer", "ExplanationValidator", "Pusher"}


@pytest.fixture
def workplace(linear_model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "serving").mkdir()
    (tmp_path / "serving" / "1").symlink_to(linear_model)
    for split, seed in (("train", 1), ("eval", 2)):
        rows = [worlds.to_example(row) for row in worlds.make_rows(60, seed)]
        worlds.write_records(tmp_path / "data" / f"Split-{split}", rows)
    (tmp_path / "explain.yaml").write_text("background: {num_rows: 8}\n")
    (tmp_path / "policy.yaml").write_text("rules: [max_share: {players: [race], value: 0.9}]\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_commands_and_program_run_as_written(workplace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for command in filter(None, blocks("bash")[1].split("\n")):
        program, *arguments = shlex.split(command)
        assert program == "tfx-explain"
        assert main(arguments) == 0
        assert capsys.readouterr().err == ""
    assert (workplace / "explanation" / "report.html").exists()
    exec(blocks("python")[1], {})


def test_every_method_rule_and_benchmark_is_named() -> None:
    benchmarks = {path.name for path in (ROOT / "benchmarks").glob("*.py") if "__main__" in path.read_text()}
    benchmarks = {name for name in benchmarks if not name.endswith("_peer.py")}
    for name in {*Method.model_fields, *Rule.model_fields, *benchmarks}:
        assert f"`{name}" in README, name
    for script in re.findall(r"pipelines/[a-z_/]+\.py", README):
        assert (ROOT / script).exists(), script


def test_picture_and_links_are_there() -> None:
    links = [target for target in re.findall(r"\]\(([^)]+)\)", README) if "://" not in target]
    assert links
    for target in links:
        file, _, heading = target.partition("#")
        page = ROOT / (file or "README.md")
        assert page.exists(), target
        if heading:
            headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
            assert heading in [re.sub(r"[^\w -]", "", one).lower().replace(" ", "-") for one in headings], target
