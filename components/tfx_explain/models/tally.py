"""How many rows a model was asked about."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass
class Tally:
    """Counts of rows; belongs to one thread.

    Attributes:
      rows: rows that were evaluated for what they are. Mixtures that come out as the same row count once, where they
        were evaluated once.
      padding: rows that were evaluated beside them, so that calls have the same shape.
    """

    rows: int = 0
    padding: int = 0

    def add(self, rows: int, evaluated: int) -> None:
        """Adds a call on `evaluated` rows, `rows` of which were asked for."""
        self.rows += rows
        self.padding += evaluated - rows
