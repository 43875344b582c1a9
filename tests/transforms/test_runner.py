"""Which runner a run gets, and what cannot work with it."""

from __future__ import annotations

import pickle

import pytest
from apache_beam.options.pipeline_options import GoogleCloudOptions, PipelineOptions, PortableOptions

from tfx_explain.engines import LONGEST_JOB_SECONDS
from tfx_explain.errors import ConfigError
from tfx_explain.transforms.runner import is_local, new_pipeline, pipeline_args

IN_PROCESS = "--runner=apache_beam.runners.portability.fn_api_runner.fn_runner.FnApiRunner"
PROCESSES = "--runner=tfx_explain.transforms.process_runner.ProcessRunner"
WAITS = "--job_server_timeout=10000000"
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
        (["--runner=FlinkRunner", "--direct_num_workers=2"], [WAITS]),
        (["--runner=PortableRunner", MULTI], [WAITS]),
    ],
)
def test_worker_processes_are_those_that_are_watched(given: list[str], added: list[str]) -> None:
    assert pipeline_args(given) == given + added


def test_threads_are_refused() -> None:
    with pytest.raises(ConfigError, match="multi_threading corrupts data"):
        pipeline_args(["--direct_running_mode=multi_threading"])


@pytest.mark.parametrize("name", ["--direct_num_worker", "--direct-num-workers", "-direct_num_workers"])
@pytest.mark.parametrize("ending", [["=2"], ["", "2"]])
def test_what_is_nearly_an_argument_of_beam_is_refused_where_nobody_else_reads_it(name: str, ending: list[str]) -> None:
    given = [name + ending[0], *ending[1:]]
    with pytest.raises(ConfigError, match=f"no argument {name} and would ignore it; did you mean --direct_num_workers"):
        pipeline_args(given)
    pipeline_args(["--runner=their.own.Runner", *given])
    assert pipeline_args(["--region_of_theirs=x", "stray"])[:2] == ["--region_of_theirs=x", "stray"]


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


@pytest.mark.parametrize(
    "given",
    [
        ["--environment_type=EXTERNAL", "--environment_config=localhost:50000"],
        ["--environment_type", "LOOPBACK"],
        ["--environment_config=localhost:50000"],
        ["--environment_option=process_command=run"],
        ["--runner=DirectRunner", "--environment_type=DOCKER"],
        ["--runner=DataflowRunner", "--environment_type=DOCKER"],
        ["--job_endpoint=localhost:8099"],
    ],
)
def test_arguments_of_a_portable_runner_are_refused_where_there_is_none(given: list[str]) -> None:
    with pytest.raises(ConfigError, match=r"is for portable runners, and .* ignores it"):
        pipeline_args(given)


def test_a_portable_job_is_not_broken_off_while_it_goes_well(caplog: pytest.LogCaptureFixture) -> None:
    given = ["--runner=PortableRunner", "--job_endpoint=localhost:8099", "--environment_type=LOOPBACK"]
    assert pipeline_args(given) == [*given, WAITS]
    assert caplog.messages == []
    for asked in (["--job_server_timeout=5"], ["--job_server_timeout", "5"]):
        chosen = pipeline_args([*given, *asked])
        assert PipelineOptions(chosen).view_as(PortableOptions).job_server_timeout == LONGEST_JOB_SECONDS
        (said,) = caplog.messages
        assert "--job_server_timeout=5 is not kept to: Apache Beam would break off the whole job after 5 s" in said
        caplog.clear()
        # Steps that have them from elsewhere do not say it again.
        assert pipeline_args(chosen) == chosen
        assert caplog.messages == []


def test_views_of_options_are_made_once_and_still_share_what_they_show():
    options = new_pipeline([*pipeline_args([]), "--temp_location=here"]).options
    view = options.view_as(GoogleCloudOptions)
    assert view.temp_location == "here"
    options.view_as(GoogleCloudOptions).temp_location = "there"
    assert view.temp_location == options.get_all_options()["temp_location"] == "there"
    assert pickle.loads(pickle.dumps(options)).view_as(GoogleCloudOptions).temp_location == "there"
    assert options.view_as(GoogleCloudOptions) is view
