"""Which coalitions of the parts of a feature are evaluated, in each of its contexts."""

from __future__ import annotations

from typing import Literal

import numpy as np

from tfx_explain.attribution import SolvableDesign, make_design, minimum_budget
from tfx_explain.attribution.choice import n_inner_coalitions
from tfx_explain.config.part_limits import GamePartsConfig

LEAST_ROWS = 1_024
"""That the parts of a row take, however few they are, unless that is all coalitions."""

_ROWS_PER_PART = 32
_MOST_REGRESSION_PARTS = 60
# An error from permutations of a single context takes several of them.
_LEAST_PERMUTATIONS = 4
_DESIGNS_PER_SIZE = 2
# 128 MiB: those of all sizes up to the default of `max_parts` stay.
_MOST_ELEMENTS = 2**24


class PartDesigns:
    """Designs by the number of parts: each is made once, and kept while there is room.

    Args:
      settings: say how many model rows a row of the data may take.
      seed: of the job.
    """

    def __init__(self, settings: GamePartsConfig, seed: int) -> None:
        self.settings = settings
        self.seed = seed
        self._kept: dict[tuple[int, int, int, int], SolvableDesign] = {}

    def design(self, n_parts: int, n_contexts: int, row_hash: int, budget: int | None = None) -> SolvableDesign:
        """The design for so many parts; each of its blocks is one context.

        Rows are spread over two designs of each size by their hashes, so that what many rows have in common does not
        carry the error of one.

        Args:
          n_parts: of a feature, or of what is inside of one of its parts.
          n_contexts: in which they are looked at.
          row_hash: of the row's content.
          budget: coalitions in each context, if they are so many or more than a design takes at least; None = what
            the parts of a whole row may take.
        """
        if budget is None:
            budget = model_rows(self.settings.model_rows, n_parts) // n_contexts
        key = (n_parts, n_contexts, budget, row_hash % _DESIGNS_PER_SIZE)
        if key not in self._kept:
            if sum(design.n_elements for design in self._kept.values()) > _MOST_ELEMENTS:
                self._kept.clear()
            self._kept[key] = self._make(*key)
        return self._kept[key]

    def _make(self, n_parts: int, n_contexts: int, budget: int, design_id: int) -> SolvableDesign:
        regresses = n_parts <= _MOST_REGRESSION_PARTS and budget >= minimum_budget("leverage", n_parts)
        least = 2 * (n_parts - 1) * _least_permutations(n_contexts)
        return make_design(
            "leverage" if regresses else "permutation",
            n_players=n_parts,
            budget=min(max(budget - budget % 2, least), n_inner_coalitions(n_parts)),
            background_weights=np.full(n_contexts, 1 / n_contexts),
            seed=self.seed,
            design_id=design_id,
        )


def model_rows(asked: Literal["auto"] | int, n_parts: int) -> int:
    """About how many model rows so many parts take."""
    return max(_ROWS_PER_PART * n_parts, LEAST_ROWS) if asked == "auto" else asked


def most_players(budget: int, n_contexts: int) -> int:
    """How many players `budget` coalitions in each context are enough for, with an error; 1 or more."""
    of_permutations = budget // (2 * _least_permutations(n_contexts)) + 1
    return max(of_permutations, (budget + 2).bit_length() - 1)


def _least_permutations(n_contexts: int) -> int:
    return 1 if n_contexts > 1 else _LEAST_PERMUTATIONS
