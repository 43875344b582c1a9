"""Friedman's H as a method of a job: a second look at a sample of the rows."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import pyarrow as pa

from tfx_explain import tables
from tfx_explain.methods.context import FirstRows, JobContext
from tfx_explain.methods.interaction_strength.strengths import (
    METHOD,
    FloatArray,
    Pair,
    Term,
    check_named_players,
    choose_pairs,
    evaluate,
    measure,
    terms_of,
)
from tfx_explain.methods.method import Key
from tfx_explain.models import Model


@dataclasses.dataclass(frozen=True)
class InteractionStrength:
    """How much of the output pairs of players make together, for the pairs that matter most."""

    context: JobContext
    name: str = METHOD

    @property
    def n_rows(self) -> int:
        """As configured."""
        return int(self.context.config.method(METHOD).num_rows)

    def check(self, rows: FirstRows, models: Sequence[Model]) -> None:
        """Raises a ConfigError where a player is named that there is not."""
        check_named_players(self.context)

    def choose(self, accumulated: Mapping[Key, Any]) -> list[Pair]:
        """The pairs to measure."""
        return choose_pairs(accumulated, self.context)

    def terms(self, asked: Sequence[Pair]) -> list[Term]:
        """The plain prediction, each player, each pair."""
        return terms_of(asked)

    def evaluate(self, models: Sequence[Model], sample: pa.RecordBatch, term: Term) -> FloatArray:
        """Outputs of the candidate for rows that have the players of a term from points."""
        return evaluate(models[0], self.context.players, sample, term)

    def result(
        self, asked: Sequence[Pair], sample: pa.RecordBatch | None, values: Mapping[Term, FloatArray]
    ) -> tuple[Mapping[str, pd.DataFrame], Mapping[str, Any]]:
        """Rows of the table of interactions, and the entry in the manifest."""
        table, description = measure(asked, self.context, sample, values)
        return {} if table.empty else {tables.INTERACTIONS.file: table}, description
