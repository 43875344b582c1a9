"""Permutation importance of batches of labelled rows: the model with a player's features from other rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tfx_explain.config import ExplainConfig
from tfx_explain.methods.losses.plan import PERMUTATION_IMPORTANCE, LossPlan
from tfx_explain.methods.losses.rows import LabelledRows
from tfx_explain.methods.rounding import settled
from tfx_explain.models import Inputs, Model
from tfx_explain.models.features import take_rows
from tfx_explain.summary.losses import loss
from tfx_explain.summary.score_bins import ScoreBins, bin_scores

FloatArray = npt.NDArray[np.float64]


class PermutationExplainer:
    """Permutation importance of batches of rows, with one model.

    Args:
      model: what is explained.
      players: their features, those that the model reads.
      config: says how many donors a row has.
    """

    def __init__(self, model: Model, players: Sequence[Sequence[str]], config: ExplainConfig) -> None:
        self.model = model
        self.players = tuple(tuple(names) for names in players)
        self.config = config
        self._donors: tuple[pa.RecordBatch, Inputs] | None = None

    def changes(self, some: LabelledRows, plan: LossPlan, metric: str) -> FloatArray:
        """(n, d) mean increase of the loss over donors."""
        values = np.zeros((len(some.rows), len(plan.players[PERMUTATION_IMPORTANCE])))
        for column, outputs in self._mixed(some, plan):
            # Rows that the model fails on are left out later, and need no warning.
            with np.errstate(invalid="ignore"):
                losses = loss(metric, self.model.loss_space, outputs, some.labels)
            values[:, column] = losses.mean(axis=1) - some.loss
        return values

    def bins(self, some: LabelledRows, plan: LossPlan) -> tuple[ScoreBins, npt.NDArray[np.bool_]]:
        """(n, 1 + d, num_donors) bins of the model's own scores and of those with donors, and if all are finite."""
        edges = plan.score_edges[0]
        shape = (1 + len(plan.players[PERMUTATION_IMPORTANCE]), self._num_donors)
        # A player that the model does not read leaves its scores where they are.
        bins = np.tile(bin_scores(edges, some.prediction[:, :1, None]), (1, *shape))
        finite = np.ones(len(bins), np.bool_)
        for column, outputs in self._mixed(some, plan):
            bins[:, 1 + column] = bin_scores(edges, outputs[..., 0])
            finite &= np.isfinite(outputs).all(axis=(1, 2))
        return bins, finite

    def n_model_rows(self, n_rows: int, plan: LossPlan) -> int:
        """Model rows that so many rows take."""
        return n_rows * self._num_donors * len(self._read(plan))

    @property
    def _num_donors(self) -> int:
        return int(self.config.method(PERMUTATION_IMPORTANCE).num_donors)

    def _read(self, plan: LossPlan) -> list[tuple[int, Sequence[str]]]:
        """The place among those asked for of each player that the model reads, and its features."""
        asked = enumerate(plan.players[PERMUTATION_IMPORTANCE])
        return [(column, self.players[player]) for column, player in asked if self.players[player]]

    def _mixed(self, some: LabelledRows, plan: LossPlan) -> Iterator[tuple[int, FloatArray]]:
        """For each player that the model reads, its place and (n, num_donors, K) outputs with its features replaced."""
        if not len(some.rows):
            return
        if self._donors is None or self._donors[0] is not plan.donors:
            self._donors = (plan.donors, self.model.inputs(plan.donors))
        given = plan.donors_of(some.draws, self._num_donors).reshape(-1)
        repeated = some.inputs.take(np.repeat(np.arange(len(some.rows)), self._num_donors))
        for column, names in self._read(plan):
            outputs = self.model.predict(_replaced(repeated, self._donors[1], given, names))
            mixed = outputs.reshape(len(some.rows), self._num_donors, -1)
            yield column, settled(mixed, some.prediction, some.floor)


def _replaced(inputs: Inputs, donors: Inputs, rows: npt.NDArray[np.int64], names: Sequence[str]) -> Inputs:
    """The examples with some features taken from rows of the donors; missing where the donors have no such feature."""
    columns = {name: column for name, column in inputs.columns.items() if name not in names}
    columns |= {name: take_rows(donors.columns[name], rows) for name in names if name in donors.columns}
    return Inputs(len(inputs), columns)
