"""Whole jobs within limits, and what is known of jobs before they run."""

import functools
import json
from pathlib import Path

import pytest

import tfx_explain
from tfx_explain.cli import main
from tfx_explain.report import render_explanation

CONFIG = {"background": {"num_rows": 8}, "max_examples": 100}
# Four players: all 14 coalitions, but for rows that come out the same.
WHOLE = 100 * 14 * 8


@pytest.fixture(scope="module")
def cut(linear_model: str, linear_examples: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    out = str(tmp_path_factory.mktemp("limits") / "out")
    config = {**CONFIG, "max_model_rows": WHOLE // 2}
    tfx_explain.explain(model=linear_model, examples=linear_examples, output_dir=out, config=config)
    return out


def test_a_job_keeps_to_its_model_rows_and_says_what_was_cut(cut: str) -> None:
    explanation = tfx_explain.load(cut)
    explanation.verify()
    manifest = explanation.manifest
    counts = manifest["counts"]["eval"]
    assert counts["explained"] == 100
    spent = counts["model_rows"] + sum(manifest["background"]["model_rows"].values())
    assert spent <= WHOLE // 2
    assert manifest["limits"]["forecast_model_rows"] == spent
    assert manifest["limits"]["cut"]["shapley.estimator"] == {"asked": "auto", "used": "permutation"}
    assert manifest["config"]["methods"][0]["shapley"]["estimator"] == "auto"
    assert manifest["method"]["shapley"]["estimator"] == "permutation"
    assert "shapley.estimator permutation in place of auto" in render_explanation(cut)
    assert sorted(path.name for path in Path(cut).iterdir() if path.name.startswith(".")) == []


def test_an_estimate_is_of_the_job_that_would_run(
    linear_model: str, linear_examples: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "config.yaml").write_text(json.dumps(CONFIG))
    command = ["--model", linear_model, "--examples", linear_examples, "--config", str(tmp_path / "config.yaml")]
    assert main(["estimate", *command, "--format", "json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.yaml"]
    assert main(["explain", *command, "--output", str(tmp_path / "out")]) == 0
    manifest = tfx_explain.load(str(tmp_path / "out")).manifest
    counts = manifest["counts"]["eval"]
    assert said["rows"] == {"eval": counts["explained"]}
    assert said["model_rows"] == counts["model_rows"] + sum(manifest["background"]["model_rows"].values())
    written = sum(path.stat().st_size for path in (tmp_path / "out").rglob("*") if path.is_file())
    # On a slow machine it is known from 16 of the 100 rows, and a report does not grow by equal steps.
    assert said["output_bytes"] == pytest.approx(written, rel=0.1)
    assert said["memory_bytes"] > 2**20
    assert said["seconds"] > said["start_seconds"] >= 0


def test_what_a_refused_job_did_is_not_counted_for_the_next(
    linear_model: str, linear_examples: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise tfx_explain.InputError("refused")

    run = functools.partial(tfx_explain.explain, model=linear_model, examples=linear_examples, config=CONFIG)
    with monkeypatch.context() as patch:
        patch.setattr("tfx_explain.transforms.plan.plan", refuse)
        with pytest.raises(tfx_explain.InputError, match="refused"):
            run(output_dir=str(tmp_path / "refused"))
    (process,) = run(output_dir=str(tmp_path / "out")).manifest["processes"]
    assert process["pilot"]["times"] == 1
