"""The loss of a model on labelled examples: which one fits a task, its value, and the bias of a finite background."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import special

from tfx_explain.errors import ConfigError
from tfx_explain.summary.ratio import Array

LOG_LOSS = "log_loss"
MSE = "mse"
MAE = "mae"
AUC = "auc"
"""No mean over examples: it compares each with all others, so `summary.auc_importance` counts it."""

_SAY_SO = "set `model.output_is` to `logits` or `probabilities` if it is that"
# The resolution of the float32 in which most models give probabilities.
_LEAST_PROBABILITY = 1e-7


def choose_metric(asked: str, output_space: str, n_outputs: int) -> str:
    """Resolves `metric: auto`, and refuses a loss that does not fit the output.

    Log-odds and probabilities are judged by log loss (in nats), one value of any other kind by the mean squared error.

    Args:
      asked: "auto", "log_loss", "mse", "mae" or "auc".
      output_space: "logit", "probability" or "raw".
      n_outputs: values that the model gives per example.

    Raises:
      ConfigError: the loss cannot be computed from such an output and one label.
    """
    classifies = output_space in ("logit", "probability")
    metric = asked if asked != "auto" else LOG_LOSS if classifies else MSE
    if metric == LOG_LOSS and not classifies:
        cure = "choose `metric: mse`" if n_outputs == 1 else "leave the method out"
        raise ConfigError(
            "the metric `log_loss` needs log-odds or probabilities, but nothing says that the explained output is "
            f"either; {_SAY_SO}, else {cure}."
        )
    if metric == AUC and (not classifies or n_outputs > 1):
        found = f"{n_outputs} outputs" if n_outputs > 1 else "one that is neither log-odds nor a probability"
        cures = (
            "choose `metric: log_loss`",
            f"{_SAY_SO}, else choose `metric: mse`",
            f"{_SAY_SO} and `metric: log_loss`",
        )
        raise ConfigError(
            "the metric `auc` ranks rows by one output, the log-odds or probability of class 1, but the model has "
            f"{found}; {cures[0 if classifies else 1 if n_outputs == 1 else 2]}."
        )
    if metric != LOG_LOSS and n_outputs > 1:
        cure = "choose `metric: log_loss`"
        if not classifies:
            cure = (
                f"{_SAY_SO}"
                + (" and choose `metric: log_loss`" if asked != "auto" else "")
                + ", else leave the method out"
            )
        raise ConfigError(
            f"the metric `{metric}` compares one output with the label, but the model has {n_outputs}; {cure}."
        )
    if metric in (MSE, MAE) and output_space == "logit":
        raise ConfigError(
            f"the metric `{metric}` compares the output with the label, but the output is log-odds; choose "
            "`metric: log_loss`, or, where the model ends in a sigmoid, set `model.output_space: probability`."
        )
    return metric


def usable_labels(metric: str, labels: npt.ArrayLike, n_outputs: int) -> npt.NDArray[np.bool_]:
    """Which labels the loss can be computed from.

    Args:
      metric: as `choose_metric` gave it.
      labels: (n,), NaN where there is none.
      n_outputs: of the model; with one output the classes are 0 and 1.

    Returns:
      (n,) True for finite labels; for log loss and AUC, for indices of a class.
    """
    values = np.asarray(labels, dtype=np.float64)
    if metric in (MSE, MAE):
        return np.asarray(np.isfinite(values))
    return np.isin(values, np.arange(max(n_outputs, 2)))


def loss(metric: str, output_space: str, outputs: npt.ArrayLike, labels: npt.ArrayLike) -> Array:
    """The loss of each output.

    Args:
      metric: "log_loss" (nats), "mse" or "mae".
      output_space: "logit" (several are the logits of a softmax), "log_odds" (each has a sigmoid of its own),
        "probability" or "raw". Probabilities below 1e-7 are taken for 1e-7.
      outputs: (n, ..., K).
      labels: (n,): for log loss the index of the class, or 0 and 1 where K = 1.

    Returns:
      (n, ...) losses.
    """
    values = np.asarray(outputs, dtype=np.float64)
    label = np.asarray(labels, dtype=np.float64).reshape(-1, *[1] * (values.ndim - 2))
    if metric == MSE:
        return np.asarray((values[..., 0] - label) ** 2)
    if metric == MAE:
        return np.asarray(np.abs(values[..., 0] - label))
    if values.shape[-1] == 1:
        own = values[..., 0]
        if output_space == "logit":
            return np.asarray(np.logaddexp(0.0, own) - label * own)
        right = np.where(label == 1, own, 1.0 - own)
    else:
        index = np.broadcast_to(label.astype(np.int64), values.shape[:-1])[..., None]
        right = np.take_along_axis(values, index, axis=-1)[..., 0]
        if output_space == "logit":
            return np.asarray(special.logsumexp(values, axis=-1) - right)
        if output_space == "log_odds":
            return np.asarray(np.logaddexp(0.0, -right))
    return np.asarray(-np.log(np.maximum(right, _LEAST_PROBABILITY)))


def loss_of_mean(
    metric: str, output_space: str, block_outputs: npt.ArrayLike, block_weights: npt.ArrayLike, labels: npt.ArrayLike
) -> Array:
    """The loss of the mean output over a background that stands for a population, without the bias of its size.

    The loss of a mean over B drawn rows is too large on average: for the squared error by variance / B, for log loss by
    a series that starts with 1 / B. The jackknife over blocks of the background removes all of the former and the first
    term of the latter. The absolute error is not smooth, so it is left as it is.

    Args:
      metric: as for `loss`.
      output_space: as for `loss`.
      block_outputs: (n, G, ..., K) mean outputs over each of G blocks of drawn rows. One block: no correction.
      block_weights: (G,) each block's share of the rows; sums to 1.
      labels: (n,).

    Returns:
      (n, ...) losses; single ones may be negative.

    Source: F. M. T. A. Busing, E. Meijer, R. van der Leeden, "Delete-m jackknife for unequal m", Statistics and
    Computing 9 (1999) 3-8, equation 5.
    """
    values = np.asarray(block_outputs, dtype=np.float64)
    weights = np.asarray(block_weights, dtype=np.float64)
    mean = np.tensordot(values, weights, axes=(1, 0))
    whole = loss(metric, output_space, mean, labels)
    if metric == MAE or len(weights) < 2:
        return whole
    corrected = len(weights) * whole
    for block, weight in enumerate(weights.tolist()):
        others = (mean - weight * values[:, block]) / (1.0 - weight)
        corrected -= (1.0 - weight) * loss(metric, output_space, others, labels)
    return corrected
