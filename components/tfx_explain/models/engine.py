"""What an engine is asked: the protocol between a `Model` and whatever runs it.

Engines and how they run a model:

    GraphEngine     a frozen graph past its parse op: rows are mixed in the graph, compiled where XLA can
    HostEngine      a Python callable: rows are mixed in NumPy; also a graph that takes serialised tf.Examples only,
                    which `serialized.serialized_engine` wraps in one

Plain rows take one step, `predict`. Mixed rows take four, each of which is kept for the next ones to share:

    bound = engine.bind(background, players)      once per background: what absent players become
    for prepared in bound.prepare(examples):      once per batch: the rows that are run alike
        selected = prepared.select(rows)          once per chunk of rows
        selected.values(piece)                    once per piece of coalitions: one call of the model

Gradients along paths take another way, where rows are not mixed but moved:

    paths = engine.paths(background, players)     once: the graph is cut where its tensors can move
    paths.enter(inputs)                           once per row: its tensors at the cut
    paths.refine(starts, ends, segments, ...)     segments of paths: gradients at nodes, added up to players
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from tfx_explain.models.features import Inputs
from tfx_explain.models.path_gradients import Paths, ReadTokens
from tfx_explain.models.pieces import Piece, Sizes

FloatArray = npt.NDArray[np.float64]
RowNumbers = npt.NDArray[np.intp]


class SelectedRows(Protocol):
    """Some examples, as the model is fed them."""

    def values(self, piece: Piece) -> npt.NDArray[np.float32] | FloatArray:
        """(n, n_blocks, n_coalitions, n_outputs) outputs of mixed rows, averaged over each block's background rows.

        Raises:
          ModelCallError: the model fails on them.
        """


class PreparedRows(Protocol):
    """Examples that are run alike."""

    @property
    def rows(self) -> RowNumbers:
        """(n,) which of the examples they are."""

    @property
    def sizes(self) -> Sizes | None:
        """What all examples and the background bring to a call; None where all rows have the same size."""

    def select(self, rows: RowNumbers) -> SelectedRows:
        """Some of them, numbered as the examples are; a row may be taken more than once."""


class BoundEngine(Protocol):
    """An engine, a background that rows are mixed with, and the players that are present or absent."""

    @property
    def max_rows(self) -> int:
        """How many mixed rows one call may have: examples x coalitions x background rows."""

    def prepare(self, examples: Inputs) -> Sequence[PreparedRows]:
        """All examples, in parts that are run alike; the parts of the last examples are kept.

        Raises:
          ModelCallError: the model fails on what can be done before rows are mixed.
        """


class Predicts(Protocol):
    """What evaluates plain rows."""

    def predict(self, inputs: Inputs) -> FloatArray:
        """(n, n_outputs) outputs of n rows, as of `Engine`."""


class Pixels(Protocol):
    """A model that is fed the pixels that its graph makes of a feature's files."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Of a picture: (height, width) or (height, width, channels)."""

    def inputs(self, inputs: Inputs) -> Inputs:
        """Rows with pixels, (n, *shape), instead of files.

        Raises:
          ModelCallError: the model fails on them, or makes pictures of another shape of them.
        """

    def predict(self, inputs: Inputs) -> FloatArray:
        """(n, n_outputs) outputs of such rows, as the model gives them for the files."""


class Engine(Protocol):
    """What evaluates plain and mixed rows."""

    @property
    def what(self) -> str:
        """The model, for messages."""

    @property
    def fixed_shapes(self) -> bool:
        """Whether calls want the same number of rows each time."""

    @property
    def is_thread_safe(self) -> bool:
        """Whether several threads may call at once."""

    @property
    def rows_per_call(self) -> int:
        """How many rows `predict` gives the model at a time, filled up with copies where there are fewer."""

    @property
    def rounding(self) -> float:
        """Relative rounding error of the coarsest floats that the model is known to compute with."""

    def predict(self, inputs: Inputs) -> FloatArray:
        """(n, n_outputs) outputs of n > 0 rows, the same bits whatever rows stand beside a row.

        Raises:
          ModelError: the model fails, or does not give one row of outputs for each row.
        """

    def outputs(self, inputs: Inputs) -> FloatArray:
        """(n, n_outputs) outputs of one call on these rows and no others; errors as of `predict`."""

    def bind(self, background: Inputs, players: Sequence[Sequence[str]]) -> BoundEngine:
        """Fixes what absent features become and which features form a player; features of no player stay the example's.

        Args:
          background: B rows.
          players: per player, the names of its features; no name twice.

        Raises:
          ModelCallError: the model fails on the background.
        """

    def tokens(self, rows: Inputs, feature: str) -> ReadTokens:
        """What reads texts of a feature up to the model's own tokens.

        Args:
          rows: to try the model on.
          feature: the text.

        Raises:
          ModelError: the model is known to have no tokens, as many of them for every text.
        """

    def paths(self, background: Inputs, players: Sequence[Sequence[str]], inside: Collection[str] = ()) -> Paths:
        """Cuts the model where rows can move along straight lines.

        Args:
          background: rows to try the model on.
          players: per player, the names of its features.
          inside: features, players of their own, to cut where their tokens or numbers are apart.

        Raises:
          ModelError: it has no gradients for some feature; names the op and the feature that stand in the way.
        """

    def with_pixels(self, feature: str, background: Inputs) -> Pixels | None:
        """The same, fed the pixels of a feature that holds files; None where it is not seen to decode them.

        Args:
          feature: the pictures.
          background: rows to try the model on.
        """
