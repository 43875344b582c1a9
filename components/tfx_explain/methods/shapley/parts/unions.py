"""Parts inside of parts: which neighbours are players together, and what is around them meanwhile.

A text of many words is a game of its sentences first. The words of one sentence are then players of a game of their
own, in which each other sentence is present or absent as a whole, as a context; and so on, level by level.

Source: Owen 1977, values of games with a priori unions; Winter 1989, a value for cooperative games with levels
structure of cooperation.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tfx_explain.attribution.sampling import RandomWords
from tfx_explain.methods.shapley.parts.contexts import RESOLUTION, STREAM, Contexts, spread, subsets

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

_MOST_LEVELS = 64


@dataclass(frozen=True, eq=False)
class Around:
    """P pieces of a feature, one behind the other: k players of a game, and what is around them.

    Attributes:
      present: (C, P) which of the others are present in each context.
      first: place of the first player.
    """

    present: BoolArray
    first: int

    def among(self, coalitions: BoolArray, contexts: IntArray) -> BoolArray:
        """(n, P) which pieces are present where these players are, (n, k), in contexts (n,)."""
        pieces = self.present[contexts]
        pieces[:, self.first : self.first + coalitions.shape[1]] = coalitions
        return pieces


@dataclass(frozen=True, eq=False)
class Union:
    """Neighbours that are players of one game.

    Attributes:
      bounds: (k + 1,) spans that they start with, and the one behind the last of them.
      above: the union one of whose players this one is; None where it is the whole text.
      place: of that player.
    """

    bounds: IntArray
    above: Union | None = None
    place: int = 0

    @property
    def level(self) -> int:
        """0 of the whole text."""
        return 0 if self.above is None else self.above.level + 1

    def pieces(self) -> tuple[IntArray, IntArray]:
        """(P + 1,) bounds of the players and of all that is around them, and (P,) how many levels each is above."""
        bounds, levels = self.bounds, np.zeros(len(self.bounds) - 1, np.int64)
        inner, above = self, self.above
        while above is not None:
            before, behind = above.bounds[: inner.place], above.bounds[inner.place + 2 :]
            bounds = np.concatenate([before, bounds, behind])
            up = self.level - above.level
            levels = np.concatenate([np.full(len(before), up), levels, np.full(len(behind), up)])
            inner, above = above, above.above
        return bounds, levels

    def around(self, seed: int, row_hash: int, n_others: int, weights: FloatArray, n: int) -> tuple[Contexts, Around]:
        """Contexts for what is inside of a part, as its Owen value weighs them; the same wherever the row is.

        On each level the number of the others that are present is uniform, and which they are is uniform given the
        number; so are the other features. Context p + n / 2 has present what is absent in context p.

        Args:
          seed: of the job.
          row_hash: of the row's content.
          n_others: players beside the feature.
          weights: (B,) of the background rows, sum 1.
          n: contexts, even.
        """
        _, levels = self.pieces()
        n_pairs, stream = n // 2, STREAM + _MOST_LEVELS * int(self.bounds[0]) + self.level
        random = RandomWords(seed, n_others, n, stream, row_hash)
        half = np.zeros((n_pairs, len(levels)), bool)
        for level in range(1, self.level + 1):
            beside = levels == level
            half[:, beside] = subsets(random, n_pairs, int(beside.sum()))
        others = subsets(random, n_pairs, n_others)
        rows = spread(random.orders(1, n_pairs)[0] + random.words(n_pairs) / RESOLUTION, weights)
        contexts = Contexts(np.concatenate([others, ~others]), np.tile(rows, 2))
        return contexts, Around(np.concatenate([half, ~half]), int(np.argmin(levels)))
