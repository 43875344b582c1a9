"""Integrals along many paths at once, each by as many equal steps as it needs.

Of small models a gradient costs less than to keep account of a segment. So paths are swept as wholes: with the open
rule of three equal steps on each of n / 3 panels, which is exact for gradients that are polynomials up to degree 3, and
where that is not accurate enough, with three times the steps, a third of which are there already. What three times the
steps change gives every player's error, and so do the blocks that a path has on their own. Paths that so many steps as
are left cannot bring near enough, as where a gradient jumps in one place by far, are cut into segments (`integral`).
"""

from __future__ import annotations

import dataclasses
import functools
from typing import NamedTuple, Protocol

import numpy as np

from tfx_explain.paths.integral import Accuracy, Integrals, integrate
from tfx_explain.paths.segments import FloatArray, IntArray, PathFunction
from tfx_explain.paths.strata import satterthwaite_dof

N_BLOCKS = 6
"""Equal parts of a path whose errors are told apart."""
# Between panels of three steps: of the outer ones and of the middle one.
_OUTER, _MIDDLE = 3 / 8, 1 / 4
# Steps of a sweep: a path is in one call.
_MOST_STEPS = 4_374
# How much smaller than the bound the error after the last sweep is expected to be.
_TO_SPARE = 1.5
# Of the segments of paths that sweeps do not bring near enough: between kinks gradients hardly change.
_N_NODES = 2
# Fewer steps than twice those of a first rule of such segments say nothing new of a path.
_LEAST_LEFT = 24
OF_DIFFERENCE = 1 / (1 + 9)
"""Variance of an error by a square of what three times the steps change: of kinks, on average, it is 9 times as large
with a third of them."""


@dataclasses.dataclass(frozen=True)
class Steps:
    """Where gradients are taken in a sweep with n equal steps.

    Attributes:
      n: nine times a multiple of `N_BLOCKS`.
      is_first: whether nothing is known of the path yet; else gradients are taken at steps that are new.
    """

    n: int
    is_first: bool

    @property
    def n_points(self) -> int:
        """Gradients of a path."""
        return sum(group.size for group in self.groups)

    @functools.cached_property
    def groups(self) -> tuple[FloatArray, ...]:
        """Each (N_BLOCKS, m) in (0, 1), whose sums are told apart.

        In the first sweep the steps of the rule of a ninth as many, those that a third as many has besides, and others.
        """
        places = np.arange(self.n)
        is_new = places % 3 != 1
        groups = [is_new]
        if self.is_first:
            is_newer = ~is_new & (places // 3 % 3 != 1)
            groups = [~is_new & ~is_newer, is_newer, is_new]
        return tuple(((places[group] + 0.5) / self.n).reshape(N_BLOCKS, -1) for group in groups)


def step_weights(n: int) -> tuple[float, float]:
    """By a rule of n steps, of those that a rule of a third as many has, and of the others."""
    return 3 * _MIDDLE / n, 3 * _OUTER / n


class Swept(NamedTuple):
    """What the first sweep of q paths comes to.

    Attributes:
      outputs: (q, 2, c) at both ends.
      contributions: (q, d, c).
      variance: (q, d, c) of their errors.
      of_blocks: (q, N_BLOCKS, c) the part that each block has in the sum of the players' variances.
      sums: (q, N_BLOCKS, d, c) of what players change per unit of alpha, over all steps.
      integrals: (q, N_BLOCKS, d, c) of each block.
    """

    outputs: FloatArray
    contributions: FloatArray
    variance: FloatArray
    of_blocks: FloatArray
    sums: FloatArray
    integrals: FloatArray


class SweptFunction(PathFunction, Protocol):
    """A function that is swept as well as cut into segments."""

    def first_sweep(self, paths: IntArray, steps: Steps) -> Swept:
        """Of paths (q,)."""

    def sweep(self, paths: IntArray, steps: Steps) -> FloatArray:
        """(q, N_BLOCKS, d, c) sums of what players change per unit of alpha, over the new steps of a later sweep."""

    def part(self, paths: IntArray) -> SweptFunction:
        """The same of some paths, (q,), counted anew."""


def sweep(function: SweptFunction, accuracy: Accuracy, n: int) -> Integrals:
    """Integrals along P paths.

    Args:
      function: of the paths.
      accuracy: when they are done; of at least n steps.
      n: steps of the first sweep, as of `Steps`.
    """
    made, n_players = function.first_sweep(np.arange(len(accuracy.unit)), Steps(n, True)), function.n_players
    change, left, sums, integrals = made.outputs[:, 1] - made.outputs[:, 0], np.arange(len(accuracy.unit)), *made[4:]
    found = Integrals(
        made.contributions,
        made.variance,
        _dof(made.of_blocks),
        made.contributions[:, :n_players].sum(axis=1) - change,
        is_complete=np.zeros(len(change), np.bool_),
        n_steps=np.full(len(change), n),
        n_values=np.full(len(change), made.outputs.shape[1]),
    )
    while True:
        excess = _excess(found, left, n_players, accuracy)
        goes_on = (excess > 1) & (excess <= _reach(n, accuracy.max_steps))
        _cut(function, accuracy, found, left[(excess > 1) & ~goes_on])
        if not goes_on.any():
            break
        left, sums, integrals, n = left[goes_on], sums[goes_on], integrals[goes_on], 3 * n
        new, (of_old, of_new), before = function.sweep(left, Steps(n, False)), step_weights(n), integrals
        integrals, sums = of_old * sums + of_new * new, sums + new
        variance = np.square(integrals - before) * OF_DIFFERENCE
        found.contributions[left], found.variance[left] = integrals.sum(axis=1), variance.sum(axis=1)
        found.gap[left] = found.contributions[left, :n_players].sum(axis=1) - change[left]
        found.dof[left] = _dof(variance[:, :, :n_players].sum(axis=2))
        found.n_steps[left] = n
    bound = accuracy.bound(np.arange(len(change)), found.contributions[:, :n_players])
    return dataclasses.replace(found, is_complete=np.asarray((np.abs(found.gap) <= bound).all(axis=1)))


def _excess(found: Integrals, paths: IntArray, n_players: int, accuracy: Accuracy) -> FloatArray:
    """(q,) how many times too large the error of some paths is, of the worst output; NaN where it is not known."""
    error = np.maximum(np.abs(found.gap[paths]), np.sqrt(found.variance[paths, :n_players].sum(axis=1)))
    bound = accuracy.bound(paths, found.contributions[paths, :n_players])
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(error == 0, 0.0, error / bound).max(axis=1, initial=0.0))


def _reach(n: int, max_steps: int) -> float:
    """How many times too large an error may be after n steps for those that are left: of kinks it goes as 1 / n.

    Few steps are left for segments after the last sweep, and errors scatter: there is to be something to spare.
    """
    reach = 1
    while 3 * reach * n <= min(max_steps, _MOST_STEPS):
        reach *= 3
    return reach / _TO_SPARE if reach == 3 else reach


def _cut(function: SweptFunction, accuracy: Accuracy, found: Integrals, paths: IntArray) -> None:
    """Cuts paths (q,) into segments, where some steps are left, and takes over what is better."""
    left = accuracy.max_steps - int(found.n_steps[paths].max(initial=0))
    if not len(paths) or left < _LEAST_LEFT:
        return
    part = dataclasses.replace(
        accuracy, max_steps=left, unit=accuracy.unit[paths], floor=accuracy.floor[paths], n_nodes=_N_NODES
    )
    made = integrate(function.part(paths), part)
    every = np.arange(len(paths))
    is_better = _excess(made, every, function.n_players, part) < _excess(found, paths, function.n_players, accuracy)
    found.n_steps[paths] += made.n_steps
    found.n_values[paths] += made.n_values
    chosen = paths[is_better]
    for name in ("contributions", "variance", "dof", "gap"):
        getattr(found, name)[chosen] = getattr(made, name)[is_better]


def _dof(of_blocks: FloatArray) -> FloatArray:
    """(q,) degrees of freedom of variances that have parts (q, N_BLOCKS, c)."""
    of_block = of_blocks.sum(axis=2)
    return satterthwaite_dof(of_block.sum(axis=1), np.square(of_block).sum(axis=1))
