"""Jobs whose methods are not Shapley values: none that attributes, or another one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

import formats
import tfx_explain
import worlds
from tfx_explain.commands.explain import summary
from tfx_explain.config import ValidationConfig
from tfx_explain.errors import ConfigError, InputError
from tfx_explain.explanation_validator.judge import judge
from tfx_explain.reader import ExplanationReader

CONFIG: dict[str, Any] = {
    "background": {"num_rows": 8},
    "label_key": "approve",
    "example_weight_key": "weight",
    "slicing_specs": [{"feature_keys": ["race"]}],
    "min_slice_examples": 10,
}
JOBS: dict[str, list[Any]] = {
    "profiles": ["partial_dependence"],
    "losses": ["permutation_importance", "sage"],
    "strength": [{"interaction_strength": {"players": ["age", "income"], "num_rows": 20}}],
}

N_ROWS = 60
N_EFFECTIVE = (30 * 1 + 30 * 9) ** 2 / (30 * 1 + 30 * 81)
"""Of the rows below, half of them nine times as heavy as the others; about 36."""


def make_rows(n: int, seed: int) -> list[dict[str, Any]]:
    return [{**row, "weight": [1.0, 9.0][i % 2]} for i, row in enumerate(worlds.make_rows(n, seed))]


@pytest.fixture(scope="module", params=list(JOBS))
def explained(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> ExplanationReader:
    root = tmp_path_factory.mktemp(request.param)

    def save(name: str, scale: float) -> str:
        def score(features: dict[str, Any]) -> Any:
            return scale * (features["age"] * features["income"])

        spec = {feature: worlds.FEATURES[feature] for feature in ("age", "income")}
        return worlds.save_serving_model(root / name, score, spec)

    return tfx_explain.explain(
        model=save("model", 1.0),
        baseline_model=save("other", 3.0),
        examples=worlds.write_splits(root / "examples", make_rows, 40, N_ROWS),
        output_dir=str(root / "out"),
        config={**CONFIG, "methods": JOBS[request.param]},
    )


def test_files_are_as_described_and_agree(explained: ExplanationReader) -> None:
    formats.check_files(explained)
    explained.verify()
    assert explained.methods == ()
    assert explained.manifest["top_players"] == []
    assert explained.manifest["base_values"]["score"] != 0


def test_records_hold_predictions_and_no_attributions(explained: ExplanationReader) -> None:
    rows = explained.attributions()
    np.testing.assert_allclose(rows["prediction"], rows["age"] * rows["income"], rtol=1e-6)
    np.testing.assert_allclose(rows["baseline_prediction"], 3 * rows["prediction"], rtol=1e-6)
    assert set(rows["base_value"]) == {explained.manifest["base_values"]["score"]}
    assert not [name for name in rows if "attribution" in name or "std_error" in name or "gap" in name]
    with pytest.raises(InputError, match="no method of the run makes any"):
        explained.attributions(method="shapley")
    with pytest.raises(InputError, match="leave it out"):
        explained.attributions(confidence=0.9)


def test_statistics_are_of_predictions(explained: ExplanationReader) -> None:
    names = [str(feature.path.step[0]) for feature in explained.attribution_stats.datasets[0].features]
    assert names == ["baseline_prediction", "prediction"]


def test_report_says_what_there_is(explained: ExplanationReader) -> None:
    page = explained.report()
    assert "No method of this run attributes" in page
    assert "What matters" not in page
    assert "Shapley" not in page.split("The whole manifest")[0]
    methods = explained.manifest["method"]
    assert ("Permutation importance" in page) == ("permutation_importance" in methods)
    assert ("Partial dependence" in page) == ("partial_dependence" in methods)


def test_the_command_line_says_what_was_computed(explained: ExplanationReader) -> None:
    said = "\n".join(summary(explained))
    assert "60 of 60 rows explained" in said
    assert f"no method attributes outputs to players; computed: {', '.join(explained.manifest['method'])}" in said
    assert "importance for" not in said
    by_losses = [name for name in ("permutation_importance", "sage") if name in explained.manifest["method"]]
    for method in by_losses:
        table = explained.importance_for(method=method)
        _, lines = said.split(f"importance by {method} ({table['metric'].iloc[0]} +- half of its 95 % interval):\n")
        found = [line.split()[:3] for line in lines.splitlines()[: len(table)]]
        assert found == [[str(row.rank), row.player, f"{row.value:.4f}"] for row in table.itertuples()]
        assert "%" not in lines.splitlines()[0]
    assert said.count("importance by") == len(by_losses)


def test_rules_about_importance_are_refused_and_others_judged(explained: ExplanationReader) -> None:
    with pytest.raises(ConfigError, match=r"`max_share` needs attributions, but .* no method of the run makes any"):
        judge(explained, ValidationConfig(rules=[{"max_share": {"players": ["age"], "value": 0.5}}]))
    with pytest.raises(ConfigError, match="`drift` needs attributions"):
        judge(explained, ValidationConfig(rules=[{"drift": {"measure": "kendall_tau", "max": 0.5}}]))
    assert explained.manifest["slices"]["included"][0]["num_effective_examples"] == pytest.approx(N_EFFECTIVE)
    too_many = judge(explained, ValidationConfig(rules=[{"min_examples": {"value": int(N_EFFECTIVE) + 1}}]))
    assert not too_many.blessed
    rules: list[Any] = [{"min_examples": {"value": int(N_EFFECTIVE)}}]
    if "partial_dependence" in explained.manifest["method"]:
        rules.append({"monotonic": {"feature": "age", "direction": "increasing"}})
    verdict = judge(explained, ValidationConfig(rules=rules))
    assert verdict.blessed, [finding.message for finding in verdict.findings]


def test_importance_is_that_of_the_first_method_that_has_it(explained: ExplanationReader) -> None:
    if "sage" not in explained.manifest["method"]:
        with pytest.raises(InputError, match=r"has no importance\.parquet"):
            explained.importance_for()
        assert not (Path(explained.uri) / "importance.parquet").exists()
        return
    assert set(explained.importance_for()["method"]) == {"permutation_importance"}
    assert set(explained.importance_for(method="sage")["player"]) == {"age", "income"}
    assert pq.read_table(Path(explained.uri) / "baseline_importance.parquet").num_rows
