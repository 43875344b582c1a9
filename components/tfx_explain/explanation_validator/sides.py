"""One side of a comparison, read from a written explanation: its moments and its attributions."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from tfx_explain import rests, tables
from tfx_explain.attribution_records import RecordLayout, attribution_values
from tfx_explain.config import SlicingSpec
from tfx_explain.explanation_validator.stored import check_stored
from tfx_explain.judgement.drift.comparison import Comparison, Moments
from tfx_explain.judgement.drift.distributions import AttributionSample, DistributionComparison
from tfx_explain.reader import ExplanationReader
from tfx_explain.rows import example_weights
from tfx_explain.slicing import slice_examples, slice_name
from tfx_explain.summary.ratio import Array

Key = tuple[str, str]
"""Slice, output."""


@dataclasses.dataclass(frozen=True, eq=False)
class Side:
    """What an explanation says of its model, or of the baseline model that was explained on the same rows.

    Attributes:
      reader: the explanation.
      specs: the slices that will be asked for.
      of_baseline_model: whether it is the baseline model that is meant.
      method: whose attributions.
    """

    reader: ExplanationReader
    specs: tuple[SlicingSpec, ...]
    of_baseline_model: bool = False
    method: str = tables.SHAPLEY

    def moments(self, key: Key, players: Sequence[str]) -> Moments:
        """Importance in one (slice, output), players in the given order; unknown where there is no table."""
        table = self.reader.baseline_importance if self.of_baseline_model else self.reader.importance
        rows = _rows(table, key, self.method)
        if rows.empty:
            return Moments.unknown(len(players))
        rows = rows.set_index("player").loc[list(players)]
        return Moments(
            n_examples=int(rows["num_examples"].iloc[0]),
            n_effective=float(rows["num_effective_examples"].iloc[0]),
            mean_abs=rows["value"].to_numpy(np.float64),
            covariance=self._matrix(key, players, "covariance"),
            mean_signed=rows["mean_signed"].to_numpy(np.float64),
            mean_signed_std_error=rows["mean_signed_std_error"].to_numpy(np.float64),
            cut_off=tables.cut_off_of(rows),
        )

    def difference_covariance(self, key: Key, players: Sequence[str]) -> Array:
        """(d, d) of mean |attribution| of the model - of the baseline model; of the baseline model's side only."""
        return self._matrix(key, players, "difference_covariance")

    def _matrix(self, key: Key, players: Sequence[str], column: str) -> Array:
        """(d, d) from a row per pair of players."""
        reader = self.reader
        table = reader.baseline_importance_covariance if self.of_baseline_model else reader.importance_covariance
        position = {player: index for index, player in enumerate(players)}
        rows = _rows(table, key, self.method)
        first, second = ([position[player] for player in rows[name]] for name in ("player_a", "player_b"))
        matrix = np.zeros((len(players), len(players)))
        matrix[first, second] = matrix[second, first] = rows[column]
        return matrix

    def attributions(self, key: Key, players: Sequence[str]) -> AttributionSample:
        """The attributions in one (slice, output), players in the given order; none where there is no row."""
        slice_key, output = key
        values, weights = self._records.get(slice_key, (np.zeros((0, 0, 0)), np.zeros(0)))
        if not len(weights):
            return AttributionSample(np.zeros((0, len(players))), weights)
        order = [self.reader.players.index(player) for player in players]
        return AttributionSample(values[:, order, self.reader.outputs.index(output)], weights)

    @functools.cached_property
    def _records(self) -> Mapping[str, tuple[Array, Array]]:
        """Slice -> attributions (n, n_players, n_outputs) and weights (n,) of the explained rows.

        Raises:
          InputError: the records are gone, or are not those that were written.
        """
        found: dict[str, list[tuple[Array, Array]]] = {}
        weight_key = self.reader.manifest["config"]["example_weight_key"]
        prefix = tables.BASELINE_PREFIX * self.of_baseline_model + tables.ATTRIBUTION_PREFIX
        check_stored(self.reader, self.specs, "attribution_drift")
        layout = RecordLayout.of(self.reader.manifest)
        for batch in self.reader.attribution_batches():
            figures = attribution_values(batch, layout, self.method)
            values = rests.rounded(np.stack([figures[prefix + player] for player in layout.players], axis=1))
            weights = np.ones(batch.num_rows) if weight_key is None else example_weights(batch, weight_key)
            for slice_key, rows in slice_examples(batch, [SlicingSpec(), *self.specs]).items():
                kept = rows[weights[rows] > 0]
                found.setdefault(slice_name(slice_key), []).append((values[kept], weights[kept]))
        return {
            name: (np.concatenate([values for values, _ in parts]), np.concatenate([weights for _, weights in parts]))
            for name, parts in found.items()
        }


def compare(ours: Side, theirs: Side, key: Key) -> Comparison:
    """Importance against importance; paired where both are about the same rows."""
    players = ours.reader.players
    moments = ours.moments(key, players), theirs.moments(key, players)
    paired = theirs.difference_covariance(key, players) if theirs.of_baseline_model and moments[1].n_examples else None
    return Comparison(players, *moments, *key, difference_covariance=paired, method=ours.method)


def compare_distributions(ours: Side, theirs: Side, key: Key) -> DistributionComparison:
    """Attributions against attributions."""
    players = ours.reader.players
    samples = ours.attributions(key, players), theirs.attributions(key, players)
    is_paired = theirs.reader is ours.reader
    return DistributionComparison(players, *samples, *key, is_paired=is_paired, method=ours.method)


def _rows(table: pd.DataFrame, key: Key, method: str) -> pd.DataFrame:
    return table[(table["slice"] == key[0]) & (table["output"] == key[1]) & (table["method"] == method)]
