"""Explaining batches of rows: checks, model calls, attributions; what cannot be explained goes to the dead letters."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfx_explain import records
from tfx_explain.config import ExplainConfig
from tfx_explain.errors import ModelCallError, TooManyFailedRowsError
from tfx_explain.job.model_handle import ModelHandle
from tfx_explain.job.request import ExplainRequest
from tfx_explain.methods.background import JobPlan
from tfx_explain.methods.batch import Batch
from tfx_explain.methods.method import BatchExplainer
from tfx_explain.methods.refusals import GROUP, by_halves, refused_rows
from tfx_explain.methods.registry import methods_of
from tfx_explain.methods.shapley.rows import ShapleyRows
from tfx_explain.models import Model
from tfx_explain.rows import HashArray, column_or_nulls, example_weights, list_lengths, name_errors, take_rows
from tfx_explain.transforms.read import COUNTS, FAILED, SplitRows

_REFUSED_MIXED = "the model refuses mixtures of this row with background rows"


@dataclasses.dataclass(frozen=True)
class ExplainedExamples:
    """A batch of rows with what each method has found of them.

    Attributes:
      split: the rows' split.
      rows: n_examples of them.
      draws: (n_examples,) random numbers, different for copies.
      ids: (n_examples,) the value of the id feature, else the content hash.
      found: key of a method -> what it says of the rows, by the model and by the baseline model if there is one.
    """

    split: str
    rows: pa.RecordBatch
    draws: HashArray
    ids: Sequence[bytes]
    found: Mapping[str, tuple[Any, ...]]

    @property
    def shapley(self) -> tuple[ShapleyRows, ...]:
        """Attributions by each model."""
        return self.found[records.SHAPLEY]


Explained = tuple[ExplainedExamples, list[tuple[bytes, str]], dict[str, int]]
"""The explained rows, (record, reason) of those that could not be, and what was done how often."""


class CheckExamples(beam.DoFn):
    """Passes on the SplitRows that the models can read, without their records; the others go to the `failed` output.

    Args:
      models: the model, and the baseline model if there is one.
      reserved: names that no feature may have.
      config: given where the rows are to be explained: its label and id must then be there too.
    """

    def __init__(
        self, models: Sequence[ModelHandle], reserved: Collection[str], config: ExplainConfig | None = None
    ) -> None:
        self.models = tuple(models)
        self.reserved = frozenset(reserved)
        self.config = config

    def setup(self) -> None:
        """Loads the models."""
        self.loaded = [model.acquire() for model in self.models]

    def process(self, element: SplitRows) -> Iterator[SplitRows | beam.pvalue.TaggedOutput]:
        """Checks one batch."""
        batch = element.rows
        errors = name_errors(batch, self.reserved)
        if self.config is not None:
            errors |= key_errors(batch, self.config, self.loaded[0].n_outputs)
        for model in self.loaded:
            errors = {**errors, **model.row_errors(batch)}
        if not errors:
            yield element.without_records()
            return
        if element.records is None:
            failures = set_aside(batch, errors)[1]
        else:
            failures = [(element.records[row], errors[row]) for row in sorted(errors)]
        yield beam.pvalue.TaggedOutput(FAILED, (element.split, failures))
        good = np.setdiff1d(np.arange(batch.num_rows), list(errors))
        if len(good):
            yield element.without_records().take(good)


def key_errors(batch: pa.RecordBatch, config: ExplainConfig, n_outputs: int) -> dict[int, str]:
    """Row -> what is wrong with its label, id or weight."""
    errors: dict[int, str] = {}
    if config.example_weight_key is not None:
        bad = np.flatnonzero(np.isnan(example_weights(batch, config.example_weight_key)))
        text = f"the example weight `{config.example_weight_key}` is not one finite number of 0 or more"
        errors |= dict.fromkeys(bad.tolist(), text)
    # Otherwise only methods that compare outputs with labels need one, and they leave out rows that have none.
    label = config.label_key if config.model.classes == "label" else None
    for what, name in (("id", config.id_key), ("label", label)):
        if name is not None:
            lengths = list_lengths(column_or_nulls(batch, name))
            errors |= dict.fromkeys(
                np.flatnonzero(lengths != 1).tolist(), f"the {what} `{name}` has not exactly one value"
            )
    if config.model.classes == "label":
        labelled = np.setdiff1d(np.arange(batch.num_rows), list(errors))
        column = column_or_nulls(batch, str(config.label_key)).take(pa.array(labelled))
        classes = pc.list_flatten(column).to_numpy(zero_copy_only=False)
        known = np.isin(classes, np.arange(n_outputs))
        text = f"the label `{config.label_key}` is not the index of one of the model's {n_outputs} outputs"
        errors |= dict.fromkeys(labelled[~known].tolist(), text)
    return errors


def set_aside(batch: pa.RecordBatch, errors: Mapping[int, str]) -> tuple[pa.RecordBatch, list[tuple[bytes, str]]]:
    """The rows without an error, and (record, reason) of the others, encoded anew: same features, same values."""
    if not errors:
        return batch, []
    bad = np.array(sorted(errors))
    good = np.setdiff1d(np.arange(batch.num_rows), bad)
    encoded = records.encode_own_features(take_rows(batch, bad))
    return take_rows(batch, good), [(record, errors[row]) for record, row in zip(encoded, bad.tolist(), strict=True)]


class ExplainExamples(beam.DoFn):
    """SplitRows of readable rows to ExplainedExamples; `failed` and `counts` are further outputs."""

    def __init__(self, request: ExplainRequest) -> None:
        self.request = request

    def setup(self) -> None:
        """Loads the models."""
        self.models = [handle.acquire() for handle in self.request.models]
        self.explainers = {method.key: method.explainer(self.models) for method in methods_of(self.request.context)}

    def process(self, element: SplitRows, plan: JobPlan) -> Iterator[ExplainedExamples | beam.pvalue.TaggedOutput]:
        """Explains one batch."""
        split = element.split
        try:
            done, refused = [self._explain(element, plan)], dict[int, str]()
        except ModelCallError:
            done, refused = self._explain_in_parts(element, plan)
        if refused:
            yield beam.pvalue.TaggedOutput(FAILED, (split, set_aside(element.rows, refused)[1]))
            yield beam.pvalue.TaggedOutput(COUNTS, ((split, "selected"), len(refused)))
        for explained, failures, counts in done:
            for what, n in counts.items():
                yield beam.pvalue.TaggedOutput(COUNTS, ((split, what), n))
            if failures:
                yield beam.pvalue.TaggedOutput(FAILED, (split, failures))
            if explained.rows.num_rows:
                yield explained

    def _explain(self, examples: SplitRows, plan: JobPlan) -> Explained:
        return explain_examples(self.models, self.explainers, examples, plan, self.request.config)

    def _explain_in_parts(self, examples: SplitRows, plan: JobPlan) -> tuple[list[Explained], dict[int, str]]:
        """The rows that the models take, explained; and the reasons of the others."""
        config = self.request.config
        refused = refused_rows(self.models, examples.rows)
        good = np.setdiff1d(np.arange(examples.rows.num_rows), list(refused))
        # No more rows than this are explained: where more fail the run does too, and need not ask about each.
        allowed = None if config.max_examples is None else config.max_failed_fraction * config.max_examples
        try:
            done, mixed = by_halves(len(good), lambda rows: self._explain(examples.take(good[rows]), plan), allowed)
        except TooManyFailedRowsError as error:
            raise TooManyFailedRowsError(
                f"more rows of split `{examples.split}` could not be explained than `max_failed_fraction` "
                f"{config.max_failed_fraction} allows: {_REFUSED_MIXED} ({error}); {GROUP}."
            ) from error
        reasons = {int(good[row]): f"{_REFUSED_MIXED} ({reason}); {GROUP}" for row, reason in mixed.items()}
        return done, {**refused, **reasons}


def explain_examples(
    models: Sequence[Model],
    explainers: Mapping[str, BatchExplainer[Any]],
    examples: SplitRows,
    plan: JobPlan,
    config: ExplainConfig,
) -> Explained:
    """What each method says of each row.

    Args:
      models: the model, and the baseline model if there is one.
      explainers: key of a method -> at work with these models.
      examples: rows without `row_errors`.
      plan: of the job.
      config: which outputs to keep.

    Returns:
      The explained rows; (record, reason) of those for which a method failed; what was done how often.
    """
    rows, hashes = examples.rows, examples.hashes
    draws = hashes if examples.draws is None else examples.draws
    whole = Batch.of(models, rows, hashes, draws, plan.outputs, config)
    kept, batch = np.arange(rows.num_rows), whole
    errors: dict[int, str] = {}
    found: dict[str, tuple[Any, ...]] = {}
    lent: dict[str, tuple[Any, ...]] = {}
    counts: dict[str, int] = {}
    for key, explainer in explainers.items():
        result = explainer.explain(batch, plan, lent)
        if result.errors:
            errors |= {int(kept[row]): reason for row, reason in result.errors.items()}
            good = np.setdiff1d(np.arange(len(kept)), list(result.errors))
            found = {other: tuple(side.take(good) for side in sides) for other, sides in found.items()}
            lent = {other: tuple(side and side.take(good) for side in sides) for other, sides in lent.items()}
            kept, batch = kept[good], batch.take(good)
        found[key], lent[key] = result.sides, result.lent
        counts |= result.counts
    counts["model_rows"] = sum(n for name, n in counts.items() if name == "model_rows" or name.endswith("_model_rows"))
    counts |= {"selected": rows.num_rows, "explained": len(kept), "predicted_rows": len(models) * rows.num_rows}
    _, failures = set_aside(rows, errors)
    return ExplainedExamples(examples.split, batch.rows, batch.draws, batch.ids, found), failures, counts
