"""What a method of attributions writes: importance, its covariance, interactions, and how slices differ."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from tfx_explain import tables
from tfx_explain.frames import concatenated
from tfx_explain.methods.method import BASELINE, CANDIDATE, DIFFERENCE, Accumulated, TableRows
from tfx_explain.slicing import OVERALL
from tfx_explain.summary.importance import ImportanceAccumulator
from tfx_explain.summary.importance_summary import ImportanceSummary
from tfx_explain.summary.interactions import InteractionSummary
from tfx_explain.summary.ratio import t_quantile
from tfx_explain.summary.sizes import NoisyMoments
from tfx_explain.summary.slices import compare_with_rest, false_discovery_q_values

_PAIRS_AT_ONCE = 2**18

SIZES, INTERACTIONS = "sizes", "interactions"


@dataclasses.dataclass(frozen=True)
class AttributionTables:
    """What the tables need beside the accumulators.

    Attributes:
      method: its name.
      players: their names.
      interaction_pairs: (n_pairs, 2) players of each interaction.
      interaction_index: which index the interactions are.
    """

    method: str
    players: tuple[str, ...]
    interaction_pairs: npt.NDArray[np.int32] = dataclasses.field(default_factory=lambda: np.zeros((0, 2), np.int32))
    interaction_index: str = ""

    def all(self, accumulated: Accumulated) -> dict[str, TableRows]:
        """File name -> table, or frames that are its rows."""
        of_candidate = accumulated.side(CANDIDATE, SIZES)
        importance = {place: value.result() for place, value in of_candidate.items()}
        made: dict[str, TableRows] = {
            tables.IMPORTANCE.file: self.importance(importance),
            tables.IMPORTANCE_COVARIANCE.file: self.covariance(importance),
        }
        interactions = {place: value.result() for place, value in accumulated.side(CANDIDATE, INTERACTIONS).items()}
        if interactions:
            made[tables.INTERACTIONS.file] = self.interactions(interactions)
        baseline = {place: value.result() for place, value in accumulated.side(BASELINE, SIZES).items()}
        if baseline:
            differences = accumulated.side(DIFFERENCE, SIZES)
            made[tables.BASELINE_IMPORTANCE.file] = self.importance(baseline, importance, differences)
            made[tables.BASELINE_IMPORTANCE_COVARIANCE.file] = self.covariance(baseline, differences)
        compared = self.slice_differences(of_candidate)
        return made if compared is None else {**made, tables.SLICE_DIFFERENCES.file: compared}

    def importance(
        self,
        summaries: Mapping[tuple[str, str], ImportanceSummary],
        candidate: Mapping[tuple[str, str], ImportanceSummary] | None = None,
        differences: Mapping[tuple[str, str], NoisyMoments] | None = None,
    ) -> pd.DataFrame:
        """A row per slice, output and player; with `differences` also candidate - baseline, paired by row."""
        return concatenated(self._importance(summaries, candidate or {}, differences or {}))

    def _importance(
        self,
        summaries: Mapping[tuple[str, str], ImportanceSummary],
        candidate: Mapping[tuple[str, str], ImportanceSummary],
        differences: Mapping[tuple[str, str], NoisyMoments],
    ) -> Iterator[pd.DataFrame]:
        for (slice_name, output), summary in summaries.items():
            columns: dict[str, Any] = {
                "slice": slice_name,
                "output": output,
                "method": self.method,
                "player": self.players,
            }
            columns |= summary.columns()
            columns |= {"num_examples": summary.n_examples, "num_effective_examples": summary.n_effective}
            columns["metric"] = tables.MEAN_ABS_ATTRIBUTION
            if differences:
                moments = differences[slice_name, output]
                # Of importances as they are given, not below 0; they differ no more than the means of sizes do.
                columns["difference"] = candidate[slice_name, output].mean_abs - summary.mean_abs
                columns["difference_std_error"] = np.sqrt(np.diag(moments.covariance_of_mean()))
                half_width = t_quantile(0.975, moments.n_effective - 1) * columns["difference_std_error"]
                columns["difference_ci_low"] = columns["difference"] - half_width
                columns["difference_ci_high"] = columns["difference"] + half_width
            yield pd.DataFrame(columns).sort_values("rank", kind="stable")

    def slice_differences(self, accumulators: Mapping[tuple[str, str], ImportanceAccumulator]) -> pd.DataFrame | None:
        """A row per slice, output and player; None where there are no slices."""
        table = concatenated(self._differences(accumulators))
        if table.empty:
            return None
        q_values = false_discovery_q_values(table["p_value"])
        table.insert(table.columns.get_loc("p_value") + 1, "q_value", q_values)
        return table

    def _differences(self, accumulators: Mapping[tuple[str, str], ImportanceAccumulator]) -> Iterator[pd.DataFrame]:
        for (slice_name, output), inside in accumulators.items():
            if slice_name == OVERALL:
                continue
            overall = accumulators[OVERALL, output]
            columns: dict[str, Any] = {
                "slice": slice_name,
                "output": output,
                "method": self.method,
                "player": self.players,
            }
            columns |= vars(compare_with_rest(overall.absolute, inside.absolute))
            columns["num_examples"] = inside.n_examples
            columns["num_rest_examples"] = overall.n_examples - inside.n_examples
            yield pd.DataFrame(columns)

    def covariance(
        self,
        summaries: Mapping[tuple[str, str], ImportanceSummary],
        differences: Mapping[tuple[str, str], NoisyMoments] | None = None,
    ) -> Iterator[pd.DataFrame]:
        """A row per slice, output and pair of players, each with itself too; with `differences` also theirs.

        In frames, since of thousands of players there are millions of pairs.
        """
        n_players = len(self.players)
        step = max(_PAIRS_AT_ONCE // n_players, 1)
        for key, summary in summaries.items():
            matrices = {"covariance": summary.mean_abs_covariance}
            if differences:
                matrices["difference_covariance"] = differences[key].covariance_of_mean()
            for start in range(0, n_players, step):
                first, second = np.triu_indices(min(step, n_players - start), start, n_players)
                columns = {name: matrix[first + start, second] for name, matrix in matrices.items()}
                yield self._pairs(first + start, second, {key: columns})

    def interactions(self, summaries: Mapping[tuple[str, str], InteractionSummary]) -> pd.DataFrame:
        """A row per slice, output and pair of players, strongest first."""
        columns = {}
        for key, summary in summaries.items():
            named = dataclasses.asdict(summary)
            columns[key] = {
                "index": self.interaction_index,
                "value": named.pop("mean_abs"),
                "num_examples": named.pop("n_examples"),
                **named,
            }
        first, second = self.interaction_pairs.T
        table = self._pairs(first, second, columns)
        # What the summaries are called comes in order; slices too, after the whole data.
        rows = [
            table[(table["slice"] == slice_name) & (table["output"] == output)].sort_values("value", ascending=False)
            for slice_name, output in summaries
        ]
        return pd.concat(rows, ignore_index=True)

    def _pairs(
        self,
        first: npt.NDArray[np.generic],
        second: npt.NDArray[np.generic],
        columns: Mapping[tuple[str, str], Mapping[str, Any]],
    ) -> pd.DataFrame:
        names = np.array(self.players, object)
        return concatenated(
            pd.DataFrame(
                {
                    "slice": slice_name,
                    "output": output,
                    "method": self.method,
                    "player_a": names[first],
                    "player_b": names[second],
                    **values,
                }
            )
            for (slice_name, output), values in columns.items()
        )
