"""Fitting the surrogate of a model: once per job, from the background alone."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from tfx_explain.attribution import Sample, Surrogate, block_effects, fit_surrogate, make_design
from tfx_explain.attribution.sampling import RandomWords
from tfx_explain.models import Inputs, Model
from tfx_explain.models.encoding import Encoder

FloatArray = npt.NDArray[np.float64]

# 4,096 pairs know the coefficients of some hundred players well enough.
_MAX_EXAMPLES = 128
_N_PAIRS = 4_096
_EXAMPLES_PER_SAMPLE = 16
_N_PERMUTATIONS = 2


@dataclasses.dataclass(frozen=True)
class ModelSurrogate:
    """A surrogate of one model's effects, and the encoder of the numbers it takes."""

    encoder: Encoder
    surrogate: Surrogate


def fit_to_model(
    model: Model, background: Inputs, predictions: FloatArray, players: Sequence[Sequence[str]], seed: int
) -> ModelSurrogate:
    """Explains background rows by each other, and fits a surrogate to that.

    Args:
      model: what is explained.
      background: at least 32 rows.
      predictions: (B, K) of the model for them.
      players: names of features of each.
      seed: of the job.
    """
    n_rows, n_players = len(background), len(players)
    encoder = Encoder.fit(background, players)
    codes = encoder.encode(background)
    random = RandomWords(seed, n_players, 0, 0, 0)
    examples = random.orders(1, n_rows)[0, :_MAX_EXAMPLES]
    n_others = min(-(-_N_PAIRS // len(examples)), n_rows)
    samples = []
    for number, start in enumerate(range(0, len(examples), _EXAMPLES_PER_SAMPLE)):
        chosen = examples[start : start + _EXAMPLES_PER_SAMPLE]
        weights = np.zeros(n_rows)
        weights[random.orders(1, n_rows)[0, :n_others]] = 1 / n_others
        design = make_design(
            "permutation",
            n_players=n_players,
            budget=2 * _N_PERMUTATIONS * (n_players - 1),
            background_weights=weights,
            seed=seed,
            design_id=number,
        )
        values = model.block_values(background.take(chosen), background, players, design)
        effects, noise = block_effects(design, values, predictions[chosen], predictions)
        samples.append(
            Sample(codes[chosen], design.background_index[:, 0].astype(np.int64), effects, noise, _N_PERMUTATIONS)
        )
    return ModelSurrogate(encoder, fit_surrogate(encoder.owners, n_players, codes, samples, random))
