"""What the job asks of an engine, and the same bits from Beam's own portable runner where Go can build it."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import pytest
from apache_beam.internal import pickler
from apache_beam.portability import common_urns
from apache_beam.portability.api import beam_runner_api_pb2
from apache_beam.runners import pipeline_context

import portable
import tfx_explain
from portable import crossings, graphs, world
from tfx_explain.job import versions

N_ROWS = 200
GRPC_MESSAGE = 4 << 20
"""What gRPC takes in one message where nobody says otherwise."""
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
    every = tuple(next(iter(method)) for method in world.config(N_ROWS)["methods"])
    return graphs.built(graphs.request(inputs, config(every))).to_runner_api()


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


def test_no_step_works_for_a_run_of_another_version(
    proto: beam_runner_api_pb2.Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    payloads = []
    for transform in proto.components.transforms.values():
        if transform.spec.urn == common_urns.primitives.PAR_DO.urn:
            payload = beam_runner_api_pb2.ParDoPayload.FromString(transform.spec.payload)
            payloads.append((transform.unique_name, payload.do_fn.payload))
        elif transform.spec.urn == common_urns.composites.COMBINE_PER_KEY.urn:
            combining = beam_runner_api_pb2.CombinePayload.FromString(transform.spec.payload)
            payloads.append((transform.unique_name, combining.combine_fn.payload))
    # What is of Beam alone has a name instead.
    payloads = [(name, payload) for name, payload in payloads if payload]
    assert len(payloads) > 50
    payloads += [(f"{name}, again", pickler.dumps(pickler.loads(payload))) for name, payload in payloads]
    monkeypatch.setattr(versions, "__version__", "9.9")
    versions.versions.cache_clear()
    accepted = []
    for name, payload in payloads:
        with contextlib.suppress(tfx_explain.WorkerError):
            pickler.loads(payload)
            accepted.append(name)
    versions.versions.cache_clear()
    assert accepted == []


@pytest.fixture(scope="module")
def in_process(
    inputs: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> tuple[tfx_explain.ExplanationReader, crossings.Crossings]:
    """The run that others are compared with, and what its engine had to move."""
    output = tmp_path_factory.mktemp("in_process")
    with crossings.measured() as found:
        return tfx_explain.explain(**inputs, output_dir=str(output / "explained"), config=config()), found


def test_what_an_engine_has_to_move_fits_into_its_messages(in_process: Any, capsys: pytest.CaptureFixture[str]) -> None:
    found = in_process[1]
    with capsys.disabled():
        print(f"\n{N_ROWS} rows, {found}")
    rows = N_ROWS * world.N_FEATURES * 4
    assert rows < found.shuffled.n_bytes < GRPC_MESSAGE
    assert 0 < found.kept.n_bytes < GRPC_MESSAGE


def test_a_portable_runner_gives_the_same_bits(in_process: Any, inputs: dict[str, str], tmp_path: Path) -> None:
    if why := portable.lacking():
        pytest.skip(why)
    with portable.started(tmp_path / "logs") as engine:
        there = str(tmp_path / "there")
        theirs = tfx_explain.explain(**inputs, output_dir=there, config=config(), beam_args=engine.beam_args)
    counted, different = world.differences(in_process[0], theirs)
    assert different == []
    assert {"importance.parquet", "importance_covariance.parquet", "profiles.parquet", "attributions"} <= set(counted)


def test_workers_of_another_version_are_refused_in_a_sentence(inputs: dict[str, str], tmp_path: Path) -> None:
    if why := portable.lacking():
        pytest.skip(why)
    output = tmp_path / "explained"
    with (
        portable.started(tmp_path / "logs", "tfx_explain") as engine,
        pytest.raises(tfx_explain.WorkerError) as refused,
    ):
        tfx_explain.explain(**inputs, output_dir=str(output), config=config(), beam_args=engine.beam_args)
    here = f"tfx-explain {tfx_explain.__version__}"
    assert f"a worker of the Beam runner has tfx-explain 9.9, but the run was started with {here};" in str(
        refused.value
    )
    assert not output.exists()
