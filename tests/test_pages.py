"""The pages say what works: their programs, commands, configurations and messages are tried here."""

import ast
import pickle
import re
import runpy
import shlex
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import xgboost
from sklearn.ensemble import RandomForestClassifier

import tfx_explain
from snippets import DOCS, PAGES, ROOT, blocks, commands, texts
from tfx_explain.cli import main
from tfx_explain.commands import program
from tfx_explain.config.methods import Method
from tfx_explain.config.validation import Rule
from tfx_explain.models import load_module_model

PACKAGE = Path(tfx_explain.__file__).parent
FILE = re.compile(r"# ([\w.]+)\n")
"""The first line of a block that is a file of the reader's."""


@pytest.fixture(scope="module")
def tutorial(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a reader of the tutorial has done all that it says."""
    directory = tmp_path_factory.mktemp("tutorial")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(directory)
        for language, text in blocks("docs/tutorial.md"):
            file = FILE.match(text)
            if file is not None:
                Path(file[1]).write_text(text)
            if language == "python":
                runpy.run_path(file[1]) if file else exec(text, {})
            elif language == "bash":
                for command in text.strip().split("\n"):
                    name, *arguments = shlex.split(command)
                    assert (name, main(arguments)) == ("tfx-explain", 0), command
    return directory


def test_the_tutorial_comes_to_its_report(tutorial: Path) -> None:
    assert (tutorial / "explanation/report.html").exists()
    ranks = tfx_explain.load(str(tutorial / "explanation")).importance_for(method="shapley").set_index("player")["rank"]
    assert ranks["lucky_number"] > max(ranks["income"], ranks["debt_ratio"])


def test_reasons_are_those_that_the_page_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    shown = blocks("docs/howto/reasons.md")
    for file in (FILE.match(text) for _, text in shown):
        if file is not None:
            Path(file[1]).write_text(file.string)
    program_file, *typed = (shlex.split(line) for line in commands("docs/howto/reasons.md"))
    runpy.run_path(program_file[1], run_name="__main__")
    for _, *arguments in typed:
        capsys.readouterr()
        assert main(arguments) == 0
    assert capsys.readouterr().out == next(text for language, text in shown if language == "text")


def test_programs_about_an_explanation_run(tutorial: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tutorial)
    for text in texts("docs/report.md", "python"):
        exec(text, {})


def test_commands_about_a_model_card_write_it(tutorial: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tutorial)
    (details,) = texts("docs/howto/model_card.md", "yaml")
    Path("details.yaml").write_text(details)
    for command in commands("docs/howto/model_card.md"):
        name, *arguments = shlex.split(command)
        assert (name, main(arguments)) == ("tfx-explain", 0), command
    card = Path("card.md").read_text()
    headings = re.findall(r"^## (.*)$", card, re.MULTILINE)
    told = [
        cell.partition(":")[0]
        for cell in re.findall(r"^\| ([A-Z][^|]*) \|", _page("howto/model_card.md"), re.MULTILINE)
    ]
    assert set(headings) <= set(told[1:]), "each section is in the table"
    assert "To be filled in" not in card
    assert Path("card.json").exists()
    assert main(["card", "explanation", "--output", "card.md"]) == 0, "an earlier card is written anew"


def test_commands_about_monitoring_without_a_pipeline_go_on(tutorial: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tutorial)
    typed = [command for command in commands("docs/howto/monitoring.md") if command.startswith("tfx-explain")]
    assert len(typed) == 2
    for command in typed:
        assert main(shlex.split(command)[1:]) == 0, command
    assert Path("tuesday/history.parquet").exists()


def _page(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def test_programs_about_the_demonstrations_name_what_there_is() -> None:
    """The demonstrations take minutes; what runs here is all but their explanations."""
    (text,) = texts("docs/howto/inside.md", "python")
    calls = [node.func for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)]
    names = {call.attr for call in calls if isinstance(call, ast.Attribute)}
    assert names == {"load", "parts", "mean_image_map", "words_for"}
    assert all(hasattr(tfx_explain.ExplanationReader, name) for name in names - {"load"})


def _module_files() -> Iterator[tuple[str, str]]:
    for text in texts("docs/howto/models.md", "python"):
        yield FILE.match(text)[1], text


def test_module_files_load_models(tmp_path: Path) -> None:
    files = dict(_module_files())
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    columns = {"income": np.array([1.0, 2.0, np.nan, 4.0]), "age": np.array([30, 40, 50, 60])}
    known = np.column_stack([columns["income"], columns["age"]])
    states = np.array([b"OR", b"WA", None, b"CA"], object)
    matrix = np.column_stack([np.nan_to_num(known), [1, 2, 0, 0]])
    forest = RandomForestClassifier(5, random_state=0).fit(matrix, [0, 1, 0, 1])
    (tmp_path / "model.pkl").write_bytes(pickle.dumps(forest))
    trees = xgboost.train({"objective": "binary:logistic"}, xgboost.DMatrix(known, [0, 1, 0, 1]), 3)
    trees.save_model(str(tmp_path / "model.json"))
    for name, given in (("load_forest.py", {**columns, "state": states}), ("load_trees.py", columns)):
        model = load_module_model(str(tmp_path / name), str(tmp_path), output_is="logits" if "trees" in name else None)
        assert {spec.name for spec in model.features} == set(given)
        call = runpy.run_path(str(tmp_path / name))["load_model"](str(tmp_path))
        expected = forest.predict_proba(matrix)[:, 1] if "forest" in name else _log_odds(trees, known)
        np.testing.assert_allclose(call(given), expected, rtol=1e-6)  # float32, through one exponential


def _log_odds(trees: xgboost.Booster, matrix: np.ndarray) -> np.ndarray:
    probability = trees.predict(xgboost.DMatrix(matrix)).astype(float)
    return np.log(probability / (1 - probability))


def _templates() -> set[str]:
    """All texts in the package, with `…` for what is put in."""
    found = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                parts = (part.value if isinstance(part, ast.Constant) else "…" for part in node.values)
                found.add("".join(map(str, parts)))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.add(node.value)
    return found


def test_messages_are_those_of_the_code() -> None:
    messages = re.findall(
        r"^``? ?(.+?) ?``?\n: ", (DOCS / "troubleshooting.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert len(messages) > 25
    assert not set(messages) - _templates()


def test_sections_of_the_report_are_those_it_has() -> None:
    report = PACKAGE / "report"
    said = "".join(path.read_text(encoding="utf-8") for path in [*report.rglob("*.j2"), report / "profiles.py"])
    headings = re.findall(r"^## (.*)$", (DOCS / "report.md").read_text(encoding="utf-8"), re.MULTILINE)
    for heading in headings[:-1]:  # the last one is about Python
        assert f"<h2>{heading}" in said or f'class="first"{{% endif %}}>{heading}' in said or f'"{heading}"' in said, (
            heading
        )
    for heading in re.findall(r"<h2[^>]*>([A-Z][^{<]+)", said):
        assert heading.strip() in headings, heading


def test_every_method_rule_and_benchmark_is_named() -> None:
    costs, policies = ((DOCS / "howto" / name).read_text(encoding="utf-8") for name in ("costs.md", "policies.md"))
    benchmarks = {path.name for path in (ROOT / "benchmarks").glob("*.py") if "__main__" in path.read_text()}
    for name in {*Method.model_fields, *(name for name in benchmarks if not name.endswith("_peer.py"))}:
        assert f"`{name}" in costs, name
    for name in Rule.model_fields:
        assert f"`{name}" in policies, name


def test_programs_that_pages_name_are_there() -> None:
    for page in PAGES:
        for script in re.findall(r"(?:pipelines|benchmarks|tools)/[a-z_/]+\.py", page.read_text(encoding="utf-8")):
            assert (ROOT / script).exists(), (page.name, script)
    assert commands("docs/comparison.md")


def test_commands_options_and_names_that_pages_mention_are_there() -> None:
    """Commands need what readers have; here, that there are such commands with such options."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for page in PAGES:
        said = page.read_text(encoding="utf-8").replace("\\\n", " ")
        for command, arguments in re.findall(r"(?:^|`|\()tfx-explain ([a-z]+)(?= |`)([^`\n]*)", said, re.MULTILINE):
            options = {name for param in program.commands[command].params for name in param.opts}
            given = re.findall(r"(?<!\S)--[a-z-]+", arguments.partition(" -- ")[0])
            assert {*given} <= {*options, "--help"}, (page.name, command, given)
        for target in re.findall(r"`make ([a-z-]+)`", said):
            assert re.search(rf"^{target}:", makefile, re.MULTILINE), (page.name, target)
        for name in re.findall(r"`explanation\.([a-z_]+)", said):
            assert hasattr(tfx_explain.ExplanationReader, name), (page.name, name)


def test_what_is_said_of_ndcg_is_so() -> None:
    def ndcg(before: list[float], after: list[float]) -> float:
        weights = 1 / np.log2(np.arange(len(before)) + 2)
        order = np.argsort(-np.array(after), kind="stable")
        return float(np.array(before)[order] @ weights / (np.sort(before)[::-1] @ weights))

    assert ndcg([0.9, 0.1], [0.009, 0.001]) == 1
    assert ndcg([0.9, 0.1, 0.0], [0.4, 0.35, 0.25]) == 1
    assert round(ndcg([0.5, 0.45, 0.05], [0.45, 0.5, 0.05]), 2) == 0.98
