"""SAGE with fewer model rows: a rough game for many examples, and what it misses from a few.

The rough game has the background replaced by a few of its rows with weights of their own. Its values are cheap, and
they vary from example to example almost as the real ones do, so the difference of the two varies little. The mean of
rough values over many examples plus the mean difference over a few of them is unbiased, whatever the rough game is.

Source: M. B. Giles, "Multilevel Monte Carlo path simulation", Operations Research 56 (2008) 607-617, with two levels.
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
_GRID = np.geomspace(0.01, 1.0, 60)


@dataclasses.dataclass(frozen=True)
class RoughBackground:
    """A few background rows that stand for all: their indices (k,) and weights (k,), which sum to 1."""

    rows: npt.NDArray[np.int64]
    weights: FloatArray


@dataclasses.dataclass(frozen=True)
class RoughGame:
    """What a pilot says of a rough background: (d,) variances over examples of its values and of the difference."""

    background: RoughBackground
    variance: FloatArray
    difference_variance: FloatArray


@dataclasses.dataclass(frozen=True)
class Pilot:
    """What a few hundred examples say about the cost of SAGE.

    Attributes:
      n_examples: of them.
      spread: largest - smallest SAGE value.
      variance: (d,) of the values over examples.
      rough: the rough games that were tried.
    """

    n_examples: int
    spread: float
    variance: FloatArray
    rough: tuple[RoughGame, ...]


@dataclasses.dataclass(frozen=True)
class Levels:
    """How many examples meet the whole background, how many the rough one; `rough` None = none do."""

    n_full: float
    n_rough: float = 0.0
    rough: RoughBackground | None = None


def choose_levels(pilot: Pilot, n_background: int, n_examples: int, aim: float, least: int) -> Levels:
    """The cheapest numbers of examples that are forecast to reach the error.

    Args:
      pilot: of examples of the same kind.
      n_background: rows of the whole background.
      n_examples: how many there are.
      aim: largest standard error / spread.
      least: examples on the whole background that are needed at least.

    Returns:
      The numbers. More examples on the whole background than there are, where that many would be needed.
    """
    allowed = (aim * pilot.spread) ** 2 / _SAFETY
    best = Levels(max(float(np.max(pilot.variance)) / allowed, float(least))) if allowed > 0 else Levels(n_examples)
    cost = best.n_full * n_background if best.n_full <= n_examples else math.inf
    for game in pilot.rough if allowed > 0 else ():
        n_rough = np.maximum(_GRID * n_examples, least)
        left = allowed - game.variance[:, None] / n_rough
        with np.errstate(divide="ignore"):
            n_full = np.where(left > 0, game.difference_variance[:, None] / left, np.inf).max(axis=0)
        n_full = np.maximum(n_full, least)
        costs = n_rough * len(game.background.rows) + n_full * n_background
        costs[(n_full > n_rough) | (n_rough > n_examples)] = np.inf
        cheapest = int(np.argmin(costs))
        if costs[cheapest] < cost:
            cost = float(costs[cheapest])
            best = Levels(float(n_full[cheapest]), float(n_rough[cheapest]), game.background)
    return best


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
