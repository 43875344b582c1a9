"""What the job asks of an engine, and the same bits from Beam's own portable runner where Go can build it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.portability import common_urns
from apache_beam.portability.api import beam_runner_api_pb2
from apache_beam.runners import pipeline_context

import portable
import tfx_explain
from portable import world
from tfx_explain import api
from tfx_explain.transforms.job import build_job

N_ROWS = 200
METHODS = ("shapley", "partial_dependence", "accumulated_local_effects", "permutation_importance", "expected_gradients")


def config(names: tuple[str, ...] = METHODS) -> dict[str, Any]:
    """The portable test's own, of some methods."""
    whole = world.config(N_ROWS)
    return {**whole, "methods": [method for method in whole["methods"] if next(iter(method)) in names]}


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Models and examples."""
    return world.make(tmp_path_factory.mktemp("portable"), N_ROWS)


@pytest.fixture(scope="module")
def proto(inputs: dict[str, str]) -> beam_runner_api_pb2.Pipeline:
    """The graph of a job of every method."""
    found: list[beam.Pipeline] = []

    def keep(request: Any, make_pipeline: Any) -> None:
        pipeline = make_pipeline()
        build_job(pipeline, request)
        found.append(pipeline)
        raise tfx_explain.WorkerError("the graph is enough.")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(api, "run_explanation", keep)
        every = tuple(next(iter(method)) for method in world.config(N_ROWS)["methods"])
        with pytest.raises(tfx_explain.WorkerError):
            tfx_explain.explain(**inputs, output_dir=f"{inputs['examples']}/../out", config=config(every))
    return found[0].to_runner_api()


def test_the_graph_asks_for_nothing_that_portable_runners_lack(proto: beam_runner_api_pb2.Pipeline) -> None:
    for name, transform in proto.components.transforms.items():
        if transform.spec.urn != common_urns.primitives.PAR_DO.urn:
            continue
        payload = beam_runner_api_pb2.ParDoPayload.FromString(transform.spec.payload)
        assert not payload.state_specs, name
        assert not payload.timer_family_specs, name
        assert not payload.requires_time_sorted_input, name
        # Reading, and Beam's Create, are splittable functions of Beam's own, which every runner expands.
        if payload.restriction_coder_id:
            assert "/Read" in transform.unique_name or "Impulse" in transform.unique_name, name
    windows = {one.window_fn.urn for one in proto.components.windowing_strategies.values()}
    assert windows == {common_urns.global_windows.urn}


def test_what_is_grouped_by_has_one_encoding(proto: beam_runner_api_pb2.Pipeline) -> None:
    """Keys are compared by their bytes, so that two encodings of one key would be two groups."""
    context, grouped = pipeline_context.PipelineContext(proto.components), 0
    for transform in proto.components.transforms.values():
        if transform.spec.urn == common_urns.primitives.GROUP_BY_KEY.urn:
            (collection,) = transform.inputs.values()
            coder = context.coders.get_by_id(proto.components.pcollections[collection].coder_id)
            assert coder.key_coder().is_deterministic(), transform.unique_name
            grouped += 1
    assert grouped > 5


def test_a_portable_runner_gives_the_same_bits(inputs: dict[str, str], tmp_path: Path) -> None:
    if why := portable.lacking():
        pytest.skip(why)
    with portable.started(tmp_path / "logs") as engine:
        ours, theirs = (
            tfx_explain.explain(**inputs, output_dir=str(tmp_path / name), config=config(), beam_args=args)
            for name, args in (("here", []), ("there", engine.beam_args))
        )
    counted, different = world.differences(ours, theirs)
    assert different == []
    assert {"importance.parquet", "importance_covariance.parquet", "profiles.parquet", "attributions"} <= set(counted)
