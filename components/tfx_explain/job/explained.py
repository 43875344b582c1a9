"""Explaining a batch of rows by all methods of a job; what cannot be explained is set aside with the reason."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tfx_explain import records
from tfx_explain.config import ExplainConfig
from tfx_explain.job.split_rows import SplitRows
from tfx_explain.methods.background import JobPlan
from tfx_explain.methods.batch import Batch
from tfx_explain.methods.context import JobContext
from tfx_explain.methods.labels import Labels
from tfx_explain.methods.method import BatchExplainer, Earlier
from tfx_explain.models import Model
from tfx_explain.rows import HashArray, column_or_nulls, example_weights, list_lengths, take_rows

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@dataclasses.dataclass(frozen=True)
class ExplainedExamples:
    """A batch of rows with what each method has found of them.

    Attributes:
      split: the rows' split.
      rows: n_examples of them.
      draws: (n_examples,) random numbers, different for copies.
      ids: (n_examples,) the value of the id feature, else the content hash.
      predictions: (n_examples, K) of the outputs that each row asks for, by the model and by the baseline model if
        there is one.
      base_value: (n_examples, K) mean predictions of the model over the background for the same outputs.
      found: key of a method -> what it says of the rows, by each of these models.
    """

    split: str
    rows: pa.RecordBatch
    draws: HashArray
    ids: Sequence[bytes]
    predictions: tuple[FloatArray, ...]
    base_value: FloatArray
    found: Mapping[str, tuple[Any, ...]]

    def take(self, kept: IntArray) -> ExplainedExamples:
        """The given rows, (k,) integers."""
        return ExplainedExamples(
            self.split,
            take_rows(self.rows, kept),
            self.draws[kept],
            [self.ids[row] for row in kept.tolist()],
            tuple(values[kept] for values in self.predictions),
            self.base_value[kept],
            {method: tuple(side.take(kept) for side in sides) for method, sides in self.found.items()},
        )


Explained = tuple[ExplainedExamples, list[tuple[bytes, str]], dict[str, int]]
"""The explained rows, (record, reason) of those that could not be, and what was done how often."""


def key_errors(batch: pa.RecordBatch, config: ExplainConfig, n_outputs: int, source: Labels | None) -> dict[int, str]:
    """Row -> what is wrong with its label, id or weight; labels come from the source."""
    errors: dict[int, str] = {}
    if config.example_weight_key is not None:
        bad = np.flatnonzero(np.isnan(example_weights(batch, config.example_weight_key)))
        text = f"the example weight `{config.example_weight_key}` is not one finite number of 0 or more"
        errors |= dict.fromkeys(bad.tolist(), text)
    # Otherwise only methods that compare outputs with labels need one, and they leave out rows that have none.
    if config.id_key is not None:
        errors |= _not_single(column_or_nulls(batch, config.id_key), f"the id `{config.id_key}`")
    if config.model.classes == "label" and source is not None:
        labels = source.column(batch)
        errors |= _not_single(labels, f"the label `{source.key}`")
        unknown = np.flatnonzero(~np.isin(source.numbers(labels), np.arange(n_outputs)))
        text = f"the label `{source.key}` is not the index of one of the model's {n_outputs} outputs"
        errors |= dict.fromkeys(np.setdiff1d(unknown, list(errors)).tolist(), text)
    return errors


def _not_single(column: pa.Array, what: str) -> dict[int, str]:
    rows = np.flatnonzero(list_lengths(column) != 1)
    return dict.fromkeys(rows.tolist(), f"{what} has not exactly one value")


def set_aside(batch: pa.RecordBatch, errors: Mapping[int, str]) -> tuple[pa.RecordBatch, list[tuple[bytes, str]]]:
    """The rows without an error, and (record, reason) of the others, encoded anew: same features, same values."""
    if not errors:
        return batch, []
    bad = np.array(sorted(errors))
    good = np.setdiff1d(np.arange(batch.num_rows), bad)
    encoded = records.encode_own_features(take_rows(batch, bad))
    return take_rows(batch, good), [(record, errors[row]) for record, row in zip(encoded, bad.tolist(), strict=True)]


def explain_examples(
    models: Sequence[Model],
    explainers: Mapping[str, BatchExplainer[Any]],
    examples: SplitRows,
    plan: JobPlan,
    context: JobContext,
) -> Explained:
    """What each method says of each row.

    Args:
      models: the model, and the baseline model if there is one.
      explainers: key of a method -> at work with these models.
      examples: rows without `row_errors`.
      plan: of the job.
      context: says which outputs to keep, and where labels come from.

    Returns:
      The explained rows; (record, reason) of those for which a method failed; what was done how often.
    """
    rows, hashes = examples.rows, examples.hashes
    draws = hashes if examples.draws is None else examples.draws
    whole = Batch.of(models, rows, hashes, draws, plan.outputs, context.config, context.labels)
    kept = _Kept(np.arange(rows.num_rows), whole, {}, {}, {})
    kept = kept.without(whole.prediction_errors(plan))
    counts: dict[str, int] = {}
    for key, explainer in explainers.items():
        if not kept.batch.rows.num_rows:
            break
        result = explainer.explain(kept.batch, plan, Earlier(kept.found, kept.lent))
        kept = kept.without(result.errors)
        kept.found[key], kept.lent[key] = result.sides, result.lent
        counts |= result.counts
    batch = kept.batch
    counts["model_rows"] = sum(n for name, n in counts.items() if name == "model_rows" or name.endswith("_model_rows"))
    counts |= {
        "selected": rows.num_rows,
        "explained": batch.rows.num_rows,
        "predicted_rows": len(models) * rows.num_rows,
    }
    _, failures = set_aside(rows, kept.errors)
    base_values = np.broadcast_to(plan.side(0).base_values, (batch.rows.num_rows, len(plan.outputs)))
    explained = ExplainedExamples(
        examples.split,
        batch.rows,
        batch.draws,
        batch.ids,
        batch.asked_predictions(plan),
        np.take_along_axis(base_values, batch.chosen, axis=1),
        kept.found,
    )
    return explained, failures, counts


@dataclasses.dataclass(frozen=True)
class _Kept:
    """The rows of a batch that nothing is wrong with so far.

    Attributes:
      places: where they were.
      batch: the rows.
      errors: place of each other row -> what is wrong with it.
      found, lent: key of a method -> what it says of the rows, and lends to later ones.
    """

    places: IntArray
    batch: Batch
    errors: Mapping[int, str]
    found: dict[str, tuple[Any, ...]]
    lent: dict[str, tuple[Any, ...]]

    def without(self, errors: Mapping[int, str]) -> _Kept:
        """Those that are not among the errors, by their numbers among the ones that there are."""
        if not errors:
            return self
        good = np.setdiff1d(np.arange(len(self.places)), list(errors))
        return _Kept(
            self.places[good],
            self.batch.take(good),
            {**self.errors, **{int(self.places[row]): reason for row, reason in errors.items()}},
            {key: tuple(side.take(good) for side in sides) for key, sides in self.found.items()},
            {key: tuple(side and side.take(good) for side in sides) for key, sides in self.lent.items()},
        )
