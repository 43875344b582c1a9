"""A model whose weights are drawn anew: what explanations of it have in common with the model's own is not learned.

Source: Adebayo, Gilmer, Muelly, Goodfellow, Hardt and Kim, "Sanity checks for saliency maps", NeurIPS 2018.
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf


def draw_weights(function: tf.types.experimental.ConcreteFunction, seed: int) -> int:
    """Draws the trainable floats that a signature reads anew, where they are.

    Matrices, kernels and embeddings are normal around 0 with the mean square that they had; vectors and single numbers
    (biases, scales) normal with their mean and spread, so that scales stay what they are about. Where there are no
    matrices, vectors and numbers are the weights, and drawn like these. What was not trained (moving averages,
    statistics of a Normalization) is no weight.

    Args:
      function: a signature of a SavedModel that nobody else uses.
      seed: of the draws.

    Returns:
      How many tensors have other values now.
    """
    variables = sorted(function.variables, key=lambda variable: variable.name)
    weights = [each for each in variables if each.trainable and each.dtype.is_floating]
    has_matrices, n_changed = any(variable.shape.rank > 1 for variable in weights), 0
    for index, variable in enumerate(weights):
        values = variable.numpy().astype(np.float64)
        random = np.random.Generator(np.random.Philox(key=np.array([seed, index], np.uint64)))
        is_weight = values.ndim > 1 or not has_matrices
        mean = 0.0 if is_weight else values.mean()
        spread = np.sqrt(np.square(values).mean()) if is_weight else values.std()
        variable.assign(tf.cast(mean + spread * random.standard_normal(values.shape), variable.dtype))
        n_changed += bool((variable.numpy() != values).any())
    return n_changed
