"""Who does not answer or is somebody else, and which files workers do not see."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent import futures

import grpc
import pytest
from apache_beam.portability.api import beam_fn_api_pb2_grpc, beam_job_api_pb2_grpc
from apache_beam.runners.portability.local_job_service import LocalJobServicer
from apache_beam.runners.worker.worker_pool_main import BeamFnExternalWorkerPoolServicer

from tfx_explain.errors import ConfigError, WorkerError
from tfx_explain.transforms import portable_runners
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


@contextlib.contextmanager
def serving(register: Callable[..., None], servicer: object) -> Iterator[str]:
    """The address of a server of Beam's own."""
    server = grpc.server(futures.ThreadPoolExecutor(2))
    register(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.stop(None).wait()


@pytest.fixture
def job_server() -> Iterator[str]:
    with serving(beam_job_api_pb2_grpc.add_JobServiceServicer_to_server, LocalJobServicer()) as address:
        yield address


@pytest.fixture
def pool() -> Iterator[str]:
    add = beam_fn_api_pb2_grpc.add_BeamFnExternalWorkerPoolServicer_to_server
    with serving(add, BeamFnExternalWorkerPoolServicer()) as address:
        yield address


def external(job_server: str, pool: str) -> list[str]:
    return [
        "--runner=PortableRunner",
        f"--job_endpoint={job_server}",
        "--environment_type=EXTERNAL",
        f"--environment_config={pool}",
    ]


def test_who_does_not_answer_is_named_before_anything_starts(job_server: str, pool: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        nobody = f"127.0.0.1:{listening.getsockname()[1]}"
    check_servers(external(job_server, pool))
    with pytest.raises(WorkerError, match=f"no job server answers at {nobody}"):
        check_servers(external(nobody, pool))
    with pytest.raises(WorkerError, match=f"no worker pool answers at {nobody}"):
        check_servers(external(job_server, nobody))
    with pytest.raises(ConfigError, match="is no address; give the job server's host:port"):
        check_servers(external("somewhere", pool))
    elsewhere = ["--environment_type=DOCKER", "--environment_config=image"]
    with pytest.raises(ConfigError, match="may be on other machines"):
        check_places(["--runner=PortableRunner", f"--job_endpoint={job_server}", *elsewhere], FILES)


@contextlib.contextmanager
def listening(greeting: bytes) -> Iterator[str]:
    """The address of a program of another kind, which says what such a program would, or nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        called: list[socket.socket] = []

        def greet() -> None:
            with contextlib.suppress(OSError):
                while True:
                    with server.accept()[0] as connection:
                        called.append(connection)
                        connection.sendall(greeting)
                        while greeting == b"" and connection.recv(1_000):
                            pass

        thread = threading.Thread(target=greet, daemon=True)
        thread.start()
        try:
            yield f"127.0.0.1:{server.getsockname()[1]}"
        finally:
            server.shutdown(socket.SHUT_RDWR)
            for connection in called:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
            thread.join(10)


@pytest.mark.parametrize("other", ["each other's", "silent", "of another kind"])
def test_a_port_that_something_else_has_taken_is_said(
    other: str, job_server: str, pool: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(portable_runners, "ANSWER_SECONDS", 1)
    greetings = {"silent": b"", "of another kind": b"220 mail ready\r\n"}
    with listening(greetings.get(other, b"")) as taken_by_other:
        taken = {"job server": pool, "worker pool": job_server}
        if other in greetings:
            taken = dict.fromkeys(taken, taken_by_other)
        with pytest.raises(WorkerError, match=f"what listens at {taken['job server']} is no job server; if another"):
            check_servers(external(taken["job server"], pool))
        with pytest.raises(WorkerError, match=f"what listens at {taken['worker pool']} is no worker pool; if another"):
            check_servers(external(job_server, taken["worker pool"]))
