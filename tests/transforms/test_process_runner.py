"""Beam jobs whose workers are killed where Beam itself would wait for ever."""

from __future__ import annotations

import os
from pathlib import Path

import apache_beam as beam
import pytest
from apache_beam.portability.api import beam_fn_api_pb2
from apache_beam.runners.portability.fn_api_runner.worker_handlers import ControlConnection

from tfx_explain.errors import WorkerError
from tfx_explain.transforms.process_runner import _Answering
from tfx_explain.transforms.runner import pipeline_args


def run(directory: Path, signal_name: str) -> None:
    """A job that ends in steps without output, in one of which a worker or its driver gets a signal."""

    def strike(element: int) -> None:
        import os
        import signal
        import time

        (directory / str(os.getpid())).touch()
        if element == 0 and signal_name:
            number = getattr(signal, signal_name)
            os.kill(os.getppid() if number == signal.SIGINT else os.getpid(), number)
            time.sleep(600)

    with beam.Pipeline(argv=pipeline_args(["--direct_num_workers=2"])) as pipeline:
        _ = pipeline | beam.Create(range(8)) | beam.Reshuffle() | beam.Map(strike)


def test_a_job_runs_in_as_many_processes_as_there_are_workers(tmp_path: Path) -> None:
    run(tmp_path, "")
    numbers = {int(path.name) for path in tmp_path.iterdir()}
    assert len(numbers) == 2
    assert os.getpid() not in numbers


@pytest.mark.parametrize(
    ("signal_name", "error", "said"),
    [
        ("SIGKILL", WorkerError, r"worker \d of 2 \(process \d+\) was ended by SIGKILL"),
        ("SIGINT", KeyboardInterrupt, None),
    ],
)
def test_a_signal_ends_the_job_and_all_workers(
    tmp_path: Path, signal_name: str, error: type[BaseException], said: str | None
) -> None:
    with pytest.raises(error, match=said):
        run(tmp_path, signal_name)
    numbers = [int(path.name) for path in tmp_path.iterdir()]
    assert numbers
    for number in numbers:
        with pytest.raises(ProcessLookupError):
            os.kill(number, 0)


def test_what_a_lost_worker_is_asked_is_answered_before_and_after() -> None:
    connection = _Answering(ControlConnection())
    before = connection.push(beam_fn_api_pb2.InstructionRequest())
    connection.fail("gone")
    after = connection.push(beam_fn_api_pb2.InstructionRequest())
    assert [future.get(timeout=5).error for future in (before, after)] == ["gone", "gone"]
