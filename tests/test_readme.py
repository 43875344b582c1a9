"""The README says what works: its commands and its pipeline are tried here, or where the pages say the same."""

import re
import subprocess

from tfx import v1 as tfx

from snippets import ROOT, commands, texts

README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_make_targets_exist() -> None:
    targets = {
        *re.findall(r"`(make [a-z-]+)`", README),
        *(one for one in commands("README.md") if one.startswith("make")),
    }
    assert {"make demo", "make test", "make docs"} <= targets
    for target in targets:
        subprocess.run([*target.split(), "--dry-run"], cwd=ROOT, check=True, capture_output=True)


def test_extras_exist() -> None:
    listed = re.findall(r"`([a-z0-9]+)`", README.partition("Extras:")[2].partition(".")[0])
    named = {*listed, *re.findall(r"tfx-explain\[([a-z0-9]+)\]", README)}
    assert {"tfx", "images"} <= named
    setup = (ROOT / "setup.py").read_text(encoding="utf-8")
    for name in named:
        assert f'        "{name}": ' in setup, name


def test_wiring_is_twenty_lines_and_builds() -> None:
    wiring = texts("README.md", "python")[0]
    assert wiring == texts("docs/howto/pipelines.md", "python")[0]
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
    # Most pipelines have statistics of their examples already.
    statistics_gen = tfx.components.StatisticsGen(examples=example_gen.outputs["examples"])
    components = [example_gen, statistics_gen, trainer]
    components += [names[name] for name in ("explainer", "validator", "pusher", "statistics")]
    pipeline = tfx.dsl.Pipeline(pipeline_name="readme", pipeline_root="root", components=components)
    assert {node.id for node in pipeline.components} >= {"Explainer", "ExplanationValidator", "Pusher"}


def test_commands_and_program_are_those_of_the_tutorial() -> None:
    """`test_pages.py` runs them."""
    assert [one for one in commands("README.md") if one.startswith("tfx-explain")] == commands("docs/tutorial.md")
    tutorial = texts("docs/tutorial.md", "python")[-1]
    for line in texts("README.md", "python")[1].strip().split("\n"):
        assert line in tutorial


def test_links_and_pictures_are_there() -> None:
    links = [target for target in re.findall(r"\]\(([^)]+)\)", README) if "://" not in target]
    assert len(links) > 20
    for target in links:
        assert (ROOT / target).exists(), target
