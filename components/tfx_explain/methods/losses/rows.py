"""What methods that need labels say of single rows, and how slices of them are accumulated."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tfx_explain.models import Inputs
from tfx_explain.rows import HashArray
from tfx_explain.summary.auc_importance import AucImportanceAccumulator
from tfx_explain.summary.loss_importance import LossImportanceAccumulator
from tfx_explain.summary.score_bins import ScoreBins

FloatArray = npt.NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class LabelledRows:
    """Rows with a label that a method can use.

    Attributes:
      rows: (n,) their positions in the batch.
      inputs: what the model is fed for them.
      labels: (n,).
      draws: (n,) of the rows.
      prediction: (n, K) outputs of the model.
      loss: (n,) of these; NaN where the metric is none of single rows.
      floor: (n, K) one unit in the last place of the outputs; see `rounding`.
    """

    rows: npt.NDArray[np.int64]
    inputs: Inputs
    labels: FloatArray
    draws: HashArray
    prediction: FloatArray
    loss: FloatArray
    floor: FloatArray

    def take(self, chosen: npt.NDArray[np.bool_]) -> LabelledRows:
        """Some of the rows, (n,) booleans."""
        parts = (getattr(self, name)[chosen] for name in ("labels", "draws", "prediction", "loss", "floor"))
        return LabelledRows(self.rows[chosen], self.inputs.take(np.flatnonzero(chosen)), *parts)


@dataclasses.dataclass(frozen=True)
class LossRows:
    """What one method says of n examples by a loss.

    Attributes:
      output: the name of the model's output, all values of which enter the loss.
      values: (n, T, d) change of the loss, in terms whose means add up; NaN for rows that have no part in a term.
      loss_names: of `losses`.
      losses: (n, T, n_losses) losses of the row; NaN as well.
      clusters: (n,) rows that share random numbers.
      n_clusters: how many.
    """

    output: str
    values: FloatArray
    loss_names: tuple[str, ...]
    losses: FloatArray
    clusters: npt.NDArray[np.int64]
    n_clusters: int

    @functools.cached_property
    def known(self) -> npt.NDArray[np.bool_]:
        """(n,) whether there is a label and every figure is finite."""
        figures = np.concatenate([self.values, self.losses], axis=2)
        return np.asarray(np.isfinite(figures[:, 0]).all(axis=1) & ~np.isinf(figures).any(axis=(1, 2)))

    def take(self, rows: npt.NDArray[np.int64]) -> LossRows:
        """The given rows, (k,) integers."""
        figures = {name: getattr(self, name)[rows] for name in ("values", "losses", "clusters")}
        return dataclasses.replace(self, **figures)

    def only(self, known: npt.NDArray[np.bool_]) -> LossRows:
        """The same with all other rows left out, (n,) booleans."""
        return dataclasses.replace(self, values=np.where(known[:, None, None], self.values, np.nan))

    def contribution(self, rows: npt.NDArray[np.int64], weights: FloatArray) -> Any:
        """What some rows add to an accumulator, as `method.Contribution`; None where all of them are left out."""
        known = self.known[rows]
        kept = rows[known]
        if not len(kept):
            return None
        _, n_terms, n_players = self.values.shape
        empty = functools.partial(LossImportanceAccumulator, n_players, self.loss_names, self.n_clusters, n_terms)
        return empty, (self.values[kept], self.losses[kept], self.clusters[kept], weights[known])


@dataclasses.dataclass(frozen=True)
class ScoredRows:
    """What permutation importance says of n examples by AUC: where their scores are among all scores.

    Attributes:
      output: the name of the model's output.
      bins: (n, 1 + d, num_donors) as `AucImportanceAccumulator.add` takes them.
      labels: (n,) 0 or 1.
      known: (n,) whether there is a label and every score is finite; of others the rest means nothing.
      clusters: (n,) rows that share donors.
      n_bins: how many bins there are.
      n_clusters: how many clusters.
      group_starts: (G,) the first bin of each group of bins.
    """

    output: str
    bins: ScoreBins
    labels: npt.NDArray[np.int64]
    known: npt.NDArray[np.bool_]
    clusters: npt.NDArray[np.int64]
    n_bins: int
    n_clusters: int
    group_starts: ScoreBins

    def take(self, rows: npt.NDArray[np.int64]) -> ScoredRows:
        """The given rows, (k,) integers."""
        figures = {name: getattr(self, name)[rows] for name in ("bins", "labels", "known", "clusters")}
        return dataclasses.replace(self, **figures)

    def only(self, known: npt.NDArray[np.bool_]) -> ScoredRows:
        """The same with all other rows left out, (n,) booleans."""
        return dataclasses.replace(self, known=self.known & known)

    def contribution(self, rows: npt.NDArray[np.int64], weights: FloatArray) -> Any:
        """What some rows add to an accumulator, as `method.Contribution`; None where all of them are left out."""
        known = self.known[rows]
        kept = rows[known]
        if not len(kept):
            return None
        sizes = (self.bins.shape[1] - 1, self.n_bins, self.n_clusters)
        empty = functools.partial(AucImportanceAccumulator, *sizes, self.group_starts)
        return empty, (self.bins[kept], self.labels[kept], self.clusters[kept], weights[known])


MethodRows = LossRows | ScoredRows


@dataclasses.dataclass(frozen=True)
class LabelledMethods:
    """What all methods that need labels say of n examples, of one model.

    Attributes:
      of: method -> its figures.
    """

    of: Mapping[str, MethodRows]

    def take(self, rows: npt.NDArray[np.int64]) -> LabelledMethods:
        """The given rows, (k,) integers."""
        return LabelledMethods({method: figures.take(rows) for method, figures in self.of.items()})


def paired(sides: Sequence[LabelledMethods]) -> tuple[LabelledMethods, ...]:
    """What several models' methods say of the rows that all of them know, so that differences are of the same rows."""
    known = {method: np.all([side.of[method].known for side in sides], axis=0) for method in sides[0].of}
    return tuple(
        LabelledMethods({method: rows.only(known[method]) for method, rows in side.of.items()}) for side in sides
    )
