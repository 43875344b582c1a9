"""From the values of a design's coalitions to attributions and their standard errors: a few matrix products."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tfx_explain.attribution.design import Design
from tfx_explain.attribution.maps import FloatArray, centre
from tfx_explain.attribution.result import Attributions
from tfx_explain.errors import EstimationError

_MIN_DOF = 3
_SMALLEST_RESIDUAL_SHARE = 1e-6
# What the design's part of the error is taken for where it cannot be told from the background's.
_UNSEPARATED = 0.5
# Residuals of few coalitions of many players are too small, more than their leverages say; by simulation.
_TOO_SMALL = 0.3


class _Solved(NamedTuple):
    """Per block and case, c = n * K cases: attributions and design variances (G, c, d), and degrees of freedom."""

    values: FloatArray
    variance: FloatArray
    dof: float


# Values that are not finite are the caller's to report; here they only have to stay within their example.
@np.errstate(invalid="ignore", over="ignore")
def attribute(
    design: Design,
    block_values: npt.ArrayLike,
    prediction: npt.ArrayLike,
    background_predictions: npt.ArrayLike,
) -> Attributions:
    """Turns the values of a design's coalitions into attributions with standard errors.

    Args:
      design: made by `make_design`.
      block_values: (n, n_blocks, n_coalitions, K) model outputs, averaged over the rows of each block with
        `background_weight` normalised within the block.
      prediction: (n, K) outputs of the examples.
      background_predictions: (B, K) outputs of all background rows.

    Returns:
      Attributions. An example whose values are not finite has no finite attributions; others are not affected.

    Raises:
      EstimationError: a shape does not fit the design.

    The design error of `leverage` is the sandwich estimate per block, with residuals inflated for their leverage and a
    finite population correction per coalition size; of `permutation`, the spread between the permutations of a block.
    Blocks are independent, so variances add with squared block weights. The spread BETWEEN blocks holds design and
    background error; what exceeds the design variance is the background's.

    Residuals are divided by sqrt(1 - h) (HC2) and not centred within strata. Leave-one-out residuals (HC3) make the
    errors far too large at 4d; centring makes intervals too short for a single background row. What balanced
    coalitions take off the variance is in the design's `variance_factors`.

    A player that matters in a few contexts only, with an attribution far below 1 % of the largest, has an unbiased
    variance, but its interval may cover less than its confidence: the few contexts are often missed altogether.

    Degrees of freedom count blocks as if they were (sum w^2)^2 / sum w^4 blocks of equal weight.

    Source: MacKinnon & White 1985 (HC2) for the sandwich; Cochran 1977, chapter 5, for strata; the split is ours.
    """
    values, outputs, backgrounds = _checked(design, block_values, prediction, background_predictions)
    n, n_outputs = outputs.shape
    weights = design.background_weight.sum(axis=1)
    block_base = _block_base(design, backgrounds)
    base_value = weights @ block_base
    totals = _totals(design, outputs, block_base)

    half, complement = _halves(values)
    solved = _solve(design, half, complement, totals)
    attributions = np.einsum("g,gcd->cd", weights, solved.values)
    total_variance = _variance_between_blocks(design, solved.values, attributions)
    separated = solved.dof > 0
    n_effective = (weights**2).sum() ** 2 / (weights**4).sum()
    design_variance = np.einsum("g,gcd->cd", weights**2, solved.variance) if separated else total_variance

    def per_example(per_case: FloatArray) -> FloatArray:
        return np.ascontiguousarray(per_case.reshape(n, n_outputs, per_case.shape[1]).transpose(0, 2, 1))

    interactions, interaction_error = None, None
    if design.interaction_map is not None:
        ends = (outputs[None] + block_base[:, None]).reshape(totals.shape) / 2
        mean, variance = _interactions(design, design.interaction_map, (half + complement) / 2 - ends)
        interactions, interaction_error = per_example(mean), per_example(np.sqrt(variance))

    result = per_example(attributions)
    return Attributions(
        values=result,
        design_std_error=per_example(np.sqrt(design_variance)),
        background_std_error=per_example(np.sqrt(np.maximum(total_variance - design_variance, 0.0))),
        base_value=base_value,
        completeness_gap=result.sum(axis=1) - (outputs - base_value),
        design_dof=n_effective * solved.dof if separated else n_effective - 1,
        background_dof=n_effective - 1,
        errors_separated=separated,
        interactions=interactions,
        interaction_std_error=interaction_error,
        interaction_pairs=design.interaction_pairs,
        interaction_index=design.interaction_index,
        noise_ratio=_noise_ratio(design) if separated else _UNSEPARATED,
    )


def _noise_ratio(design: Design) -> float:
    """Of the actual design error to its estimate, for attributions near 0."""
    return 1.0 + (_TOO_SMALL * design.n_players / design.n_coalitions if design.estimator == "leverage" else 0.0)


def block_effects(
    design: Design, block_values: npt.ArrayLike, prediction: npt.ArrayLike, background_predictions: npt.ArrayLike
) -> tuple[FloatArray, FloatArray]:
    """Attributions of n examples for each block of the background alone; arguments as of `attribute`.

    Returns:
      (n, n_blocks, d, K) attributions and their design variances.
    """
    values, outputs, backgrounds = _checked(design, block_values, prediction, background_predictions)
    n, n_outputs = outputs.shape
    half, complement = _halves(values)
    solved = _solve(design, half, complement, _totals(design, outputs, _block_base(design, backgrounds)))
    shape = (design.n_blocks, n, n_outputs, design.n_players)
    effects, variances = (part.reshape(shape).transpose(1, 0, 3, 2) for part in (solved.values, solved.variance))
    return np.ascontiguousarray(effects), np.ascontiguousarray(variances)


def _block_base(design: Design, backgrounds: FloatArray) -> FloatArray:
    """(n_blocks, K) mean outputs over each block's rows."""
    base = np.einsum("gr,grk->gk", design.background_weight, backgrounds[design.background_index])
    return np.asarray(base / design.background_weight.sum(axis=1)[:, None])


def _totals(design: Design, outputs: FloatArray, block_base: FloatArray) -> FloatArray:
    """(n_blocks, n * K, 1) what the attributions of each block add up to."""
    return np.asarray((outputs[None] - block_base[:, None]).reshape(design.n_blocks, outputs.size, 1))


def _checked(
    design: Design, block_values: npt.ArrayLike, prediction: npt.ArrayLike, background_predictions: npt.ArrayLike
) -> tuple[FloatArray, FloatArray, FloatArray]:
    values = np.asarray(block_values, dtype=np.float64)
    outputs = np.asarray(prediction, dtype=np.float64)
    backgrounds = np.asarray(background_predictions, dtype=np.float64)
    if outputs.ndim != 2:
        raise EstimationError(f"predictions must have the shape (examples, outputs), got {outputs.shape}.")
    n, n_outputs = outputs.shape
    for name, array, expected in (
        ("block values", values, (n, design.n_blocks, design.n_coalitions, n_outputs)),
        ("background predictions", backgrounds, (design.n_background, n_outputs)),
    ):
        if array.shape != expected:
            raise EstimationError(f"{name} have the shape {array.shape}, but design and predictions need {expected}.")
    return values, outputs, backgrounds


def _halves(values: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Values of one half of each pair and of their complements, (n_blocks, n * K, n_pairs) each.

    For a single output these are views: the values are many, and copying them would cost more than the solve.
    """
    n, n_blocks, n_coalitions, n_outputs = values.shape
    cases = values.transpose(1, 0, 3, 2).reshape(n_blocks, n * n_outputs, n_coalitions)
    return cases[:, :, : n_coalitions // 2], cases[:, :, n_coalitions // 2 :]


def _solve(design: Design, half: FloatArray, complement: FloatArray, totals: FloatArray) -> _Solved:
    """Attributions of each block; few passes over the values, which are many and leave no cache as they were."""
    if design.permutations is not None:
        return _solve_permutations(design.permutations, half, complement, totals)
    if design.linear_map is None or design.leverages is None:
        raise EstimationError(f"designs of `{design.estimator}` are not solved here; see `PooledRegression`.")
    coalitions = design.coalitions[:, : half.shape[2]]
    # What an even share of the total gives each pair, as its odd part.
    share = coalitions.mean(axis=2, keepdims=True) - 0.5
    odd = np.subtract(half, complement)
    odd *= 0.5
    centred = np.matmul(odd, design.linear_map.transpose(0, 2, 1))
    centred -= totals * np.matmul(design.linear_map, share).transpose(0, 2, 1)
    even_share = totals / design.n_players
    if design.estimator == "exact":
        return _Solved(centred + even_share, np.zeros_like(centred), np.inf)
    n_pairs = odd.shape[2]
    # Fitted odd parts of players and of the even share in one product.
    terms = np.concatenate([centre(coalitions), share], axis=2)
    odd -= np.matmul(np.concatenate([centred, totals], axis=2), terms.transpose(0, 2, 1))
    # Where a pair determines its own fit there is no residual to speak of, and no variance either.
    scale = design.variance_factors / np.maximum(1 - design.leverages, _SMALLEST_RESIDUAL_SHARE)
    sensitivity = design.linear_map**2 * scale[:, None, :]
    variance = np.matmul(np.square(odd, out=odd), sensitivity.transpose(0, 2, 1))
    return _Solved(centred + even_share, variance, n_pairs - design.n_players + 1.0)


def _solve_permutations(
    permutations: npt.NDArray[np.int64], half: FloatArray, complement: FloatArray, totals: FloatArray
) -> _Solved:
    """Attributions are differences of odd parts along each permutation, from -totals / 2 to totals / 2."""
    n_blocks, n_permutations, n_players = permutations.shape
    shape = (half.shape[1], n_blocks, n_permutations, n_players - 1)
    first, second, ends = (array.transpose(1, 0, 2) for array in (half, complement, totals))
    odd = np.subtract(first.reshape(shape), second.reshape(shape))
    steps = np.empty((*shape[:3], n_players))
    np.subtract(odd[..., 1:], odd[..., :-1], out=steps[..., 1:-1])
    np.add(odd[..., 0], ends, out=steps[..., 0])
    np.subtract(ends, odd[..., -1], out=steps[..., -1])
    steps *= 0.5
    # From the order of each permutation to that of the players; `take` on flat rows is the fastest way there.
    place = np.argsort(permutations, axis=2) + n_players * np.arange(n_blocks * n_permutations).reshape(n_blocks, -1, 1)
    per_permutation = steps.reshape(len(steps), -1).take(place.ravel(), axis=1).reshape(steps.shape).swapaxes(0, 1)
    if n_permutations == 1:
        unknown = np.broadcast_to(0.0, (*per_permutation.shape[:2], n_players))
        return _Solved(per_permutation[:, :, 0], unknown, 0.0)
    variance = per_permutation.var(axis=2, ddof=1) / n_permutations
    if n_blocks * (n_permutations - 1) < _MIN_DOF:
        variance = np.full_like(variance, np.nan)
    return _Solved(per_permutation.mean(axis=2), variance, n_permutations - 1.0)


def _interactions(design: Design, interaction_map: FloatArray, even: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Interactions and their variances, (c, n_interactions) each, from even parts (G, c, n_pairs)."""
    per_block = np.matmul(even, interaction_map.transpose(0, 2, 1))
    mean = np.einsum("g,gci->ci", design.background_weight.sum(axis=1), per_block)
    return mean, _variance_between_blocks(design, per_block, mean)


def _variance_between_blocks(design: Design, per_block: FloatArray, mean: FloatArray) -> FloatArray:
    """Variance of the weighted mean over blocks, from the spread between them; nan for fewer than 4 blocks.

    A block's variance is proportional to the sum of squares of its rows' shares. With that, the estimate is unbiased
    for any weights and block sizes; for equal ones it is the familiar squared standard error of a mean.

    Args:
      design: the design.
      per_block: (G, c, d) estimates.
      mean: (c, d) their weighted mean.

    Returns:
      (c, d) variances.
    """
    if design.n_blocks <= _MIN_DOF:
        return np.full_like(mean, np.nan)
    weights = design.background_weight.sum(axis=1)
    block_variance = (design.background_weight**2).sum(axis=1) / weights**2
    mean_variance = weights**2 @ block_variance
    expected = weights**2 @ (block_variance * (1 - 2 * weights) + mean_variance)
    spread = np.einsum("g,gcd->cd", weights**2, np.square(per_block - mean))
    return np.asarray(spread * (mean_variance / expected), dtype=np.float64)
