"""The classifier two-sample test: can attributions of the candidate be told from those of the baseline?"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy import special

from tfx_explain.judgement.bounds import Bounds
from tfx_explain.judgement.drift.bootstrap import generator
from tfx_explain.summary.ratio import Array, t_quantile

_N_FOLDS = 2
MAX_ROWS = 20_000
_RIDGE = 1.0
_N_STEPS = 12


def classifier_bounds(ours: Array, theirs: Array, confidence: float) -> Bounds:
    """AUC of a classifier that tells rows of attributions of the candidate from rows of the baseline.

    Logistic regression on each player's attribution, its size and its square, so that changes of mean, spread and tails
    are seen; fitted on either half of the rows and tried on the other. 0.5 = cannot be told apart. Values below 0.5 are
    noise of the same and count as 0.5. The AUC meant is that of a classifier fitted on half as many rows, which is less
    than that of one fitted on more. Its two estimates depend on each other in a way that is not known, so the error of
    their mean is taken for that of one. Rows are put in order of their content and then mixed, so that the result does
    not depend on the order in which they come, while what a classifier was trained on says nothing of the rows that it
    is tested on.

    Args:
      ours: (n, d) attributions of the candidate, one row per example.
      theirs: (m, d) of the baseline.
      confidence: of each bound.

    Source: D. Lopez-Paz, M. Oquab, "Revisiting classifier two-sample tests", ICLR 2017; on attributions: C. Mougan
    et al., "Explanation Shift", TMLR 2025; variance of an AUC: E. R. DeLong et al., Biometrics 44 (1988) 837-845.
    """
    ours, theirs = (_mixed(rows, name) for rows, name in ((ours, "candidate"), (theirs, "baseline")))
    rows = np.concatenate([ours, theirs])
    label = np.concatenate([np.ones(len(ours)), np.zeros(len(theirs))])
    fold = np.concatenate([np.arange(len(ours)), np.arange(len(theirs))]) % _N_FOLDS
    inputs = _inputs(rows)
    areas, std_errors = [], []
    for held_out in range(_N_FOLDS):
        train, test = fold != held_out, fold == held_out
        score = inputs[test] @ _fit(inputs[train], label[train])
        area, variance = auc(score[label[test] == 1], score[label[test] == 0])
        areas.append(area)
        std_errors.append(math.sqrt(variance))
    value = float(np.mean(areas))
    margin = t_quantile(confidence, min(len(ours), len(theirs)) // _N_FOLDS - 1) * float(np.mean(std_errors))
    value, low, high = (float(np.clip(x, 0.5, 1.0)) for x in (value, value - margin, value + margin))
    return Bounds(value, low, high)


def auc(positive: Array, negative: Array) -> tuple[float, float]:
    """Area under the ROC curve and its variance, from scores of both classes; ties count half.

    Source: DeLong et al. (1988), equations 1 to 5, by ranks.
    """
    n, m = len(positive), len(negative)
    together = _ranks(np.concatenate([positive, negative]))
    above = (together[:n] - _ranks(positive)) / m
    below = 1 - (together[n:] - _ranks(negative)) / n
    variance = sum(float(np.var(part, ddof=1)) / len(part) for part in (above, below) if len(part) > 1)
    return float(above.mean()), variance


def _ranks(values: Array) -> Array:
    """(n,) ranks from 1; those that tie share the mean of theirs. That of scipy.stats, which is slow to import."""
    _, which, counts = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(counts) - (counts - 1) / 2)[which.ravel()])


def _mixed(rows: Array, name: str) -> Array:
    """At most `MAX_ROWS` of them, in an order that depends on their content alone and says nothing about it."""
    ordered = rows[np.lexsort(rows.T[::-1])]
    return np.asarray(ordered[generator("classifier", name).permutation(len(rows))[:MAX_ROWS]])


def _inputs(rows: Array) -> Array:
    """(n, 3d + 1): standardised attributions, sizes and squares, and a constant; what never varies is left out."""
    columns = np.concatenate([rows, np.abs(rows), rows**2], axis=1)
    spread = columns.std(axis=0)
    varies = spread > 1e-9 * np.abs(columns).max(axis=0, initial=1e-300)
    scaled = (columns[:, varies] - columns[:, varies].mean(axis=0)) / spread[varies]
    # Squares of heavy tails would otherwise decide alone.
    return np.concatenate([np.clip(scaled, -8, 8), np.ones((len(rows), 1))], axis=1)


def _fit(inputs: Array, label: npt.NDArray[np.float64]) -> Array:
    """Weights of a ridge-penalised logistic regression with classes of equal weight, by Newton's steps."""
    weight = np.where(label == 1, 0.5 / max(label.sum(), 1), 0.5 / max((1 - label).sum(), 1)) * len(label)
    beta = np.zeros(inputs.shape[1])
    penalty = _RIDGE * np.eye(len(beta))
    for _ in range(_N_STEPS):
        probability = special.expit(inputs @ beta)
        slope = inputs.T @ (weight * (label - probability)) - penalty @ beta
        curvature = (inputs * (weight * probability * (1 - probability))[:, None]).T @ inputs + penalty
        step = np.linalg.solve(curvature, slope)
        beta = beta + step
        if np.abs(step).max() < 1e-8:
            break
    return np.asarray(beta)
