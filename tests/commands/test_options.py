"""Every wrong use is answered by one sentence and exit code 2."""

import os
import sys
from pathlib import Path

import pytest

import tfx_explain
from tfx_explain.cli import main

EXPLAIN = ["explain", "--model", "{model}", "--examples", "{examples}", "--output", "{new}"]
VALIDATE = ["validate", "--explanation", "{explanation}", "--config", "{policy}"]

WRONG_USE = [
    # what is typed, what is said
    (
        [],
        "name a command: explain, validate, report, card, reasons, estimate, convert, audit, completion; "
        "see `tfx-explain",
    ),
    (["valdate"], "there is no command `valdate`; did you mean validate? see `tfx-explain --help`."),
    (["frobnicate"], "there is no command `frobnicate`; see `tfx-explain --help`."),
    (["--colour"], "there is no option --colour; see `tfx-explain --help`."),
    (["explain"], "missing option '--model'; see `tfx-explain explain --help`."),
    (EXPLAIN[:3], "missing option '--examples'; see `tfx-explain explain --help`."),
    (EXPLAIN[:5], "missing option '--output'; see `tfx-explain explain --help`."),
    (
        [*EXPLAIN, "--confg", "x"],
        "there is no option --confg; did you mean --config? see `tfx-explain explain --help`.",
    ),
    ([*EXPLAIN, "--config"], "option '--config' requires an argument; see `tfx-explain explain --help`."),
    ([*EXPLAIN, "--verbose=yes"], "option '--verbose' does not take a value; see `tfx-explain explain --help`."),
    ([*EXPLAIN, "--runner=DirectRunner"], "there is no option --runner; Apache Beam's options follow `--`;"),
    ([*EXPLAIN, "stray"], "got unexpected extra argument (stray); Apache Beam's options follow `--`;"),
    ([*EXPLAIN, "--config", ""], "invalid value for '--config': it is empty; see `tfx-explain explain --help`."),
    ([*EXPLAIN, "--format", "xml"], "invalid value for '--format': 'xml' is not one of 'text', 'json';"),
    ([*EXPLAIN, "--config", "{absent}"], "{absent}"),
    ([*EXPLAIN, "--config", "{directory}"], "{directory}"),
    ([*EXPLAIN, "--config", "{not_utf8}"], "{not_utf8} is not text in UTF-8; save it in that encoding"),
    ([*EXPLAIN, "--config", "{bad_yaml}"], "{bad_yaml} is neither YAML nor JSON"),
    ([*EXPLAIN, "--config", "{unknown_key}"], "did you mean `slicing_specs`?"),
    ([*EXPLAIN, "--schema", "{absent}"], "{absent}"),
    ([*EXPLAIN, "--model", "{absent}"], "{absent}"),
    ([*EXPLAIN, "--examples", "{absent}"], "{absent}"),
    ([*EXPLAIN, "--background", "{absent}"], "{absent}"),
    ([*EXPLAIN, "--baseline-model", "{absent}"], "{absent}"),
    ([*EXPLAIN, "--transform-graph", "{absent}"], "{absent}"),
    ([*EXPLAIN, "--output", "{directory}"], "the output directory {directory} is not empty;"),
    ([*EXPLAIN, "--output", "{policy}"], "the output directory {policy} is a file"),
    (
        [*EXPLAIN, "--", "--direct_num_workers=many"],
        "Apache Beam cannot read its arguments: argument --direct_num_workers",
    ),
    ([*EXPLAIN, "--", "--direct_running_mode=multi_threading"], "--direct_running_mode=multi_threading"),
    (["validate"], "missing option '--explanation'; see `tfx-explain validate --help`."),
    (VALIDATE[:3], "missing option '--config'; see `tfx-explain validate --help`."),
    ([*VALIDATE, "--explanatoin", "x"], "there is no option --explanatoin; did you mean --explanation?"),
    ([*VALIDATE, "stray"], "got unexpected extra argument (stray); see `tfx-explain validate --help`."),
    ([*VALIDATE, "--explanation", "{absent}"], "{absent} holds no explanation"),
    ([*VALIDATE, "--explanation", "{directory}"], "{directory} holds no explanation"),
    ([*VALIDATE, "--explanation", "nowhere://x"], "nowhere"),
    ([*VALIDATE, "--baseline", "{absent}"], "{absent} holds no explanation"),
    ([*VALIDATE, "--config", "{absent}"], "{absent}"),
    ([*VALIDATE, "--config", "{directory}"], "{directory}"),
    ([*VALIDATE, "--config", "{not_utf8}"], "{not_utf8} is not text in UTF-8; save it in that encoding"),
    ([*VALIDATE, "--config", "{bad_yaml}"], "{bad_yaml} is neither YAML nor JSON"),
    ([*VALIDATE, "--config", "{unknown_key}"], "did you mean `slicing_specs`?"),
    ([*VALIDATE, "--config", "{no_player}"], "did you mean `race`?"),
    ([*VALIDATE, "--output", "{directory}"], "the output directory {directory} is not empty;"),
    ([*VALIDATE, "--output", "{policy}"], "the output directory {policy} is a file"),
    (["report"], "missing argument 'DIR'; see `tfx-explain report --help`."),
    (["report", ""], "invalid value for 'DIR': it is empty; see `tfx-explain report --help`."),
    (["report", "{explanation}", "stray"], "got unexpected extra argument (stray); see `tfx-explain report --help`."),
    (["report", "{absent}"], "{absent} holds no explanation"),
    (["report", "{explanation}", "--output", "{policy}"], "{policy} is there already and is no report;"),
    (["report", "{explanation}", "--output", "{directory}"], "{directory}"),
    (["audit"], "`--metadata` is missing; without it `--verify --log FILE` verifies a log, and no more;"),
    (["audit", "--metadata", "{absent}"], "a store of ML Metadata is `sqlite:FILE` or"),
    (["audit", "--metadata", "sqlite:{absent}"], "there is no store of ML Metadata at {absent};"),
    (["audit", "--metadata", "sqlite:{policy}"], "{policy} is no file of SQLite"),
    (["audit", "--metadata", "sqlite:x", "--since", "last week"], "invalid value for '--since': it is no day such as"),
    (["audit", "--metadata", "sqlite:x", "--format", "text"], "'text' is not one of 'table', 'json', 'csv';"),
    (["audit", "--metadata", "sqlite:x", "--format", "csv", "--verify"], "a CSV file has no place for what `--verify`"),
    (["card"], "missing argument 'DIR'; see `tfx-explain card --help`."),
    (["card", "{absent}"], "{absent} holds no explanation"),
    (
        ["card", "{explanation}", "--format", "text"],
        "invalid value for '--format': 'text' is not one of 'markdown', 'json';",
    ),
    (["card", "{explanation}", "--validation", "{directory}"], "{directory} holds no verdict (findings.json);"),
    (["card", "{explanation}", "--details", "{absent}"], "{absent}"),
    (["card", "{explanation}", "--details", "{not_utf8}"], "{not_utf8} is not text in UTF-8; save it in that encoding"),
    (["card", "{explanation}", "--details", "{unknown_key}"], "unknown key `slicing_spces` in OwnerDetails"),
    (["card", "{explanation}", "--output", "{policy}"], "{policy} is there already and is no model card;"),
    (["reasons"], "missing argument 'DIR'; see `tfx-explain reasons --help`."),
    (["reasons", "{absent}"], "{absent} holds no explanation"),
    (["reasons", "{explanation}"], "{explanation} has no reasons.parquet; set `reasons: {adverse: low}`, or `high`,"),
    (["reasons", "{explanation}", "--format", "text"], "'text' is not one of 'table', 'json', 'csv';"),
    (["convert", "{policy}"], "missing option '--from'"),
    (["convert", "--from", "shap", "{policy}"], "'shap' is not one of 'clarify', 'vertex'"),
    (["convert", "--from", "clarify", "{absent}"], "cannot read the configuration {absent}: No such file"),
    (["convert", "--from", "clarify", "{not_utf8}"], "{not_utf8} is not text in UTF-8"),
    (["convert", "--from", "vertex", "{policy}"], "the file has neither a method nor inputs"),
    (["completion"], "missing argument '{bash|zsh|fish}'"),
    (["completion", "tcsh"], "invalid value for '{bash|zsh|fish}': 'tcsh' is not one of 'bash', 'zsh', 'fish';"),
]


@pytest.fixture(scope="module")
def places(linear_model: str, linear_examples: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    root = tmp_path_factory.mktemp("wrong")
    (root / "directory").mkdir()
    (root / "directory" / "mine").write_text("mine")
    files = {
        "policy": b"rules: [max_share: {players: [race], value: 0.9}]\n",
        "no_player": b"rules: [max_share: {players: [rase], value: 0.9}]\n",
        "not_utf8": "rules: größe\n".encode("latin-1"),
        "bad_yaml": b"rules: [\n  - {\n",
        "unknown_key": b"slicing_spces: []\n",
    }
    for name, content in files.items():
        (root / name).write_bytes(content)
    config = {"background": {"num_rows": 4}, "max_examples": 20}
    tfx_explain.explain(
        model=linear_model, examples=linear_examples, output_dir=str(root / "explanation"), config=config
    )
    there = {name: str(root / name) for name in ("directory", "explanation", "absent", "new", *files)}
    return {"model": linear_model, "examples": linear_examples, **there}


def _filled(text: str, places: dict[str, str]) -> str:
    for name, place in places.items():
        text = text.replace(f"{{{name}}}", place)
    return text


@pytest.mark.parametrize("verbose", [False, True])
def test_every_wrong_use_has_a_sentence_and_exit_code_2(
    places: dict[str, str], capfd: pytest.CaptureFixture[str], verbose: bool
) -> None:
    root = Path(places["new"]).parent
    before = sorted(os.listdir(root))
    faults = []
    for typed, said in WRONG_USE:
        arguments = [_filled(word, places) for word in typed]
        if verbose and arguments[1:] and arguments[0] != "completion":
            arguments.insert(1, "--verbose")
        code = main(arguments)
        out, err = capfd.readouterr()
        *above, told = err.splitlines() or [""]
        right = code == 2 and not out and told.startswith("tfx-explain: ") and _filled(said, places) in told
        one_sentence = not above and told.endswith((".", "?", ".)")) and "unexpected went wrong" not in told
        if not right or not (verbose or one_sentence):
            faults.append((typed, code, out, err))
        if sorted(os.listdir(root)) != before:
            faults.append((typed, "left something", sorted(os.listdir(root))))
    assert not faults, "\n".join(map(str, faults))


@pytest.mark.parametrize("command", ["explain", "estimate"])
def test_a_wrong_path_is_told_before_anything_slow_is_imported(
    places: dict[str, str], capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setitem(sys.modules, "tfx_explain.api", None)
    right = [command, *(EXPLAIN[1:] if command == "explain" else EXPLAIN[1:5])]
    wrong = {
        f"there is no {{absent}}; check `--{option}`.": [f"--{option}", "{absent}"]
        for option in ("model", "examples", "background", "baseline-model", "schema", "transform-graph")
    }
    wrong["did you mean `slicing_specs`?"] = ["--config", "{unknown_key}"]
    if command == "explain":
        wrong["the output directory {directory} is not empty"] = ["--output", "{directory}"]
    for said, typed in wrong.items():
        assert main([_filled(word, places) for word in [*right, *typed]]) == 2
        assert _filled(said, places) in capfd.readouterr().err
    # What only those can tell who read it: a name among a registry's models, a pattern, another storage.
    Path(places["new"]).with_suffix(".yaml").write_text("model: {module_file: load.py}\n")
    for typed in (
        ["--model", "forest/1", "--config", f"{places['new']}.yaml"],
        ["--examples", "{absent}*"],
        ["--model", "memory://m"],
    ):
        main([_filled(word, places) for word in [*right, *typed]])
        assert "unexpected went wrong" in capfd.readouterr().err, typed
    Path(places["new"]).with_suffix(".yaml").unlink()
