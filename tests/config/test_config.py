"""Configurations: one sentence per mistake, the same content through JSON and YAML."""

import json
from pathlib import Path
from typing import Any

import pytest

from tfx_explain import ConfigError, ExplainConfig, ValidationConfig

RULES = [{"max_share": {"players": ["race"], "value": 0.05}}]

MISTAKES: list[tuple[type, dict[str, Any], str]] = [
    (ExplainConfig, {"methds": []}, "unknown key `methds` in ExplainConfig; did you mean `methods`"),
    (ExplainConfig, {"background": {"rows": 3}}, "unknown key `rows` under `background`.*`num_rows`"),
    (
        ExplainConfig,
        {"methods": [{"shapley": {"budgt": 3}}]},
        "unknown key `budgt` under `methods.0.shapley`.*`budget`",
    ),
    (ExplainConfig, {"methods": [{"lime": {}}]}, "lime"),
    (ExplainConfig, {"methods": ["shapley", "sage"]}, "method `sage` compares outputs with labels; set `label_key`"),
    (
        ExplainConfig,
        {"label_key": "y", "methods": ["shapley", {"sage": {"metric": "auc"}}]},
        "`auc` compares rows with each other, so it is no mean over rows, which SAGE needs; use `log_loss`",
    ),
    (ExplainConfig, {"methods": [{"permutation_importance": {"num_donors": 0}}]}, "num_donors`.*or equal to 1"),
    (
        ExplainConfig,
        {"methods": ["shapley", {"integrated_gradients": {"references": "zeros"}}]},
        "`references` is `background`, `zero`, or a mapping of features to their values",
    ),
    (
        ExplainConfig,
        {"methods": ["shapley", {"integrated_gradients": {"references": "zero", "num_references": 2}}]},
        "`references: zero` is a single row; leave out `num_references`",
    ),
    (
        ExplainConfig,
        {"methods": ["shapley", {"integrated_gradients": {"max_steps": 2}}]},
        "`methods.1.integrated_gradients.max_steps`.*greater than or equal to 3, got 2",
    ),
    (ExplainConfig, {"methods": [{}]}, "exactly one key"),
    (ExplainConfig, {"methods": []}, "at least one method"),
    (ExplainConfig, {"methods": ["interaction_strength"]}, "a method that attributes; list `shapley` too, or name"),
    (
        ExplainConfig,
        {"methods": ["shapley", {"partial_dependence": {"grid_size": 1}}]},
        "`methods.1.partial_dependence",
    ),
    (ExplainConfig, {"max_examples": 0}, "`max_examples`.*greater than or equal to 1, got 0"),
    (ExplainConfig, {"splits": []}, "at least one split"),
    (ExplainConfig, {"features": {"groups": {"a": ["x"], "b": ["x"]}}}, "`x` is in group `a` and in group `b`"),
    (ExplainConfig, {"features": {"include": ["x"], "exclude": ["x"]}}, "both included and excluded"),
    (ExplainConfig, {"model": {"classes": "label"}}, "set `label_key`"),
    (ExplainConfig, {"model": {"classes": [1, 1]}}, "different output indices"),
    (ExplainConfig, {"model": {"output_space": "log"}}, "`model.output_space`.*got 'log'"),
    (ExplainConfig, {"slicing_specs": [{"feature_keys": ["a", "a"]}]}, "slice names feature `a` twice"),
    (ExplainConfig, {"slicing_specs": [{"feature_keys": ["a"], "feature_values": {"a": 1}}]}, "feature `a` twice"),
    (ExplainConfig, {"slicing_specs": [{"keys": ["a"]}]}, "unknown key `keys` under `slicing_specs.0`"),
    (ExplainConfig, {"max_slices": 0}, "`max_slices`.*greater than or equal to 1"),
    (ExplainConfig, {"min_slice_examples": 0}, "`min_slice_examples`.*greater than or equal to 1"),
    (ValidationConfig, {}, "`rules`.*required"),
    (ValidationConfig, {"rules": []}, "nothing would be checked"),
    (ValidationConfig, {"rules": RULES, "slicing_specs": []}, "`slicing_specs` is empty, so nothing would be checked"),
    (ValidationConfig, {"rules": [{"attribution_drift": {"measure": "disagreement", "max": 0.1}}]}, "against: model"),
    (ValidationConfig, {"rules": [{"drift": {"measure": "ndcg"}}]}, "`rules.0.drift.max`.*required"),
    (ValidationConfig, {"rules": [{"drift": {"measure": "psi", "max": 0.1}}]}, "`rules.0.drift.measure`.*got 'psi'"),
    (ValidationConfig, {"rules": [{"drift": {"measure": "importance_ratio", "max": 0.5}}]}, "`max` must be 1 or more"),
    (ValidationConfig, {"rules": [{"drift": {"measure": "total_variation", "max": 1}}]}, "`max` must be below 1"),
    (ValidationConfig, {"rules": [{"attribution_drift": {"measure": "classifier", "max": 0.1}}]}, "AUC between 0.5"),
    (
        ValidationConfig,
        {"rules": [{"attribution_drift": {"measure": "l_infinity", "max": 2}}]},
        "`max` must be below 1",
    ),
    (ValidationConfig, {"rules": [{"max_shar": {}}]}, "unknown key `max_shar` under `rules.0`.*`max_share`"),
    (
        ValidationConfig,
        {"rules": [{"max_share": {"players": "age", "value": 0.1}}]},
        r"^`rules.0.max_share.players` in ValidationConfig: a list is needed here, such as \[age\]\.$",
    ),
    (ValidationConfig, {"rules": [3]}, "a mapping of keys to values is needed here, got 3"),
    (ExplainConfig, {"label_key": 3}, "`label_key` in ExplainConfig: text is needed here, got 3"),
    (ValidationConfig, {"rules": [{"max_share": {"players": [], "value": 0.1}}]}, "`rules.0.max_share.players`"),
    (ValidationConfig, {"rules": [{"max_share": {"players": ["a"], "value": 5}}]}, "less than or equal to 1, got 5"),
    (ValidationConfig, {"rules": [{"top_k_includes": {"k": 1, "players": ["a", "b"]}}]}, "raise `k`"),
    (ValidationConfig, {"rules": [{"sign": {"players": ["a"], "direction": "up"}}]}, "`rules.0.sign.direction`"),
    (ValidationConfig, {"rules": [{"monotonic": {"feature": "a"}}]}, "`rules.0.monotonic.direction`.*required"),
    (ValidationConfig, {"rules": [{"min_examples": {"value": 0}}]}, "greater than or equal to 1, got 0"),
    (ValidationConfig, {"rules": RULES, "multiplicity": "fdr"}, "`multiplicity` in ValidationConfig"),
    (ValidationConfig, {"rules": RULES, "confidence": 95}, "less than 1, got 95"),
]


@pytest.mark.parametrize(("kind", "data", "message"), MISTAKES)
def test_mistake_is_one_sentence(kind: Any, data: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        kind.from_dict(data)
    assert "\n" not in str(caught.value)
    assert str(caught.value).endswith((".", "?", ".)"))


def test_a_document_that_holds_nothing_is_empty(tmp_path: Path) -> None:
    (tmp_path / "policy.yaml").write_text("# later\n")
    with pytest.raises(ConfigError, match=r"policy.yaml: ValidationConfig is empty; it needs `rules`\.$"):
        ValidationConfig.from_file(tmp_path / "policy.yaml")
    with pytest.raises(ConfigError, match=r"^ValidationConfig: `rules` is empty, so nothing would be checked"):
        ValidationConfig.from_yaml("rules: []")
    assert ExplainConfig.from_yaml("") == ExplainConfig()


def test_json_and_yaml_hold_all_of_it(tmp_path: Path) -> None:
    config = ExplainConfig(
        max_examples=None,
        background={"split": "train", "num_rows": 5},
        features={"groups": {"address": ["city", "zip"]}},
        model={"classes": [2, 0]},
        methods=[{"shapley": {"estimator": "exact"}}],
        seed=7,
    )
    assert ExplainConfig.from_json(config.to_json()) == config
    (tmp_path / "c.json").write_text(config.to_json())
    assert ExplainConfig.from_file(tmp_path / "c.json") == config
    (tmp_path / "c.yaml").write_text("methods: [shapley: {estimator: exact}]\nmax_examples: null\nseed: 7\n")
    read = ExplainConfig.from_file(tmp_path / "c.yaml")
    assert (read.max_examples, read.shapley.estimator, read.seed) == (None, "exact", 7)


def test_equal_configurations_have_equal_json() -> None:
    first = ExplainConfig(seed=1, splits=["eval"])
    assert first.to_json() == ExplainConfig(splits=("eval",), seed=1).to_json()
    assert first.to_json() != ExplainConfig(seed=2).to_json()


def test_unreadable_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot read the configuration .*absent.yaml"):
        ExplainConfig.from_file(tmp_path / "absent.yaml")
    (tmp_path / "bad.yaml").write_text("a: [1")
    with pytest.raises(ConfigError, match=r"bad.yaml is neither YAML nor JSON"):
        ExplainConfig.from_file(tmp_path / "bad.yaml")
    (tmp_path / "list.yaml").write_text("- 1\n")
    with pytest.raises(ConfigError, match=r"list.yaml: ExplainConfig must be a mapping"):
        ExplainConfig.from_file(tmp_path / "list.yaml")
    with pytest.raises(ConfigError, match=r"not valid JSON"):
        ExplainConfig.from_json("{")


def test_configurations_cannot_change() -> None:
    with pytest.raises(ValueError, match=r"frozen"):
        ExplainConfig().seed = 3  # type: ignore[misc]


def test_schema_is_json_and_names_every_key() -> None:
    schema = json.loads(json.dumps(ExplainConfig.json_schema()))
    assert set(schema["properties"]) == set(ExplainConfig.model_fields)
    assert schema["additionalProperties"] is False


def test_default_drift_is_written_out() -> None:
    config = ValidationConfig(rules=[{"drift": "default"}, *RULES])
    assert [rule.name for rule in config.rules] == ["drift"] * 4 + ["attribution_drift", "max_share"]
    assert ValidationConfig.from_json(config.to_json()) == config
