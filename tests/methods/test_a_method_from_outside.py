"""A method that the package does not have, through a whole job: its tables, its entry in the manifest, rules on it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

import tfx_explain
import worlds
from tfx_explain.config import SlicingSpec
from tfx_explain.explanation_validator.evidence import evidence_in
from tfx_explain.judgement import RULES, judge_rule
from tfx_explain.methods import registry
from tfx_explain.methods.attribution_tables import SIZES, AttributionTables
from tfx_explain.methods.background import JobPlan
from tfx_explain.methods.batch import Batch
from tfx_explain.methods.context import FirstRows, JobContext, Sample, features_of
from tfx_explain.methods.method import Accumulated, Contributed, Earlier, Result, SliceRows
from tfx_explain.models import Model, SingleRowBlocks
from tfx_explain.part_records import PartsOf
from tfx_explain.summary import ImportanceAccumulator
from tfx_explain.summary.sizes import NoisyMoments

FloatArray = npt.NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class OccludedRows:
    """What n rows lose without each player: (n, d)."""

    losses: FloatArray

    def take(self, rows: npt.NDArray[np.int64]) -> OccludedRows:
        return OccludedRows(self.losses[rows])


@dataclasses.dataclass(frozen=True)
class Occlusion:
    """The prediction less that with one player from the first background row."""

    context: JobContext
    key: str = "occlusion"
    n_sample: int = 1
    needs_row_count: bool = False
    attributes: bool = False

    @property
    def parts(self) -> Mapping[str, PartsOf]:
        """None."""
        return {}

    def check(self, rows: FirstRows, models: Sequence[Model]) -> None:
        assert rows.splits["eval"].num_rows

    def plan(self, sample: Sample, models: Sequence[Model], plan: JobPlan) -> tuple[str, Mapping[str, int]]:
        return "the first background row", {}

    def for_rows(self, plan: str, n_rows: int, n_background: int) -> str:
        return plan

    def explainer(self, models: Sequence[Model]) -> Occluder:
        return Occluder(models, self.context)

    def contributions(self, rows: OccludedRows, side: str, part: SliceRows) -> Iterator[Contributed]:
        losses = rows.losses[part.places]
        none, zeros = np.zeros_like(losses), np.zeros(len(losses))
        figures = (losses, none, none, zeros, zeros, part.weights)
        yield Contributed(SIZES, self.context.outputs[0], (partial(ImportanceAccumulator, losses.shape[1]), figures))

    def differences(self, ours: OccludedRows, theirs: OccludedRows, part: SliceRows) -> Iterator[Contributed]:
        change = np.abs(ours.losses[part.places]) - np.abs(theirs.losses[part.places])
        figures = (change, part.weights, np.zeros_like(change), np.zeros_like(change), np.zeros(len(change), np.int64))
        empty = partial(NoisyMoments.empty, change.shape[1], full=True)
        yield Contributed(SIZES, self.context.outputs[0], (empty, figures))

    def tables(self, accumulated: Accumulated, plan: JobPlan) -> Mapping[str, pd.DataFrame]:
        return AttributionTables(self.key, tuple(self.context.players)).all(accumulated)

    def describe(self, accumulated: Accumulated, plan: JobPlan) -> Mapping[str, Mapping[str, Any]]:
        return {self.key: {"instead": plan.per_method[self.key]}}


class Occluder:
    """Occlusion at work."""

    def __init__(self, models: Sequence[Model], context: JobContext) -> None:
        self.models, self.context = models, context

    def explain(self, batch: Batch, plan: JobPlan, earlier: Earlier) -> Result[OccludedRows]:
        sides, d = [], len(self.context.players)
        for model, side in zip(self.models, batch.sides, strict=True):
            instead = model.inputs(plan.background.rows.slice(0, 1)).take(np.zeros(d, np.int64))
            lacking = SingleRowBlocks.of_lenders(np.eye(d, dtype=bool))
            values = model.block_values(side.inputs, instead, features_of(model, self.context.players), lacking)
            sides.append(OccludedRows(side.prediction[:, :1] - values[:, :, 0, 0]))
        return Result(tuple(sides), counts={"occlusion_model_rows": batch.rows.num_rows * d * len(self.models)})


@pytest.fixture(scope="module")
def explained(tmp_path_factory: pytest.TempPathFactory) -> tfx_explain.ExplanationReader:
    root = tmp_path_factory.mktemp("outside")

    def save(name: str, scale: float) -> str:
        def score(features: dict[str, Any]) -> Any:
            return scale * (0.5 * features["age"] - 2.0 * features["income"])

        spec = {name: worlds.FEATURES[name] for name in ("age", "income")}
        return worlds.save_serving_model(root / name, score, spec)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(registry, "METHODS", [*registry.METHODS, Occlusion])
        return tfx_explain.explain(
            model=save("model", 1.0),
            baseline_model=save("other", 3.0),
            examples=worlds.write_splits(root / "examples", worlds.make_rows, 40, 60),
            output_dir=str(root / "out"),
            config={
                "background": {"num_rows": 8},
                "slicing_specs": [{"feature_keys": ["race"]}],
                "min_slice_examples": 10,
            },
        )


def test_tables_manifest_and_counts_have_it(explained: tfx_explain.ExplanationReader) -> None:
    rows = explained.attributions()
    instead = pd.read_parquet(f"{explained.uri}/background.parquet").iloc[0]
    expected = {
        "age": np.abs(0.5 * (rows["age"] - instead["age"][0])).mean(),
        "income": np.abs(-2.0 * (rows["income"] - instead["income"][0])).mean(),
    }
    for table, factor in ((explained.importance, 1.0), (explained.baseline_importance, 3.0)):
        of_method = table[(table["method"] == "occlusion") & (table["slice"] == "overall")].set_index("player")
        for player, size in expected.items():
            assert of_method.loc[player, "value"] == pytest.approx(factor * size, rel=1e-6)
    assert explained.manifest["method"]["occlusion"] == {"instead": "the first background row"}
    assert explained.manifest["counts"]["eval"]["occlusion_model_rows"] == 60 * 2 * 2
    assert set(explained.slice_differences["method"]) == {"shapley", "occlusion"}


def test_differences_of_both_models_are_paired(explained: tfx_explain.ExplanationReader) -> None:
    table = explained.baseline_importance
    of_method = table[(table["method"] == "occlusion") & (table["slice"] == "overall")]
    np.testing.assert_allclose(of_method["difference"], -2 / 3 * of_method["value"], rtol=1e-6)
    np.testing.assert_allclose(of_method["difference_std_error"], 2 / 3 * of_method["std_error"], rtol=1e-6)


@pytest.mark.parametrize(("value", "outcome"), [(0.99, "pass"), (0.2, "fail")])
def test_rules_judge_it(explained: tfx_explain.ExplanationReader, value: float, outcome: str) -> None:
    explained.verify()
    rule = RULES["max_share"]
    (evidence,) = evidence_in(explained, [SlicingSpec()], [rule], "occlusion")
    finding = judge_rule(rule, {"players": ["income"], "value": value}, evidence, confidence=0.95, min_examples=10)
    assert finding.outcome == outcome
