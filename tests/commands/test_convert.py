"""`tfx-explain convert`: what goes where."""

import json
from pathlib import Path

import pytest

from snippets import blocks
from tfx_explain.cli import main
from tfx_explain.config import ExplainConfig

FILES = Path(__file__).parents[1] / "fixtures/conversion"
CLARIFY = str(FILES / "clarify_csv.json")


def test_the_configuration_goes_to_standard_output_and_the_rest_to_standard_error(
    capfd: pytest.CaptureFixture[str],
) -> None:
    assert main(["convert", "--from", "clarify", CLARIFY]) == 0
    out, err = capfd.readouterr()
    assert ExplainConfig.from_yaml(out).seed == 11
    assert "- methods.report.title: the report is called by its model and day" in err.splitlines()
    assert all(f"# {line}\n" in out for line in err.splitlines())
    assert main(["convert", "--from", "clarify", CLARIFY, "--format", "json"]) == 0
    out, err = capfd.readouterr()
    said = json.loads(out)
    assert ExplainConfig.from_dict(said["config"]).seed == 11
    assert {"key": "version", "fate": "not needed", "to": "", "says": "it names the schema of this file"} in said[
        "notes"
    ]
    assert not err


def test_a_file_is_written_anew_and_no_other_is(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "explain.yaml"
    arguments = ["convert", "--from", "clarify", CLARIFY, "--output", str(output)]
    assert main(arguments) == main(arguments) == 0
    assert not capfd.readouterr().out
    assert ExplainConfig.from_file(output).seed == 11
    output.write_text("seed: 3\n")
    assert main(arguments) == 2
    assert "is there already and was not made by `convert`" in capfd.readouterr().err
    assert output.read_text() == "seed: 3\n"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'{"label": "a", "label": "b"}', "has the key 'label' twice in one mapping"),
        ('{"label": "größe"}'.encode("latin-1"), "is not text in UTF-8; save it in that encoding"),
        (b'{"label": [1]}', "`label` is a name or an index, got [1]"),
    ],
)
def test_a_file_that_is_none_is_one_sentence(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], content: bytes, said: str
) -> None:
    file = tmp_path / "file.json"
    file.write_bytes(content)
    assert main(["convert", "--from", "clarify", str(file)]) == 2
    out, err = capfd.readouterr()
    assert not out
    assert said in err
    assert err.count("\n") == 1


def test_what_the_page_shows_is_what_is_made(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    shown = [block for block in blocks("docs/howto/migrate.md") if block[0] in ("json", "yaml")]
    assert [language for language, _ in shown] == ["json", "yaml"] * 2
    for system, (_, given), (_, expected) in zip(("clarify", "vertex"), shown[::2], shown[1::2], strict=True):
        file = tmp_path / "given.json"
        file.write_text(given)
        assert main(["convert", "--from", system, str(file)]) == 0
        assert ExplainConfig.from_yaml(capfd.readouterr().out) == ExplainConfig.from_yaml(expected)
