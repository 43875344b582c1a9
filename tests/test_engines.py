"""Arguments for engines: what Beam's own option classes make of them, and what is refused."""

from __future__ import annotations

import pytest
from apache_beam.options.pipeline_options import PipelineOptions

import tfx_explain
from tfx_explain.errors import ConfigError

PORTABLE = {"runner": "PortableRunner", "job_server_timeout": 10_000_000}
POOL = {
    **PORTABLE,
    "environment_type": "EXTERNAL",
    "environment_config": "localhost:50000",
    "sdk_container_image": "that-of-the-worker-pool",
}
IMAGE = {
    **PORTABLE,
    "environment_type": "DOCKER",
    "environment_config": "host/image:1",
    "sdk_container_image": "host/image:1",
}
DATAFLOW = {
    "project": "p",
    "region": "europe-west4",
    "temp_location": "gs://bucket/tmp",
    "image": "host/image:1",
}


@pytest.mark.parametrize(
    ("engine", "settings", "expected"),
    [
        ("in_process", {}, {}),
        ("processes", {"workers": 3}, {"direct_num_workers": 3, "direct_running_mode": "multi_processing"}),
        (
            "prism",
            {"job_endpoint": "localhost:8073", "worker_pool": "localhost:50000"},
            {**POOL, "job_endpoint": "localhost:8073"},
        ),
        (
            "flink",
            {"job_endpoint": "flink:8099", "image": "host/image:1", "parallelism": 4},
            {**IMAGE, "job_endpoint": "flink:8099", "parallelism": 4},
        ),
        ("spark", {"job_endpoint": "s:8099", "image": "host/image:1"}, {**IMAGE, "job_endpoint": "s:8099"}),
        (
            "dataflow",
            {**DATAFLOW, "workers": 2, "max_workers": 9, "machine_type": "n2-standard-8", "service_account": "a@p"},
            {
                "runner": "DataflowRunner",
                "project": "p",
                "region": "europe-west4",
                "temp_location": "gs://bucket/tmp",
                "sdk_container_image": "host/image:1",
                "sdk_location": "container",
                "num_workers": 2,
                "max_num_workers": 9,
                "machine_type": "n2-standard-8",
                "service_account_email": "a@p",
            },
        ),
    ],
)
def test_beam_understands_every_argument(engine: str, settings: dict, expected: dict) -> None:
    options = PipelineOptions(tfx_explain.beam_args(engine, **settings))
    assert options.get_all_options(drop_default=True) == expected


@pytest.mark.parametrize(
    ("engine", "settings", "words"),
    [
        ("dask", {}, "there is no engine `dask`; choose one of in_process, processes, prism, flink, spark, dataflow"),
        ("in_process", {"workers": 2}, "engine `in_process` has no setting `workers`; its settings are none"),
        ("processes", {}, "engine `processes` needs `workers`"),
        ("flink", {"job_endpoint": "f:1"}, "needs `worker_pool` or `image`, and not both"),
        ("flink", {"job_endpoint": "f:1", "worker_pool": "a:1", "image": "i"}, "needs `worker_pool` or `image`"),
        ("prism", {"worker_pool": "a:1"}, "engine `prism` needs `job_endpoint`"),
        ("dataflow", {"project": "p"}, "engine `dataflow` needs `region`"),
        ("dataflow", {**DATAFLOW, "image": ""}, "`image` of engine `dataflow` is a text that is not empty; '' is none"),
        ("dataflow", {**DATAFLOW, "project": None}, "`project` of engine `dataflow` is a text that is not empty"),
        ("dataflow", {**DATAFLOW, "workers": 0}, "`workers` of engine `dataflow` is a whole number, at least 1; 0"),
        ("processes", {"workers": -1}, "`workers` of engine `processes` is a whole number, at least 0; -1 is none"),
        ("processes", {"workers": 1.5}, "is a whole number, at least 0; 1.5 is none"),
        ("flink", {"job_endpoint": "f:1", "image": "i", "parallelism": "many"}, "`parallelism` of engine `flink` is a"),
    ],
)
def test_what_an_engine_has_not_or_lacks_is_said(engine: str, settings: dict, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        tfx_explain.beam_args(engine, **settings)
