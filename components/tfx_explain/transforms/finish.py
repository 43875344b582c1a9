"""The last step of the job, run once by one worker: tables, and what the manifest needs to know of the run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from tfx_explain import records, storage
from tfx_explain.attribution import Design
from tfx_explain.content_sample import SmallestDraws
from tfx_explain.errors import InputError
from tfx_explain.job.request import ExplainRequest
from tfx_explain.methods.background import Background
from tfx_explain.methods.losses.explainer import describe_losses
from tfx_explain.methods.outputs import looks_like_probabilities
from tfx_explain.methods.shapley.designs import shapley_design
from tfx_explain.slicing import OVERALL, SliceKey
from tfx_explain.summary.importance import ImportanceSummary
from tfx_explain.transforms.interaction_strength import METHOD as INTERACTION_STRENGTH
from tfx_explain.transforms.interaction_strength import InteractionStrengths
from tfx_explain.transforms.slices import describe_slices
from tfx_explain.transforms.summarize import IMPORTANCE, Key, merged
from tfx_explain.transforms.write import Tables

_N_TOP = 10
_MAX_REASONS = 50
_OTHER_REASONS = "other reasons, which the dead letters name"


def write_tables(
    request: ExplainRequest,
    *,
    background: Background,
    summaries: Iterable[tuple[Key, Any]],
    strengths: InteractionStrengths | None,
    slices: Mapping[SliceKey, int],
    samples: Iterable[SmallestDraws],
    counts: Mapping[tuple[str, str], int],
    failures: Mapping[tuple[str, str], int],
) -> None:
    """Writes the tables and `run.json`.

    Args:
      request: what was asked for.
      background: the rows that stood in for absent features, and what was settled with them.
      summaries: accumulators by table, slice and output; several with one key are merged.
      strengths: of interactions, where they were asked for.
      slices: slice -> rows before they were explained.
      samples: rows for the report.
      counts: (split, what) -> n.
      failures: (split, reason) -> n.

    Raises:
      InputError: every row has a weight of 0.
    """
    players, config, directory = tuple(request.players), request.config, request.explanation_dir
    accumulated = _merged_by_key(summaries)
    design = shapley_design(config, len(players), background.weights, budget=background.budget)
    importance = {key[1:]: value for key, value in accumulated.items() if key[0] == IMPORTANCE}
    num_examples = {slice_key: value.n_examples for (slice_key, _), value in importance.items()}
    # Rows that failed, or have a weight of 0, may have left too few.
    small = {name for name, n in num_examples.items() if name != OVERALL and n < config.min_slice_examples}
    accumulated = {key: value for key, value in accumulated.items() if key[1] not in small}
    if accumulated:
        _check_weights(num_examples[OVERALL], config.example_weight_key)
        tables = Tables(directory, players, request.outputs, design.interaction_pairs, design.interaction_index)
        strength_table = None if strengths is None else strengths.table
        tables.write(accumulated, background, merged(samples).result(), strength_table)
    results = {output: value.result() for (slice_key, output), value in importance.items() if slice_key == OVERALL}
    run = {
        "counts": _counts_by_split(counts),
        "failures": _reasons_by_split(failures),
        "background": {
            "num_rows": background.rows.num_rows,
            "digest": background.digest,
            "model_rows": dict(background.model_rows),
        },
        "looks_like_probabilities": looks_like_probabilities(background.predictions),
        "outputs": background.outputs.tolist(),
        "base_values": background.base_values.tolist(),
        "design": _describe_design(design),
        "slices": describe_slices(config, slices, num_examples),
        "profiles": {} if background.profiles is None else background.profiles.describe(config),
        "strengths": {} if strengths is None else {INTERACTION_STRENGTH: dict(strengths.description)},
        "losses": describe_losses(accumulated, background.losses, config),
        "top_players": _top_players(players, [results[name] for name in request.outputs if name in results]),
        "max_gap": max((result.max_completeness_gap for result in results.values()), default=0.0),
        "max_relative_gap": max((r.max_relative_completeness_gap for r in results.values()), default=0.0),
    }
    records.write_json(storage.join(directory, records.RUN), run)


def _merged_by_key(summaries: Iterable[tuple[Key, Any]]) -> dict[Key, Any]:
    together: dict[Key, Any] = {}
    for key, accumulator in summaries:
        together[key] = accumulator if key not in together else merged([together[key], accumulator])
    return together


def _counts_by_split(counts: Mapping[tuple[str, str], int]) -> dict[str, dict[str, Any]]:
    by_split: dict[str, dict[str, Any]] = {}
    for (split, what), n in sorted(counts.items()):
        by_split.setdefault(split, {})[what] = f"{n % 2**64:016x}" if what == "digest" else n
    return by_split


def _reasons_by_split(failures: Mapping[tuple[str, str], int]) -> dict[str, dict[str, int]]:
    """Split -> reason -> n, most frequent first; what models say of single rows may be as many reasons as rows."""
    by_split: dict[str, dict[str, int]] = {}
    for (split, reason), n in sorted(failures.items(), key=lambda item: (item[0][0], -item[1], item[0][1])):
        reasons = by_split.setdefault(split, {})
        named = reason if len(reasons) < _MAX_REASONS else _OTHER_REASONS
        reasons[named] = reasons.get(named, 0) + n
    return by_split


def _describe_design(design: Design) -> dict[str, Any]:
    return {
        "estimator": design.estimator,
        "coalitions_per_background_row": design.n_coalitions,
        "background_blocks": design.n_blocks,
        "model_rows_per_example": design.n_model_rows,
        "interaction_index": design.interaction_index,
    }


def _check_weights(n_weighted: int, weight: str | None) -> None:
    if not n_weighted:
        raise InputError(
            f"every explained row has an example weight `{weight}` of 0, so there is nothing to average; "
            "give some rows a positive weight."
        )


def _top_players(players: Sequence[str], results: Sequence[ImportanceSummary]) -> list[str]:
    """The most important players of the first output, most important first."""
    return [players[i] for i in np.argsort(results[0].rank, kind="stable")[:_N_TOP]] if results else []
