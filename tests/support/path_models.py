"""Models of a few floats, and rows for them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tfx_explain.models import load_model
from tfx_explain.models.features import Inputs

FEATURES = ("u", "v", "w")


def tensors_model(directory, score, features=FEATURES):
    """A model whose signature takes one float per feature, and rows for it."""
    module = tf.Module()
    specs = [tf.TensorSpec([None], tf.float32, name) for name in features]
    module.serve = tf.function(lambda *columns: {"y": score(*columns)}, input_signature=specs)
    tf.saved_model.save(module, str(directory), signatures={"serving_default": module.serve})
    return load_model(str(directory), output_space="raw")


def rows(n, seed, features=FEATURES):
    rng = np.random.default_rng(seed)
    return Inputs(n, {name: rng.normal(size=n).astype(np.float32) for name in features})


@dataclass(frozen=True)
class GivenPlaces:
    """Places of steps, (n, B, S), as a table."""

    alphas: npt.NDArray[np.float64]

    @property
    def n_steps(self):
        return self.alphas.shape[2]

    def of(self, rows, references):
        return self.alphas[np.ix_(rows, references)]
