"""Mean outputs along permutations from a surrogate of the model, made once of what the model said of some rows."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from tfx_explain.attribution.loss_game import Orders
from tfx_explain.attribution.mixture_surrogate import MAX_CODES, MixtureSurrogate, fit_mixtures
from tfx_explain.attribution.sampling import RandomWords
from tfx_explain.methods.algebra import single_threaded_algebra
from tfx_explain.models import Inputs
from tfx_explain.models.encoding import Encoder

FloatArray = npt.NDArray[np.float64]

_N_MIXTURES = 2**14
_MAX_OUTPUTS = 16
# Names the stream, as those of permutations and designs are named.
_STREAM = 2**63 + 2


@dataclasses.dataclass(frozen=True, eq=False)
class Guesses:
    """A surrogate of one model.

    Attributes:
      encoder: makes codes of rows.
      kept: (q,) the codes that the surrogate takes.
      surrogate: of the model's outputs.
    """

    encoder: Encoder
    kept: npt.NDArray[np.int64]
    surrogate: MixtureSurrogate

    def parts(self, rows: Inputs) -> FloatArray:
        """(K + r, n, d) what each player of the rows brings."""
        with single_threaded_algebra:
            return self.surrogate.parts(self.encoder.encode(rows)[:, self.kept])


def fit_guesses(
    rows: Inputs,
    background: Inputs,
    players: Sequence[Sequence[str]],
    active: npt.NDArray[np.bool_],
    orders: Orders,
    outputs: FloatArray,
    *,
    is_probability: bool,
) -> Guesses | None:
    """Fits a surrogate to some of the mixtures that a model was asked for.

    Args:
      rows: n of them.
      background: B rows.
      players: features of each of d.
      active: (d,) which of them matter; the others change no guess.
      orders: (n, d) a permutation of each row.
      outputs: (B, n, d - 1, K) with the first 1, 2, ..., d - 1 players of the row's.
      is_probability: what the outputs are.

    Returns:
      None where there are too many codes or outputs, or none.
    """
    encoder = Encoder.fit(background, players)
    kept = np.flatnonzero(active[encoder.owners])
    if not 0 < len(kept) <= MAX_CODES or outputs.shape[3] > _MAX_OUTPUTS:
        return None
    n_background, n, n_steps, _ = outputs.shape
    words = RandomWords(0, len(players), 0, _STREAM, 0).words(_N_MIXTURES, 3)
    other, row, step = (words % np.array([n_background, n, n_steps], np.uint64)).astype(np.int64).T
    drawn = outputs[other, row, step]
    owners = encoder.owners[kept]
    position = np.argsort(orders, axis=1)
    with single_threaded_algebra:
        own, others = encoder.encode(rows)[:, kept], encoder.encode(background)[:, kept]
        mixed = np.where(position[row][:, owners] <= step[:, None], own[row], others[other])
        fitted = fit_mixtures(mixed, owners, len(players), drawn, is_probability=is_probability)
    return Guesses(encoder, kept, fitted)
