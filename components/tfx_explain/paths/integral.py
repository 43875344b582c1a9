"""Integrals along many paths at once, each as accurate as was asked for.

Paths are cut into segments with a Gauss-Legendre rule of few nodes on each. Completeness gives every segment a gap of
its own: the difference of the outputs at its ends less what its nodes add up to. What cutting a segment changed gives
it an error for each player, which may be large where the gap is small, as errors of players cancel in it. Segments with
too much of a path's gap or error are cut up, so a kink (of a ReLU, or of a layer norm near a reference of zeros) is
bracketed and the smooth rest of the path stays as it is. Work goes by rounds, over the segments of all paths together.

Source: M. Sundararajan, A. Taly, Q. Yan, "Axiomatic attribution for deep networks", ICML 2017, for the integral; the
choice of steps is ours. Elsewhere one number of steps serves all rows, and nothing says where they are too few.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt

from tfx_explain.paths.rules import Rule
from tfx_explain.paths.segments import (
    FloatArray,
    IntArray,
    Ledger,
    PathFunction,
    PathSums,
    Segments,
    pieces,
    whole_paths,
)
from tfx_explain.paths.strata import satterthwaite_dof

__all__ = ["Accuracy", "Integrals", "PathFunction", "integrate"]

_N_NODES = 4
# That a path is cut into at first. Later each segment is halved: networks of many kinks need little more than is there,
# and a gradient costs more than a round does.
_N_PIECES = 4
# In narrower segments all points are the same to a model of 32-bit floats.
_NARROWEST = 2.0**-22


@dataclasses.dataclass(frozen=True)
class Accuracy:
    """When a path is done: its gap, and the error of its contributions, are small, or its steps are used up.

    Attributes:
      max_gap: both are this part of its unit, and of the sum of the sizes of its contributions, or less.
      max_steps: most points per path that gradients are taken at, at least 3.
      unit: (P, c) of each path's outputs.
      floor: (P, c) gaps that are rounding.
      n_nodes: of a segment: an even number.
    """

    max_gap: float
    max_steps: int
    unit: FloatArray
    floor: FloatArray
    n_nodes: int = _N_NODES

    @property
    def rule(self) -> Rule:
        """How a segment is cut that has too much of its path's gap or error; more coarsely for very few steps."""
        most = min(self.n_nodes, self.max_steps // 3)
        return Rule(2, most - most % 2 if most > 1 else most)

    @property
    def first_rule(self) -> Rule:
        """How a path is cut at first; its whole has a rule of half as many nodes, so that errors are known at once."""
        n_nodes = self.rule.n_nodes
        n_pieces = min(_N_PIECES, 2 * (self.max_steps // (3 * n_nodes)))
        return Rule(n_pieces, n_nodes, n_pieces * n_nodes // 2)

    def bound(self, paths: IntArray, contributions: FloatArray) -> FloatArray:
        """(k, c) largest gaps of some paths (k,) with these contributions (k, d, c) of players.

        Both units: an output near 0 leaves the second alone, and where players cancel, the difference of the outputs
        says nothing of how much moved.
        """
        moved = np.abs(contributions).sum(axis=1)
        return np.maximum(self.max_gap * np.minimum(self.unit[paths], moved), self.floor[paths])


@dataclasses.dataclass(frozen=True)
class Integrals:
    """What P paths come to.

    Attributes:
      contributions: (P, d, c), of players and then of their parts.
      variance: (P, d, c) of their errors, from what refining changed.
      dof: (P,) degrees of freedom of `variance`; infinite where it is 0.
      gap: (P, c) sum of the players' contributions less the difference of the outputs at both ends.
      is_complete: (P,) whether the gaps are as small as asked for.
      n_steps: (P,) points that gradients were taken at.
      n_values: (P,) points where outputs were asked for.
    """

    contributions: FloatArray
    variance: FloatArray
    dof: FloatArray
    gap: FloatArray
    is_complete: npt.NDArray[np.bool_]
    n_steps: IntArray
    n_values: IntArray


def integrate(function: PathFunction, accuracy: Accuracy) -> Integrals:
    """Integrals along P paths.

    Args:
      function: of the paths.
      accuracy: when they are done.
    """
    n_paths, first, rule = len(accuracy.unit), accuracy.first_rule, accuracy.rule
    active, ledger = whole_paths(function, n_paths, first)
    n_steps = np.full(n_paths, first.n_points)
    n_values = np.full(n_paths, len(first.edges))
    finished: list[Segments] = []
    while True:
        room = (accuracy.max_steps - n_steps) // rule.n_points
        split = _next(active, ledger, function.n_players, accuracy, room)
        if not split.any():
            break
        cut = np.bincount(active.path[split], minlength=n_paths)
        n_steps, n_values = n_steps + rule.n_points * cut, n_values + len(rule.edges) * cut
        stays = cut[active.path] > 0
        finished.append(active.take(~stays))
        made = pieces(function, active.take(split), rule, ledger)
        active = Segments.joined([active.take(stays & ~split), made])
    leaves = Segments.joined([*finished, active])
    return _gathered(leaves, ledger, function.n_players, accuracy, n_steps, n_values)


def _next(
    segments: Segments, ledger: Ledger, n_players: int, accuracy: Accuracy, room: IntArray
) -> npt.NDArray[np.bool_]:
    """(s,) which segments to cut.

    The root of the sum of squares of the gaps is held as well as their sum, in which they may cancel by chance.

    Args:
      segments: of paths that were not done.
      ledger: has their contributions.
      n_players: whose contributions count.
      accuracy: of all paths.
      room: (P,) how many segments of each path may be cut.
    """
    n_paths, path = len(room), segments.path
    add_up = PathSums(path, n_paths)
    contributions = next(ledger.totals(segments, add_up))[:, :n_players]
    together = add_up(segments.gap)
    bound = accuracy.bound(np.arange(n_paths), contributions)
    n_segments = np.bincount(path, minlength=n_paths)
    known = np.isfinite(contributions).all(axis=(1, 2)) & np.isfinite(together).all(axis=1)
    # The sum of the contributions is as far off as its gap; single ones may be further.
    squares = np.maximum(np.square(segments.gap), segments.variance)
    with np.errstate(divide="ignore", invalid="ignore"):
        scattered = np.sqrt(add_up(squares)) > bound
        is_open = np.asarray(known & (scattered | (np.abs(together) > bound)).any(axis=1))
        # How many times too large each gap is, so that as many of its size have a sum, or a root of squares, too large.
        many = np.where(scattered.any(axis=1), np.sqrt(n_segments), n_segments)
        relative = (many[:, None] / bound)[path] * np.sqrt(squares)
        excess = np.nan_to_num(relative, nan=0.0).max(axis=1, initial=0.0)
    wanted = (excess > 1) & is_open[path] & (segments.high - segments.low > _NARROWEST)
    if (np.bincount(path[wanted], minlength=n_paths) <= room).all():
        return wanted
    return wanted & (_rank(path, np.where(wanted, excess, 0.0)) < room[path])


def _rank(group: IntArray, values: FloatArray) -> IntArray:
    """(s,) how many of the same group come before each, largest values first."""
    order = np.lexsort([-values, group])
    rank = np.empty(len(group), np.int64)
    rank[order] = np.arange(len(group)) - np.searchsorted(group[order], group[order])
    return rank


def _gathered(
    leaves: Segments, ledger: Ledger, n_players: int, accuracy: Accuracy, n_steps: IntArray, n_values: IntArray
) -> Integrals:
    """Sums over the segments of each path."""
    n_paths = len(n_steps)
    add_up, of_segments = PathSums(leaves.path, n_paths), leaves.variance.sum(axis=1)
    contributions, variance = ledger.totals(leaves, add_up)
    gap = add_up(leaves.gap)
    bound = accuracy.bound(np.arange(n_paths), contributions[:, :n_players])
    return Integrals(
        contributions=contributions,
        variance=variance,
        dof=satterthwaite_dof(add_up(of_segments), add_up(np.square(of_segments))),
        gap=gap,
        is_complete=np.asarray((np.abs(gap) <= bound).all(axis=1)),
        n_steps=n_steps,
        n_values=n_values,
    )
