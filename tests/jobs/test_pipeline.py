"""The components in TFX pipelines on LocalDagRunner: what they hand on, and who is pushed."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from ml_metadata.proto import metadata_store_pb2
from tfx import v1 as tfx
from tfx.orchestration import metadata
from tfx.types import artifact_utils, standard_artifacts
from tfx.types.standard_artifacts import Examples, Model, ModelBlessing

import recorder
import tfx_explain
import transforming
import worlds
from tfx_explain import ExplainConfig, Explainer, ExplanationValidator, ValidationConfig
from tfx_explain.audit.checks import check_cases
from tfx_explain.audit.joining import cases_of
from tfx_explain.audit.lineage import read_lineage
from tfx_explain.audit.stores import opened

EXPLAIN = ExplainConfig(background={"num_rows": 10}, id_key="application_id", seed=4)
ALLOW = ValidationConfig(
    rules=[{"max_share": {"players": ["race"], "value": 0.9}}, {"max_completeness_gap": {"value": 1e-6}}]
)
REFUSE = ValidationConfig(rules=[{"max_share": {"players": ["race"], "value": 0.01}}])

pytestmark = pytest.mark.e2e


class Pipeline:
    """One pipeline name, one metadata store, one serving directory; several runs."""

    def __init__(self, root: Path, examples: str, model: str) -> None:
        self.root, self.examples = root, examples
        self.model = root / "imported" / "model"
        shutil.copytree(model, self.model / "Format-Serving")
        self.metadata = tfx.orchestration.metadata.sqlite_metadata_connection_config(str(root / "metadata.db"))

    def importers(self) -> tuple[Any, Any]:
        examples = tfx.dsl.Importer(
            source_uri=self.examples,
            artifact_type=Examples,
            properties={"split_names": json.dumps(["train", "eval"])},
            custom_properties={"payload_format": "FORMAT_TF_EXAMPLE", "file_format": "tfrecords_gzip"},
        ).with_id("ExampleImporter")
        # Not reused: each run is to have a model of its own, as if it had been trained.
        model = tfx.dsl.Importer(source_uri=str(self.model), artifact_type=Model, reimport=True).with_id(
            "ModelImporter"
        )
        return examples, model

    def run(self, components: list[Any], **kwargs: Any) -> None:
        tfx.orchestration.LocalDagRunner().run(
            tfx.dsl.Pipeline(
                pipeline_name="loans",
                pipeline_root=str(self.root / "artifacts"),
                components=components,
                metadata_connection_config=self.metadata,
                enable_cache=False,
                **kwargs,
            )
        )

    def artifacts(self, type_name: str) -> list[Any]:
        with metadata.Metadata(self.metadata) as handle:
            if type_name not in {kind.name for kind in handle.store.get_artifact_types()}:
                return []
            kind = handle.store.get_artifact_type(type_name)
            found = handle.store.get_artifacts_by_type(type_name)
        live = [a for a in found if a.state == metadata_store_pb2.Artifact.LIVE]
        return [artifact_utils.deserialize_artifact(kind, a) for a in sorted(live, key=lambda a: a.id)]

    def judged_run(self, policy: ValidationConfig, tag: str) -> None:
        """Resolver, Explainer, ExplanationValidator, and a Pusher inside and one outside of the condition."""
        examples, model = self.importers()
        resolver = tfx.dsl.Resolver(
            strategy_class=tfx.dsl.experimental.LatestBlessedModelStrategy,
            model=tfx.dsl.Channel(type=Model),
            model_blessing=tfx.dsl.Channel(type=ModelBlessing),
        ).with_id("baseline")
        recorded = recorder.RecordModel(path=str(self.root / f"baseline-{tag}"), model=resolver.outputs["model"])
        explainer = Explainer(
            examples=examples.outputs["result"], model=model.outputs["result"], explain_config=EXPLAIN
        )
        validator = ExplanationValidator(
            explanation=explainer.outputs["explanation"], model=model.outputs["result"], validation_config=policy
        )

        def pusher(name: str) -> Any:
            destination = tfx.proto.PushDestination(
                filesystem=tfx.proto.PushDestination.Filesystem(base_directory=str(self.root / f"{name}-{tag}"))
            )
            return tfx.components.Pusher(
                model=model.outputs["result"],
                model_blessing=validator.outputs["blessing"],
                push_destination=destination,
            ).with_id(f"{name}Pusher")

        with tfx.dsl.Cond(validator.outputs["validation"].future()[0].custom_property("blessed") == 1):
            guarded = pusher("guarded")
        self.run([examples, model, resolver, recorded, explainer, validator, pusher("plain"), guarded])

    def gated_run(self, tag: str, *, policy: ValidationConfig, evaluator_blesses: bool) -> None:
        """The wiring with an Evaluator: policy first, Evaluator, blessing and Pusher inside the condition."""
        examples, model = self.importers()
        resolver = tfx.dsl.Resolver(
            strategy_class=tfx.dsl.experimental.LatestBlessedModelStrategy,
            model=tfx.dsl.Channel(type=Model),
            model_blessing=tfx.dsl.Channel(type=ModelBlessing),
        ).with_id("baseline")
        recorded = recorder.RecordModel(path=str(self.root / f"baseline-{tag}"), model=resolver.outputs["model"])
        explainer = Explainer(
            examples=examples.outputs["result"], model=model.outputs["result"], explain_config=EXPLAIN
        )
        judged = {"explanation": explainer.outputs["explanation"], "model": model.outputs["result"]}
        judged["validation_config"] = policy
        validator = ExplanationValidator(
            **judged, baseline_blessing=resolver.outputs["model_blessing"], bless_model=False
        )
        with tfx.dsl.Cond(validator.outputs["validation"].future()[0].custom_property("blessed") == 1):
            evaluator = recorder.Judge(blessed=int(evaluator_blesses), model=model.outputs["result"])
            blesser = ExplanationValidator(**judged, model_blessing=evaluator.outputs["blessing"]).with_id("Blesser")
            pusher = tfx.components.Pusher(
                model=model.outputs["result"],
                model_blessing=blesser.outputs["blessing"],
                push_destination=tfx.proto.PushDestination(
                    filesystem=tfx.proto.PushDestination.Filesystem(base_directory=str(self.root / f"serving-{tag}"))
                ),
            )
        self.run([examples, model, resolver, recorded, explainer, validator, evaluator, blesser, pusher])

    def validation(self) -> dict[str, Any]:
        """The newest findings of the first validator."""
        found = [a for a in self.artifacts("tfx_explain.ExplanationValidation") if "/ExplanationValidator/" in a.uri]
        return dict(json.loads(Path(found[-1].uri, "findings.json").read_text()))

    def baseline(self, tag: str) -> str:
        return (self.root / f"baseline-{tag}").read_text()

    def pushed(self, name: str, tag: str) -> bool:
        return (self.root / f"{name}-{tag}").exists()


@pytest.fixture
def pipeline(tmp_path: Path, linear_examples: str, linear_model: str) -> Pipeline:
    return Pipeline(tmp_path, linear_examples, linear_model)


def test_only_blessed_models_are_pushed_or_become_the_baseline(pipeline: Pipeline) -> None:
    pipeline.judged_run(REFUSE, "1")
    assert not pipeline.pushed("plain", "1")
    assert not pipeline.pushed("guarded", "1")
    pipeline.judged_run(ALLOW, "2")
    assert pipeline.pushed("plain", "2")
    assert pipeline.pushed("guarded", "2")
    pipeline.judged_run(REFUSE, "3")
    assert not pipeline.pushed("plain", "3")
    assert pipeline.baseline("1") == "none"
    assert pipeline.baseline("2") == "none", "the refused model of the first run became the baseline"
    assert pipeline.baseline("3") == str(pipeline.model)
    blessings = pipeline.artifacts("ModelBlessing")
    models = {model.id for model in pipeline.artifacts("Model")}
    assert [b.get_int_custom_property("blessed") for b in blessings] == [0, 1, 0]
    assert {b.get_int_custom_property("current_model_id") for b in blessings} <= models
    explanations = pipeline.artifacts("tfx_explain.Explanation")
    assert [b.get_string_custom_property("explanation_uri") for b in blessings] == [e.uri for e in explanations]
    for blessing, name in zip(blessings, ("NOT_BLESSED", "BLESSED", "NOT_BLESSED"), strict=True):
        assert [path.name for path in Path(blessing.uri).iterdir()] == [name]

    with opened(f"sqlite:{pipeline.root / 'metadata.db'}") as store:
        cases = cases_of(read_lineage(store))
    verdicts = [case.verdict for case in cases if case.verdict is not None]
    assert [verdict.blessed for verdict in verdicts] == [False, True, False]
    assert [str(verdict.decided_by).partition(":")[0] for verdict in verdicts] == [
        "max_share", "no rule refused", "max_share",
    ]  # fmt: skip
    assert [[push.pushed for push in case.pushes] for case in cases] == [[False], [True, True], [False]]
    assert {case.model for case in cases} == {str(pipeline.model)}
    assert [case.explanation.examples for case in cases if case.explanation] == [(pipeline.examples,)] * 3
    assert {check.state for check in check_cases(cases)} == {"unchanged"}


def test_policy_and_evaluator_both_decide_and_the_last_blessed_explanation_is_the_baseline(pipeline: Pipeline) -> None:
    allow = ValidationConfig(rules=[*ALLOW.rules, {"drift": {"measure": "ndcg", "max": 0.1}}])
    refuse = ValidationConfig(rules=[*REFUSE.rules, {"drift": {"measure": "ndcg", "max": 0.1}}])
    pipeline.gated_run("first", policy=allow, evaluator_blesses=True)
    assert {f["outcome"] for f in pipeline.validation()["findings"] if f["rule"] == "drift"} == {"skipped"}
    (first_model, first) = pipeline.artifacts("Model")[-1], pipeline.artifacts("tfx_explain.Explanation")[-1]
    pipeline.gated_run("policy refuses", policy=refuse, evaluator_blesses=True)
    pipeline.gated_run("evaluator refuses", policy=allow, evaluator_blesses=False)
    pipeline.gated_run("both refuse", policy=refuse, evaluator_blesses=False)
    tags = ("first", "policy refuses", "evaluator refuses", "both refuse")
    assert [pipeline.pushed("serving", tag) for tag in tags] == [True, False, False, False]
    assert [pipeline.baseline(tag) for tag in tags] == ["none", *[first_model.uri] * 3]
    pipeline.gated_run("last", policy=allow, evaluator_blesses=True)
    assert pipeline.pushed("serving", "last")
    verdict = pipeline.validation()
    assert verdict["baseline_uri"] == first.uri, "the refused models' explanations came between"
    assert {f["outcome"] for f in verdict["findings"] if f["rule"] == "drift"} == {"pass"}

    models = [model.id for model in pipeline.artifacts("Model")]
    blessings: dict[int, dict[str, int]] = {model: {} for model in models}
    for blessing in pipeline.artifacts("ModelBlessing"):
        node = Path(blessing.uri).parts[-3]
        of_model = blessing.get_int_custom_property("current_model_id")
        blessings[of_model][node] = blessing.get_int_custom_property("blessed")
    both = {"ExplanationValidator": 0, "Judge": 1, "Blesser": 1}
    refused_by_policy = {"ExplanationValidator": 0}
    refused_by_evaluator = {"ExplanationValidator": 0, "Judge": 0, "Blesser": 0}
    expected = [both, refused_by_policy, refused_by_evaluator, refused_by_policy, both]
    assert [blessings[model] for model in models] == expected


def test_a_crash_of_the_validator_leaves_no_blessing(pipeline: Pipeline) -> None:
    examples, model = pipeline.importers()
    (pipeline.root / "empty").mkdir()
    baseline = tfx.dsl.Importer(source_uri=str(pipeline.root / "empty"), artifact_type=tfx_explain.Explanation).with_id(
        "BaselineImporter"
    )
    explainer = Explainer(examples=examples.outputs["result"], model=model.outputs["result"], explain_config=EXPLAIN)
    validator = ExplanationValidator(
        explanation=explainer.outputs["explanation"],
        model=model.outputs["result"],
        baseline_explanation=baseline.outputs["result"],
        validation_config=ValidationConfig(rules=[{"drift": "default"}]),
    )
    pusher = tfx.components.Pusher(
        model=model.outputs["result"],
        model_blessing=validator.outputs["blessing"],
        push_destination=tfx.proto.PushDestination(
            filesystem=tfx.proto.PushDestination.Filesystem(base_directory=str(pipeline.root / "serving"))
        ),
    )
    with pytest.raises(Exception, match=r"empty holds no explanation: it has no manifest\.json"):
        pipeline.run([examples, model, baseline, explainer, validator, pusher])
    assert not (pipeline.root / "serving").exists()
    assert not pipeline.artifacts("ModelBlessing")
    assert not list((pipeline.root / "artifacts" / "ExplanationValidator").rglob("BLESSED"))


def test_explanation_describes_itself_in_metadata(pipeline: Pipeline) -> None:
    examples, model = pipeline.importers()
    explainer = Explainer(examples=examples.outputs["result"], model=model.outputs["result"], explain_config=EXPLAIN)
    statistics = tfx.components.StatisticsGen(examples=explainer.outputs["attributions"])
    pipeline.run([examples, model, explainer, statistics])
    (artifact,) = pipeline.artifacts("tfx_explain.Explanation")
    explanation = tfx_explain.Explanation()
    explanation.set_mlmd_artifact(artifact.mlmd_artifact)
    reader = tfx_explain.load(artifact.uri)
    assert explanation.methods == ("shapley",)
    assert explanation.num_examples == 120 == len(reader.attributions())
    assert explanation.top_features == tuple(reader.importance_for()["player"])
    assert explanation.output_space == "raw"
    assert explanation.completeness_gap <= 1e-6
    assert explanation.model_uri.startswith(str(pipeline.model))
    assert reader.manifest["attributions_uri"] == explanation.attributions_uri

    import tensorflow_data_validation as tfdv

    (statistics_artifact,) = pipeline.artifacts("ExampleStatistics")
    counted = tfdv.load_stats_binary(str(next(Path(statistics_artifact.uri, "Split-eval").iterdir())))
    features = {feature.path.step[0]: feature for feature in counted.datasets[0].features}
    mean = reader.attributions()["attribution_income"].mean()
    assert features["attribution_income"].num_stats.mean == pytest.approx(mean, rel=1e-5)
    assert counted.datasets[0].num_examples == 120


def test_earlier_refusal_stands(pipeline: Pipeline) -> None:
    """An Evaluator's blessing is ANDed: here it is the validator's own, of a stricter policy."""
    examples, model = pipeline.importers()
    explainer = Explainer(examples=examples.outputs["result"], model=model.outputs["result"], explain_config=EXPLAIN)
    common = {"explanation": explainer.outputs["explanation"], "model": model.outputs["result"]}
    strict = ExplanationValidator(**common, validation_config=REFUSE).with_id("Strict")
    lenient = ExplanationValidator(
        **common, validation_config=ALLOW, model_blessing=strict.outputs["blessing"]
    ).with_id("Lenient")
    silent = ExplanationValidator(**common, validation_config=ALLOW, bless_model=False).with_id("Silent")
    pipeline.run([examples, model, explainer, strict, lenient, silent])
    verdicts = {Path(a.uri).parts[-3]: a for a in pipeline.artifacts("tfx_explain.ExplanationValidation")}
    blessings = {Path(a.uri).parts[-3]: a for a in pipeline.artifacts("ModelBlessing")}
    blessed = {
        name: (verdicts[name].get_int_custom_property("blessed"), blessings[name].get_int_custom_property("blessed"))
        for name in ("Strict", "Lenient", "Silent")
    }
    assert blessed == {"Strict": (0, 0), "Lenient": (1, 0), "Silent": (1, 0)}
    findings = json.loads(Path(verdicts["Strict"].uri, "findings.json").read_text())
    assert findings["blessed"] is False
    assert findings["findings"][0]["outcome"] == "fail"


def test_failing_explainer_leaves_nothing_and_pushes_nothing(pipeline: Pipeline) -> None:
    examples, model = pipeline.importers()
    config = ExplainConfig(label_key="absent")
    explainer = Explainer(examples=examples.outputs["result"], model=model.outputs["result"], explain_config=config)
    validator = ExplanationValidator(
        explanation=explainer.outputs["explanation"], model=model.outputs["result"], validation_config=ALLOW
    )
    with tfx.dsl.Cond(validator.outputs["validation"].future()[0].custom_property("blessed") == 1):
        pusher = tfx.components.Pusher(
            model=model.outputs["result"],
            model_blessing=validator.outputs["blessing"],
            push_destination=tfx.proto.PushDestination(
                filesystem=tfx.proto.PushDestination.Filesystem(base_directory=str(pipeline.root / "serving"))
            ),
        )
    with pytest.raises(Exception, match="`label_key: absent` names a feature that no example of split `eval` has"):
        pipeline.run([examples, model, explainer, validator, pusher])
    assert not (pipeline.root / "serving").exists()
    assert not list((pipeline.root / "artifacts" / "Explainer").rglob("*.parquet"))


def test_a_model_of_transformed_features_is_explained_by_raw_ones(tmp_path: Path, transform_graph: str) -> None:
    data = worlds.write_splits(tmp_path / "data", transforming.make_rows, 40, 40)
    pipeline = Pipeline(tmp_path, data, transforming.save_model(tmp_path / "saved"))
    examples, model = pipeline.importers()
    graph = tfx.dsl.Importer(source_uri=transform_graph, artifact_type=standard_artifacts.TransformGraph).with_id(
        "GraphImporter"
    )
    methods = ["shapley", {"permutation_importance": {"num_donors": 1}}]
    explainer = Explainer(
        examples=examples.outputs["result"],
        model=model.outputs["result"],
        transform_graph=graph.outputs["result"],
        explain_config=ExplainConfig(background={"num_rows": 5}, label_key="tips_xf", methods=methods),
    )
    pipeline.run([examples, model, graph, explainer])
    (made,) = pipeline.artifacts("tfx_explain.Explanation")
    explanation = tfx_explain.load(made.uri)
    assert sorted(explanation.players) == ["age", "income", "race", "words"]
    assert explanation.manifest["label"]["from"] == "transform"
    assert len(explanation.importance_for(method="permutation_importance")) == 4
    (graph_artifact,) = pipeline.artifacts("TransformGraph")
    assert explanation.manifest["transform_graph"]["uri"] == graph_artifact.uri
    with metadata.Metadata(pipeline.metadata) as handle:
        inputs = handle.store.get_events_by_artifact_ids([graph_artifact.id])
    (read,) = [event for event in inputs if event.type == metadata_store_pb2.Event.INPUT]
    assert [step.key for step in read.path.steps if step.HasField("key")] == ["transform_graph"]


def test_configurations_that_cannot_work_are_refused_when_the_pipeline_is_built() -> None:
    examples = tfx.dsl.Channel(type=standard_artifacts.Examples)
    model = tfx.dsl.Channel(type=standard_artifacts.Model)
    for settings in (
        {"label_key": "y", "label_from": "transform"},
        {"examples_are": "raw"},
        {"model": {"takes": "raw"}},
    ):
        with pytest.raises(tfx_explain.ConfigError, match="about Transform's graph; give `transform_graph`"):
            Explainer(examples=examples, model=model, explain_config=ExplainConfig(**settings))
    with pytest.raises(tfx_explain.ConfigError, match="unknown key `splts`"):
        Explainer(examples=examples, model=model, explain_config='{"splts": []}')
    with pytest.raises(
        tfx_explain.ConfigError, match="must be an ExplainConfig, its JSON or a RuntimeParameter, got dict"
    ):
        Explainer(examples=examples, model=model, explain_config={"splits": []})
