"""Functions that TensorFlow traces and runs as graphs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import ParamSpec, TypeVar

import tensorflow as tf

from tfx_explain.timings import TIMINGS, TRACE

Variants = Mapping[bool, Callable[..., tf.Tensor]]
"""A function compiled by XLA (True) and as TensorFlow sees fit (False)."""

P = ParamSpec("P")
R = TypeVar("R")


def traced(
    function: Callable[P, R],
    *,
    input_signature: Sequence[tf.TypeSpec | Sequence[tf.TypeSpec]] | None = None,
    jit_compile: bool | None = None,
) -> Callable[P, R]:
    """A `tf.function` without AutoGraph, and without TensorFlow's advice about frequent tracing.

    TensorFlow counts tracings by the line of code that a function was made of. Ours are made of few lines for many
    graphs, each traced as often as it has shapes, so the advice is wrong here, and it ends in the terminal of whoever
    runs the job.

    Args:
      function: takes and gives tensors, in any structure.
      input_signature: types of its arguments, to be traced once for; None = for those of each call.
      jit_compile: whether XLA compiles it; None = as TensorFlow sees fit.
    """

    def counted(*args: P.args, **kwargs: P.kwargs) -> R:
        # Runs while TensorFlow traces.
        with TIMINGS.of(TRACE):
            return function(*args, **kwargs)

    made = tf.function(counted, autograph=False, input_signature=input_signature, jit_compile=jit_compile)
    made._omit_frequent_tracing_warning = True
    return made


def traced_by_shapes(
    function: Callable[..., tf.Tensor], *, jit_compile: bool | None = None
) -> Callable[..., tf.Tensor]:
    """The same for functions that are called over and over with tensors of few shapes.

    TensorFlow takes longer to find the right trace than a small call takes; here a table has it. Ragged tensors, whose
    types say more than a shape, go the usual way.

    Args:
      function: takes tensors, and lists of tensors.
      jit_compile: see `traced`.
    """
    made: tf.types.experimental.PolymorphicFunction = traced(function, jit_compile=jit_compile)
    known: dict[tuple[object, ...], Callable[..., tf.Tensor]] = {}

    def call(*args: tf.Tensor | list[tf.Tensor]) -> tf.Tensor:
        tensors = tf.nest.flatten(args)
        if not all(isinstance(tensor, tf.Tensor) for tensor in tensors):
            return made(*args)
        key = tuple((tensor.dtype, *tensor.shape) for tensor in tensors)
        if key not in known:
            known[key] = made.get_concrete_function(*args)
        return known[key](*args)

    return call


def traced_variants(functions: Variants) -> Variants:
    """Both of them, `traced_by_shapes`."""
    return {compiled: traced_by_shapes(run, jit_compile=compiled or None) for compiled, run in functions.items()}
