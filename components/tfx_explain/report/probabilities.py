"""Probabilities beside log-odds, where the manifest tells how the model makes the one of the other."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import expit, logit, softmax

from tfx_explain.report.gradients import at
from tfx_explain.tables import BASE_VALUE, PREDICTION
from tfx_explain.tables.manifest import Manifest

FloatArray = npt.NDArray[np.float64]

PROBABILITY = {PREDICTION: "__probability__", BASE_VALUE: "__base_probability__"}
"""Column of log-odds -> column of their probabilities; no feature is named like these."""


def with_probabilities(examples: Mapping[str, pd.DataFrame], manifest: Manifest) -> dict[str, pd.DataFrame]:
    """The same frames with a probability beside each prediction and base value, where they have one.

    Args:
      examples: output -> rows with `prediction` and `base_value`.
      manifest: of the explanation.
    """
    frames = dict(examples)
    link = link_of(manifest)
    columns = [name for name in PROBABILITY if all(name in frame for frame in frames.values())]
    if not link or not columns:
        return frames
    for name in columns:
        log_odds = np.stack([frame[name].to_numpy(np.float64) for frame in frames.values()], axis=1)
        found: FloatArray = (
            expit(log_odds + correction_of(manifest)) if link == "sigmoid" else softmax(log_odds, axis=1)
        )
        frames = {
            output: frame.assign(**{PROBABILITY[name]: found[:, place]})
            for place, (output, frame) in enumerate(frames.items())
        }
    return frames


def correction_of(manifest: Manifest) -> float:
    """What is added to log-odds before they become probabilities: 0 unless the model was trained on a sample."""
    rates = at(manifest, "config", "model", "positive_rate")
    return float(logit(rates["actual"]) - logit(rates["trained"])) if rates else 0.0


def link_of(manifest: Manifest) -> str:
    """`sigmoid` of each output or `softmax` of all of them; empty where figures are no log-odds, or too few are known.

    Earlier versions do not tell: a single output has a sigmoid then, since a softmax of one value has no log-odds.
    """
    if at(manifest, "model", "output_space") != "logit":
        return ""
    outputs, link = at(manifest, "outputs") or (), at(manifest, "model", "link")
    if link is None:
        return "sigmoid" if list(outputs) == [at(manifest, "model", "output")] else ""
    is_whole = link == "sigmoid" or at(manifest, "model", "num_outputs") == len(outputs)
    return str(link) if is_whole else ""
