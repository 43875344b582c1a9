"""How large what a job hands from stage to stage is, as it is encoded: across shuffles, and elsewhere."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

from apache_beam.coders.coder_impl import create_InputStream
from apache_beam.runners.portability.fn_api_runner import execution

_get_buffer = execution.BundleContextManager.get_buffer


@dataclasses.dataclass
class Largest:
    """The largest element of one way to get from stage to stage.

    Attributes:
      n_bytes: its size, with its key and the window that it is in.
      step: the step or collection that it belongs to.
    """

    n_bytes: int = 0
    step: str = ""


@dataclasses.dataclass
class Crossings:
    """Elements that an engine has to move.

    Attributes:
      shuffled: what is grouped by key: elements, or the accumulators that combining makes of them first.
      kept: what else is handed on: side inputs, and what several stages read.
    """

    shuffled: Largest = dataclasses.field(default_factory=Largest)
    kept: Largest = dataclasses.field(default_factory=Largest)

    def __str__(self) -> str:
        one, other = self.shuffled, self.kept
        return (
            f"largest element: {one.n_bytes:,} bytes across a shuffle ({one.step}), "
            f"{other.n_bytes:,} bytes elsewhere, side inputs among them ({other.step})"
        )


@contextlib.contextmanager
def measured() -> Iterator[Crossings]:
    """While this lasts, jobs of the in-process runner have each element measured that leaves a stage."""
    found = Crossings()

    def get_buffer(self: Any, buffer_id: bytes, transform_id: str) -> Any:
        buffer = _get_buffer(self, buffer_id, transform_id)
        if not hasattr(buffer, "is_measured"):
            buffer.is_measured = True
            kind, name = execution.split_buffer_id(buffer_id)
            is_group = kind == "group"
            components = self.execution_context.pipeline_components
            named = components.transforms if is_group else components.pcollections
            step = named[name].unique_name if name in named else name
            coder = buffer._pre_grouped_coder.get_impl() if is_group else buffer._coder_impl
            largest = found.shuffled if is_group else found.kept
            buffer.append = functools.partial(_append, buffer.append, coder, largest, step)
        return buffer

    with mock.patch.object(execution.BundleContextManager, "get_buffer", get_buffer):
        yield found


def _append(append: Callable[[bytes], None], coder: Any, largest: Largest, step: str, elements: bytes) -> None:
    stream = create_InputStream(elements)
    while left := stream.size():
        coder.decode_from_stream(stream, True)
        if left - stream.size() > largest.n_bytes:
            largest.n_bytes, largest.step = left - stream.size(), step
    append(elements)
