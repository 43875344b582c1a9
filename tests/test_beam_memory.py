"""What Beam remembers in tests is what it would have answered."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.coders import VarIntCoder
from apache_beam.options import pipeline_options
from apache_beam.transforms import core, userstate

CLASSES = [pipeline_options.DirectOptions, pipeline_options.DebugOptions, pipeline_options.StandardOptions]
FLAGS = [[], ["--direct_num_workers=3", "--experiments=one", "--streaming"], ["--direct_num_workers=2"]]


@pytest.mark.parametrize("kind", CLASSES)
def test_options_are_those_of_their_command_line(kind: Any) -> None:
    for flags in (*FLAGS, *FLAGS):
        parsed = kind.__new__(kind)
        pipeline_options.PipelineOptions.__init__.__wrapped__(parsed, list(flags))
        assert vars(kind(list(flags))) == vars(parsed)
        parsed = kind.__new__(kind)
        pipeline_options.PipelineOptions.__init__.__wrapped__(parsed, list(flags), streaming=True)
        assert vars(kind(list(flags), streaming=True)) == vars(parsed)


def test_what_is_changed_in_options_stays_there() -> None:
    flags = ["--experiments=one"]
    for _ in range(3):
        options = pipeline_options.PipelineOptions(flags)
        options.view_as(pipeline_options.DebugOptions).experiments.append("two")
        assert options.view_as(pipeline_options.DebugOptions).experiments == ["one", "two"]


class Windowed(beam.DoFn):
    def process(self, element: Any, window: Any = beam.DoFn.WindowParam, more: int = 3) -> None:
        """Nothing."""


class Plain(beam.DoFn):
    def process(self, element: Any) -> None:
        """Nothing."""


class Telling(Plain):
    """Tells its arguments itself, as steps do that hold another one."""

    def __init__(self, names: list[str], defaults: Sequence[Any] = ()) -> None:
        self.names, self.defaults = names, defaults

    def _inspect_process(self) -> tuple[list[str], list[Any]]:
        return list(self.names), list(self.defaults)


def test_arguments_are_those_of_each_step() -> None:
    functions = [lambda element: [element], lambda element, side, more=2: [element]]
    told = [Telling(["element"]), Telling(["element", "side"])]
    steps = [Windowed(), Plain(), Windowed(), *told, *map(core.CallableWrapperDoFn, functions)]
    for step in (*steps, *steps):
        names, defaults = core.get_function_arguments(step, "process")
        assert (names, defaults) == core.get_function_arguments.__wrapped__(step, "process")
        names.append("kept by nobody")


COUNT, OTHER = (userstate.ReadModifyWriteStateSpec(name, VarIntCoder()) for name in ("count", "other"))
COUNTING, COUNTING_OTHERS = map(beam.DoFn.StateParam, (COUNT, OTHER))


class Stateful(beam.DoFn):
    def process(self, element: Any, count: Any = COUNTING) -> None:
        """Nothing."""


def test_states_are_those_of_each_step() -> None:
    told = Telling(["element"]), Telling(["element", "count"], [COUNTING_OTHERS])
    steps = [Stateful(), Plain(), Windowed(), core.CallableWrapperDoFn(lambda element: [element]), *told]
    found = [userstate.get_dofn_specs(step) for step in (*steps, *steps)]
    assert found == [userstate.get_dofn_specs.__wrapped__(step) for step in (*steps, *steps)]
    assert [len(states) for states, _ in found[: len(steps)]] == [1, 0, 0, 0, 0, 1]
    found[0][0].clear()
    assert userstate.get_dofn_specs(Stateful())[0] == {COUNT}
