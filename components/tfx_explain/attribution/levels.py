"""SAGE with fewer model rows: cheap games for many examples, and what they miss from a few.

A rough game has the background replaced by a few of its rows with weights of their own; in a guessed one a surrogate
says what the model would. Their values are cheap, and vary from example to example almost as the real ones do, so
differences vary little. With examples A in the cheapest game g_1, and ever fewer of them in the games that follow,

    mean of g_1 over A_1 + mean of (g_2 - g_1) over A_2 + ... + mean of (real - g_L) over A_real

is unbiased whatever the cheap games are, and its variance is the sum of those of the terms' values / their number.

Source: M. B. Giles, "Multilevel Monte Carlo path simulation", Operations Research 56 (2008) 607-617, equation 10.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.optimize import nnls

from tfx_explain.attribution.maps import FloatArray

# The forecast from a pilot of a few hundred examples is off by about a tenth.
_SAFETY = 1.1
# The sum of the weights is a constraint; as one more equation of this weight it is met to a thousandth.
_CONSTRAINT = 1e3
_GRID_POINTS = 60
# Part of the variance over examples that is not worth more permutations.
_UNIMPORTANT = 0.2
_MAX_ORDERS = 16


@dataclasses.dataclass(frozen=True)
class RoughBackground:
    """A few background rows that stand for all: their indices (k,) and weights (k,), which sum to 1."""

    rows: npt.NDArray[np.int64]
    weights: FloatArray


@dataclasses.dataclass(frozen=True)
class Chain:
    """Games from a cheap one to the real one, and what a pilot says of them.

    Attributes:
      costs: (L,) what an example costs in each game, in rows that the model evaluates per coalition.
      variances: (L, d) over examples: of the values of the first game, then of what each game adds to the one before.
      rough: the background of the cheap games; None where there are none.
      is_guessed: whether the outputs of the first game are guessed.
    """

    costs: FloatArray
    variances: FloatArray
    rough: RoughBackground | None = None
    is_guessed: bool = False


@dataclasses.dataclass(frozen=True)
class Pilot:
    """What a few hundred examples say about the cost of SAGE.

    Attributes:
      n_examples: of them.
      spread: largest - smallest SAGE value.
      chains: that were tried; the first is the real game alone.
    """

    n_examples: int
    spread: float
    chains: tuple[Chain, ...]

    def without_guesses(self) -> Pilot:
        """The same without games whose outputs are guessed."""
        return dataclasses.replace(self, chains=tuple(chain for chain in self.chains if not chain.is_guessed))


@dataclasses.dataclass(frozen=True)
class Levels:
    """How many examples there are in each game: the real one, the rough one, the guessed one; 0 = no such game.

    `rough` is the background of rough and guessed games; `n_orders` permutations of each example are evaluated.
    """

    n_full: float
    n_rough: float = 0.0
    rough: RoughBackground | None = None
    n_guessed: float = 0.0
    n_orders: int = 1


def choose_levels(pilot: Pilot, n_examples: int, aim: float, least: int) -> Levels:
    """The cheapest numbers of examples that are forecast to reach the error.

    Args:
      pilot: of examples of the same kind.
      n_examples: how many there are.
      aim: largest standard error / spread.
      least: examples in the real game that are needed at least.

    Returns:
      The numbers. More examples in the real game than there are, where that many would be needed.
    """
    allowed = (aim * pilot.spread) ** 2 / _SAFETY
    alone = pilot.chains[0]
    if allowed <= 0:
        return Levels(n_examples)
    best = Levels(max(float(np.max(alone.variances[0])) / allowed, float(least)))
    cost = best.n_full * alone.costs[0] if best.n_full <= n_examples else math.inf
    for chain in pilot.chains[1:]:
        counts = _counts(chain, n_examples, allowed, least)
        costs = np.where(np.isfinite(counts[:, -1]), counts @ chain.costs, np.inf)
        cheapest = int(np.argmin(costs))
        if costs[cheapest] < cost:
            cost = float(costs[cheapest])
            best = _levels(chain, counts[cheapest])
    return best if math.isfinite(cost) else _of_all(pilot, best.n_full, n_examples)


def _of_all(pilot: Pilot, n_full: float, n_examples: int) -> Levels:
    """All examples in the real game, along more permutations where these take something off the error.

    What differs between examples stays, however many permutations there are, and guesses along many permutations take
    off most of what differs between those. The rest is no more than what guesses miss.
    """
    variance = float(pilot.chains[0].variances[0].max())
    if variance == 0:
        return Levels(n_full)
    guessed = [chain for chain in pilot.chains if chain.is_guessed and len(chain.costs) == 2]
    nearest = min(guessed, key=lambda chain: float(chain.variances[1].max()), default=None)
    missed = variance if nearest is None else float(nearest.variances[1].max())
    n_orders = np.clip(min(math.ceil(n_full / n_examples), math.ceil(missed / variance / _UNIMPORTANT)), 1, _MAX_ORDERS)
    if nearest is None or missed >= variance:
        return Levels(n_full, n_orders=int(n_orders))
    return Levels(n_full, rough=nearest.rough, n_guessed=n_examples, n_orders=int(n_orders))


def _counts(chain: Chain, n_examples: int, allowed: float, least: int) -> FloatArray:
    """(m, L) numbers of examples in each game, never more than in the one before, that are forecast to be enough.

    Examples of the real game are infinitely many where the others leave too much error, or would be too many.
    """
    grid = np.geomspace(least, max(n_examples, least), _GRID_POINTS)
    axes = np.meshgrid(*[grid] * (len(chain.costs) - 1), indexing="ij")
    cheap = np.stack([axis.ravel() for axis in axes], axis=1)
    left = allowed - (chain.variances[None, :-1] / cheap[:, :, None]).sum(axis=1)
    with np.errstate(divide="ignore"):
        real = np.where(left > 0, chain.variances[-1] / left, np.inf).max(axis=1)
    counts = np.column_stack([cheap, np.maximum(real, least)])
    counts[(np.diff(counts, axis=1) > 0).any(axis=1) | (cheap[:, 0] > n_examples), -1] = np.inf
    return counts


def _levels(chain: Chain, counts: FloatArray) -> Levels:
    n_guessed, *others = counts.tolist() if chain.is_guessed else [0.0, *counts.tolist()]
    return Levels(others[-1], others[0] if len(others) > 1 else 0.0, chain.rough, n_guessed)


def representative_rows(values: FloatArray, weights: FloatArray, sizes: Sequence[int]) -> list[RoughBackground]:
    """Background rows whose weighted mean output comes near that of all, chosen one after the other.

    Args:
      values: (m, B) outputs of m mixtures of examples with each background row.
      weights: (B,) of the rows, sum 1.
      sizes: how many to choose, ascending.

    Returns:
      The rows for each size; fewer where more would bring nothing.
    """
    # Minimises |values (w - weights)|^2 + constraint (sum w - 1)^2 over w >= 0 that are 0 but for the chosen rows: the
    # normal equations have the Gram matrix plus the same constant everywhere, and as right side that times `weights`.
    gram = values.T @ values
    constraint = _CONSTRAINT * (float(np.trace(gram)) / len(weights) or 1.0)
    gram = gram + constraint
    wanted = gram @ weights
    scale = np.sqrt(np.diag(gram))
    chosen: list[int] = []
    solved = np.zeros(len(weights))
    of_sizes = {}
    for size in range(1, min(sizes[-1], len(weights)) + 1):
        gain = (wanted - gram @ solved) / scale
        gain[chosen] = -np.inf
        chosen.append(int(gain.argmax()))
        # Rounding may make the matrix of rows that are nearly the same indefinite.
        part = gram[np.ix_(chosen, chosen)] + 1e-9 * constraint * np.eye(len(chosen))
        # With R R' = part, |R' w - R^-1 wanted|^2 is the same up to a constant, and small enough for NNLS.
        root = np.linalg.cholesky(part)
        solved = np.zeros(len(weights))
        solved[chosen] = nnls(root.T, np.linalg.solve(root, wanted[chosen]))[0]
        kept = np.flatnonzero(solved)
        of_sizes[size] = RoughBackground(kept, solved[kept] / solved[kept].sum())
    return [of_sizes[min(size, len(weights))] for size in sizes]
