"""Which outputs of a model are explained, and what they are called."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tfx_explain.config import ExplainConfig, ModelConfig
from tfx_explain.errors import ConfigError, ModelError
from tfx_explain.methods.labels import Labels
from tfx_explain.models import Model

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

_TOLERANCE = 1e-3  # of the sums of many small parts, as forests and boosting make them


def output_names(model: Model, config: ExplainConfig) -> tuple[str, ...]:
    """What the explained outputs are called: the output's name, with the class where it is a vector."""
    classes = config.model.classes
    if isinstance(classes, str):
        return (f"{model.output_name}[{classes}]",)
    return names_of(model, range(model.n_outputs) if classes is None else classes)


def names_of(model: Model, outputs: Sequence[int]) -> tuple[str, ...]:
    """What single outputs of the model are called, by their indices."""
    if model.n_outputs == 1:
        return (model.output_name,)
    return tuple(f"{model.output_name}[{index}]" for index in outputs)


def explained_outputs(config: ModelConfig, predictions: Sequence[FloatArray]) -> IntArray:
    """Indices of the outputs that some row may ask for.

    Where each row asks for one of its own, an output that is finite for no row is not among them, so that it does not
    stand in the way of the others.

    Args:
      config: says which are asked for.
      predictions: (n, K) of each model for candidate rows.
    """
    if isinstance(config.classes, tuple):
        return np.array(config.classes)
    n_outputs = predictions[0].shape[1]
    if config.classes is None:
        return np.arange(n_outputs)
    known = np.all([np.isfinite(values).any(axis=0) for values in predictions], axis=0)
    return np.flatnonzero(known) if known.any() else np.arange(n_outputs)


def chosen_outputs(
    prediction: FloatArray, rows: pa.RecordBatch, config: ExplainConfig, labels: Labels | None
) -> IntArray:
    """The outputs that `model.classes` asks for, for each row: (n_examples, n_outputs) indices; -1 = none."""
    n_examples, n_outputs = prediction.shape
    classes = config.model.classes
    if classes == "predicted":
        return np.where(np.isnan(prediction), -np.inf, prediction).argmax(axis=1)[:, None]
    if classes == "label" and labels is not None:
        return np.nan_to_num(labels.of(rows), nan=-1.0).astype(np.int64)[:, None]
    chosen = np.arange(n_outputs) if classes is None else np.array(classes)
    return np.broadcast_to(chosen, (n_examples, len(chosen)))


def looks_like_probabilities(predictions: FloatArray) -> str:
    """What the outputs (n, K) of some rows have in common with probabilities, in words; "" where nothing."""
    if not (np.isfinite(predictions).all() and predictions.size):
        return ""
    if predictions.min() < 0 or predictions.max() > 1:
        return ""
    sums = predictions.shape[1] > 1 and np.allclose(predictions.sum(axis=1), 1, atol=1e-4)
    return "between 0 and 1" + (" and add up to 1 in each row" if sums else "")


def check_space(model: Model, predictions: FloatArray) -> None:
    """Refuses probabilities that are none.

    Args:
      model: says which space its outputs are in.
      predictions: (n, K) of some rows.

    Raises:
      ModelError: the space is that of probabilities, and an output is far from any.
    """
    outside = predictions[(predictions < -_TOLERANCE) | (predictions > 1 + _TOLERANCE)]
    if model.output_space == "probability" and outside.size:
        raise ModelError(
            f"the model is explained in probabilities, but gives {outside[0]:.6g} for a background row; set "
            "`model.output_is: logits` if it gives log-odds, else `model.output_space: raw`."
        )


def check_positive_rate(model: Model, config: ExplainConfig) -> None:
    """Refuses a correction of probabilities where there is not one output of log-odds.

    Raises:
      ConfigError: there is none, or there are several.
    """
    if config.model.positive_rate is None or (model.output_space == "logit" and model.n_outputs == 1):
        return
    has = f"{model.n_outputs} outputs" if model.n_outputs > 1 else "an output that is explained as it is"
    raise ConfigError(
        "`model.positive_rate` corrects the probability of a model with one output of log-odds, but this one has "
        f"{has}; remove it."
    )


def places(outputs: IntArray, chosen: IntArray) -> IntArray:
    """Where chosen outputs are among the given ones; -1 where they are not. Same shape as `chosen`."""
    # One place more than there are outputs, which is that of -1.
    place = np.full(2 + max(outputs.max(initial=0), chosen.max(initial=0)), -1)
    place[outputs] = np.arange(len(outputs))
    return place[chosen]
