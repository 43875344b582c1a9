"""Calls of TensorFlow functions: many rows a few at a time, and errors that name the model."""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import tensorflow as tf

from tfx_explain.errors import ModelCallError
from tfx_explain.models.call_bytes import RowBytes, calls_of, refuse_large
from tfx_explain.models.chunks import padded_range
from tfx_explain.models.features import Array, Column, Inputs
from tfx_explain.models.graph import Port
from tfx_explain.models.messages import first_line
from tfx_explain.models.ports import PortValue, port_values
from tfx_explain.timings import CALL, TIMINGS

_CALLS_AT_ONCE = 2


def calls_at_once() -> int:
    """How many calls to have under way, so that Python and TensorFlow work side by side.

    One where TensorFlow was told to keep to one thread, as where every core has a worker process of its own.
    """
    return 1 if os.environ.get("TF_NUM_INTRAOP_THREADS") == "1" else _CALLS_AT_ONCE


def in_chunks(
    run: Callable[[list[PortValue]], Sequence[tf.Tensor]],
    ports: Sequence[Port],
    inputs: Inputs,
    n_rows: int,
    what: str,
    feed: Callable[[Mapping[str, Column]], list[PortValue]] | None = None,
) -> list[Array]:
    """Runs a function of the ports' values on all rows, `n_rows` at a time, fewer where rows are large.

    The last rows are repeated, so that every call has the same shape, and a row's result the same bits however many
    rows there are.

    Args:
      run: takes what it is fed for some rows.
      ports: what is read of the rows.
      inputs: the rows.
      n_rows: of a call.
      what: the model, for messages.
      feed: makes what `run` is fed of columns; None = the value of each port.

    Returns:
      Per output of `run`, an array of `len(inputs)` rows; arrays that cannot be joined have a wrong shape.

    Raises:
      ModelCallError: a single row is too large.
    """
    fed = feed or functools.partial(port_values, ports)
    columns = [inputs.columns[port.spec.name] for port in ports]
    sizes = RowBytes.of(columns, [(None,)] * len(ports), [port.encoding == "padded" for port in ports], 1)
    of_calls = [(np.arange(len(inputs)), n_rows)]
    if sizes is not None:
        whole = sizes.whole()
        refuse_large(whole.max(initial=0.0), what)
        of_calls = calls_of(whole, n_rows)
    parts = []
    for alike, size in of_calls:
        for start in range(0, len(alike), size):
            rows = alike[padded_range(start, size, len(alike))]
            outputs = [out.numpy() for out in run(fed(inputs.take(rows).columns))]
            parts.append([out[: len(alike) - start] if out.shape[:1] == (size,) else None for out in outputs])
    order = np.argsort(np.concatenate([alike for alike, _ in of_calls]), kind="stable")
    joined = []
    for made in zip(*parts, strict=True):
        alike_shapes = {None if part is None else (part.dtype, part.shape[1:]) for part in made}
        fits = len(alike_shapes) == 1 and made[0] is not None
        joined.append(np.concatenate(made)[order] if fits else np.zeros(0))
    return joined


@contextlib.contextmanager
def model_errors(what: str) -> Iterator[None]:
    """Times a call, and turns TensorFlow's errors into a `ModelCallError` that names the model."""
    try:
        with TIMINGS.of(CALL):
            yield
    except tf.errors.OpError as error:
        raise ModelCallError(f"Running {what} failed: {first_line(error)}.") from error
    except MemoryError as error:
        raise ModelCallError(f"Running {what} failed: out of memory ({first_line(error)}).") from error
