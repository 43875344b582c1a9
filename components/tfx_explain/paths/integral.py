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

from tfx_explain.paths.segments import FloatArray, IntArray, PathFunction, Segments, pieces, whole_paths
from tfx_explain.paths.strata import satterthwaite_dof

__all__ = ["Accuracy", "Integrals", "PathFunction", "integrate"]

_N_NODES = 4
# Each is compared with its halves at once, so that errors are known: three rules for each.
_N_SEGMENTS = 2
# In narrower ones all points are the same to a model of 32-bit floats.
_NARROWEST = 2.0**-22
# Of one segment at a time: more would be spent beside a single kink.
_MOST_PIECES = 8


@dataclasses.dataclass(frozen=True)
class Accuracy:
    """When a path is done: its gap, and the error of its contributions, are small, or its steps are used up.

    Attributes:
      max_gap: both are this part of its unit, and of the sum of the sizes of its contributions, or less.
      max_steps: most points per path that gradients are taken at, at least 3.
      unit: (P, c) of each path's outputs.
      floor: (P, c) gaps that are rounding.
    """

    max_gap: float
    max_steps: int
    unit: FloatArray
    floor: FloatArray

    @property
    def n_nodes(self) -> int:
        """Points of each segment: an even number, as their halves are compared, but for paths of very few steps."""
        most = min(_N_NODES, self.max_steps // 3)
        return most - most % 2 if most > 1 else most

    @property
    def n_segments(self) -> int:
        """Segments that a path is cut into at first."""
        return min(_N_SEGMENTS, self.max_steps // (3 * self.n_nodes))

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
      at_start: (P, c) outputs at the start.
      is_complete: (P,) whether the gaps are as small as asked for.
      n_steps: (P,) points that gradients were taken at.
      n_values: (P,) points where outputs were asked for.
    """

    contributions: FloatArray
    variance: FloatArray
    dof: FloatArray
    gap: FloatArray
    at_start: FloatArray
    is_complete: npt.NDArray[np.bool_]
    n_steps: IntArray
    n_values: IntArray


def integrate(function: PathFunction, accuracy: Accuracy) -> Integrals:
    """Integrals along P paths.

    Args:
      function: of the paths.
      accuracy: when they are done.
    """
    n_paths, n_nodes = len(accuracy.unit), accuracy.n_nodes
    first = whole_paths(function, n_paths, n_nodes, accuracy.n_segments)
    active = pieces(function, first, np.full(len(first.path), 2), n_nodes)
    n_steps = np.full(n_paths, 3 * accuracy.n_segments * n_nodes)
    n_values = np.full(n_paths, 2 * accuracy.n_segments + 1)
    finished: list[Segments] = []
    while True:
        counts = _next(active, function.n_players, accuracy, (accuracy.max_steps - n_steps) // n_nodes)
        split = counts > 0
        spent = np.bincount(active.path, counts, minlength=n_paths).astype(np.int64)
        n_steps, n_values = n_steps + n_nodes * spent, n_values + spent
        n_values -= np.bincount(active.path[split], minlength=n_paths)
        stays = spent[active.path] > 0
        finished.append(active.take(~stays))
        if not split.any():
            break
        cut_up = pieces(function, active.take(split), counts[split], n_nodes)
        active = Segments.joined([active.take(stays & ~split), cut_up])
    at_start = first.at_low[:: accuracy.n_segments]
    return _gathered(Segments.joined(finished), function.n_players, at_start, accuracy, n_steps, n_values)


def _next(segments: Segments, n_players: int, accuracy: Accuracy, room: IntArray) -> IntArray:
    """(s,) how many pieces to make of each segment; 0 = none.

    The root of the sum of squares of the gaps is held as well as their sum, in which they may cancel by chance.

    Args:
      segments: of paths that were not done.
      n_players: whose contributions count.
      accuracy: of all paths.
      room: (P,) how many pieces each path may have.
    """
    n_paths, gap, path = len(room), segments.gap, segments.path
    contributions = segments.sums(segments.contributions[:, :n_players], n_paths)
    together = segments.sums(gap, n_paths)
    bound = accuracy.bound(np.arange(n_paths), contributions)
    n_segments = np.bincount(path, minlength=n_paths)
    known = np.isfinite(contributions).all(axis=(1, 2)) & np.isfinite(together).all(axis=1)
    # The sum of the contributions is as far off as its gap; single ones may be further.
    off = np.sqrt(np.maximum(np.square(gap), segments.variance[:, :n_players].sum(axis=1)))
    with np.errstate(divide="ignore", invalid="ignore"):
        scattered = np.sqrt(segments.sums(np.square(off), n_paths)) > bound
        is_open = np.asarray(known & (scattered | (np.abs(together) > bound)).any(axis=1))
        # How many times too large each gap is, so that as many of its size have a sum, or a root of squares, too large.
        many = np.where(scattered.any(axis=1), np.sqrt(n_segments), n_segments)
        excess = np.nan_to_num(many[path, None] * off / bound[path], nan=0.0).max(axis=1, initial=0.0)
    wanted = (excess > 1) & is_open[path] & (segments.high - segments.low > _NARROWEST)
    counts = np.where(wanted, np.ceil(np.clip(excess, 2, _MOST_PIECES)), 0).astype(np.int64)
    counts = np.minimum(counts, room[path])
    return np.where((counts > 1) & (_running(path, excess, counts) <= room[path]), counts, 0)


def _running(group: IntArray, values: FloatArray, counts: IntArray) -> IntArray:
    """(s,) sums of the counts of each and of those of the same group that come before it, largest values first."""
    order = np.lexsort([-values, group])
    total = np.cumsum(counts[order])
    starts = np.searchsorted(group[order], group[order])
    running = np.empty(len(group), np.int64)
    running[order] = total - (total - counts[order])[starts]
    return running


def _gathered(
    leaves: Segments,
    n_players: int,
    at_start: FloatArray,
    accuracy: Accuracy,
    n_steps: IntArray,
    n_values: IntArray,
) -> Integrals:
    """Sums over the segments of each path."""
    n_paths = len(n_steps)
    of_segments = leaves.variance[:, :n_players].sum(axis=(1, 2))
    contributions, gap = leaves.sums(leaves.contributions, n_paths), leaves.sums(leaves.gap, n_paths)
    bound = accuracy.bound(np.arange(n_paths), contributions[:, :n_players])
    return Integrals(
        contributions=contributions,
        variance=leaves.sums(leaves.variance, n_paths),
        dof=satterthwaite_dof(leaves.sums(of_segments, n_paths), leaves.sums(np.square(of_segments), n_paths)),
        gap=gap,
        at_start=at_start,
        is_complete=np.asarray((np.abs(gap) <= bound).all(axis=1)),
        n_steps=n_steps,
        n_values=n_values,
    )
