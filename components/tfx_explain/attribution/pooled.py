"""Shapley values from few coalitions per background row: a surrogate, and one regression on what it misses."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tfx_explain.attribution.maps import FloatArray, centre
from tfx_explain.attribution.reference import pooled_variance_ratio
from tfx_explain.attribution.result import Attributions
from tfx_explain.attribution.sampling import Coalitions
from tfx_explain.attribution.surrogate import Surrogate
from tfx_explain.attribution.surrogate_design import SurrogateDesign
from tfx_explain.errors import EstimationError

# So many residuals know their variance to a few percent; more would cost more than the attributions do.
_ERROR_PAIRS = 512
# On variances: what the surrogate misses is known from background rows alone, and taken to differ from row to row.
# The more coalitions meet a row, the more rests on that.
_SAFETY = 1.2
_SAFETY_PER_COALITION = 0.4


class PooledRegression:
    """Attributions from designs of the estimator `surrogate`, and a surrogate of the model.

    With fewer coalitions per background row than there are players, no row can be solved for itself, and one regression
    over all rows takes what differs between them for noise. So the surrogate's effects are taken off first. What is
    left of a row's effects is treated as random, with mean zero and the variances `Surrogate.spread`: generalised least
    squares, linear in the values. In the limit of many coalitions it becomes the mean of each row's own solution.

    The design error is the sandwich estimate over pairs of some blocks, times what balance and shrinkage take off it,
    times a safety factor. The error of the background is the surrogate's variance over its rows plus the spread of what
    the surrogate misses.

    Args:
      design: which coalitions are evaluated.
      surrogate: fitted for the same players and background.
      background_predictions: (B, K) outputs of all background rows.

    Source: Henderson 1975 for least squares with random effects; surrogates as control variates as in Witter et al.
      2025 (RegressionMSR, arXiv 2506.11849), whose surrogate is fitted for each example; one for all examples, of
      effects and not of values, is ours.
    """

    def __init__(self, design: SurrogateDesign, surrogate: Surrogate, background_predictions: npt.ArrayLike) -> None:
        outputs = np.asarray(background_predictions, np.float64)
        self._surrogate, self._n_players = surrogate, design.n_players
        self._shape = (design.n_blocks, design.n_coalitions, outputs.shape[1])
        self._row_weights = np.zeros(len(outputs))
        np.add.at(self._row_weights, design.background_index, design.background_weight)
        self._base_value = self._row_weights @ outputs
        self._owners = np.eye(design.n_players)[surrogate.owners]
        self._row_variance = _RowVariance.of(surrogate, self._row_weights, design.n_players)

        halves = design.halves
        memberships, weights = centre(halves), design.background_weight.sum(axis=1)
        maps = _maps(memberships, design.pair_weights, weights, surrogate.spread)
        means = _BlockMeans.of(design, surrogate, outputs - self._base_value)
        self._map = np.concatenate(maps, axis=1)
        self._known_terms = means.over_all(weights)

        n_blocks = min(-(-_ERROR_PAIRS // halves.shape[1]), design.n_blocks)
        self._error_pairs = n_error_pairs = n_blocks * halves.shape[1]
        self._error_memberships = np.concatenate(memberships[:n_blocks])
        self._mapped_terms, self._error_terms = [], []
        for output in range(outputs.shape[1]):
            of_pairs = means.of_pairs(output, halves, surrogate.owners)
            self._mapped_terms.append(self._map @ of_pairs)
            self._error_terms.append(of_pairs[:n_error_pairs].copy())
        leverages = np.einsum("gkp,gpk->gk", memberships, maps)
        sensitivity = maps**2 / np.maximum(1 - leverages, np.finfo(float).eps)[:, None]
        ratio, self._expected_square = pooled_variance_ratio(
            halves[:n_blocks], maps[:n_blocks], leverages[:n_blocks], weights[:n_blocks], surrogate.spread
        )
        of_errors = sensitivity[:n_blocks].sum(axis=(0, 2))
        safety = _SAFETY + _SAFETY_PER_COALITION * design.n_coalitions / (4 * design.n_players)
        self._noise_ratio = float(safety**-0.5)
        of_all = sensitivity.sum(axis=(0, 2))
        scale = safety * ratio * np.divide(of_all, of_errors, out=np.ones_like(of_errors), where=of_errors > 0)
        self._sensitivity = scale[:, None] * np.concatenate(sensitivity[:n_blocks], axis=1)
        self._design_dof = float(max(n_error_pairs - design.n_players, 1))
        self._no_pairs = design.interaction_pairs

    def solve(self, block_values: npt.ArrayLike, prediction: npt.ArrayLike, codes: FloatArray) -> Attributions:
        """Attributions of n examples.

        Args:
          block_values: (n, n_blocks, n_coalitions, K) model outputs, averaged over the rows of each block.
          prediction: (n, K) outputs of the examples.
          codes: (n, q) of the examples.

        Raises:
          EstimationError: a shape does not fit the design.
        """
        outputs = np.asarray(prediction, np.float64)
        values = np.asarray(block_values, np.float64)
        if values.shape != (len(outputs), *self._shape) or len(codes) != len(outputs):
            raise EstimationError(
                f"block values have the shape {values.shape}, but the design and {len(codes)} examples need "
                f"{(len(outputs), *self._shape)}."
            )
        half = self._shape[1] // 2
        odd = (values[:, :, :half] - values[:, :, half:]).reshape(len(outputs), -1, self._shape[2]) / 2
        slopes, totals = self._surrogate.example_slopes(codes), outputs - self._base_value
        found = [self._of_output(k, codes, slopes[k], odd[:, :, k], totals[:, k]) for k in range(self._shape[2])]
        attributions, design_variance, background_variance = (
            np.stack(part, axis=2) for part in zip(*found, strict=True)
        )
        return Attributions(
            values=attributions,
            design_std_error=np.sqrt(design_variance),
            background_std_error=np.sqrt(background_variance),
            base_value=self._base_value,
            completeness_gap=attributions.sum(axis=1) - totals,
            design_dof=self._design_dof,
            background_dof=1 / np.square(self._row_weights).sum() - 1,
            errors_separated=True,
            interactions=None,
            interaction_std_error=None,
            interaction_pairs=self._no_pairs,
            interaction_index="",
            noise_ratio=self._noise_ratio,
        )

    def _of_output(
        self, output: int, codes: FloatArray, slopes: FloatArray, odd: FloatArray, totals: FloatArray
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Attributions of one output, (n, d), their design variances, and those of the background."""
        terms = np.concatenate([codes * slopes, codes, slopes, totals[:, None], np.ones((len(codes), 1))], axis=1)
        missed = odd @ self._map.T - terms @ self._mapped_terms[output].T
        known = terms @ self._known_terms[output] @ self._owners
        even = (totals[:, None] - known.sum(axis=1, keepdims=True)) / self._n_players

        residuals = odd[:, : self._error_pairs] - terms @ self._error_terms[output].T
        residuals -= missed @ self._error_memberships.T
        squares = np.square(residuals, out=residuals)
        noise = squares.mean(axis=1, keepdims=True) / self._expected_square
        share = np.square(self._row_weights).sum()
        by_surrogate = self._row_variance(output, codes, slopes)
        background = share / (1 - share) * by_surrogate + share * noise * self._surrogate.spread
        return known + missed + even, squares @ self._sensitivity.T, background


def _maps(memberships: FloatArray, pair_weights: FloatArray, weights: FloatArray, spread: FloatArray) -> FloatArray:
    """(n_blocks, d, n_pairs): the sum over blocks of map @ what is left of odd parts is the mean of what is missed.

    Minimises the weighted squares of all blocks' residuals plus those of the blocks' own effects around their mean,
    divided by `spread`, over effects that sum to zero.
    """
    d = memberships.shape[2]
    basis = np.linalg.qr(np.concatenate([np.ones((d, 1)), np.eye(d)[:, 1:]], axis=1))[0][:, 1:]
    centred = memberships @ basis
    weighted = np.swapaxes(centred * pair_weights[:, :, None], 1, 2)
    gram = weighted @ centred
    shrunk = np.linalg.inv(gram + basis.T @ (basis / spread[:, None]))
    to_mean = np.linalg.inv(np.einsum("g,gij,gjk->ik", weights, shrunk, gram, optimize=True))
    return np.asarray(basis @ to_mean @ (weights[:, None, None] * (shrunk @ weighted)))


class _BlockMeans(NamedTuple):
    """The background in the surrogate's formula, and outputs less the base value; means over each block.

    An effect is linear in an example's terms: per code a, x_a U_a and x_a and U_a; then its total and 1.

    Attributes:
      parts: (K, n_blocks, 3, q) of V, b and b V.
      outputs: (n_blocks, K).
    """

    parts: FloatArray
    outputs: FloatArray

    @classmethod
    def of(cls, design: SurrogateDesign, surrogate: Surrogate, outputs: FloatArray) -> _BlockMeans:
        """From (B, K) outputs of the background rows."""
        shares = design.background_weight / design.background_weight.sum(axis=1, keepdims=True)
        rows = _background_parts(surrogate)[:, design.background_index]
        return cls(
            np.einsum("gr,kgrcq->kgcq", shares, rows), np.einsum("gr,grk->gk", shares, outputs[design.background_index])
        )

    def of_pairs(self, output: int, halves: Coalitions, owners: npt.NDArray[np.int64]) -> FloatArray:
        """(all pairs, 3 q + 2): what the surrogate and an even share of the total give each pair as its odd part."""
        by_code = centre(halves)[:, :, owners]
        share = halves.mean(axis=2)[:, :, None] - 0.5
        slope, code, product = (self.parts[output][:, None, part] for part in range(3))
        constant = -(by_code * product).sum(axis=2, keepdims=True) - share * self.outputs[:, output, None, None]
        found = np.concatenate([by_code, by_code * slope, -by_code * code, share, constant], axis=2)
        return np.asarray(found.reshape(halves.shape[0] * halves.shape[1], -1))

    def over_all(self, weights: FloatArray) -> FloatArray:
        """(K, 3 q + 2, q): the mean effect of each code over the whole background."""
        found = []
        for slope, code, product in np.einsum("g,kgcq->kcq", weights, self.parts):
            unit, none = np.eye(len(slope)), np.zeros((1, len(slope)))
            found.append(np.concatenate([unit, np.diag(slope), -np.diag(code), none, -product[None]]))
        return np.asarray(found)


def _background_parts(surrogate: Surrogate) -> FloatArray:
    """(K, B, 3, q) V, b and b V of each background row."""
    slopes = surrogate.background_slopes()
    codes = np.broadcast_to(surrogate.background_codes, slopes.shape)
    return np.stack([slopes, codes, codes * slopes], axis=2)


class _RowVariance(NamedTuple):
    """Variances over the background of x V - U b - b V, summed over the codes of each player.

    Attributes:
      pairs: (2, p) codes of the same player, each with itself and, both ways round, with others.
      covariances: (K, 3, 3, p) of V, b and b V of the first code with those of the second.
      owners: (p, d) whose pairs they are.
    """

    pairs: npt.NDArray[np.int64]
    covariances: FloatArray
    owners: FloatArray

    @classmethod
    def of(cls, surrogate: Surrogate, weights: FloatArray, n_players: int) -> _RowVariance:
        """From (B,) weights of the background rows."""
        pairs = np.array(np.nonzero(surrogate.owners[:, None] == surrogate.owners))
        rows = _background_parts(surrogate)
        centred = rows - np.einsum("b,kbcq->kcq", weights, rows)[:, None]
        first, second = centred[..., pairs[0]], centred[..., pairs[1]]
        covariances = np.einsum("b,kbcp,kbep->kcep", weights, first, second, optimize=True)
        return cls(pairs, covariances, np.eye(n_players)[surrogate.owners[pairs[0]]])

    def __call__(self, output: int, codes: FloatArray, slopes: FloatArray) -> FloatArray:
        """(n, d) of examples with these codes and slopes U, (n, q)."""
        factors = [codes, -slopes, np.full_like(codes, -1.0)]
        found = np.zeros((len(codes), self.pairs.shape[1]))
        for i, first in enumerate(factors):
            for j, second in enumerate(factors):
                found += first[:, self.pairs[0]] * second[:, self.pairs[1]] * self.covariances[output, i, j]
        return np.maximum(found @ self.owners, 0.0)
