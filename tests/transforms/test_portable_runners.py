"""Who does not answer, and which files workers do not see."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from tfx_explain.errors import ConfigError, WorkerError
from tfx_explain.transforms.places import check_places
from tfx_explain.transforms.portable_runners import check_servers

FILES = [None, "gs://bucket/examples", "/models/1"]


@pytest.mark.parametrize(
    "args",
    [
        ["--runner=DataflowRunner"],
        ["--runner=FlinkRunner", "--flink_master=flink:8081", "--environment_type=LOOPBACK"],
        ["--runner=FlinkRunner", "--environment_type=DOCKER"],
        ["--runner=SparkRunner", "--spark_master_url=spark://host:7077"],
        ["--runner=apache_beam.runners.portability.flink_runner.FlinkRunner", "--flink_master=flink:8081"],
        ["--runner=some.where.OtherRunner"],
    ],
)
def test_files_of_this_machine_are_refused_where_workers_are_elsewhere(args: list[str]) -> None:
    with pytest.raises(ConfigError, match="may be on other machines, but /models/1 is on this one"):
        check_places(args, FILES)
    check_places(args, FILES[:2])


@pytest.mark.parametrize(
    "args",
    [
        ["--runner=apache_beam.runners.portability.fn_api_runner.fn_runner.FnApiRunner"],
        ["--runner=tfx_explain.transforms.process_runner.ProcessRunner"],
        ["--runner=FlinkRunner"],
        ["--runner=SparkRunner"],
        ["--runner=PrismRunner"],
        ["--runner=PortableRunner", "--job_endpoint=embed", "--environment_type=LOOPBACK"],
    ],
)
def test_files_of_this_machine_are_for_workers_that_are_here(args: list[str]) -> None:
    check_places(args, FILES)


@pytest.fixture
def server() -> Iterator[str]:
    """The address of something that answers."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"127.0.0.1:{listening.getsockname()[1]}"


def test_who_does_not_answer_is_named_before_anything_starts(server: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        nobody = f"127.0.0.1:{listening.getsockname()[1]}"
    external = ["--runner=PortableRunner", "--environment_type=EXTERNAL"]
    check_servers([*external, f"--job_endpoint={server}", f"--environment_config={server}"])
    with pytest.raises(WorkerError, match=f"no job server answers at {nobody}"):
        check_servers([*external, f"--job_endpoint={nobody}", f"--environment_config={server}"])
    with pytest.raises(WorkerError, match=f"no worker pool answers at {nobody}"):
        check_servers([*external, f"--job_endpoint={server}", f"--environment_config={nobody}"])
    with pytest.raises(ConfigError, match="is no address; give the job server's host:port"):
        check_servers([*external, "--job_endpoint=somewhere", f"--environment_config={server}"])
    elsewhere = ["--environment_type=DOCKER", "--environment_config=image"]
    with pytest.raises(ConfigError, match="may be on other machines"):
        check_places(["--runner=PortableRunner", f"--job_endpoint={server}", *elsewhere], FILES)
