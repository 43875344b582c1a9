"""The surrogate of a model: fitted once per job, from the background alone."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from tfx_explain.attribution import Design, Surrogate, fit_surrogate
from tfx_explain.methods.algebra import single_threaded_algebra
from tfx_explain.models import Inputs, Model, Tally
from tfx_explain.models.encoding import Encoder

FloatArray = npt.NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class ModelSurrogate:
    """A surrogate of one model's effects, the encoder of the codes it takes, and the model rows that fitting took."""

    encoder: Encoder
    surrogate: Surrogate
    n_model_rows: int


def fit_to_model(
    model: Model,
    background: Inputs,
    predictions: FloatArray,
    players: Sequence[Sequence[str]],
    seed: int,
    outputs: npt.NDArray[np.int64],
) -> ModelSurrogate:
    """Asks the model for mixtures of background rows.

    Args:
      model: what is explained.
      background: B rows.
      predictions: (B, K) of the model for them.
      players: names of features of each.
      seed: of the job.
      outputs: (K',) indices of those that are explained.
    """
    tally = Tally()

    def evaluate(rows: npt.NDArray[np.int64], design: Design) -> FloatArray:
        return model.block_values(background.take(rows), background, players, design, tally=tally)[..., outputs]

    encoder = Encoder.fit(background, players)
    # The number of threads must not show in the last bits.
    with single_threaded_algebra:
        codes = encoder.encode(background)
        of_rows = predictions[:, outputs]
        fitted = fit_surrogate(encoder.owners, len(players), codes, of_rows, evaluate, seed)
    return ModelSurrogate(encoder, fitted, tally.rows)
