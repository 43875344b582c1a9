"""Compiles the loan approval pipeline for Kubeflow Pipelines v2 and Vertex AI Pipelines.

    PYTHONPATH=pipelines python -m loan_approval.kubeflow_runner --image IMAGE --pipeline_root gs://BUCKET/loan_approval

writes `loan_approval.yaml` for Vertex, and with `--backend open_source` for the open-source backend;
`kubeflow/README.md` says how to submit it.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tfx import v1 as tfx

from loan_approval import pipeline
from tfx_explain import ExplainConfig, ValidationConfig

HERE = Path(__file__).resolve().parent
PIPELINE_NAME = "loan-approval"
BACKENDS = "vertex", "open_source"


def compile_pipeline(
    *,
    image: str,
    pipeline_root: str,
    data_root: str,
    serving_dir: str,
    sees_race: bool,
    output: Path,
    baseline_record: str | None = None,
    beam_args: Sequence[str] = (),
) -> dict[str, Any]:
    """Compiles the pipeline into a file.

    Args:
      image: container image with tfx-explain and the `loan_approval` package.
      pipeline_root: URI under which artifacts go.
      data_root: URI of the directory with `applications.csv`.
      serving_dir: URI to which accepted models are pushed.
      sees_race: whether the candidate may read the applicant's race.
      output: the file to write, `.yaml` or `.json`. The open-source backend and kfp take YAML only.
      baseline_record: for a backend that runs no resolvers: URI of the file that says which model was accepted last.
        Caching is off then: that backend knows data by the URI of their directory, not by what is in it.
      beam_args: how Beam runs in the steps; empty for one process of the step's own.

    Returns:
      The compiled pipeline job.
    """
    runner = tfx.orchestration.experimental.KubeflowV2DagRunner(
        config=tfx.orchestration.experimental.KubeflowV2DagRunnerConfig(
            default_image=image, use_pipeline_spec_2_1=True
        ),
        output_dir=str(output.resolve().parent),
        output_filename=output.name,
    )
    return runner.run(
        pipeline.create_pipeline(
            pipeline_name=PIPELINE_NAME,
            pipeline_root=pipeline_root,
            data_root=data_root,
            serving_dir=serving_dir,
            explain_config=ExplainConfig.from_file(HERE / "explain.yaml"),
            validation_config=ValidationConfig.from_file(HERE / "policy.yaml"),
            sees_race=sees_race,
            baseline_record=baseline_record,
            enable_cache=baseline_record is None,
            beam_pipeline_args=beam_args,
        )
    )


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
    parser.add_argument("--output", type=Path, default=Path("loan_approval.yaml"), help="file to write, .yaml or .json")
    parser.add_argument("beam_args", nargs="*", metavar="-- BEAM_ARGS", help="how Beam runs in the steps")
    flags = parser.parse_args(arguments)
    if flags.baseline_record and flags.backend != "open_source":
        parser.error("--baseline_record is for --backend open_source; Vertex finds the accepted model in its metadata.")
    root = flags.pipeline_root.rstrip("/")
    record = flags.baseline_record or f"{root}/accepted_model.json"
    compile_pipeline(
        image=flags.image,
        pipeline_root=root,
        data_root=flags.data_root or f"{root}/data",
        serving_dir=flags.serving_dir or f"{root}/serving",
        sees_race=flags.sees_race,
        output=flags.output,
        baseline_record=record if flags.backend == "open_source" else None,
        beam_args=flags.beam_args,
    )


if __name__ == "__main__":
    main()
