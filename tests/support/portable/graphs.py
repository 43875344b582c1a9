"""The job of a run, put together and not run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from unittest import mock

import apache_beam as beam

import tfx_explain
from tfx_explain import api
from tfx_explain.job.request import ExplainRequest
from tfx_explain.transforms.job import build_job
from tfx_explain.transforms.runner import new_pipeline, pipeline_args


def request(inputs: dict[str, str], config: dict[str, Any]) -> ExplainRequest:
    """What `explain` with these arguments asks of the job."""
    found: list[ExplainRequest] = []

    def keep(request: ExplainRequest, make_pipeline: Any) -> None:
        found.append(request)
        raise tfx_explain.WorkerError("the request is enough.")

    with mock.patch.object(api, "run_explanation", keep):
        try:
            tfx_explain.explain(**inputs, output_dir=f"{inputs['examples']}/../out", config=config)
        except tfx_explain.WorkerError:
            return found[0]
    raise AssertionError("the job was run")


def built(request: ExplainRequest, beam_args: Sequence[str] = ()) -> beam.Pipeline:
    """The graph of a job, for an engine."""
    pipeline = new_pipeline(pipeline_args(beam_args))
    build_job(pipeline, request)
    return pipeline
