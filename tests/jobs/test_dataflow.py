"""What would be sent to Dataflow, put together without network and without credentials."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from apache_beam.options.pipeline_options import GoogleCloudOptions
from apache_beam.portability import common_urns
from apache_beam.portability.api import beam_runner_api_pb2
from apache_beam.runners.dataflow.dataflow_runner import DataflowRunner
from apache_beam.runners.dataflow.internal import apiclient

import tfx_explain
from portable import world
from tfx_explain import api
from tfx_explain.transforms.runner import pipeline_args

N_ROWS = 40
SETTINGS: dict[str, str | int] = {
    "project": "project-1",
    "region": "europe-west4",
    "temp_location": "gs://bucket/tmp",
    "image": "registry/image:1",
    "machine_type": "n2-standard-8",
    "workers": 2,
    "max_workers": 9,
    "disk_size_gb": 50,
    "service_account": "worker@project-1.iam.gserviceaccount.com",
    "job_name": "explain-loans",
}
DRY = [*tfx_explain.beam_args("dataflow", **SETTINGS), "--dry_run=True"]


@pytest.fixture(scope="module", autouse=True)
def _no_network() -> Iterator[None]:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("something asks the network")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", refuse)
        patch.setattr(socket, "getaddrinfo", refuse)
        yield


@pytest.fixture(scope="module")
def sent(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], beam_runner_api_pb2.Pipeline]:
    """The job as Dataflow would get it, and the graph that is uploaded beside it."""
    root = tmp_path_factory.mktemp("dataflow")
    inputs, run_pipeline, jobs = world.make(root, N_ROWS), DataflowRunner.run_pipeline, []
    uploaded: dict[str, bytes] = {}

    def keep(*args: Any, **kwargs: Any) -> Any:
        jobs.append((result := run_pipeline(*args, **kwargs)).job)
        return result

    def upload(_: Any, directory: str, name: str, stream: Any, **__: Any) -> None:
        uploaded[name] = directory.encode() if isinstance(stream, str) else stream.read()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DataflowRunner, "run_pipeline", keep)
        # So that files of this machine will do.
        patch.setattr(api, "check_places", lambda *_: None)
        with pytest.raises(tfx_explain.ConfigError, match="put the job together for DataflowRunner, which takes it"):
            tfx_explain.explain(**inputs, output_dir=str(root / "out"), config=world.config(N_ROWS), beam_args=DRY)
        assert not (root / "out").exists()
        jobs[0].options.view_as(GoogleCloudOptions).no_auth = True
        patch.setattr(apiclient.DataflowApplicationClient, "stage_file_with_retry", upload)
        apiclient.DataflowApplicationClient(jobs[0].options).create_job_description(jobs[0])
    graph = uploaded.pop("pipeline.pb")
    assert all(place.startswith(b"gs://bucket/tmp/explain-loans.") for place in uploaded.values())
    # Both are Beam's own; nothing of them is installed.
    assert set(uploaded) <= {"pickled_main_session", "submission_environment_dependencies.txt"}
    return json.loads(jobs[0].json()), beam_runner_api_pb2.Pipeline.FromString(graph)


def test_the_job_has_what_was_asked_for(sent: tuple[dict[str, Any], Any]) -> None:
    description = sent[0]
    assert description["name"] == "explain-loans"
    assert description["type"] == "JOB_TYPE_BATCH"
    environment = description["environment"]
    assert environment["serviceAccountEmail"] == SETTINGS["service_account"]
    assert environment["tempStoragePrefix"].endswith(
        "bucket/tmp/" + environment["tempStoragePrefix"].rpartition("/")[2]
    )
    (pool,) = environment["workerPools"]
    assert pool["machineType"] == "n2-standard-8"
    assert (pool["numWorkers"], pool["autoscalingSettings"]["maxNumWorkers"], pool["diskSizeGb"]) == (2, 9, 50)
    assert {image["containerImage"] for image in pool["sdkHarnessContainerImages"]} == {"registry/image:1"}


def test_every_step_runs_in_the_image(
    sent: tuple[Any, beam_runner_api_pb2.Pipeline],
) -> None:
    components = sent[1].components
    environments = components.environments.values()
    images = [beam_runner_api_pb2.DockerPayload.FromString(one.payload).container_image for one in environments]
    assert set(images) == {"registry/image:1"}
    assert {one.urn for one in environments} == {common_urns.environments.DOCKER.urn}
    names = [transform.unique_name for transform in components.transforms.values()]
    for step in ("ReadBackground", "PlanJob", "Explain[eval]", "WriteAttributions[eval]", "WriteTables"):
        assert any(name.startswith(step) for name in names), step


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"temp_location": "/tmp/here"}, r"Invalid GCS path \(/tmp/here\), given for the option: temp_location"),
        ({"temp_location": "gs://b/tmp"}, r"Invalid GCS bucket \(gs://b/tmp\)"),
        ({"project": "My project"}, r"Invalid Project ID \(My project\)"),
        ({"job_name": "Explain_loans"}, r"Invalid job_name \(Explain_loans\)"),
        ({"workers": 10}, r"num_workers \(10\) cannot exceed max_num_workers \(9\)"),
    ],
)
def test_what_dataflow_does_not_take_is_one_sentence(changed: dict[str, str], said: str) -> None:
    with pytest.raises(tfx_explain.ConfigError, match=rf"^Apache Beam cannot use its arguments: {said}[^\n]*\.$"):
        pipeline_args(tfx_explain.beam_args("dataflow", **{**SETTINGS, **changed}))


def test_a_dry_run_is_for_dataflow() -> None:
    assert pipeline_args(DRY) == DRY
    for args in ([], ["--runner=DirectRunner"], ["--runner=FlinkRunner"]):
        with pytest.raises(tfx_explain.ConfigError, match=r"--dry_run is for DataflowRunner, and .* ignores it"):
            pipeline_args([*args, "--dry_run=True"])
