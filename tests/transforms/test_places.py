"""Files in memory, and who sees them."""

import pytest

from tfx_explain import InputError
from tfx_explain.transforms.places import check_places
from tfx_explain.transforms.runner import pipeline_args

PORTABLE = ["--runner=PortableRunner", "--job_endpoint=localhost:1", "--environment_type=LOOPBACK"]


@pytest.mark.parametrize("args", [[], ["--runner=DirectRunner"], ["--direct_num_workers=1"]])
def test_one_process_sees_its_memory(args: list[str]) -> None:
    check_places(pipeline_args(args), [None, "memory://examples/*", "/model", "s3://bucket/out"])


@pytest.mark.parametrize("args", [["--direct_num_workers=2"], PORTABLE])
def test_other_processes_do_not(args: list[str]) -> None:
    check_places(pipeline_args(args), [None, "/examples", "gs://bucket/model"])
    with pytest.raises(InputError, match=r"memory://model is in the memory of this process"):
        check_places(pipeline_args(args), ["/examples", "memory://model"])
