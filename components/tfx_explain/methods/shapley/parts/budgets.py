"""How many model rows, and parts, a long text may take, and what of it each of its games gets."""

from __future__ import annotations

from dataclasses import dataclass

from tfx_explain.config.parts import TextPartsConfig
from tfx_explain.methods.shapley.parts.designs import LEAST_ROWS, model_rows, most_players
from tfx_explain.regions.spans import most_parts, most_texts

_FEWEST_PLAYERS = 2


@dataclass(frozen=True)
class RowBudget:
    """What one row may take. The text as a whole has half of it at most; the rest goes to what is inside of its parts.

    Attributes:
      max_parts: of the row.
      model_rows: of all games.
      n_outer: contexts that the text as a whole is looked at in.
      n_inner: contexts that the inside of its parts is looked at in.
      is_flat: whether the text as a whole has spans for players, so that there is nothing inside of its parts.
    """

    max_parts: int
    model_rows: int
    n_outer: int
    n_inner: int
    is_flat: bool

    @classmethod
    def of(cls, settings: TextPartsConfig, n_spans: int, n_bytes: int, n_outer: int) -> RowBudget:
        """Of a text of so many spans and bytes; fewer rows where bytes are many, a power of two: few designs do."""
        wanted, most = model_rows(settings.model_rows, settings.max_parts), most_texts(n_bytes)
        n_rows = wanted if wanted <= most else 1 << (most.bit_length() - 1)
        is_flat = n_spans <= min(settings.max_parts, most_parts(n_bytes))
        return cls(settings.max_parts, n_rows, n_outer, settings.num_contexts, is_flat)

    @property
    def most_outer(self) -> int:
        """How many players the text as a whole has at most: half of the parts, or what half of the rows serve."""
        serves = most_players(self.model_rows // 2 // self.n_outer - 2, self.n_outer)
        return max(min(self.max_parts // 2, serves), _FEWEST_PLAYERS)

    @property
    def per_inner(self) -> int:
        """Model rows of each player inside of a part, at most."""
        return max(self.model_rows // self.max_parts, 2 * self.n_inner)

    def outer(self, n_players: int) -> int | None:
        """Coalitions of the text's players in each context; None = as many as of a text that is not long."""
        if self.is_flat:
            return None
        rows = max(self.model_rows * n_players // self.max_parts, LEAST_ROWS)
        return max(min(rows, self.model_rows // 2) // self.n_outer - 2, 0)

    def inner(self, n_players: int) -> int:
        """Coalitions of the players inside of a part in each context."""
        return self.per_inner * n_players // self.n_inner - 2
