"""Friedman's H of the pairs of players that matter most, from a sample of the rows, once importance is known.

The sample is the same for any sharding. Its cost does not grow with the data: half of the
rows lend their values as points to the other half, once for each player and each pair.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from tfx_explain.errors import ConfigError
from tfx_explain.methods.attribution_tables import INTERACTIONS, SIZES
from tfx_explain.methods.context import JobContext, features_of
from tfx_explain.methods.method import CANDIDATE, Key
from tfx_explain.methods.outputs import chosen_outputs
from tfx_explain.models import Model, SingleRowBlocks
from tfx_explain.rows import example_weights, take_rows
from tfx_explain.slicing import OVERALL
from tfx_explain.summary.friedman import InteractionStrength, friedman_h
from tfx_explain.tables import SHAPLEY

METHOD = "interaction_strength"
INDEX = "H"

FloatArray = npt.NDArray[np.float64]
Pair = tuple[int, int]
Term = tuple[int, ...]
"""The players whose values come from the points; none for the plain prediction."""


def check_named_players(context: JobContext) -> None:
    """Refuses names of players that there are not.

    Raises:
      ConfigError: there is such a name.
    """
    for name in context.config.method(METHOD).players or ():
        if name not in context.players:
            raise ConfigError(
                f"`methods.{METHOD}.players` names `{name}`; the players are {', '.join(context.players)}."
            )


def choose_pairs(accumulated: Mapping[Key, Any], context: JobContext) -> list[Pair]:
    """The pairs to measure: of the players named, else of the `top_k` most important ones.

    Important by the first method that attributes. Where pairwise interactions of single rows were computed, they
    choose instead: as many pairs, the strongest. Both are summed over outputs; what the configuration left out is no
    player here.
    """
    settings, players = context.config.method(METHOD), tuple(context.players)
    if settings.players is not None:
        return list(itertools.combinations(sorted(players.index(name) for name in set(settings.players)), 2))
    everyone = list(itertools.combinations(range(len(players)), 2))
    asked = [method.name for method in context.config.methods]
    attributing = {key.method for key in accumulated if key.what == SIZES}
    what, method = SIZES, next((name for name in asked if name in attributing), SHAPLEY)
    if context.config.shapley.interactions:
        what, method = INTERACTIONS, SHAPLEY
    wanted = (method, CANDIDATE, what, OVERALL)
    found = [value.result() for key, value in sorted(accumulated.items()) if key[:4] == wanted]
    total = sum(one.uncut if what == SIZES else one.mean_abs for one in found)
    strongest = [] if isinstance(total, int) else np.argsort(-total, kind="stable").tolist()
    if what == INTERACTIONS:
        pairs = [everyone[place] for place in strongest]
        named = [(a, b) for a, b in pairs if context.rest not in (players[a], players[b])]
        return named[: settings.top_k * (settings.top_k - 1) // 2]
    top = sorted([player for player in strongest if players[player] != context.rest][: settings.top_k])
    return list(itertools.combinations(top, 2))


def terms_of(pairs: Sequence[Pair]) -> list[Term]:
    """What is evaluated for these pairs: the plain prediction, each player, each pair."""
    return (
        [(), *((player,) for player in sorted({player for pair in pairs for player in pair})), *pairs] if pairs else []
    )


def evaluate(model: Model, players: Mapping[str, Sequence[str]], sample: pa.RecordBatch, term: Term) -> FloatArray:
    """Outputs of rows that have the players of a term from points; plain predictions where the term has none.

    Args:
      model: what is explained.
      players: name -> features.
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
    return model.block_values(rows, points, features_of(model, players), blocks)[:, :, 0]


def halves(sample: pa.RecordBatch) -> tuple[pa.RecordBatch, pa.RecordBatch]:
    """The rows, and the rows that serve as points."""
    order = np.arange(sample.num_rows)
    return take_rows(sample, order[::2]), take_rows(sample, order[1::2])


def measure(
    pairs: Sequence[Pair], context: JobContext, sample: pa.RecordBatch | None, values: Mapping[Term, FloatArray]
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Rows of `interactions.parquet`, the strengths of all pairs in every output; and an entry of the manifest.

    Args:
      pairs: of players, by number.
      context: says what the outputs are.
      sample: the rows behind the values.
      values: term -> what `evaluate` gives.
    """
    config, players = context.config, tuple(context.players)
    names = context.outputs
    found: list[dict[str, Any]] = []
    n_model_rows = sum(int(np.prod(outputs.shape[:2])) for term, outputs in values.items() if term)
    if values and sample is not None:
        rows, points = halves(sample)
        chosen = chosen_outputs(values[()][:, 0], rows, config, context.labels)
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
    return _table(found, names), description


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
