"""Which coalitions of the parts of a feature are evaluated, in each of its contexts."""

from __future__ import annotations

import numpy as np

from tfx_explain.attribution import SolvableDesign, make_design, minimum_budget
from tfx_explain.attribution.choice import n_inner_coalitions
from tfx_explain.config.parts import GamePartsConfig

_ROWS_PER_PART = 32
_LEAST_ROWS = 1_024
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
        self._kept: dict[tuple[int, int, int], SolvableDesign] = {}

    def design(self, n_parts: int, n_contexts: int, row_hash: int) -> SolvableDesign:
        """The design for a feature of so many parts; each of its blocks is one context.

        Rows are spread over two designs of each size by their hashes, so that what many rows have in common does not
        carry the error of one.
        """
        key = (n_parts, n_contexts, row_hash % _DESIGNS_PER_SIZE)
        if key not in self._kept:
            if sum(design.n_elements for design in self._kept.values()) > _MOST_ELEMENTS:
                self._kept.clear()
            self._kept[key] = self._make(*key)
        return self._kept[key]

    def _make(self, n_parts: int, n_contexts: int, design_id: int) -> SolvableDesign:
        asked = self.settings.model_rows
        budget = (max(_ROWS_PER_PART * n_parts, _LEAST_ROWS) if asked == "auto" else asked) // n_contexts
        regresses = n_parts <= _MOST_REGRESSION_PARTS and budget >= minimum_budget("leverage", n_parts)
        least = 2 * (n_parts - 1) * (1 if n_contexts > 1 else _LEAST_PERMUTATIONS)
        return make_design(
            "leverage" if regresses else "permutation",
            n_players=n_parts,
            budget=min(max(budget - budget % 2, least), n_inner_coalitions(n_parts)),
            background_weights=np.full(n_contexts, 1 / n_contexts),
            seed=self.seed,
            design_id=design_id,
        )
