"""A surrogate of each player's effect between an example and a background row, whose mean over a background is exact.

The model is asked for a few thousand pairs of background rows; what it says is fitted by a form in a few numbers
("codes") of either row. For a new example the surrogate's mean over all background rows costs nothing, and the model
has to be asked only for what the surrogate misses.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tfx_explain.attribution.maps import FloatArray
from tfx_explain.attribution.sampling import RandomWords

_RIDGES = (1e-7, 1e-4, 1e-3, 1e-2, 1e-1, 1.0)
_FOLDS = 4
# More directions, or rectified ones, are not worth the coefficients they need.
_MAX_DIRECTIONS = 64
_MAX_RECTIFIED = 100
# The ridge is the same for all, so this prefers what is linear in the codes.
_RECTIFIED_SCALE = 0.5
_SMALLEST_SPREAD, _LARGEST_SPREAD = 1e-3, 1e3


@dataclass(frozen=True, eq=False)
class Context:
    """What slopes depend on: directions of the codes, and rectified random mixtures of them.

    Attributes:
      directions: (q, c).
      mixtures: (q, r).
      offsets: (r,).

    Source: Rahimi & Recht 2007 (random features).
    """

    directions: FloatArray
    mixtures: FloatArray
    offsets: FloatArray

    @classmethod
    def of(cls, codes: FloatArray, random: RandomWords) -> Context:
        """All codes where they are few, else their main directions among these (B, q)."""
        n_codes = codes.shape[1]
        directions = np.eye(n_codes)
        if n_codes > _MAX_DIRECTIONS:
            main = np.linalg.svd(codes - codes.mean(axis=0), full_matrices=False)[2]
            directions = np.ascontiguousarray(main[:_MAX_DIRECTIONS].T)
        # Uniform, with the variance of mixtures that are as large as the codes, if these are independent.
        uniform = random.words(n_codes + 1, min(_MAX_RECTIFIED, len(codes))) / 2.0**63 - 1
        uniform *= _RECTIFIED_SCALE * np.sqrt(3)
        return cls(directions, uniform[:-1] / np.sqrt(max(n_codes, 1)), uniform[-1])

    def __call__(self, codes: FloatArray) -> FloatArray:
        """(n, c + r) of rows with these codes, (n, q)."""
        rectified = np.maximum(codes @ self.mixtures + self.offsets, 0.0)
        return np.concatenate([codes @ self.directions, rectified], axis=1)


@dataclass(frozen=True, eq=False)
class Surrogate:
    """Effects c_p(x, b) of players p between an example x and a background row b.

    c_p(x, b) = sum over the codes a of p of (x_a - b_a) (U_a(x) + V_a(b)), with U and V linear in the rows' context.
    It has all order-2 models that are bilinear in the codes.

    Attributes:
      owners: (q,) the player of each code; a player may have none.
      context: what U and V are linear in.
      intercept: (K, q) constant part of U.
      of_example: (K, c + r, q) rest of U, applied to an example's context.
      of_background: (K, c + r, q) V, applied to a background row's context.
      background_codes: (B, q).
      spread: (d,) how much a player's effect, less the surrogate, varies between background rows, as a ratio of
        variances to the noise of one pair of coalitions.
    """

    owners: npt.NDArray[np.int64]
    context: Context
    intercept: FloatArray
    of_example: FloatArray
    of_background: FloatArray
    background_codes: FloatArray
    spread: FloatArray

    def example_slopes(self, codes: FloatArray) -> FloatArray:
        """U, (K, n, q), of examples with these codes, (n, q)."""
        return np.asarray(self.intercept[:, None] + np.matmul(self.context(codes), self.of_example))

    def background_slopes(self) -> FloatArray:
        """V, (K, B, q), of the background rows."""
        return np.matmul(self.context(self.background_codes), self.of_background)


class Sample(NamedTuple):
    """Effects that the model itself gave.

    Attributes:
      codes: (n, q) of the examples.
      rows: (m,) background rows.
      effects: (n, m, d, K) of each player between each example and each row.
      noise: (d, K) mean variance of these estimates.
      permutations: antithetic pairs each is the mean of.
    """

    codes: FloatArray
    rows: npt.NDArray[np.int64]
    effects: FloatArray
    noise: FloatArray
    permutations: int


def fit_surrogate(
    owners: npt.NDArray[np.int64],
    n_players: int,
    background_codes: FloatArray,
    samples: Sequence[Sample],
    random: RandomWords,
) -> Surrogate:
    """Ridge regressions, one per player, on effects of examples with other examples held out to choose the ridge.

    Args:
      owners: (q,) the player of each code.
      n_players: number of players d.
      background_codes: (B, q).
      samples: at least two, with different examples.
      random: for the mixtures of the context.

    Returns:
      The surrogate.
    """
    context = Context.of(background_codes, random)
    of_background = context(background_codes)
    n_outputs, n_codes, n_context = samples[0].effects.shape[3], len(owners), of_background.shape[1]
    coefficients = np.zeros((n_outputs, n_codes, 1 + 2 * n_context))
    # With no codes there is no surrogate of a player, and all of its effect is left.
    missed = np.stack([np.square(sample.effects).mean(axis=(0, 1)) for sample in samples]).mean(axis=0)
    terms = [_terms(sample, context, of_background) for sample in samples]
    equations = {
        player: _equations(samples, terms, background_codes, np.flatnonzero(owners == player), player)
        for player in sorted(set(owners.tolist()))
    }
    if equations:
        ridge = _best_ridge(list(equations.values()))
        for player, parts in equations.items():
            missed[player] = _held_out(parts, ridge)
            solved = _solve(_total(parts), ridge)
            own = np.flatnonzero(owners == player)
            coefficients[:, own] = solved.T.reshape(n_outputs, len(own), -1)
    return Surrogate(
        owners=owners,
        context=context,
        intercept=coefficients[:, :, 0],
        of_example=coefficients[:, :, 1 : 1 + n_context].swapaxes(1, 2),
        of_background=coefficients[:, :, 1 + n_context :].swapaxes(1, 2),
        background_codes=background_codes,
        spread=_spread(missed, samples),
    )


class _Equations(NamedTuple):
    """Normal equations of some observations: X'X (k, k), X'y (k, K), y'y (K,) and how many there are."""

    gram: FloatArray
    right: FloatArray
    squares: FloatArray
    n: int


def _terms(sample: Sample, context: Context, of_background: FloatArray) -> FloatArray:
    """(n, m, 1 + 2 c) of each pair: 1, the example's context, the background row's."""
    of_examples, others = context(sample.codes), of_background[sample.rows]
    n, m = len(of_examples), len(others)
    parts = [np.ones((n, m, 1)), np.repeat(of_examples[:, None], m, axis=1), np.repeat(others[None], n, axis=0)]
    return np.concatenate(parts, axis=2)


def _equations(
    samples: Sequence[Sample],
    terms: Sequence[FloatArray],
    background_codes: FloatArray,
    own: npt.NDArray[np.int64],
    player: int,
) -> list[_Equations]:
    """Of one player, whose codes are `own`, per fold: samples that are held out together."""
    found = []
    for sample, of_pairs in zip(samples, terms, strict=True):
        steps = sample.codes[:, None, own] - background_codes[None, sample.rows][:, :, own]
        design = (steps[..., None] * of_pairs[:, :, None]).reshape(steps.shape[0] * steps.shape[1], -1)
        effects = sample.effects[:, :, player].reshape(len(design), -1)
        found.append(_Equations(design.T @ design, design.T @ effects, np.square(effects).sum(axis=0), len(design)))
    n_folds = min(_FOLDS, len(found))
    return [_total(found[fold::n_folds]) for fold in range(n_folds)]


def _total(parts: Sequence[_Equations]) -> _Equations:
    return _Equations(
        np.sum([part.gram for part in parts], axis=0),
        np.sum([part.right for part in parts], axis=0),
        np.sum([part.squares for part in parts], axis=0),
        sum(part.n for part in parts),
    )


def _solve(equations: _Equations, ridge: float) -> FloatArray:
    """(k, K) coefficients."""
    gram = equations.gram
    penalty = ridge * np.trace(gram) / len(gram) or 1.0
    return np.asarray(np.linalg.solve(gram + penalty * np.eye(len(gram)), equations.right))


def _held_out(parts: Sequence[_Equations], ridge: float) -> FloatArray:
    """(K,) mean squared error on each sample of what was fitted to the others."""
    total, error = _total(parts), np.zeros(parts[0].right.shape[1])
    for part in parts:
        rest = _Equations(total.gram - part.gram, total.right - part.right, total.squares, total.n - part.n)
        solved = _solve(rest, ridge)
        fitted = np.einsum("ik,ij,jk->k", solved, part.gram, solved, optimize=True)
        error += part.squares - 2 * np.einsum("ik,ik->k", solved, part.right) + fitted
    return error / total.n


def _best_ridge(of_players: Sequence[Sequence[_Equations]]) -> float:
    errors = [np.sum([_held_out(parts, ridge) for parts in of_players]) for ridge in _RIDGES]
    return _RIDGES[int(np.argmin(errors))]


def _spread(missed: FloatArray, samples: Sequence[Sample]) -> FloatArray:
    """(d,) ratios from the mean squares that were missed, (d, K), whose noise is known.

    An antithetic permutation has twice the variance of a balanced regression with as many pairs, d - 1; and of that,
    4 / (d - 1) is the noise of a single pair.
    """
    noise = np.mean([sample.noise for sample in samples], axis=0)
    own = np.maximum(missed - noise, 0.0).sum(axis=1)
    of_a_pair = samples[0].permutations * noise.sum(axis=1).mean() * (len(noise) - 1) / 8
    return np.asarray(
        np.clip(own / of_a_pair if of_a_pair > 0 else np.ones_like(own), _SMALLEST_SPREAD, _LARGEST_SPREAD)
    )
