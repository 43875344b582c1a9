"""Functions that TensorFlow traces and runs as graphs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ParamSpec, TypeVar

import tensorflow as tf

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
    made = tf.function(function, autograph=False, input_signature=input_signature, jit_compile=jit_compile)
    made._omit_frequent_tracing_warning = True
    return made
