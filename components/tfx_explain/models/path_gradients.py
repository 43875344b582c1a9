"""What methods that follow paths ask a model for: outputs at points of paths, and gradients along them.

A path is a straight line between two rows, not in the features themselves (strings and ids have no line between them)
but in the tensors of a cut through the model's graph, each of which belongs to one player.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from tfx_explain.models.features import Column, Inputs, take_rows
from tfx_explain.models.slots import Slots
from tfx_explain.paths import Refined, Rule, Steps

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
RowNumbers = npt.NDArray[np.intp]
ReadTokens = Callable[[Sequence[bytes]], Sequence[IntArray]]
"""From n texts to numbers of their tokens: per way in which a model cuts them, (n, slots, m), m of a meaning each."""


@dataclass(frozen=True)
class Points:
    """The tensors of n rows at the cut.

    Attributes:
      moving: (n, width) floats: what moves along a path, all tensors side by side.
      fixed: the columns of the tensors that do not move.
    """

    moving: npt.NDArray[np.float32] | FloatArray
    fixed: tuple[Column, ...]

    def __len__(self) -> int:
        return len(self.moving)

    def take(self, rows: RowNumbers) -> Points:
        """The given rows, (n,) integers, in that order; a row may be taken more than once."""
        return Points(self.moving[rows], tuple(take_rows(column, rows) for column in self.fixed))


@dataclass(frozen=True)
class PathSegments:
    """q segments of straight paths between rows.

    Attributes:
      start, end: (q,) numbers of the rows where their paths start and end.
      low, high: (q,) where on their paths they start and end, in [0, 1].
    """

    start: IntArray
    end: IntArray
    low: FloatArray
    high: FloatArray

    def __len__(self) -> int:
        return len(self.start)

    def take(self, rows: RowNumbers) -> PathSegments:
        """The given segments, (n,) integers; one may be taken more than once."""
        return PathSegments(self.start[rows], self.end[rows], self.low[rows], self.high[rows])

    def steps(self, n_tiles: int) -> tuple[FloatArray, FloatArray, np.int32]:
        """What a call of so many tiles is told of where they are."""
        return self.low, self.high, np.int32(n_tiles)


@dataclass(frozen=True)
class ExpectedGradients:
    """Expected gradients of n rows, and the variances of these estimates.

    Attributes:
      values: (n, n_players, c) weighted means over the references of each reference's mean over its steps.
      design_variance: (n, n_players, c) the part of their variance that comes of the steps drawn.
      background_variance: (n, n_players, c) the part that comes of the references, as a sample of all there are.
    """

    values: FloatArray
    design_variance: FloatArray
    background_variance: FloatArray


class StepPlaces(Protocol):
    """Where the steps of expected gradients are, on the paths from B references to n rows; shared between threads."""

    @property
    def n_steps(self) -> int:
        """S >= 3 of each path."""

    def of(self, rows: IntArray, references: IntArray) -> FloatArray:
        """(p, q, S) in [0, 1), ascending, one drawn in each of S equal strata.

        Args:
          rows: (p,) which of the n rows.
          references: (q,) which of the B references.
        """


class Paths(Protocol):
    """A model, cut where rows can move along straight lines, and the players that its tensors belong to.

    Features of no player stay as they are at a path's end, and so does what cannot move.

    Source: Sundararajan, Taly and Yan, "Axiomatic attribution for deep networks", ICML 2017.
    """

    @property
    def note(self) -> str:
        """Empty, or one sentence: what reaches the output past an op without a gradient, so sums may fall short."""

    @property
    def n_players(self) -> int:
        """How many players there are; those that the model does not read contribute 0."""

    @property
    def slots(self) -> Mapping[int, Slots]:
        """Players that are looked into -> their slots, in the order in which `refine` has them behind all players."""

    @property
    def is_compiled(self) -> bool:
        """Whether XLA compiles gradients, which may then be asked for from several threads at once."""

    @property
    def first_steps(self) -> int:
        """How many steps paths are swept with at first, where gradients cost little; 0 = they are cut into segments."""

    def enter(self, inputs: Inputs) -> Points:
        """Runs the graph up to the cut.

        Raises:
          ModelCallError: the model fails on these rows, or makes tensors of another shape of them.
        """

    def values(self, starts: Points, ends: Points, alphas: FloatArray, outputs: IntArray) -> FloatArray:
        """(P, e, c) outputs `outputs[p, k]` of the model at start + alpha (end - start).

        Args:
          starts: P rows.
          ends: P rows.
          alphas: (P, e) in [0, 1].
          outputs: (P, c) which of the model's outputs.

        Raises:
          ModelCallError: the model fails there.
        """

    def refine(self, starts: Points, ends: Points, segments: PathSegments, outputs: IntArray, rule: Rule) -> Refined:
        """Integrals over pieces of segments, of the sum over columns of gradient x (end - start), and outputs at edges.

        First of the columns of each player, then of those of each slot of the players that are looked into.

        Args:
          starts: R rows.
          ends: n rows.
          segments: q segments of paths between them.
          outputs: (n, c) which of the model's outputs.
          rule: how segments are cut.

        Raises:
          ModelCallError: the model fails there.
        """

    def sweep(
        self, starts: Points, ends: Points, paths: PathSegments, outputs: IntArray, steps: Steps
    ) -> list[FloatArray]:
        """The parts of `paths.Swept` of q whole paths; of a later sweep than the first, the sums alone.

        Args:
          starts: R rows.
          ends: n rows.
          paths: q between them.
          outputs: (n, c) which of the model's outputs.
          steps: where gradients are taken.

        Raises:
          ModelCallError: the model fails there.
        """

    def picture(self, player: int) -> tuple[int, ...] | None:
        """The shape of the picture that a player's columns at the cut are: (height, width), or with channels.

        None where they are anything else: several tensors, or tensors of another shape.
        """

    def columns(self, player: int) -> IntArray:
        """Which columns of `Points.moving` are a player's."""

    def tokens(self, player: int) -> ReadTokens:
        """What reads texts of a player that is looked into."""

    def pictures(self, points: Points, player: int) -> npt.NDArray[np.float32] | FloatArray:
        """(n, *picture) a player's columns, of one that is a `picture`."""

    def inside(
        self, starts: Points, ends: Points, alphas: FloatArray, outputs: IntArray, player: int
    ) -> tuple[FloatArray, FloatArray]:
        """Means over points of gradient x (end - start), apart for every other point.

        Args:
          starts: P rows.
          ends: P rows.
          alphas: (P, m) in [0, 1], m a multiple of 16.
          outputs: (P, c) which of the model's outputs.
          player: whose columns are asked for one by one; one that is a `picture`.

        Returns:
          (P, 2, n_players, c) sums over each player's columns, and (P, 2, width, c) those of one player's columns, of
          the points with even numbers, then of those with odd ones.

        Raises:
          ModelCallError: the model fails there.
        """

    def gradients(self, points: Points, outputs: IntArray) -> FloatArray:
        """(P, width, c) gradients of the outputs by what moves, at P points.

        Args:
          points: P of them, wherever they are; also columns that belong to no player may have been moved.
          outputs: (P, c) which of the model's outputs.

        Raises:
          ModelCallError: the model fails there.
        """

    def expected(
        self, references: Points, examples: Points, weights: FloatArray, places: StepPlaces, outputs: IntArray
    ) -> ExpectedGradients:
        """Expected gradients of n rows: all references, each with S steps of its own.

        Write c_s for a player's contribution at one step, the sum over its columns of gradient x (end - start), and y_b
        for the mean of the c_s of reference b. The values are sum_b w_b y_b. Their background variance is sum_b w_b^2
        (y_b - values)^2 B / (B - 1), and 0 for one reference; their design variance is sum_b w_b^2 v_b / S, where v_b
        is the mean variance of the c_s at inner steps, as their neighbours show it (`path_sums`).

        Args:
          references: B rows, the paths' starts.
          examples: n rows, the paths' ends.
          weights: (B,) w_b of the references, of sum 1.
          places: of the steps, from all references to all rows.
          outputs: (n, c) which of the model's outputs.

        Raises:
          ModelCallError: the model fails there.

        Source: Erion, Janizek, Sturmfels, Lundberg and Lee, "Improving performance of deep learning models with
        axiomatic attribution priors and expected gradients", Nature Machine Intelligence 2021.
        """
