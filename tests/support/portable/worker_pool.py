"""Beam's pool of worker processes, at a port of loopback alone: Beam's own program listens at every address.

python -m portable.worker_pool 50000
"""

from __future__ import annotations

import sys
from concurrent import futures

import grpc
from apache_beam.portability.api import beam_fn_api_pb2_grpc
from apache_beam.runners.worker.worker_pool_main import BeamFnExternalWorkerPoolServicer


def main() -> None:
    """Serves until it is ended."""
    # Otherwise two pools would share a port, and workers would start at either.
    server = grpc.server(futures.ThreadPoolExecutor(), options=[("grpc.so_reuseport", 0)])
    pool = BeamFnExternalWorkerPoolServicer(use_process=True)
    beam_fn_api_pb2_grpc.add_BeamFnExternalWorkerPoolServicer_to_server(pool, server)
    try:
        server.add_insecure_port(f"127.0.0.1:{sys.argv[1]}")
    except RuntimeError as error:
        sys.exit(f"the worker pool cannot listen at port {sys.argv[1]} ({error}); give it one that is free.")
    server.start()
    server.wait_for_termination()


if __name__ == "__main__":
    main()
