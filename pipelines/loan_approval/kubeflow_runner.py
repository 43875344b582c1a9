"""Compiles the loan approval pipeline for Kubeflow Pipelines v2 and Vertex AI Pipelines.

    PYTHONPATH=pipelines python -m loan_approval.kubeflow_runner --image IMAGE --pipeline_root gs://BUCKET/loan_approval

writes `loan_approval.yaml` for Vertex, and with `--backend open_source` for the open-source backend;
`kubeflow/README.md` says how to submit it.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from tfx import v1 as tfx

from loan_approval import pipeline
from loan_approval.step_resources import limit_steps
from tfx_explain import ConfigError, ExplainConfig, ValidationConfig

HERE = Path(__file__).resolve().parent
PIPELINE_NAME = "loan-approval"
BACKENDS = "vertex", "open_source"


def compile_pipeline(flags: argparse.Namespace) -> dict[str, Any]:
    """The compiled pipeline job that the flags ask for.

    Raises:
      ConfigError: a step cannot be given the CPU or memory that is asked for.
    """
    runner = tfx.orchestration.experimental.KubeflowV2DagRunner(
        config=tfx.orchestration.experimental.KubeflowV2DagRunnerConfig(
            default_image=flags.image, use_pipeline_spec_2_1=True
        )
    )
    root = flags.pipeline_root.rstrip("/")
    record = None
    if flags.backend == "open_source":
        record = flags.baseline_record or f"{root}/accepted_model.json"
    job: dict[str, Any] = runner.run(
        pipeline.create_pipeline(
            pipeline_name=PIPELINE_NAME,
            pipeline_root=root,
            data_root=flags.data_root or f"{root}/data",
            serving_dir=flags.serving_dir or f"{root}/serving",
            explain_config=ExplainConfig.from_file(HERE / "explain.yaml"),
            validation_config=ValidationConfig.from_file(HERE / "policy.yaml"),
            sees_race=flags.sees_race,
            baseline_record=record,
            # Without resolvers runs no driver either, so data would be known by their URI, not by what is in them.
            enable_cache=record is None,
            beam_pipeline_args=flags.beam_args,
        ),
        write_out=False,
    )
    limit_steps(job["pipelineSpec"], flags.cpu, flags.memory)
    return job


def write_job(job: dict[str, Any], output: Path) -> None:
    """Writes a compiled job as Vertex takes it, as JSON, or its specification as Kubeflow's SDK does too, as YAML."""
    output.parent.mkdir(parents=True, exist_ok=True)
    if output.suffix == ".json":
        text = json.dumps(job, sort_keys=True)
    else:
        text = yaml.safe_dump(job["pipelineSpec"], sort_keys=True)
    output.write_text(text, encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> None:
    """Reads the flags and compiles."""
    parser = argparse.ArgumentParser(description="Compile the loan approval pipeline for Kubeflow Pipelines v2.")
    parser.add_argument("--image", required=True, help="container image with tfx-explain and this pipeline")
    parser.add_argument("--pipeline_root", required=True, help="URI under which artifacts go")
    parser.add_argument("--data_root", help="URI of the CSV directory (default: PIPELINE_ROOT/data)")
    parser.add_argument("--serving_dir", help="URI for accepted models (default: PIPELINE_ROOT/serving)")
    parser.add_argument("--sees_race", action="store_true", help="let the candidate read the applicant's race")
    parser.add_argument("--backend", choices=BACKENDS, default=BACKENDS[0], help="what will run it (default: vertex)")
    parser.add_argument(
        "--baseline_record",
        help="for open_source: URI of the file that says which model was accepted last "
        "(default: PIPELINE_ROOT/accepted_model.json)",
    )
    for name, example in (("cpu", "4"), ("memory", "16G")):
        parser.add_argument(
            f"--{name}",
            action="append",
            default=[],
            metavar="STEP=AMOUNT",
            help=f"what a step may take, such as Explainer={example}; {example} is for each of them; repeatable",
        )
    parser.add_argument("--output", type=Path, default=Path("loan_approval.yaml"), help="file to write, .yaml or .json")
    parser.add_argument("beam_args", nargs="*", metavar="-- BEAM_ARGS", help="how Beam runs in the steps")
    flags = parser.parse_args(arguments)
    if flags.baseline_record and flags.backend != "open_source":
        parser.error("--baseline_record is for --backend open_source; Vertex finds the accepted model in its metadata.")
    try:
        job = compile_pipeline(flags)
    except ConfigError as error:
        parser.error(str(error))
    write_job(job, flags.output)


if __name__ == "__main__":
    main()
