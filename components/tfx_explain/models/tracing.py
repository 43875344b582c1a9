"""Functions that TensorFlow traces and runs as graphs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf


def traced(function: Callable[..., Any], **options: Any) -> Any:
    """A `tf.function` without AutoGraph, and without TensorFlow's advice about frequent tracing.

    TensorFlow counts tracings by the line of code that a function was made of. Ours are made of few lines for many
    graphs, each traced as often as it has shapes, so the advice is wrong here, and it ends in the terminal of whoever
    runs the job.

    Args:
      function: takes and gives tensors, in any structure.
      options: of `tf.function`.
    """
    made = tf.function(function, autograph=False, **options)
    made._omit_frequent_tracing_warning = True
    return made
