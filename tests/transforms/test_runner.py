"""Which runner a run gets."""

from __future__ import annotations

import pytest

from tfx_explain.errors import ConfigError
from tfx_explain.transforms.runner import is_local, pipeline_args

IN_PROCESS = "--runner=apache_beam.runners.portability.fn_api_runner.fn_runner.FnApiRunner"
PROCESSES = "--runner=tfx_explain.transforms.process_runner.ProcessRunner"
MULTI = "--direct_running_mode=multi_processing"


@pytest.mark.parametrize(
    ("given", "added"),
    [
        ([], [IN_PROCESS]),
        (["--direct_num_workers=1"], [IN_PROCESS]),
        (["--direct_num_workers=2"], [MULTI, PROCESSES]),
        (["--direct_num_workers=0"], [MULTI, PROCESSES]),
        ([MULTI], [PROCESSES]),
        (["--runner=DirectRunner", "--direct_num_workers=2"], []),
        (["--runner=DirectRunner", MULTI], [PROCESSES]),
        (["--runner", "DirectRunner", MULTI], [PROCESSES]),
        ([IN_PROCESS, MULTI], [PROCESSES]),
        (["--runner=FlinkRunner", "--direct_num_workers=2"], []),
        (["--runner=PortableRunner", MULTI], []),
    ],
)
def test_worker_processes_are_those_that_are_watched(given: list[str], added: list[str]) -> None:
    assert pipeline_args(given) == given + added


def test_threads_are_refused() -> None:
    with pytest.raises(ConfigError, match="multi_threading corrupts data"):
        pipeline_args(["--direct_running_mode=multi_threading"])


@pytest.mark.parametrize(
    ("given", "local"),
    [
        ([], True),
        (["--direct_num_workers=4"], True),
        (["--runner=DirectRunner"], True),
        (["--runner", "FnApiRunner"], True),
        (["--runner=DataflowRunner", "--project=p"], False),
        (["--runner", "PortableRunner", "--job_endpoint=host:8099"], False),
    ],
)
def test_knows_whether_workers_have_the_disk_of_this_machine(given: list[str], local: bool) -> None:
    assert is_local(given) == local
