"""What portable runners need, which Beam itself tells late or not at all."""

from __future__ import annotations

import dataclasses
import logging
import socket
from collections.abc import Callable, Sequence

import grpc
from apache_beam.options.pipeline_options import (
    FlinkRunnerOptions,
    PipelineOptions,
    PortableOptions,
    SparkRunnerOptions,
    StandardOptions,
)
from apache_beam.portability.api import (
    beam_fn_api_pb2,
    beam_fn_api_pb2_grpc,
    beam_job_api_pb2,
    beam_job_api_pb2_grpc,
)

from tfx_explain.engines import LONGEST_JOB_SECONDS
from tfx_explain.errors import ConfigError, WorkerError

_LOG = logging.getLogger(__name__)

PORTABLE_RUNNERS = {"PortableRunner", "FlinkRunner", "SparkRunner", "PrismRunner"}

ANSWER_SECONDS = 30
"""How long a job server may take to answer, when it is asked before the job; Beam would wait for five minutes."""

_OTHERS = {grpc.StatusCode.UNIMPLEMENTED, grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED}
"""How gRPC says that a question means nothing to who listens there."""

_TIMEOUT = "job_server_timeout"
_EMBEDDED = "embed"
_LOOPBACK = {"localhost", "127.0.0.1", "::1", _EMBEDDED}
_ON_THIS_MACHINE = {"LOOPBACK", "PROCESS"}
_OWN_OPTIONS = (
    "environment_type",
    "environment_config",
    "environment_option",
    "environment_options",
    "job_endpoint",
)


@dataclasses.dataclass(frozen=True)
class _Server:
    """A server that a portable runner needs.

    Attributes:
      name: what an error calls it.
      option: the Beam argument with its address.
      ask: a question that only such a server answers, and that changes nothing.
    """

    name: str
    option: str
    ask: Callable[[grpc.Channel], object]


def _describe_options(channel: grpc.Channel) -> object:
    request = beam_job_api_pb2.DescribePipelineOptionsRequest()
    return beam_job_api_pb2_grpc.JobServiceStub(channel).DescribePipelineOptions(request, timeout=ANSWER_SECONDS)


def _stop_nobody(channel: grpc.Channel) -> object:
    request = beam_fn_api_pb2.StopWorkerRequest(worker_id="")
    return beam_fn_api_pb2_grpc.BeamFnExternalWorkerPoolStub(channel).StopWorker(request, timeout=ANSWER_SECONDS)


_JOB_SERVER = _Server("job server", "job_endpoint", _describe_options)
_WORKER_POOL = _Server("worker pool", "environment_config", _stop_nobody)


def runner_name(args: Sequence[str]) -> str:
    """The runner that the arguments name, without its module."""
    return str(PipelineOptions(list(args)).view_as(StandardOptions).runner).rpartition(".")[2]


def names_option(option: str, args: Sequence[str]) -> bool:
    """Whether the arguments have an option."""
    return any(arg == f"--{option}" or arg.startswith(f"--{option}=") for arg in args)


def check_portable(name: str, args: Sequence[str]) -> None:
    """Refuses arguments that a runner ignores.

    Raises:
      ConfigError: there are some of portable runners, and it is none.
    """
    ignored = [option for option in _OWN_OPTIONS if names_option(option, args)]
    if ignored and name not in PORTABLE_RUNNERS:
        raise ConfigError(
            f"the Beam argument --{ignored[0]} is for portable runners, and {name} ignores it; name one, such as "
            "--runner=PortableRunner with its --job_endpoint, or leave the argument out."
        )


def whole_job(args: Sequence[str]) -> list[str]:
    """What a portable runner is told besides, so that Beam does not break off a job that goes well.

    Beam describes `--job_server_timeout` as how long the job server may take to answer, and applies it to the job as a
    whole. Whether the server answers is asked here before.
    """
    given = PipelineOptions(list(args)).get_all_options(drop_default=True).get(_TIMEOUT, 0)
    if given >= LONGEST_JOB_SECONDS:
        return []
    if given:
        _LOG.warning(
            "--%s=%d is not kept to: Apache Beam would break off the whole job after %d s, however well it goes.",
            *(_TIMEOUT, given, given),
        )
    return [f"--{_TIMEOUT}={LONGEST_JOB_SECONDS}"]


def check_servers(args: Sequence[str]) -> None:
    """Asks whether the job server, and the pool of workers on this machine, are there.

    Raises:
      ConfigError: an address is none.
      WorkerError: one of them does not answer, or is something else.
    """
    options = PipelineOptions(list(args)).view_as(PortableOptions)
    if runner_name(args) != "PortableRunner":
        return
    if options.job_endpoint and options.job_endpoint != _EMBEDDED:
        _check_answers(_JOB_SERVER, options.job_endpoint)
    if options.environment_type == "EXTERNAL" and _host(options.environment_config) in _LOOPBACK:
        _check_answers(_WORKER_POOL, options.environment_config)


def has_files_of_this_machine(args: Sequence[str]) -> bool:
    """Whether all workers of a runner that is not local are started here, or by a server that is here."""
    name = runner_name(args)
    options = PipelineOptions(list(args))
    portable = options.view_as(PortableOptions)
    if name == "PrismRunner":
        return portable.environment_type != "DOCKER"
    if name == "PortableRunner":
        here = portable.environment_type in _ON_THIS_MACHINE or _host(portable.environment_config) in _LOOPBACK
        return here and _host(portable.job_endpoint) in _LOOPBACK
    # Both have a cluster within a process of their own where they are not told of another.
    if name == "FlinkRunner":
        is_own = options.view_as(FlinkRunnerOptions).flink_master in ("[local]", "[auto]")
    else:
        is_own = name == "SparkRunner" and options.view_as(SparkRunnerOptions).spark_master_url.startswith("local")
    return is_own and (portable.environment_type or "LOOPBACK") in _ON_THIS_MACHINE


def _host(address: str | None) -> str:
    """That of `host:port`; a server within this process has none."""
    return str(address or "").rpartition("://")[2].rpartition(":")[0].strip("[]") or str(address or "")


def _check_answers(server: _Server, address: str) -> None:
    what, option = server.name, f"--{server.option}"
    host, _, port = str(address).rpartition(":")
    if not port.isdigit():
        raise ConfigError(f"{option}={address} is no address; give the {what}'s host:port, such as localhost:8099.")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=ANSWER_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise WorkerError(f"no {what} answers at {address} ({error}); start it, or correct {option}.") from error
    try:
        with grpc.insecure_channel(str(address)) as channel:
            server.ask(channel)
    except grpc.RpcError as error:
        if error.code() in _OTHERS:
            raise WorkerError(
                f"what listens at {address} is no {what}; if another program has taken that port, start the {what} at "
                f"one that is free, and name that in {option}."
            ) from error
