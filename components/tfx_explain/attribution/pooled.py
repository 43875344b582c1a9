"""Shapley values from few coalitions per background row: a surrogate, and one regression on what it misses."""

from __future__ import annotations

import functools

import numpy as np
import numpy.typing as npt

from tfx_explain.attribution.maps import FloatArray, centre
from tfx_explain.attribution.reference import pooled_variance_ratio
from tfx_explain.attribution.result import Attributions
from tfx_explain.attribution.row_products import row_products
from tfx_explain.attribution.surrogate import Surrogate
from tfx_explain.attribution.surrogate_design import SurrogateDesign
from tfx_explain.attribution.surrogate_means import BlockMeans, RowVariance
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
        self._row_variance = RowVariance.of(surrogate, self._row_weights, design.n_players)

        halves = design.halves
        memberships, weights = centre(halves), design.background_weight.sum(axis=1)
        maps = _maps(memberships, design.pair_weights, weights, surrogate.spread)
        means = BlockMeans.of(design, surrogate, outputs - self._base_value)
        self._map = np.concatenate(maps, axis=1)
        self._known_terms = means.over_all(weights)

        n_blocks = min(-(-_ERROR_PAIRS // halves.shape[1]), design.n_blocks)
        self._error_pairs = n_error_pairs = n_blocks * halves.shape[1]
        self._error_memberships = np.concatenate(memberships[:n_blocks])
        self._of_pairs = functools.partial(means.of_pairs, halves=halves, owners=surrogate.owners)
        self._terms: dict[int, tuple[FloatArray, FloatArray]] = {}
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

    def solve(
        self,
        block_values: npt.ArrayLike,
        prediction: npt.ArrayLike,
        codes: FloatArray,
        chosen: npt.NDArray[np.int64] | None = None,
    ) -> Attributions:
        """Attributions of n examples.

        Args:
          block_values: (n, n_blocks, n_coalitions, K) model outputs, averaged over the rows of each block.
          prediction: (n, K) outputs of the examples.
          codes: (n, q) of the examples.
          chosen: (n, c) which of the K outputs each example asks for; block values and prediction have these c alone,
            and so have the attributions. None = all.

        Raises:
          EstimationError: a shape does not fit the design.
        """
        outputs = np.asarray(prediction, np.float64)
        values = np.asarray(block_values, np.float64)
        shape = (len(outputs), *self._shape[:2], self._shape[2] if chosen is None else chosen.shape[1])
        if values.shape != shape or len(codes) != len(outputs):
            raise EstimationError(
                f"block values have the shape {values.shape}, but the design and {len(codes)} examples need {shape}."
            )
        half = self._shape[1] // 2
        odd = (values[:, :, :half] - values[:, :, half:]).reshape(len(outputs), -1, shape[3]) / 2
        totals = outputs - (self._base_value if chosen is None else self._base_value[chosen])
        found = np.empty((3, len(outputs), self._n_players, shape[3]))
        asked = np.arange(shape[3]) if chosen is None else np.unique(chosen)
        for output, slopes in zip(asked.tolist(), self._surrogate.example_slopes(codes, asked), strict=True):
            rows, places = (slice(None), output) if chosen is None else np.nonzero(chosen == output)
            of_output = self._of_output(output, codes[rows], slopes[rows], odd[rows, :, places], totals[rows, places])
            for part, of_part in zip(found, of_output, strict=True):
                part[rows, :, places] = of_part
        return Attributions(
            values=found[0],
            design_std_error=np.sqrt(found[1]),
            background_std_error=np.sqrt(found[2]),
            base_value=self._base_value,
            completeness_gap=found[0].sum(axis=1) - totals,
            design_dof=self._design_dof,
            background_dof=1 / np.square(self._row_weights).sum() - 1,
            interactions=None,
            noise_ratio=self._noise_ratio,
        )

    def _of_output(
        self, output: int, codes: FloatArray, slopes: FloatArray, odd: FloatArray, totals: FloatArray
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Attributions of one output, (n, d), their design variances, and those of the background."""
        mapped_terms, error_terms = self._terms_of(output)
        terms = np.concatenate([codes * slopes, codes, slopes, totals[:, None], np.ones((len(codes), 1))], axis=1)
        missed = row_products(odd, self._map.T) - row_products(terms, mapped_terms.T)
        known = row_products(row_products(terms, self._known_terms[output]), self._owners)
        even = (totals[:, None] - known.sum(axis=1, keepdims=True)) / self._n_players

        residuals = odd[:, : self._error_pairs] - row_products(terms, error_terms.T)
        residuals -= row_products(missed, self._error_memberships.T)
        squares = np.square(residuals, out=residuals)
        noise = squares.mean(axis=1, keepdims=True) / self._expected_square
        share = np.square(self._row_weights).sum()
        by_surrogate = self._row_variance(output, codes, slopes)
        background = share / (1 - share) * by_surrogate + share * noise * self._surrogate.spread
        return known + missed + even, row_products(squares, self._sensitivity.T), background

    def _terms_of(self, output: int) -> tuple[FloatArray, FloatArray]:
        """What the surrogate gives all pairs of one output, mapped, and those that errors are from; made once."""
        if output not in self._terms:
            of_pairs = self._of_pairs(output)
            self._terms[output] = self._map @ of_pairs, of_pairs[: self._error_pairs].copy()
        return self._terms[output]


def _maps(memberships: FloatArray, pair_weights: FloatArray, weights: FloatArray, spread: FloatArray) -> FloatArray:
    """(n_blocks, d, n_pairs): the sum over blocks of map @ what is left of odd parts is the mean of what is missed.

    Minimises the weighted squares of all blocks' residuals plus those of the blocks' own effects around their mean,
    divided by `spread`, over effects that sum to zero.
    """
    d = memberships.shape[2]
    # Columns that span the effects of sum zero, orthonormal: in them the problem has no constraint.
    basis = np.linalg.qr(np.concatenate([np.ones((d, 1)), np.eye(d)[:, 1:]], axis=1))[0][:, 1:]
    centred = memberships @ basis
    weighted = np.swapaxes(centred * pair_weights[:, :, None], 1, 2)
    gram = weighted @ centred
    # Given the mean effects m, those of block g differ from them by S_g Z_g' W_g (y_g - Z_g m), with D the spreads and
    # S_g = (Z_g' W_g Z_g + D^-1)^-1 (Henderson 1975, mixed model equations). What they differ by is 0 on average, which
    # gives m = (sum w_g S_g Z_g' W_g Z_g)^-1 sum w_g S_g Z_g' W_g y_g: the map of each block is its term.
    shrunk = np.linalg.inv(gram + basis.T @ (basis / spread[:, None]))
    to_mean = np.linalg.inv(np.einsum("g,gij,gjk->ik", weights, shrunk, gram, optimize=True))
    return np.asarray(basis @ to_mean @ (weights[:, None, None] * (shrunk @ weighted)))
