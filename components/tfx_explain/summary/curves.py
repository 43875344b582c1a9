"""Profiles of features as they are written: curves with intervals, and the curves of single examples."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt

from tfx_explain.errors import InputError
from tfx_explain.summary.ratio import Array


@dataclasses.dataclass(frozen=True)
class Curve:
    """A feature's profile at n_points values of it, in units of the model's output; 95 % or another confidence.

    Attributes:
      n_examples: examples of positive weight that it is made of.
      value: (n_points,) mean output with the feature set to each point; for accumulated local effects the same as
        `centred_value`, as they know no level.
      std_error: (n_points,) its standard error.
      ci_low: (n_points,) lower end of its interval (Student t).
      ci_high: (n_points,) upper end.
      centred_value: (n_points,) the same with the mean over the feature's distribution taken off: 0 is average.
      centred_std_error: (n_points,) its standard error, smaller where examples differ by level more than by shape.
      centred_ci_low: (n_points,) lower end of its interval.
      centred_ci_high: (n_points,) upper end.
      n_examples_of_point: (n_points,) examples in the bin below each edge, for accumulated local effects; else
        `n_examples` each.
      step: (n_points,) value less that of the point before; NaN at the first. It means something only along a line.
      step_std_error: (n_points,) its standard error, from the examples' own steps: what they share in level and in
        earlier points cancels. For accumulated local effects that of the bin's own mean.
      step_skewness: (n_points,) skewness of the examples' own steps; NaN below three examples.
    """

    n_examples: int
    value: Array
    std_error: Array
    ci_low: Array
    ci_high: Array
    centred_value: Array
    centred_std_error: Array
    centred_ci_low: Array
    centred_ci_high: Array
    n_examples_of_point: npt.NDArray[np.int64]
    step: Array
    step_std_error: Array
    step_skewness: Array

    def columns(self) -> dict[str, Any]:
        """The curve as table columns, a row per point."""
        columns = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        columns["num_examples"] = columns.pop("n_examples")
        columns["num_examples_of_point"] = columns.pop("n_examples_of_point")
        return columns


@dataclasses.dataclass(frozen=True)
class IceCurves:
    """The curves of single examples, in random order.

    Attributes:
      example_ids: (n_curves,).
      values: (n_curves, n_points) outputs with the feature set to each point.
      centred_values: (n_curves, n_points) the same, each with its own mean over the feature's distribution taken off.
    """

    example_ids: npt.NDArray[np.object_]
    values: Array
    centred_values: Array


def curve_weights(weights: npt.ArrayLike | None, n: int) -> Array:
    """(n,) weights >= 0 of examples; None = all 1.

    Raises:
      InputError: they are something else.
    """
    w = np.ones(n) if weights is None else np.asarray(weights, dtype=np.float64)
    if w.shape != (n,) or not (w >= 0).all():
        raise InputError(f"`weights` must be {n} numbers of 0 or more, got shape {w.shape}.")
    return w


def curve_of(
    n_examples: int,
    level: tuple[Array, Array],
    shape: tuple[Array, Array],
    steps: tuple[Array, Array, Array],
    quantile: float,
    n_examples_of_point: npt.NDArray[np.int64],
) -> Curve:
    """A curve from (value, standard error) of its level and shape; of the steps between its points skewness as well."""
    (value, error), (centred, centred_error) = level, shape
    step, step_error, step_skewness = (np.concatenate([[np.nan], part]) for part in steps)
    return Curve(
        n_examples=n_examples,
        value=value,
        std_error=error,
        ci_low=value - quantile * error,
        ci_high=value + quantile * error,
        centred_value=centred,
        centred_std_error=centred_error,
        centred_ci_low=centred - quantile * centred_error,
        centred_ci_high=centred + quantile * centred_error,
        n_examples_of_point=n_examples_of_point,
        step=step,
        step_std_error=step_error,
        step_skewness=step_skewness,
    )
