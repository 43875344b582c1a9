"""A TFX pipeline whose root is a bucket of S3: examples, explanation, verdict and pushed model are all there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tfx import v1 as tfx
from tfx.types.standard_artifacts import Model

import buckets
import tfx_on_buckets
import worlds
from tfx_explain import ExplainConfig, Explainer, ExplanationValidator, ValidationConfig, load, storage

pytestmark = pytest.mark.e2e

CONFIG = {"splits": ["eval"], "background": {"num_rows": 10}, "id_key": "application_id"}
POLICY = ValidationConfig(rules=[{"max_share": {"players": ["race"], "value": 0.9}}])


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    tfx_on_buckets.register()
    with buckets.s3() as uri:
        yield uri


def pipeline(bucket: str, examples: str, directory: Path) -> Any:
    splits = [tfx.proto.Input.Split(name=split, pattern=f"Split-{split}/*") for split in ("train", "eval")]
    generated = tfx.components.ImportExampleGen(input_base=examples, input_config=tfx.proto.Input(splits=splits))
    model = tfx.dsl.Importer(source_uri=f"{bucket}/trained", artifact_type=Model).with_id("Trained")
    explainer = Explainer(
        examples=generated.outputs["examples"],
        model=model.outputs["result"],
        explain_config=ExplainConfig.from_dict(CONFIG),
    )
    validator = ExplanationValidator(
        explanation=explainer.outputs["explanation"], model=model.outputs["result"], validation_config=POLICY
    )
    pusher = tfx.components.Pusher(
        model=model.outputs["result"],
        model_blessing=validator.outputs["blessing"],
        push_destination=tfx.proto.PushDestination(
            filesystem=tfx.proto.PushDestination.Filesystem(base_directory=f"{bucket}/serving")
        ),
    )
    return tfx.dsl.Pipeline(
        pipeline_name="loans",
        pipeline_root=f"{bucket}/pipeline",
        components=[generated, model, explainer, validator, pusher],
        metadata_connection_config=tfx.orchestration.metadata.sqlite_metadata_connection_config(
            str(directory / "metadata.db")
        ),
    )


def test_a_whole_pipeline_in_a_bucket(bucket: str, linear_model: str, linear_examples: str, tmp_path: Path) -> None:
    for name in storage.names_beneath(linear_model):
        content = storage.read_bytes(storage.join(linear_model, name))
        storage.write_bytes(f"{bucket}/trained/Format-Serving/{name}", content)
    tfx.orchestration.LocalDagRunner().run(pipeline(bucket, linear_examples, tmp_path))
    (run,) = storage.names(f"{bucket}/pipeline/Explainer/explanation")
    explanation = load(f"{bucket}/pipeline/Explainer/explanation/{run}")
    explanation.verify()
    local = worlds.explain_by_id(linear_model, linear_examples, tmp_path / "local", **CONFIG)
    ours, theirs = (one.attributions().sort_values("application_id") for one in (explanation, local))
    assert len(ours) == 120
    assert {name: ours[name].tolist() for name in ours} == {name: theirs[name].tolist() for name in theirs}
    assert explanation.manifest["model"]["digest"] == local.manifest["model"]["digest"]
    (blessing,) = storage.names_beneath(f"{bucket}/pipeline/ExplanationValidator/blessing")
    assert blessing.endswith("/BLESSED")
    pushed = storage.names_beneath(f"{bucket}/serving")
    assert {name.split("/", 1)[1] for name in pushed} == set(storage.names_beneath(linear_model))
    assert storage.names(f"{bucket}/pipeline") == [*("Explainer", "ExplanationValidator", "ImportExampleGen", "Pusher")]
