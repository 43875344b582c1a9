"""Of what else a row has, what is present while the parts of a feature come and go."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tfx_explain.attribution.sampling import RandomWords

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

STREAM = 2**62
"""Random numbers of contexts; designs number their own streams from 0 on."""

RESOLUTION = 2.0**64
"""Random words are whole numbers below it."""


@dataclass(frozen=True)
class Contexts:
    """C contexts of one row: the inside of a feature is explained in each of them, and the mean over them is taken.

    Attributes:
      present: (C, m) which of the other players have the row's values.
      background: (C,) the row of the background that the others have theirs from.
    """

    present: npt.NDArray[np.bool_]
    background: IntArray

    def __len__(self) -> int:
        return len(self.background)

    def take(self, places: IntArray) -> Contexts:
        """The given ones, (k,) integers; one may be taken more than once."""
        return Contexts(self.present[places], self.background[places])

    @classmethod
    def joined(cls, parts: Sequence[Contexts]) -> Contexts:
        """Those of all parts, one after the other."""
        return cls(
            np.concatenate([part.present for part in parts]), np.concatenate([part.background for part in parts])
        )

    @classmethod
    def all_present(cls, n: int, n_others: int) -> Contexts:
        """As often as asked for the one in which the row has all of its own values."""
        return cls(np.ones((n, n_others), bool), np.zeros(n, np.int64))

    @classmethod
    def draw(
        cls, seed: int, row_hash: int, n_others: int, weights: FloatArray, n: int, *, is_needed: bool = False
    ) -> Contexts:
        """Contexts as the Shapley value of the feature weighs them; the same wherever the row is.

        The number of players that are present is uniform on 0 .. m, and which they are is uniform given the number.
        Context p + n / 2 has the background row of context p, and present what is absent there. Numbers and background
        rows are spread evenly over the pairs.

        Args:
          seed: of the job.
          row_hash: of the row's content.
          n_others: m players beside the feature; with none there is a single context.
          weights: (B,) of the background rows, sum 1.
          n: C, even.
          is_needed: whether the background row counts where there are no other players, too; each context then has one
            of its own.

        Source: Owen 1977, values of games with a priori unions: the feature is a union of its parts.
        """
        if not n_others and not is_needed:
            return cls(np.zeros((1, 0), bool), np.zeros(1, np.int64))
        n_pairs = n // 2
        random = RandomWords(seed, n_others, n, STREAM, row_hash)
        if not n_others:
            return cls(
                np.zeros((n, 0), bool), spread(random.orders(1, n)[0] + random.words(1, n)[0] / RESOLUTION, weights)
            )
        ranks = random.orders(n_pairs, n_others)
        within, along = random.words(2, n_pairs) / RESOLUTION
        sizes = np.floor((np.arange(n_pairs) + within) / n_pairs * (n_others + 1))
        rows = spread(random.orders(1, n_pairs)[0] + along, weights)
        present = ranks < np.minimum(sizes, n_others)[:, None]
        return cls(np.concatenate([present, ~present]), np.tile(rows, 2))


def subsets(random: RandomWords, n_pairs: int, n_players: int) -> npt.NDArray[np.bool_]:
    """(n_pairs, n_players) which players are present, as the Shapley value of one more weighs it.

    Their numbers, uniform on 0 .. n_players, are spread evenly over the pairs.
    """
    ranks = random.orders(n_pairs, n_players)
    places = random.orders(1, n_pairs)[0] + random.words(n_pairs) / RESOLUTION
    sizes = np.floor(places / n_pairs * (n_players + 1))
    return np.asarray(ranks < np.minimum(sizes, n_players)[:, None])


def spread(places: FloatArray, weights: FloatArray) -> IntArray:
    """(n,) rows of the background at places (n,) from 0 to n, where each takes up as much as it weighs."""
    last = np.flatnonzero(weights)[-1]
    return np.minimum(np.searchsorted(np.cumsum(weights), places / len(places), side="right"), last)
