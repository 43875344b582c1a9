"""Fitting a surrogate to what a model says of a few thousand pairs of background rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tfx_explain.attribution.design import Design
from tfx_explain.attribution.making import make_design
from tfx_explain.attribution.maps import FloatArray
from tfx_explain.attribution.sampling import RandomWords
from tfx_explain.attribution.surrogate import Context, Surrogate

# 4,096 pairs know the coefficients of some hundred players well enough.
_MAX_EXAMPLES = 128
_N_PAIRS = 4_096
_EXAMPLES_PER_SAMPLE = 16
_N_PERMUTATIONS = 2
_RIDGES = (1e-7, 1e-4, 1e-3, 1e-2, 1e-1, 1.0)
_FOLDS = 4
# Numbers that designs of examples do not have.
_DESIGNS = 2**63
_SMALLEST_SPREAD, _LARGEST_SPREAD = 1e-3, 1e3

Evaluate = Callable[[npt.NDArray[np.int64], Design], FloatArray]
"""(background rows, (n,); design) -> (n, n_blocks, n_coalitions, K) what the model says of these rows as examples."""


def fit_surrogate(
    owners: npt.NDArray[np.int64],
    n_players: int,
    background_codes: FloatArray,
    background_predictions: FloatArray,
    evaluate: Evaluate,
    seed: int,
) -> Surrogate:
    """Explains background rows by each other, and fits ridge regressions to that, one per player.

    The ridge is the one that does best on examples that were held out; what is missed there, beyond the noise of the
    permutations, is the surrogate's `spread`.

    Args:
      owners: (q,) the player of each code.
      n_players: number of players d, at least 2.
      background_codes: (B, q).
      background_predictions: (B, K).
      evaluate: asks the model.
      seed: of the job.

    Returns:
      The surrogate.
    """
    random = RandomWords(seed, n_players, 0, 0, 0)
    samples = _samples(n_players, background_predictions, evaluate, seed, random)
    context = Context.of(background_codes, random)
    of_background = context(background_codes)
    n_outputs, n_codes, n_context = samples[0].effects.shape[2], len(owners), of_background.shape[1]
    coefficients = np.zeros((n_outputs, n_codes, 1 + 2 * n_context))
    # With no codes there is no surrogate of a player, and all of its effect is left.
    missed = _mean([np.square(sample.effects) for sample in samples])
    terms = [_terms(sample, of_background) for sample in samples]
    known = np.unique(owners)
    equations = [_equations(samples, terms, background_codes[:, owners == player], player) for player in known]
    errors = [[_held_out(parts, ridge) for parts in equations] for ridge in _RIDGES]
    best = int(np.argmin([np.sum(of_ridge) for of_ridge in errors]))
    for player, parts, error in zip(known, equations, errors[best], strict=True):
        missed[player] = error
        own = np.flatnonzero(owners == player)
        solved = _solve(*_total(parts)[:2], _RIDGES[best])
        coefficients[:, own] = solved.T.reshape(n_outputs, len(own), -1)
    return Surrogate(
        owners=owners,
        context=context,
        intercept=coefficients[:, :, 0],
        of_example=coefficients[:, :, 1 : 1 + n_context].swapaxes(1, 2),
        of_background=coefficients[:, :, 1 + n_context :].swapaxes(1, 2),
        background_codes=background_codes,
        spread=_spread(missed, _mean([sample.variances for sample in samples])),
    )


class _Sample(NamedTuple):
    """Effects that the model itself gave for pairs of an example and a background row.

    Attributes:
      examples: (n,) background rows that were explained.
      others: (n,) background rows they met.
      effects: (n, d, K) of each player.
      variances: (n, d, K) of these estimates.
    """

    examples: npt.NDArray[np.int64]
    others: npt.NDArray[np.int64]
    effects: FloatArray
    variances: FloatArray


def _samples(
    n_players: int, predictions: FloatArray, evaluate: Evaluate, seed: int, random: RandomWords
) -> list[_Sample]:
    """Antithetic permutations for a few examples at a time, each time with other rows as background."""
    n_rows = len(predictions)
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
            design_id=_DESIGNS + number,
        )
        effects, variances = design.effects_of_blocks(evaluate(chosen, design), predictions[chosen], predictions)
        # A mixture that the model has no output for teaches nothing.
        example, other = np.nonzero(np.isfinite(effects).all(axis=(2, 3)))
        others = design.background_index[other, 0].astype(np.int64)
        samples.append(_Sample(chosen[example], others, effects[example, other], variances[example, other]))
    return samples


def _mean(parts: Sequence[FloatArray]) -> FloatArray:
    """(d, K) over all pairs; 0 where there are none."""
    joined = np.concatenate(parts)
    return np.asarray(joined.sum(axis=0) / max(len(joined), 1))


class _Equations(NamedTuple):
    """Normal equations of some observations: X'X (k, k), X'y (k, K), y'y (K,) and how many there are."""

    gram: FloatArray
    right: FloatArray
    squares: FloatArray
    n: int


def _terms(sample: _Sample, context: FloatArray) -> FloatArray:
    """(n, 1 + 2 c) of each pair: 1, the example's context, the other row's."""
    return np.concatenate([np.ones((len(sample.others), 1)), context[sample.examples], context[sample.others]], axis=1)


def _equations(
    samples: Sequence[_Sample], terms: Sequence[FloatArray], own_codes: FloatArray, player: int
) -> list[_Equations]:
    """Of one player, whose codes are given for the background, per fold: samples that are held out together."""
    of_samples = []
    for sample, of_pairs in zip(samples, terms, strict=True):
        steps = own_codes[sample.examples] - own_codes[sample.others]
        predictors = (steps[:, :, None] * of_pairs[:, None]).reshape(len(steps), -1)
        effects = sample.effects[:, player]
        squares = np.square(effects).sum(axis=0)
        of_samples.append(_Equations(predictors.T @ predictors, predictors.T @ effects, squares, len(predictors)))
    n_folds = min(_FOLDS, len(of_samples))
    return [_total(of_samples[fold::n_folds]) for fold in range(n_folds)]


def _total(parts: Sequence[_Equations]) -> _Equations:
    return _Equations(
        np.sum([part.gram for part in parts], axis=0),
        np.sum([part.right for part in parts], axis=0),
        np.sum([part.squares for part in parts], axis=0),
        sum(part.n for part in parts),
    )


def _solve(gram: FloatArray, right: FloatArray, ridge: float) -> FloatArray:
    """(k, K) coefficients."""
    # In units of the mean square of the terms, so that the same ridges suit players of any scale.
    penalty = ridge * np.trace(gram) / len(gram) or 1.0
    return np.asarray(np.linalg.solve(gram + penalty * np.eye(len(gram)), right))


def _held_out(parts: Sequence[_Equations], ridge: float) -> FloatArray:
    """(K,) mean squared error on each sample of what was fitted to the others."""
    total, error = _total(parts), np.zeros(parts[0].right.shape[1])
    for part in parts:
        # Squares of y - X s on the part that was held out, from its sums alone: y'y - 2 s'X'y + s'X'X s.
        solved = _solve(total.gram - part.gram, total.right - part.right, ridge)
        fitted = np.einsum("ik,ij,jk->k", solved, part.gram, solved, optimize=True)
        error += part.squares - 2 * np.einsum("ik,ik->k", solved, part.right) + fitted
    return error / max(total.n, 1)


def _spread(missed: FloatArray, noise: FloatArray) -> FloatArray:
    """(d,) ratios from the mean squares that were missed and the variances of the estimates in them, (d, K) both.

    An antithetic permutation is taken to have twice the variance of a balanced regression with as many pairs, d - 1;
    that has 4 / (d - 1) of the variance of a single pair's noise. The regression is not sensitive to the ratio.
    """
    own = np.maximum(missed - noise, 0.0).sum(axis=1)
    of_a_pair = _N_PERMUTATIONS * noise.sum(axis=1).mean() * (len(noise) - 1) / 8
    return np.asarray(
        np.clip(own / of_a_pair if of_a_pair > 0 else np.ones_like(own), _SMALLEST_SPREAD, _LARGEST_SPREAD)
    )
