"""Workers of other versions than the process that started their run."""

from __future__ import annotations

import importlib
import pickle
import sys
from collections.abc import Mapping

import pytest
from apache_beam import version as beam_version
from apache_beam.portability.api import beam_fn_api_pb2
from apache_beam.runners.worker import bundle_processor

from tfx_explain import WorkerError, __version__
from tfx_explain.job import versions as ours
from tfx_explain.job.failures import raised_by_us
from tfx_explain.job.versions import check_versions, versions

HERE = f"{sys.version_info.major}.{sys.version_info.minor}"


def test_these_versions_are_compared() -> None:
    assert versions()["tfx-explain"] == __version__
    assert versions()["Python"] == HERE
    assert {"Apache Beam", "TensorFlow"} <= set(versions())
    check_versions(versions())


@pytest.mark.parametrize(
    ("other", "had", "has"),
    [
        ({"tfx-explain": "9.9"}, "tfx-explain 9.9", f"tfx-explain {__version__}"),
        ({"Python": "3.1", "Apache Beam": "2.1"}, "Python 3.1 and Apache Beam 2.1", f"Python {HERE} and Apache Beam 2"),
        ({"TensorFlow": "1.0"}, "TensorFlow 1.0", "TensorFlow 2"),
    ],
)
def test_what_differs_is_named(other: Mapping[str, str], had: str, has: str) -> None:
    with pytest.raises(WorkerError) as refused:
        check_versions({**versions(), **other})
    assert str(refused.value).startswith(f"a worker of the Beam runner has {has}")
    assert f"but the run was started with {had}; give the runner an image" in str(refused.value)


def test_a_worker_needs_no_tfx_and_the_start_of_a_run_neither(monkeypatch: pytest.MonkeyPatch) -> None:
    check_versions({**versions(), "TFX": versions().get("TFX", "1.0")})
    monkeypatch.setattr(ours, "versions", lambda: {"tfx-explain": __version__})
    check_versions({"tfx-explain": __version__, "TFX": "1.0"})


def test_what_beam_says_of_its_own_version_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    descriptor = beam_fn_api_pb2.ProcessBundleDescriptor()
    descriptor.transforms["step"].environment_id = "worker"
    descriptor.environments["worker"].capabilities.append(bundle_processor.environments.sdk_base_version_capability())
    there = beam_version.__version__
    monkeypatch.setattr(beam_version, "__version__", "2.1.0")
    with pytest.raises(RuntimeError) as said:
        bundle_processor._verify_descriptor_created_in_a_compatible_env(descriptor)
    for text in (str(said.value), f"Pipeline job-001 failed: {said.value!r}"):
        told = raised_by_us(RuntimeError(text), ["/out"])
        assert isinstance(told, WorkerError)
        had = f"has Apache Beam 2.1.0, but the run was started with Apache Beam {there}; give"
        assert had in str(told)


def test_an_image_without_the_package_is_told_from_one_with_another_version() -> None:
    with pytest.raises(ModuleNotFoundError) as no_part:
        importlib.import_module("tfx_explain.no_such_part")
    with pytest.raises(AttributeError) as no_class:
        pickle.loads(b"ctfx_explain.job.versions\nNoSuchClass\n.")
    for text in (str(no_part.value), str(no_class.value), repr(no_class.value)):
        told = raised_by_us(RuntimeError(f"Traceback: {text} [while running 'Check']"), ["/out"])
        assert "has another version of tfx-explain than the run, which was started with" in str(told)
    told = raised_by_us(RuntimeError("ModuleNotFoundError: No module named 'tfx_explain'\n"), ["/out"])
    assert "does not have tfx-explain; give the runner an image" in str(told)
    assert raised_by_us(RuntimeError("ModuleNotFoundError: No module named 'pandas'"), ["/out"]) is None
