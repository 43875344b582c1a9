"""Whether a model can be asked about mixed rows, tried on a few, made one by one and by the engine."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tfx_explain.errors import ModelError
from tfx_explain.models.blocks import SingleRowBlocks
from tfx_explain.models.closeness import Closeness
from tfx_explain.models.effort import Effort
from tfx_explain.models.engine import FloatArray
from tfx_explain.models.features import Inputs
from tfx_explain.models.mixtures import Mixtures
from tfx_explain.models.model import Model
from tfx_explain.models.pairing import Judge, refuse_pairing

_SIDE = 5
_N_DRAWN = 4

MOST_MIXTURES = _SIDE**2 * (2 + _N_DRAWN)
"""Rows in a call, at most."""

_FEWEST_ONE_BY_ONE, _MOST_ONE_BY_ONE = 2, 24


def check_mixtures(
    model: Model,
    rows: Inputs,
    outputs: FloatArray,
    players: Sequence[Sequence[str]],
    closeness: Closeness,
    effort: Effort,
    judge: Judge,
) -> None:
    """Refuses a model whose mixed rows have other outputs in a batch than alone, or other ones by `block_values`.

    Args:
      model: the model.
      rows: to mix.
      outputs: (n, n_outputs) of the rows.
      players: per player, the names of its features.
      closeness: of the model's outputs.
      effort: how much can be tried.
      judge: says what is wrong with a batch.

    Raises:
      ModelError: the outputs differ by more than rounding.
      ConfigError: features that the model pairs up, or of which it refuses mixtures, are different players.
    """
    side = min(len(rows) // 2, _SIDE if effort.is_full else 2)
    if not side:
        return
    rng = np.random.default_rng(0)
    coalitions = rng.random((side, 2 + (_N_DRAWN if effort.is_full else 1), len(players))) < 0.5
    coalitions[:, 0], coalitions[:, 1] = True, False
    example, block, coalition = (axis.reshape(-1) for axis in np.indices((side, *coalitions.shape[:2])))
    # Examples and background rows are the even and the odd ones.
    mixtures = Mixtures(2 * example, 2 * block + 1, coalitions[block, coalition])
    drawn = np.flatnonzero(coalition >= 2)
    alone_rows = rng.permutation(len(drawn))[: _MOST_ONE_BY_ONE if effort.is_full else _FEWEST_ONE_BY_ONE]
    refuse_pairing(model, rows, players, mixtures.take(drawn), alone_rows, judge, closeness)
    if not effort.affords(max(2 * model.rows_per_call, len(mixtures))):
        return
    expected = model.outputs(mixtures.inputs(rows, players))
    for which, source in ((coalition == 0, mixtures.own), (coalition == 1, mixtures.other)):
        expected[which] = outputs[source[which]]
    blocks = SingleRowBlocks.of(coalitions, np.arange(side))
    examples, background = rows.take(2 * np.arange(side)), rows.take(2 * np.arange(side) + 1)
    by_blocks = model.block_values(examples, background, players, blocks).reshape(len(mixtures), -1)
    if closeness.of_compiled.differing(by_blocks, expected).any():
        raise ModelError(
            f"{model.what} gives mixed rows other outputs than the same rows made one by one, "
            f"{closeness.describe(by_blocks, expected)}; call it with a `module_file` that loads the model."
        )
