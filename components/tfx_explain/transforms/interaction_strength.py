"""Friedman's H of the pairs of players that matter most, from a sample of the rows, once importance is known.

The sample is the same for any sharding. Its cost does not grow with the data: half of the
rows lend their values as points to the other half, once for each player and each pair. These are spread over workers.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import apache_beam as beam
import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from tfx_explain.config import ExplainConfig
from tfx_explain.job.request import ExplainRequest
from tfx_explain.methods.outputs import chosen_outputs
from tfx_explain.models import Model, SingleRowBlocks
from tfx_explain.rows import HashArray, example_weights, take_rows
from tfx_explain.slicing import OVERALL
from tfx_explain.summary.friedman import InteractionStrength, friedman_h
from tfx_explain.transforms.explain import ExplainedExamples
from tfx_explain.transforms.select import SmallestDrawsFn
from tfx_explain.transforms.summarize import IMPORTANCE, INTERACTIONS, Key, merged

METHOD = "interaction_strength"
INDEX = "H"

FloatArray = npt.NDArray[np.float64]
Pair = tuple[int, int]
Term = tuple[int, ...]
"""The players whose values come from the points; none for the plain prediction."""


@dataclasses.dataclass(frozen=True)
class InteractionStrengths:
    """What was found for all pairs.

    Attributes:
      table: rows of `interactions.parquet`.
      description: the method's entry in the manifest.
    """

    table: pd.DataFrame
    description: Mapping[str, Any]


class MeasureInteractionStrength(beam.PTransform):
    """One InteractionStrengths of all explained rows.

    Args:
      request: says what is explained and how.
      explained: split -> ExplainedExamples.
    """

    def __init__(self, request: ExplainRequest, explained: Mapping[str, beam.PCollection]) -> None:
        super().__init__()
        self.request = request
        self.explained = explained

    def expand(self, summaries: beam.PCollection) -> beam.PCollection:
        """Adds the steps to the ((table, slice, output), accumulator) of all splits."""
        config = self.request.config
        choose = SmallestDrawsFn(config.method(METHOD).num_rows)
        sample = (
            [
                rows
                | f"Counting[{split}]" >> beam.Map(rows_that_count, config)
                | f"Sample[{split}]" >> beam.CombineGlobally(choose)
                for split, rows in self.explained.items()
            ]
            | "Samples" >> beam.Flatten()
            | "Parts" >> beam.FlatMap(lambda kept: kept.parts())
            | "Sample" >> beam.CombineGlobally(choose)
            | "Kept" >> beam.Map(lambda kept: kept.result())
        )
        start = summaries.pipeline | beam.Create([None])
        chosen = start | "ChoosePairs" >> beam.Map(_choose_pairs, self.request, summaries=beam.pvalue.AsIter(summaries))
        values = (
            chosen
            | "Terms" >> beam.FlatMap(terms_of)
            | "Spread" >> beam.Reshuffle()
            | "Evaluate" >> beam.ParDo(_EvaluateFn(self.request), beam.pvalue.AsSingleton(sample))
        )
        return chosen | "Measure" >> beam.Map(
            measure, self.request, beam.pvalue.AsSingleton(sample), beam.pvalue.AsDict(values)
        )


def rows_that_count(explained: ExplainedExamples, config: ExplainConfig) -> tuple[pa.RecordBatch, HashArray]:
    """Those rows of a batch that may be in the sample, and their draws."""
    rows = np.arange(explained.rows.num_rows)
    if config.example_weight_key is not None:
        rows = np.flatnonzero(example_weights(explained.rows, config.example_weight_key) > 0)
    rows = rows[np.argsort(explained.draws[rows], kind="stable")[: config.method(METHOD).num_rows]]
    return take_rows(explained.rows, rows), explained.draws[rows]


def _choose_pairs(_: None, request: ExplainRequest, *, summaries: Iterable[tuple[Key, Any]]) -> list[Pair]:
    return choose_pairs(summaries, request)


def choose_pairs(summaries: Iterable[tuple[Key, Any]], request: ExplainRequest) -> list[Pair]:
    """The pairs to measure: of the players named, else of the `top_k` most important ones.

    Where pairwise interactions of single rows were computed, they choose instead: as many pairs, the strongest. Both
    are summed over outputs; what the configuration left out is no player here.
    """
    settings, players = request.config.method(METHOD), tuple(request.players)
    if settings.players is not None:
        return list(itertools.combinations(sorted(players.index(name) for name in set(settings.players)), 2))
    everyone = list(itertools.combinations(range(len(players)), 2))
    table = INTERACTIONS if request.config.shapley.interactions else IMPORTANCE
    accumulated: dict[Key, Any] = {}
    for key, value in summaries:
        if key[:2] == (table, OVERALL):
            accumulated[key] = value if key not in accumulated else merged([accumulated[key], value])
    total = sum(value.result().mean_abs for _, value in sorted(accumulated.items()))
    strongest = [] if isinstance(total, int) else np.argsort(-total, kind="stable").tolist()
    if table == INTERACTIONS:
        pairs = [everyone[place] for place in strongest]
        named = [(a, b) for a, b in pairs if request.rest not in (players[a], players[b])]
        return named[: settings.top_k * (settings.top_k - 1) // 2]
    top = sorted([player for player in strongest if players[player] != request.rest][: settings.top_k])
    return list(itertools.combinations(top, 2))


def terms_of(pairs: Sequence[Pair]) -> list[Term]:
    """What is evaluated for these pairs: the plain prediction, each player, each pair."""
    return (
        [(), *((player,) for player in sorted({player for pair in pairs for player in pair})), *pairs] if pairs else []
    )


class _EvaluateFn(beam.DoFn):
    """Terms to (term, outputs)."""

    def __init__(self, request: ExplainRequest) -> None:
        self.request = request

    def setup(self) -> None:
        """Loads the model."""
        self.model = self.request.model.acquire()

    def process(self, term: Term, sample: pa.RecordBatch | None) -> Iterator[tuple[Term, FloatArray]]:
        """Evaluates one term."""
        if sample is not None and sample.num_rows > 1:
            yield term, evaluate(self.model, list(self.request.players.values()), sample, term)


def evaluate(model: Model, players: Sequence[Sequence[str]], sample: pa.RecordBatch, term: Term) -> FloatArray:
    """Outputs of rows that have the players of a term from points; plain predictions where the term has none.

    Args:
      model: what is explained.
      players: per player its features.
      sample: rows in random order; every second one is a point.
      term: players, by number.

    Returns:
      (n_rows, n_points, n_outputs), or (n_rows, 1, n_outputs) of plain predictions.
    """
    rows, points = (model.inputs(half) for half in halves(sample))
    if not term:
        return model.predict(rows)[:, None]
    lacking = np.isin(np.arange(len(players)), term)
    blocks = SingleRowBlocks.of_lenders(np.broadcast_to(lacking, (len(points), len(players))))
    # The players as `RowExplainer` has them, so that both share one prepared graph.
    read = {feature.name for feature in model.features} or {name for names in players for name in names}
    own = [tuple(name for name in names if name in read) for names in players]
    return model.block_values(rows, points, own, blocks)[:, :, 0]


def halves(sample: pa.RecordBatch) -> tuple[pa.RecordBatch, pa.RecordBatch]:
    """The rows, and the rows that serve as points."""
    order = np.arange(sample.num_rows)
    return take_rows(sample, order[::2]), take_rows(sample, order[1::2])


def measure(
    pairs: Sequence[Pair], request: ExplainRequest, sample: pa.RecordBatch | None, values: Mapping[Term, FloatArray]
) -> InteractionStrengths:
    """The strengths of all pairs in every output, and how they came about.

    Args:
      pairs: of players, by number.
      request: says what the outputs are.
      sample: the rows behind the values.
      values: term -> what `evaluate` gives.
    """
    config, players = request.config, tuple(request.players)
    names = request.outputs
    found: list[dict[str, Any]] = []
    n_model_rows = sum(int(np.prod(outputs.shape[:2])) for term, outputs in values.items() if term)
    if values and sample is not None:
        rows, points = halves(sample)
        chosen = chosen_outputs(values[()][:, 0], rows, config)
        kept = {term: np.take_along_axis(outputs, chosen[:, None], axis=2) for term, outputs in values.items()}
        weights = [
            None if config.example_weight_key is None else example_weights(half, config.example_weight_key)
            for half in (rows, points)
        ]
        for index, output in enumerate(names):
            of = {term: outputs[..., index] for term, outputs in kept.items()}
            for a, b in pairs:
                strength = friedman_h(
                    of[a, b],
                    of[a,],
                    of[b,],
                    output_variance=float(np.var(of[()])),
                    row_weights=weights[0],
                    point_weights=weights[1],
                )
                found.append({"output": output, "player_a": players[a], "player_b": players[b], **_columns(strength)})
    description = {
        "pairs": [[players[a], players[b]] for a, b in pairs],
        "rows_sampled": 0 if sample is None else sample.num_rows,
        "model_rows": n_model_rows,
    }
    return InteractionStrengths(_table(found, names), description)


def _columns(strength: InteractionStrength) -> dict[str, Any]:
    columns = dataclasses.asdict(strength)
    return {"num_examples": columns.pop("n_examples"), **columns}


def _table(found: Sequence[Mapping[str, Any]], outputs: Sequence[str]) -> pd.DataFrame:
    table = pd.DataFrame(list(found))
    if table.empty:
        return table
    table = table.assign(slice=OVERALL, method=METHOD, index=INDEX)
    order = np.lexsort([-table["value"], table["output"].map(outputs.index)])
    return table.iloc[order].reset_index(drop=True)
