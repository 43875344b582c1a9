"""Explanations and verdicts that cards are made of."""

import dataclasses
from pathlib import Path

import pytest

import tfx_explain
import worlds
from tfx_explain import ExplanationReader, ValidationConfig
from tfx_explain.card import Validation
from tfx_explain.explanation_validator.judge import judge

HOSTILE = "<img src=x onerror=alert(1)>|**bold** `code` [a](http://evil.example) www.evil.example"
OLD = Path(__file__).parents[1] / "fixtures/explanation_format_2/explanation"
POLICY = ValidationConfig.from_dict(
    {
        "rules": [
            {"max_share": {"players": ["race"], "value": 0.01}},
            {"min_share": {"players": ["income"], "value": 0.01}},
            {"max_completeness_gap": {"value": 0.001}},
            {"drift": {"measure": "total_variation", "max": 0.5}},
        ],
        "slicing_specs": [{}, {"feature_keys": ["race"]}],
        "min_slice_examples": 10,
    }
)


@dataclasses.dataclass(frozen=True)
class Judged:
    """An explanation and the verdict on it, opened."""

    explanation: ExplanationReader
    validation: Validation


def judged(explanation: ExplanationReader, policy: ValidationConfig, directory: Path) -> Judged:
    """Judges, writes the verdict, and reads both again."""
    verdict = dataclasses.replace(judge(explanation, policy), evaluation_uri="/Evaluator/evaluation/9")
    verdict.write(str(directory))
    again = tfx_explain.load(explanation.uri)
    return Judged(again, Validation.read(str(directory), again))


@pytest.fixture(scope="session")
def today(linear_model: str, tmp_path_factory: pytest.TempPathFactory) -> Judged:
    """Methods of both kinds, slices whose names are hostile, checks of attributions, and rows that were set aside."""

    def rows(n: int, seed: int) -> list[dict]:
        made = [
            row if row["race"] == b"b" else {**row, "race": HOSTILE.encode(), "income": 4 * row["income"]}
            for row in worlds.make_rows(n, seed)
        ]
        made[3] = {**made[3], "age": None}
        return made

    root = tmp_path_factory.mktemp("card")
    explained = tfx_explain.explain(
        model=linear_model,
        examples=worlds.write_splits(root / "examples", rows, 40, 60),
        output_dir=str(root / "explanation"),
        config={
            "background": {"num_rows": 8},
            "label_key": "approve",
            "slicing_specs": [{"feature_keys": ["race"]}, {"feature_values": {"race": "nobody"}}],
            "min_slice_examples": 10,
            "max_failed_fraction": 0.1,
            "methods": ["shapley", "permutation_importance", {"faithfulness": {"num_examples": 20, "num_random": 2}}],
        },
    )
    return judged(explained, POLICY, root / "validation")


@pytest.fixture(scope="session")
def earlier(tmp_path_factory: pytest.TempPathFactory) -> Judged:
    """What an earlier version wrote, with a baseline model."""
    policy = ValidationConfig.from_dict({"rules": [{"max_share": {"players": ["race"], "value": 0.9}}]})
    return judged(tfx_explain.load(str(OLD)), policy, tmp_path_factory.mktemp("earlier") / "validation")
