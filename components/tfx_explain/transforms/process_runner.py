"""Beam's local runner with worker processes that are watched.

Beam's own driver waits for ever for a worker that ends while it has nothing to send back, and leaves workers behind
when it is interrupted. Everything else is Beam's: stages, bundles, how inputs are divided.
"""

from __future__ import annotations

import contextlib
import functools
import os
import threading
import uuid
import weakref
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import grpc
from apache_beam.portability import python_urns
from apache_beam.portability.api import beam_fn_api_pb2
from apache_beam.runners.portability.fn_api_runner import worker_handlers
from apache_beam.runners.portability.fn_api_runner.fn_runner import FnApiRunner
from google.protobuf import json_format, text_format

from tfx_explain.transforms.worker_processes import WorkerProcesses

_URN = "tfx_explain:env:worker_process:v1"
_jobs: dict[bytes, WorkerProcesses] = {}


class ProcessRunner(FnApiRunner):
    """FnApiRunner; the processes of `--direct_running_mode=multi_processing` are WorkerProcesses."""

    def run_stages(self, stage_context: Any, stages: Any) -> Any:
        """Runs the stages of a pipeline, as Beam does.

        Raises:
          WorkerError: a worker was lost.
        """
        key = uuid.uuid4().bytes
        for environment in stage_context.components.environments.values():
            if environment.urn == python_urns.SUBPROCESS_SDK:
                environment.urn, environment.payload = _URN, key
        _jobs[key] = WorkerProcesses(self._num_workers)
        try:
            return _jobs[key].drive(functools.partial(super().run_stages, stage_context, stages))
        finally:
            del _jobs[key]


@worker_handlers.WorkerHandler.register_environment(_URN, bytes)
class _ProcessHandler(worker_handlers.GrpcWorkerHandler):
    """What the driver holds of one worker."""

    control_conn: Any

    def __init__(self, key: bytes, state: Any, provision_info: Any, grpc_server: Any) -> None:
        super().__init__(state, provision_info, grpc_server)
        self._processes = _jobs[key]
        for connection, name in ((self.control_conn, "set_input"), (self.data_conn, "set_inputs")):
            setattr(connection, name, functools.partial(_read_until_gone, getattr(connection, name)))
        self.control_conn = _Answering(self.control_conn)

    def start_worker(self) -> None:
        options = self.provision_info.provision_info.pipeline_options
        environment = {
            **os.environ,
            "CONTROL_API_SERVICE_DESCRIPTOR": text_format.MessageToString(self.control_api_service_descriptor()),
            "LOGGING_API_SERVICE_DESCRIPTOR": text_format.MessageToString(self.logging_api_service_descriptor()),
            "PIPELINE_OPTIONS": json_format.MessageToJson(options),
            "WORKER_ID": self.worker_id,
        }
        self._processes.start(self.worker_id, environment, self.control_conn.fail)

    def close(self) -> None:
        self._processes.dismiss(self.worker_id)
        super().close()

    def stop_worker(self) -> None:
        self._processes.wait(self.worker_id)


def _read_until_gone(read: Callable[[Iterator[Any]], None], sent: Iterable[Any]) -> None:
    """Has what a worker sends read until there is no more, or no worker: its end is told by WorkerProcesses."""

    def until_gone() -> Iterator[Any]:
        with contextlib.suppress(grpc.RpcError):
            yield from sent

    read(until_gone())


class _Answering:
    """A control connection that answers in the name of a worker that is lost.

    Args:
      connection: Beam's.
    """

    def __init__(self, connection: worker_handlers.ControlConnection) -> None:
        self._connection = connection
        self._lock = threading.Lock()
        self._asked = weakref.WeakSet[Any]()
        self._failure = ""

    def push(self, request: Any) -> Any:
        """Asks the worker."""
        future = self._connection.push(request)
        with self._lock:
            self._asked.add(future)
            if self._failure:
                future.set(beam_fn_api_pb2.InstructionResponse(error=self._failure))
        return future

    def fail(self, reason: str) -> None:
        """Gives all that is asked, and all that will be, the answer that it failed."""
        with self._lock:
            self._failure = reason
            for future in self._asked:
                if not future.is_done():
                    future.set(beam_fn_api_pb2.InstructionResponse(error=reason))

    def close(self) -> None:
        """Tells the worker that there is nothing left to do."""
        self._connection.close()
