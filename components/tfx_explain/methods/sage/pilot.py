"""What a few rows say about the cost of SAGE by permutations, and which cheap games there are."""

from __future__ import annotations

import itertools

import numpy as np
import numpy.typing as npt

from tfx_explain.attribution.levels import Chain, Pilot, RoughBackground, representative_rows
from tfx_explain.attribution.loss_game import Orders
from tfx_explain.methods.sage.games import CheapGames, Guesser, SageGames
from tfx_explain.models import Inputs

FloatArray = npt.NDArray[np.float64]

# Few different sizes: each costs the model's side a compilation.
_ROUGH_ROWS = (8, 16, 32)
# What a guess takes, in rows of a small network.
_GUESS_COST = 0.25


def n_choosing(n_rows: int) -> int:
    """How many of the rows cheap games are chosen by; they are judged on the others."""
    return n_rows // 3


def judge_games(games: SageGames, orders: Orders, outputs: FloatArray, cheap: CheapGames, background: Inputs) -> Pilot:
    """What outputs along permutations say of the games that there may be.

    Args:
      games: of n rows.
      orders: (n, d) a permutation of each.
      outputs: (B, n, d - 1, K) of the model.
      cheap: what cheap games need, chosen by the first `n_choosing` rows.
      background: its B rows.
    """
    n = len(orders)
    spread = float(np.ptp(games.real(np.arange(n), orders, outputs).mean(axis=0)))
    judged = np.arange(n_choosing(n), n)
    own, of_judged = orders[judged], outputs[:, judged]
    real = games.real(judged, own, of_judged)
    chains = [_chain([real], [len(outputs)])]
    rows = games.some.inputs.take(judged)
    for rough in _rough_backgrounds(games, outputs[:, : judged[0]]):
        n_rough = len(rough.rows)
        values = games.rough(judged, own, of_judged[rough.rows], rough, cheap.active)
        chains.append(_chain([values, real], [n_rough, len(outputs)], rough))
        guesser = Guesser.of(cheap, rough, background)
        if guesser is None:
            continue
        guessed = guesser.values(games, judged, own, guesser.guesses.parts(rows))
        cost = _GUESS_COST * n_rough
        chains.append(_chain([guessed, real], [cost, len(outputs)], rough, is_guessed=True))
        chains.append(_chain([guessed, values, real], [cost, n_rough, len(outputs)], rough, is_guessed=True))
    return Pilot(n, spread, tuple(chains))


def _rough_backgrounds(games: SageGames, outputs: FloatArray) -> list[RoughBackground]:
    """Those to try, by (B, n, d - 1, K) outputs: all of it where it is small."""
    weights = games.background.weights
    sizes = [size for size in _ROUGH_ROWS if 2 * size <= len(outputs)]
    if not sizes:
        return [RoughBackground(np.arange(len(weights)), weights)]
    return representative_rows(outputs.reshape(len(outputs), -1).T, weights, sizes)


def _chain(
    values: list[FloatArray], costs: list[float], rough: RoughBackground | None = None, *, is_guessed: bool = False
) -> Chain:
    """The chain of games with these values, (n, d) each."""
    terms = [values[0], *(after - before for before, after in itertools.pairwise(values))]
    variances = np.array([term.var(axis=0, ddof=1) for term in terms])
    return Chain(np.array(costs, np.float64), variances, rough, is_guessed=is_guessed)
