"""Functions of a pipeline that workers of other versions do not unpickle."""

from __future__ import annotations

import pickle
from typing import Any

import apache_beam as beam
import pytest

from tfx_explain.errors import WorkerError
from tfx_explain.job import versions as ours
from tfx_explain.transforms.stamp import stamp


class Step(beam.DoFn):
    """A step of a pipeline."""

    def __init__(self) -> None:
        self.setting = Refusing()

    def process(self, element: Any) -> Any:
        """Passes on what it gets."""
        yield element


class Refusing:
    """What a worker of another version cannot unpickle."""

    def __setstate__(self, state: Any) -> None:
        """Notes that it was unpickled."""
        UNPICKLED.append(state)

    def __getstate__(self) -> str:
        """Anything."""
        return "state"


UNPICKLED: list[Any] = []


def test_other_versions_are_told_before_anything_else_is_unpickled(monkeypatch: pytest.MonkeyPatch) -> None:
    step = Step()
    pipeline = beam.Pipeline()
    _ = pipeline | beam.Create([1]) | beam.ParDo(step)
    stamp(pipeline)
    there = pickle.loads(pickle.dumps(step))
    # A runner may pickle again what it has unpickled.
    assert isinstance(pickle.loads(pickle.dumps(there)).setting, Refusing)
    sent = pickle.dumps(there)
    UNPICKLED.clear()
    monkeypatch.setattr(ours, "versions", lambda: {"tfx-explain": "9.9"})
    with pytest.raises(WorkerError, match=r"a worker of the Beam runner has tfx-explain 9\.9,"):
        pickle.loads(sent)
    assert not UNPICKLED
