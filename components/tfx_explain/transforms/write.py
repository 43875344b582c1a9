"""What a run writes from its workers: attribution records, dead letters, and the tables that the manifest describes."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import apache_beam as beam
import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from tfx_explain import records, storage
from tfx_explain.methods.background import Background
from tfx_explain.methods.losses.explainer import loss_table
from tfx_explain.methods.profiles.plan import ProfilePlan
from tfx_explain.methods.profiles.rows import baseline_profile_table, profile_table
from tfx_explain.rows import HashArray, take_rows
from tfx_explain.slicing import OVERALL
from tfx_explain.summary.importance import ImportanceAccumulator, ImportanceSummary
from tfx_explain.summary.interactions import InteractionSummary
from tfx_explain.summary.ratio import t_quantile
from tfx_explain.summary.sizes import NoisyMoments
from tfx_explain.summary.slices import compare_with_rest, false_discovery_q_values
from tfx_explain.transforms.explain import ExplainedExamples, example_ids
from tfx_explain.transforms.select import SmallestDrawsFn
from tfx_explain.transforms.summarize import (
    BASELINE,
    BASELINE_PROFILES,
    DIFFERENCE,
    IMPORTANCE,
    INTERACTIONS,
    PROFILE_DIFFERENCES,
    PROFILES,
    Key,
)

METHOD = records.SHAPLEY
N_REPORT_EXAMPLES = 400


@dataclasses.dataclass(frozen=True)
class Tables:
    """What the tables of one explanation need beside the accumulators.

    Attributes:
      directory: the explanation's.
      players: their names.
      outputs: names of the explained outputs, in which order tables have them.
      interaction_pairs: (n_pairs, 2) players of each interaction.
      interaction_index: which index the interactions are.
    """

    directory: str
    players: tuple[str, ...]
    outputs: tuple[str, ...]
    interaction_pairs: npt.NDArray[np.int32]
    interaction_index: str

    def write(
        self,
        accumulated: Mapping[Key, Any],
        background: Background,
        examples: pa.RecordBatch | None,
        strengths: pd.DataFrame | None = None,
    ) -> None:
        """Writes every table of the explanation; `strengths` are further rows of the interactions."""
        # The whole data comes before its slices.
        results = dict(sorted(accumulated.items(), key=lambda item: self._place(*item[0])))
        importance = {key[1:]: value.result() for key, value in results.items() if key[0] == IMPORTANCE}
        tables = [self.importance(importance)]
        if background.losses is not None:
            tables += loss_table(results, self.players, background.losses)
        self._write(records.IMPORTANCE, pd.concat(tables, ignore_index=True))
        self._write(records.IMPORTANCE_COVARIANCE, self.covariance(importance))
        interactions = {key[1:]: value.result() for key, value in results.items() if key[0] == INTERACTIONS}
        frames = [self.interactions(interactions)] if interactions else []
        frames += [] if strengths is None or strengths.empty else [strengths]
        if frames:
            self._write(records.INTERACTIONS, pd.concat(frames, ignore_index=True))
        baseline = {key[1:]: value.result() for key, value in results.items() if key[0] == BASELINE}
        if baseline:
            differences = {key[1:]: value for key, value in results.items() if key[0] == DIFFERENCE}
            tables = [self.importance(baseline, importance, differences)]
            if background.losses is not None:
                tables += loss_table(results, self.players, background.losses, of_baseline=True)
            self._write(records.BASELINE_IMPORTANCE, pd.concat(tables, ignore_index=True))
            self._write(records.BASELINE_IMPORTANCE_COVARIANCE, self.covariance(baseline, differences))
        compared = self.slice_differences({key[1:]: v for key, v in results.items() if key[0] == IMPORTANCE})
        if compared is not None:
            self._write(records.SLICE_DIFFERENCES, compared)
        if background.profiles is not None:
            self._write_profiles(results, background.profiles)
        rows = pa.Table.from_batches([background.rows])
        if records.BACKGROUND_WEIGHT in rows.schema.names:  # without values, else its rows would have been refused
            rows = rows.drop([records.BACKGROUND_WEIGHT])
        weighted = rows.append_column(records.BACKGROUND_WEIGHT, pa.array(background.weights))
        self._write(records.BACKGROUND, weighted)
        if examples is not None:
            self._write(records.REPORT_EXAMPLES, pa.Table.from_batches([examples]))

    def _place(self, table: str, slice_key: str, output: str) -> tuple[bool, str, str, int]:
        of_output = self.outputs.index(output) if output in self.outputs else -1
        return slice_key != OVERALL, table, slice_key, of_output

    def _write_profiles(self, results: Mapping[Key, Any], plan: ProfilePlan) -> None:
        ours, theirs, change = (
            {key[1:]: value for key, value in results.items() if key[0] == table}
            for table in (PROFILES, BASELINE_PROFILES, PROFILE_DIFFERENCES)
        )
        self._write(records.PROFILES, profile_table(ours, plan))
        if theirs:
            self._write(records.BASELINE_PROFILES, baseline_profile_table(theirs, change, plan))

    def _write(self, name: str, table: pd.DataFrame | pa.Table) -> None:
        records.write_table(storage.join(self.directory, name), table)

    def importance(
        self,
        summaries: Mapping[tuple[str, str], ImportanceSummary],
        candidate: Mapping[tuple[str, str], ImportanceSummary] | None = None,
        differences: Mapping[tuple[str, str], NoisyMoments] | None = None,
    ) -> pd.DataFrame:
        """A row per slice, output and player; with `differences` also candidate - baseline, paired by row."""
        frames = []
        for (slice_key, output), summary in summaries.items():
            columns: dict[str, Any] = {"slice": slice_key, "output": output, "method": METHOD, "player": self.players}
            columns |= summary.columns()
            columns |= {"num_examples": summary.n_examples, "num_effective_examples": summary.n_effective}
            columns["metric"] = "mean_abs_attribution"
            if candidate is not None and differences is not None:
                moments = differences[slice_key, output]
                # Of importances as they are given, not below 0; they differ no more than the means of sizes do.
                columns["difference"] = candidate[slice_key, output].mean_abs - summary.mean_abs
                columns["difference_std_error"] = np.sqrt(np.diag(moments.covariance_of_mean()))
                half_width = t_quantile(0.975, moments.n_effective - 1) * columns["difference_std_error"]
                columns["difference_ci_low"] = columns["difference"] - half_width
                columns["difference_ci_high"] = columns["difference"] + half_width
            frames.append(pd.DataFrame(columns).sort_values("rank", kind="stable"))
        return pd.concat(frames, ignore_index=True)

    def slice_differences(self, accumulators: Mapping[tuple[str, str], ImportanceAccumulator]) -> pd.DataFrame | None:
        """A row per slice, output and player; None where there are no slices."""
        frames = []
        for (slice_key, output), inside in accumulators.items():
            if slice_key == OVERALL:
                continue
            overall = accumulators[OVERALL, output]
            columns: dict[str, Any] = {"slice": slice_key, "output": output, "method": METHOD, "player": self.players}
            columns |= vars(compare_with_rest(overall.absolute, inside.absolute))
            columns["num_examples"] = inside.n_examples
            columns["num_rest_examples"] = overall.n_examples - inside.n_examples
            frames.append(pd.DataFrame(columns))
        if not frames:
            return None
        table = pd.concat(frames, ignore_index=True)
        q_values = false_discovery_q_values(table["p_value"])
        table.insert(table.columns.get_loc("p_value") + 1, "q_value", q_values)
        return table

    def covariance(
        self,
        summaries: Mapping[tuple[str, str], ImportanceSummary],
        differences: Mapping[tuple[str, str], NoisyMoments] | None = None,
    ) -> pd.DataFrame:
        """A row per slice, output and pair of players, each with itself too; with `differences` also theirs."""
        first, second = np.triu_indices(len(self.players))
        columns = {key: {"covariance": s.mean_abs_covariance[first, second]} for key, s in summaries.items()}
        for key, moments in (differences or {}).items():
            columns[key]["difference_covariance"] = moments.covariance_of_mean()[first, second]
        return self._pairs(first, second, columns)

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
            table[(table["slice"] == slice_key) & (table["output"] == output)].sort_values("value", ascending=False)
            for slice_key, output in summaries
        ]
        return pd.concat(rows, ignore_index=True)

    def _pairs(
        self,
        first: npt.NDArray[Any],
        second: npt.NDArray[Any],
        columns: Mapping[tuple[str, str], Mapping[str, Any]],
    ) -> pd.DataFrame:
        names = np.array(self.players, object)
        return pd.concat(
            [
                pd.DataFrame(
                    {
                        "slice": slice_key,
                        "output": output,
                        "method": METHOD,
                        "player_a": names[first],
                        "player_b": names[second],
                        **values,
                    }
                )
                for (slice_key, output), values in columns.items()
            ],
            ignore_index=True,
        )


def attribution_rows(explained: ExplainedExamples, players: Sequence[str], id_key: str | None) -> pa.RecordBatch:
    """The explained rows as they are written: their own features and their attributions."""
    return records.attribution_batch(
        explained.rows,
        players=players,
        attributions=explained.outputs.attributions,
        std_errors=explained.outputs.std_error,
        prediction=explained.outputs.prediction,
        base_value=explained.outputs.base_value,
        completeness_gap=explained.outputs.completeness_gap,
        example_ids=example_ids(explained.rows, explained.hashes, id_key),
        degrees_of_freedom=explained.outputs.degrees_of_freedom,
        baseline_attributions=None if explained.baseline is None else explained.baseline.attributions,
        baseline_prediction=None if explained.baseline is None else explained.baseline.prediction,
    )


class WriteRecords(beam.PTransform):
    """Serialized tf.Examples to gzipped TFRecords named as ExampleGen names them."""

    def __init__(self, directory: str) -> None:
        super().__init__()
        self.directory = directory

    def expand(self, serialized: beam.PCollection) -> beam.PCollection:
        return serialized | beam.io.WriteToTFRecord(
            storage.join(self.directory, "data_tfrecord"), file_name_suffix=".gz"
        )


class SampleForReport(beam.PTransform):
    """A few explained rows, chosen at random, in one SmallestDraws."""

    def __init__(self, players: Sequence[str], id_key: str | None) -> None:
        super().__init__()
        self.players = tuple(players)
        self.id_key = id_key

    def expand(self, explained: beam.PCollection) -> beam.PCollection:
        return (
            explained
            | "Few" >> beam.Map(report_rows, self.players, self.id_key)
            | "Fewer" >> beam.CombineGlobally(SmallestDrawsFn(N_REPORT_EXAMPLES))
        )


def report_rows(
    explained: ExplainedExamples, players: Sequence[str], id_key: str | None
) -> tuple[pa.RecordBatch, HashArray]:
    """Those rows of a batch that may be in the report, and their draws."""
    order = np.argsort(explained.draws, kind="stable")[:N_REPORT_EXAMPLES]
    return take_rows(attribution_rows(explained, players, id_key), order), explained.draws[order]
