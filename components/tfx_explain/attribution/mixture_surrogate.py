"""A surrogate of a model, for mixtures of an example with background rows along permutations.

It takes numbers ("codes") c of the mixed row:

    score = a + sum over codes i of (b_i c_i + e_i max(c_i, 0)) + sum over directions u of g_u (u'c)^2

The output is the score, or for probabilities 1 / (1 + exp(-score)). Each player brings its part to the score and to
u'c, so a mixture costs a few additions per step of a permutation, where the model computes a whole row.

Source of the directions, eigenvectors of the mean of residual x c c': K.-C. Li, "On principal Hessian directions for
data visualization and dimension reduction", Journal of the American Statistical Association 87 (1992) 1025-1039.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt

from tfx_explain.attribution.loss_game import Orders
from tfx_explain.attribution.maps import FloatArray
from tfx_explain.attribution.row_products import row_products

IntArray = npt.NDArray[np.int64]

MAX_CODES = 512
"""More need more observations than are worth it."""

_MAX_HINGES = 128
_N_DIRECTIONS = 4
_RIDGE = 1e-3
_ITERATIONS = 4
# Held at once, so that steps of some examples stay in the cache.
_MAX_ELEMENTS = 2**18
# Of outputs near 0 and 1: keeps the steps of Newton's method short.
_LEAST_CURVATURE = 1e-3


@dataclasses.dataclass(frozen=True, eq=False)
class MixtureSurrogate:
    """A surrogate of a model of d players.

    Attributes:
      owners: (q,) the player of each code, ascending; a player may have none.
      intercept: (K,).
      weights: (d, 2 A, K + r) from a player's codes, at most A, and their positive parts, to what it brings to each
        score and direction.
      squares: (r, K) weights of the squared directions.
      is_probability: what the outputs are.
    """

    owners: IntArray
    intercept: FloatArray
    weights: FloatArray
    squares: FloatArray
    is_probability: bool

    def parts(self, codes: FloatArray) -> FloatArray:
        """(K + r, n, d) what each player of rows with these codes (n, q) brings."""
        terms = _by_player(codes, self.owners, len(self.weights))
        brought = row_products(np.concatenate([terms, np.maximum(terms, 0.0)], axis=2), self.weights)
        return np.ascontiguousarray(np.moveaxis(brought, (2, 1), (0, 1)))

    def path(self, orders: Orders, parts: FloatArray, background: FloatArray, weights: FloatArray) -> FloatArray:
        """Mean outputs over background rows along permutations.

        Args:
          orders: (n, d).
          parts: (K + r, n, d) of the examples.
          background: (K + r, B, d) parts of the background rows.
          weights: (B,) of these.

        Returns:
          (n, d + 1, K) outputs with the first 0, 1, ..., d players of each permutation.
        """
        n_steps, n_mixed = orders.shape[1] + 1, len(parts) * len(weights)
        at_once = max(_MAX_ELEMENTS // (n_steps * (n_steps + 2 * n_mixed)), 1)
        starts = range(0, max(len(orders), 1), at_once)
        groups = [slice(start, start + at_once) for start in starts]
        return np.concatenate([self._path(orders[rows], parts[:, rows], background, weights) for rows in groups])

    def _path(self, orders: Orders, parts: FloatArray, background: FloatArray, weights: FloatArray) -> FloatArray:
        n_parts, (n, d), n_rows = len(parts), orders.shape, len(weights)
        # A product per example, which is the same bits whatever examples are beside it: who is absent at each step, and
        # what the others have brought, times what absent players of each background row bring, and ones.
        steps = np.zeros((n, d + 1, d + n_parts))
        steps[:, :, :d] = np.argsort(orders, axis=1)[:, None] >= np.arange(d + 1)[:, None]
        steps[:, 1:, d:] = np.moveaxis(np.cumsum(np.take_along_axis(parts, orders[None], axis=2), axis=2), 0, 2)
        brought = np.concatenate([np.moveaxis(background, 2, 0), np.eye(n_parts)[:, :, None].repeat(n_rows, axis=2)])
        mixed = np.matmul(steps, brought.reshape(d + n_parts, -1))
        n_outputs = len(self.intercept)
        directions = np.square(mixed[:, :, n_outputs * n_rows :])
        path = np.empty((n, d + 1, n_outputs))
        for k, intercept in enumerate(self.intercept.tolist()):
            # From squares of each direction, of each background row, to the scores of the rows.
            summed = np.kron(self.squares[:, k : k + 1], np.eye(n_rows))
            score = np.matmul(directions, summed) + mixed[:, :, k * n_rows : (k + 1) * n_rows] + intercept
            path[:, :, k] = np.matmul(_chances(score) if self.is_probability else score, weights)
        return path


def fit_mixtures(
    codes: FloatArray, owners: IntArray, n_players: int, outputs: FloatArray, *, is_probability: bool
) -> MixtureSurrogate:
    """Fits a surrogate to outputs of mixtures by ridge regression, a logistic one for probabilities.

    Args:
      codes: (m, q) of the mixtures, of standard deviation about 1.
      owners: (q,) the player of each code, ascending.
      n_players: d.
      outputs: (m, K).
      is_probability: what the outputs are.

    Returns:
      The surrogate. Directions are for codes of different players only: what one player does by itself, hinges do.
    """
    n_codes, n_outputs = codes.shape[1], outputs.shape[1]
    terms = [codes, np.maximum(codes, 0.0)] if n_codes <= _MAX_HINGES else [codes]
    first = np.concatenate(terms, axis=1)
    of_first = _fitted(first, np.zeros((1 + first.shape[1], n_outputs)), outputs, is_probability)
    directions = _main_directions(codes, owners, outputs - _predicted(first, of_first, is_probability))
    both = np.concatenate([first, np.square(codes @ directions)], axis=1)
    begin = np.concatenate([of_first, np.zeros((directions.shape[1], n_outputs))])
    coefficients = _fitted(both, begin, outputs, is_probability)
    n_linear, n_directions = 1 + first.shape[1], directions.shape[1]
    of_codes = np.zeros((2 * n_codes, n_outputs + n_directions))
    of_codes[: n_linear - 1, :n_outputs] = coefficients[1:n_linear]
    of_codes[:n_codes, n_outputs:] = directions
    halves = [_by_player(half.T, owners, n_players).swapaxes(1, 2) for half in np.split(of_codes, 2)]
    return MixtureSurrogate(
        owners, coefficients[0], np.concatenate(halves, axis=1), coefficients[n_linear:], is_probability
    )


def _chances(scores: FloatArray) -> FloatArray:
    """The logistic function; several times as fast as SciPy's, and 0 below 1e-308."""
    with np.errstate(over="ignore"):
        return np.asarray(1.0 / (1.0 + np.exp(-scores)))


def _by_player(codes: FloatArray, owners: IntArray, n_players: int) -> FloatArray:
    """(d, n, A) codes (n, q) of each player; of those with fewer than others some are 0."""
    place = np.arange(len(owners)) - np.searchsorted(owners, owners)
    made = np.zeros((n_players, len(codes), int(place.max(initial=0)) + 1))
    made[owners, :, place] = codes.T
    return made


def _main_directions(codes: FloatArray, owners: IntArray, residual: FloatArray) -> FloatArray:
    """(q, r) directions in which the residuals (m, K) of any output are curved most."""
    values, vectors = [], []
    for of_output in residual.T:
        curvature = (codes * of_output[:, None]).T @ codes
        curvature[owners[:, None] == owners] = 0.0
        of_values, of_vectors = np.linalg.eigh(curvature)
        values.append(np.abs(of_values))
        vectors.append(of_vectors)
    largest = np.argsort(-np.concatenate(values), kind="stable")[:_N_DIRECTIONS]
    return np.concatenate(vectors, axis=1)[:, largest]


def _fitted(terms: FloatArray, begin: FloatArray, outputs: FloatArray, is_probability: bool) -> FloatArray:
    """(1 + p, K) intercept and coefficients of terms (m, p); where it takes several steps, from where it begins."""
    with_one = np.concatenate([np.ones((len(terms), 1)), terms], axis=1)
    penalty = np.full(with_one.shape[1], _RIDGE * len(terms))
    penalty[0] = 0.0
    if not is_probability:
        return np.asarray(np.linalg.solve(with_one.T @ with_one + np.diag(penalty), with_one.T @ outputs))
    found = begin.copy()
    for k, of_output in enumerate(outputs.T):
        for _ in range(_ITERATIONS):
            chance = _chances(with_one @ found[:, k])
            curvature = np.maximum(chance * (1 - chance), _LEAST_CURVATURE)
            slope = with_one.T @ (of_output - chance) - penalty * found[:, k]
            found[:, k] += np.linalg.solve(with_one.T @ (with_one * curvature[:, None]) + np.diag(penalty), slope)
    return found


def _predicted(terms: FloatArray, coefficients: FloatArray, is_probability: bool) -> FloatArray:
    scores = coefficients[0] + terms @ coefficients[1:]
    return np.asarray(_chances(scores)) if is_probability else scores
