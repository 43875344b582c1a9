"""An explanation that an earlier version wrote is read, checked, judged, reported and compared with, as today's are.

`fixtures/explanation_format_2` was written in November 2026 and stays as it is. Where a test here fails, what readers
may rely on was broken: mend it, or raise the format number.
"""

import runpy
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import formats
import tfx_explain
from tfx_explain import ValidationConfig
from tfx_explain.cli import main
from tfx_explain.explanation_validator.judge import judge
from tfx_explain.reader import ExplanationReader

FIXTURE = Path(__file__).parents[1] / "fixtures/explanation_format_2"
PLAYERS = ("age", "debt", "income", "race")
TABLES = [
    "importance",
    "importance_covariance",
    "baseline_importance",
    "baseline_importance_covariance",
    "interactions",
    "slice_differences",
    "profiles",
    "baseline_profiles",
    "background",
]
LOOSE = 1e9
MIN_EXAMPLES = 12
RULES: list[dict[str, Any]] = [
    {"max_share": {"players": ["race"], "value": 0.9}},
    {"min_importance": {"players": ["income"], "value": 0.0001}},
    {"top_k_includes": {"k": 4, "players": list(PLAYERS)}},
    {"max_completeness_gap": {"value": 0.001}},
    {"min_examples": {"value": MIN_EXAMPLES}},
    {"monotonic": {"feature": "age", "direction": "increasing", "tolerance": LOOSE}},
    {"max_interaction": {"value": LOOSE}},
    {"max_slice_difference": {"value": LOOSE}},
    {"drift": {"measure": "total_variation", "max": 0.999, "against": "model"}},
    {"attribution_drift": {"measure": "disagreement", "max": 0.999, "against": "model"}},
]
DRIFT: list[dict[str, Any]] = [
    {"drift": {"measure": "total_variation", "max": 0.5}},
    {"drift": {"measure": "ndcg", "max": 0.5}},
    {"attribution_drift": {"measure": "l_infinity", "max": 0.5}},
    {"attribution_drift": {"measure": "jensen_shannon", "max": 0.5}},
]


@pytest.fixture
def old(tmp_path: Path) -> ExplanationReader:
    """The old explanation in another place than where it was written or checked out."""
    return tfx_explain.load(str(shutil.copytree(FIXTURE / "explanation", tmp_path / "moved")))


@pytest.fixture(scope="module")
def new(tmp_path_factory: pytest.TempPathFactory) -> ExplanationReader:
    """What the package of today writes for the same rows, models and configuration."""
    explained = runpy.run_path(str(FIXTURE / "make.py"))["explain"](tmp_path_factory.mktemp("today"))
    assert isinstance(explained, ExplanationReader)
    return explained


def test_every_file_is_what_was_written_wherever_it_lies(old: ExplanationReader) -> None:
    old.verify()
    assert (old.players, old.outputs) == (PLAYERS, ("score",))
    for name in TABLES:
        assert len(getattr(old, name)), name
    rows = old.attributions()
    assert len(rows) == 24
    columns = [f"attribution_{player}" for player in PLAYERS]
    rows = rows.astype(dict.fromkeys([*columns, "prediction", "base_value"], float))
    gap = rows[columns].sum(axis=1) - (rows["prediction"] - rows["base_value"])
    # The records hold float32: each of the six figures is off by half a unit in the last place at most.
    room = np.finfo(np.float32).eps * rows[[*columns, "prediction", "base_value"]].abs().sum(axis=1)
    assert (gap.abs() <= room).all()
    mean = rows[columns].abs().mean().to_numpy()
    importance = old.importance_for().set_index("player").loc[list(PLAYERS), "value"].to_numpy()
    np.testing.assert_allclose(mean, importance, rtol=np.finfo(np.float32).eps)
    assert sorted(old.dead_letters()["split"]) == ["eval", "train (background)"]
    assert [one.name for one in old.attribution_stats.datasets] == ["All Examples", "race=b"]


def test_it_is_judged_by_every_kind_of_table(old: ExplanationReader) -> None:
    verdict = judge(
        old,
        ValidationConfig(
            rules=RULES, slicing_specs=[{}, {"feature_values": {"race": "b"}}], min_slice_examples=MIN_EXAMPLES
        ),
    )
    assert verdict.blessed, [finding.message for finding in verdict.findings if finding.outcome != "pass"]
    assert {finding.outcome for finding in verdict.findings} == {"pass"}
    assert {finding.slice_key for finding in verdict.findings} == {"overall", "race=b"}
    refusal = judge(old, ValidationConfig(rules=[{"max_share": {"players": ["income"], "value": 0.01}}]))
    assert not refusal.blessed


def test_its_report_is_written_again(old: ExplanationReader, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", old.uri]) == 0, capsys.readouterr().err
    page = old.report()
    assert all(player in page for player in PLAYERS)
    old.verify()


def test_drift_is_measured_between_it_and_an_explanation_of_today(
    old: ExplanationReader, new: ExplanationReader
) -> None:
    formats.check_files(new)
    policy = ValidationConfig(rules=DRIFT, min_slice_examples=MIN_EXAMPLES)
    for ours, theirs in ((new, old), (old, new)):
        findings = judge(ours, policy, theirs).findings
        assert len(findings) >= len(DRIFT)
        for finding in findings:
            assert finding.outcome in ("pass", "insufficient_evidence"), finding.message
            # Model, rows and background are the same, so that nothing has drifted but the last digits.
            assert abs(finding.value) < 1e-6, finding.message


def test_what_was_damaged_is_refused(old: ExplanationReader) -> None:
    path = Path(old.uri) / "importance.parquet"
    path.write_bytes(path.read_bytes() + b"\n")
    with pytest.raises(tfx_explain.InputError, match="not the file that was written"):
        old.verify()
