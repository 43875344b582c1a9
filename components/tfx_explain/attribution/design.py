"""Designs: which coalitions meet which background rows, and the matrices that turn their values into attributions."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, field, fields

import numpy as np
import numpy.typing as npt

from tfx_explain.attribution.balance import balance_pairs
from tfx_explain.attribution.choice import ESTIMATORS, check_budget, minimum_budget, n_inner_coalitions
from tfx_explain.attribution.maps import (
    FloatArray,
    faith_shap_map,
    kernel_weights,
    odd_map,
    shapley_interaction_map,
)
from tfx_explain.attribution.reference import variance_ratio
from tfx_explain.attribution.sampling import (
    Coalitions,
    RandomWords,
    Strata,
    allocate_pairs,
    draw_pairs,
    draw_permutations,
    n_pairs_of_size,
)
from tfx_explain.errors import EstimationError

# A job holds several designs, so each is kept small: 2^22 doubles are 32 MiB, 2^26 booleans 64 MiB.
_MAX_MAP_ELEMENTS = 2**22
_MAX_COALITION_ELEMENTS = 2**26
_MAX_INTERACTION_BLOCK_ELEMENTS = 2**23
# Fewer blocks have no standard error for the background, so memory gives way to these.
_MIN_BLOCKS = 4
# Blocks of an exact design serve only the background's standard error; 32 know it to 13 %.
_EXACT_BLOCKS = 32
_DRAWS = 8
# Enough to be balanced together, and few enough to be looked through quickly.
_GROUP_PAIRS_PER_PLAYER = 4
# Of more pairs, most directions are even by themselves, and exchanges take long.
_MAX_BALANCED_PAIRS_PER_PLAYER = 16
# Blocks are alike, so a few say what balance does to the error of all.
_REFERENCE_BLOCKS = 8
_PARTITION_STREAM = 2**63


@dataclass(frozen=True, eq=False)
class Design:
    """Which (coalition, background row) pairs are evaluated, and how their values become attributions.

    The background is split at random into blocks. Each block has its own coalitions, every row of a block meets all of
    them, and each block is solved for itself; attributions are the weighted mean over blocks. Different coalitions in
    each block cost nothing and cut the error 1.3-4 times against crossing all rows with the same coalitions.

    Coalitions are stored in pairs: in each block, row p + n_coalitions / 2 is the complement of row p. Neither the
    empty nor the full coalition is among them: their values are the background predictions and the prediction.

    Attributes:
      estimator: `exact`, `leverage`, `permutation` or `surrogate`; what is really used, so `exact` where the budget
        allows it.
      n_players: number of players d.
      n_background: number of background rows B that the design was made for.
      coalitions: (n_blocks, n_coalitions, n_players) bool, True = present.
      background_index: (n_blocks, n_block_rows) int32, rows of the background that each coalition of the block meets.
      background_weight: (n_blocks, n_block_rows) float64, sums to 1 over everything; shorter blocks repeat a row with
        weight 0. Rows of weight 0 are in no block.
      linear_map: (n_blocks or 1, n_players, n_pairs) odd parts to centred attributions; None for `permutation` and
        `surrogate`.
      leverages: (n_blocks or 1, n_pairs) diagonal of the hat matrix of `linear_map`; None like it.
      variance_factors: (n_pairs,) (1 - f) n / (n - 1) of each pair's size stratum, f the fraction of it that was drawn,
        times what balance leaves of the variance: all zero for `exact`; empty for `permutation` and `surrogate`.
      permutations: (n_blocks, n_permutations, n_players) int; None except for `permutation`.
      pair_weights: (n_blocks, n_pairs) of the regression, about 1 for pairs of halves; None except for `surrogate`.
      interaction_index: "SII", "Faith-SHAP", or "" where no interactions were asked for.
      interaction_pairs: (n_interactions, 2) int32 players.
      interaction_map: (n_blocks or 1, n_interactions, n_pairs) even parts to interactions, or None.
    """

    estimator: str
    n_players: int
    n_background: int
    coalitions: Coalitions
    background_index: npt.NDArray[np.int32]
    background_weight: FloatArray
    linear_map: FloatArray | None = field(default=None, repr=False)
    leverages: FloatArray | None = field(default=None, repr=False)
    variance_factors: FloatArray = field(default_factory=lambda: np.zeros(0), repr=False)
    permutations: npt.NDArray[np.int64] | None = field(default=None, repr=False)
    pair_weights: FloatArray | None = field(default=None, repr=False)
    interaction_index: str = ""
    interaction_pairs: npt.NDArray[np.int32] = field(default_factory=lambda: np.zeros((0, 2), np.int32), repr=False)
    interaction_map: FloatArray | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        """Freezes the arrays: designs are shared between threads."""
        for entry in fields(self):
            value = getattr(self, entry.name)
            if isinstance(value, np.ndarray):
                value.setflags(write=False)

    @property
    def n_blocks(self) -> int:
        """Number of blocks of background rows."""
        return self.coalitions.shape[0]

    @property
    def n_coalitions(self) -> int:
        """Coalitions evaluated per background row."""
        return self.coalitions.shape[1]

    @property
    def n_model_rows(self) -> int:
        """Model rows evaluated per example, padding included, the prediction and the background's not."""
        return self.n_coalitions * self.background_index.size


def make_design(
    estimator: str,
    *,
    n_players: int,
    budget: int,
    background_weights: npt.ArrayLike,
    seed: int,
    design_id: int = 0,
    interactions: int = 0,
) -> Design:
    """Makes a design; equal arguments give equal designs on every machine.

    - `exact`: all 2^d - 2 coalitions in every block. Attributions have no design error. Blocks only serve the standard
      error of the background; they do not change the attributions or the number of model rows.
    - `leverage`: pairs of coalitions drawn without replacement, sizes equally often, and a least squares solve per
      block. Exact for order-2 games. As many blocks as background rows, while the matrices stay below 32 MiB.
    - `permutation`: permutations and their reverses. Exact for order-2 games with one pair.
    - `surrogate`: as `leverage`, with fewer pairs than can be solved; see `PooledRegression`.

    Any estimator becomes `exact` where the budget reaches 2^d - 2, and `surrogate` becomes `leverage` from 4d up.

    Args:
      estimator: `exact`, `leverage`, `permutation` or `surrogate`; see `choose_estimator` for `auto`.
      n_players: number of players d, at least 1.
      budget: coalitions per background row; `leverage` rounds down to even, `permutation` to a multiple of 2 (d - 1).
      background_weights: (B,) non-negative weights that sum to 1.
      seed: seed of the whole job.
      design_id: number of this design among several of one job.
      interactions: 2 for all pairwise interactions besides the attributions, 0 for none. `exact` gives the Shapley
        interaction index (SII), `leverage` Faith-SHAP; the two are equal for order-2 games only.

    Returns:
      The design.

    Raises:
      EstimationError: the budget is below `minimum_budget`, the players are too many, or the weights are no weights.

    Source: Musco & Witter 2024 (arXiv 2410.01917) for leverage sampling, Mitchell et al. 2022 for antithetic
      permutations; the blocks are ours.
    """
    if estimator in ESTIMATORS and n_players >= 1 and budget >= n_inner_coalitions(n_players):
        estimator = "exact"
    weights = _checked_weights(background_weights)
    if estimator == "surrogate" and budget >= minimum_budget("leverage", n_players, interactions):
        estimator = "leverage"
    check_budget(estimator, n_players, budget, interactions, int(np.count_nonzero(weights)))
    stream = _Stream(seed, n_players, budget, design_id)
    if estimator == "exact":
        return _exact_design(n_players, weights, stream, interactions)
    if estimator == "leverage":
        return _leverage_design(n_players, budget // 2, weights, stream, interactions)
    if estimator == "surrogate":
        return _surrogate_design(n_players, budget // 2, weights, stream)
    return _permutation_design(n_players, budget // (2 * (n_players - 1)), weights, stream)


@dataclass(frozen=True)
class _Stream:
    """Names the random streams of one design."""

    seed: int
    n_players: int
    budget: int
    design_id: int

    def block(self, block: int) -> RandomWords:
        return RandomWords(self.seed, self.n_players, self.budget, block, self.design_id)


def _checked_weights(background_weights: npt.ArrayLike) -> FloatArray:
    weights = np.asarray(background_weights, dtype=np.float64)
    if weights.ndim != 1 or not weights.size:
        raise EstimationError(f"background weights must be a non-empty vector, got shape {weights.shape}.")
    if not (np.isfinite(weights).all() and (weights >= 0).all() and abs(weights.sum() - 1) <= 1e-6):
        raise EstimationError(
            f"background weights must be non-negative and sum to 1, got a sum of {weights.sum():g} and a least "
            f"weight of {weights.min():g}; divide them by their sum."
        )
    return np.asarray(weights / weights.sum(), dtype=np.float64)


def _partition(weights: FloatArray, max_blocks: int, stream: _Stream) -> tuple[npt.NDArray[np.int32], FloatArray]:
    """Splits the background rows at random into at most `max_blocks` blocks of nearly equal size.

    Random, because the spread between blocks has to stand for the spread between backgrounds, in whatever order rows
    come. The number of blocks is the largest that needs little padding, but not below `_MIN_BLOCKS` where that can be.
    """
    rows = np.flatnonzero(weights)
    rows = rows[stream.block(_PARTITION_STREAM).orders(1, len(rows))[0]]
    n_block_rows = math.ceil(len(rows) / max_blocks)
    least = min(_MIN_BLOCKS, max_blocks, len(rows))
    blocks = np.array_split(rows, max(math.ceil(len(rows) / n_block_rows), least))
    index = np.array([np.resize(block, n_block_rows) for block in blocks], dtype=np.int32)
    filled = np.arange(n_block_rows) < np.array([[len(block)] for block in blocks])
    return index, np.where(filled, weights[index], 0.0)


def _exact_design(n_players: int, weights: FloatArray, stream: _Stream, interactions: int) -> Design:
    half = _all_pairs(n_players)
    counts = tuple(n_pairs_of_size(n_players, size) for size in range(1, n_players // 2 + 1))
    solved = odd_map(half, kernel_weights(Strata(n_players, counts)))
    if solved is None:
        raise EstimationError(f"enumerating {n_players} players has no solution; this is a defect of this package.")
    index, weight = _partition(
        weights, min(_EXACT_BLOCKS, max(_MAX_COALITION_ELEMENTS // (2 * max(half.size, 1)), _MIN_BLOCKS)), stream
    )
    pairs = _player_pairs(n_players if interactions else 0)
    if len(pairs) * len(half) > _MAX_INTERACTION_BLOCK_ELEMENTS:
        raise _too_many_interactions(n_players)
    return Design(
        estimator="exact",
        n_players=n_players,
        n_background=len(weights),
        coalitions=np.broadcast_to(_with_complements(half), (len(index), 2 * len(half), n_players)),
        background_index=index,
        background_weight=weight,
        linear_map=solved[0][None],
        leverages=solved[1][None],
        variance_factors=np.zeros(len(half)),
        interaction_index="SII" if interactions else "",
        interaction_pairs=pairs.astype(np.int32),
        interaction_map=shapley_interaction_map(half, pairs)[None] if interactions else None,
    )


def _all_pairs(n_players: int) -> Coalitions:
    """One half of every pair, the one without the last player, ordered by the size of the smaller half."""
    codes = np.arange(1, 2 ** (n_players - 1))
    half = np.zeros((len(codes), n_players), dtype=bool)
    half[:, :-1] = codes[:, None] >> np.arange(n_players - 1) & 1
    sizes = half.sum(axis=1)
    return half[np.argsort(np.minimum(sizes, n_players - sizes), kind="stable")]


def _leverage_design(n_players: int, n_pairs: int, weights: FloatArray, stream: _Stream, interactions: int) -> Design:
    pairs = _player_pairs(n_players if interactions else 0)
    if len(pairs) * n_pairs > _MAX_INTERACTION_BLOCK_ELEMENTS:
        raise _too_many_interactions(n_players)
    affordable = _MAX_MAP_ELEMENTS // (max(n_players, len(pairs)) * n_pairs)
    index, weight = _partition(weights, max(affordable, _MIN_BLOCKS), stream)
    strata = allocate_pairs(n_players, n_pairs)
    kernel = kernel_weights(strata)
    streams = [stream.block(block) for block in range(len(index))]
    halves = np.stack([draw_pairs(random, strata) for random in streams])
    is_balanced = n_pairs <= _MAX_BALANCED_PAIRS_PER_PLAYER * n_players
    if is_balanced:
        orders = np.concatenate([random.orders(1, n_players) for random in streams])
        halves = balance_pairs(halves, strata, kernel, orders)
    blocks = [
        _leverage_block(random, half, strata, kernel, pairs) for random, half in zip(streams, halves, strict=True)
    ]
    counts = np.array(strata.counts)
    fractions = np.array(
        [count / population for count, population in zip(strata.counts, strata.populations, strict=True)]
    )
    linear_maps = np.stack([block.linear_map for block in blocks])
    leverages = np.stack([block.leverages for block in blocks])
    factors = strata.per_pair((1 - fractions) * counts / np.maximum(counts - 1, 1))
    if is_balanced:
        few = slice(0, _REFERENCE_BLOCKS)
        final = np.stack([block.half for block in blocks[few]])
        factors *= variance_ratio(final, linear_maps[few], leverages[few], factors)
    return Design(
        estimator="leverage",
        n_players=n_players,
        n_background=len(weights),
        coalitions=np.stack([_with_complements(block.half) for block in blocks]),
        background_index=index,
        background_weight=weight,
        linear_map=linear_maps,
        leverages=leverages,
        variance_factors=factors,
        interaction_index="Faith-SHAP" if interactions else "",
        interaction_pairs=pairs.astype(np.int32),
        interaction_map=np.stack([block.interaction_map for block in blocks]) if interactions else None,
    )


@dataclass(frozen=True)
class _Block:
    half: Coalitions
    linear_map: FloatArray
    leverages: FloatArray
    interaction_map: FloatArray


def _leverage_block(
    random: RandomWords, half: Coalitions, strata: Strata, weights: FloatArray, pairs: npt.NDArray[np.int64]
) -> _Block:
    """Draws coalitions anew until they determine all unknowns; at the budgets allowed the first nearly always do."""
    for _ in range(_DRAWS):
        solved = odd_map(half, weights)
        interaction_map = faith_shap_map(half, weights, pairs)
        if solved is not None and interaction_map is not None:
            return _Block(half, *solved, interaction_map)
        half = draw_pairs(random, strata)
    raise EstimationError(
        f"{2 * len(half)} coalitions per background row do not determine the attributions of {strata.n_players} "
        f"players; raise `budget` to {4 * len(half)}."
    )


def _permutation_design(n_players: int, n_permutations: int, weights: FloatArray, stream: _Stream) -> Design:
    n_pairs = n_permutations * (n_players - 1)
    index, weight = _partition(weights, max(_MAX_COALITION_ELEMENTS // (2 * n_pairs * n_players), _MIN_BLOCKS), stream)
    permutations = np.stack(
        [draw_permutations(stream.block(block), n_players, n_permutations) for block in range(len(index))]
    )
    position = np.argsort(permutations, axis=2)
    prefix = np.arange(1, n_players)[:, None] > position[:, :, None, :]
    return Design(
        estimator="permutation",
        n_players=n_players,
        n_background=len(weights),
        coalitions=_with_complements(prefix.reshape(len(index), n_pairs, n_players)),
        background_index=index,
        background_weight=weight,
        permutations=permutations,
    )


def _surrogate_design(n_players: int, n_pairs: int, weights: FloatArray, stream: _Stream) -> Design:
    """Coalitions of several blocks are drawn and balanced together, then dealt out: one block has too few of them."""
    index, weight = _partition(weights, max(_MAX_MAP_ELEMENTS // (n_players * n_pairs), _MIN_BLOCKS), stream)
    n_groups = math.ceil(len(index) * n_pairs / (_GROUP_PAIRS_PER_PLAYER * n_players))
    per_group = math.ceil(len(index) / n_groups)
    strata = allocate_pairs(n_players, per_group * n_pairs)
    streams = [stream.block(group) for group in range(n_groups)]
    drawn = np.stack([draw_pairs(random, strata) for random in streams])
    kernel = kernel_weights(strata)
    halves = balance_pairs(drawn, strata, kernel, np.concatenate([random.orders(1, n_players) for random in streams]))
    deal = np.concatenate([random.orders(1, per_group * n_pairs) for random in streams])
    shape = (n_groups * per_group, n_pairs)
    dealt = np.take_along_axis(halves, deal[:, :, None], axis=1).reshape(*shape, n_players)[: len(index)]
    # Brings pairs of two halves to about 1, the unit that the spread between blocks is in.
    scale = n_players * len(kernel) / 2
    return Design(
        estimator="surrogate",
        n_players=n_players,
        n_background=len(weights),
        coalitions=_with_complements(dealt),
        background_index=index,
        background_weight=weight,
        pair_weights=scale * kernel[deal].reshape(shape)[: len(index)],
    )


def _with_complements(half: Coalitions) -> Coalitions:
    return np.concatenate([half, ~half], axis=-2)


def _player_pairs(n_players: int) -> npt.NDArray[np.int64]:
    return np.array(list(itertools.combinations(range(n_players), 2)), dtype=np.int64).reshape(-1, 2)


def _too_many_interactions(n_players: int) -> EstimationError:
    return EstimationError(
        f"pairwise interactions of {n_players} players need a matrix that is too large; group features into fewer "
        "players, lower `budget`, or set `interactions: 0`."
    )
