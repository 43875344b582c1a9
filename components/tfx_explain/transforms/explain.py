"""Explaining batches of rows: checks, model calls, attributions; what cannot be explained goes to the dead letters."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterator, Mapping, Sequence

import apache_beam as beam
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tfx_explain import records
from tfx_explain.attribution.result import population_dof
from tfx_explain.config import ExplainConfig
from tfx_explain.errors import ModelCallError, TooManyFailedRowsError
from tfx_explain.job.model_handle import ModelHandle
from tfx_explain.job.refusals import GROUP, by_halves, refused_rows
from tfx_explain.job.request import ExplainRequest
from tfx_explain.methods.background import LARGEST_OUTPUT, Background
from tfx_explain.methods.losses.explainer import LossExplainer
from tfx_explain.methods.losses.plan import SAGE, wants_losses
from tfx_explain.methods.losses.rows import MethodRows, paired
from tfx_explain.methods.profiles.plan import ProfilePlan, wants_profiles
from tfx_explain.methods.profiles.rows import ProfiledRows, Profiler
from tfx_explain.methods.rounding import INTERACTION_UNITS, rounding_floor, without_rounding
from tfx_explain.methods.shapley.estimates import Estimates
from tfx_explain.methods.shapley.row_explainer import RowExplainer
from tfx_explain.rows import HashArray, column_or_nulls, example_weights, list_lengths, name_errors, take_rows
from tfx_explain.transforms.read import COUNTS, FAILED, SplitRows

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

_NOT_FINITE = "the model's output is NaN or infinite for this row"
_NOT_FINITE_MIXED = f"the model's output is NaN or infinite for mixtures of this row with background rows; {GROUP}"
_TOO_LARGE = "the model's output, or an attribution, is larger than the 3.4e38 that tf.Examples hold; scale the output"
_REFUSED_MIXED = "the model refuses mixtures of this row with background rows"


@dataclasses.dataclass(frozen=True)
class ExplainedOutputs:
    """Attributions of n examples for the outputs that were asked for, n_outputs of them, in units of the output space.

    Attributes:
      attributions: (n_examples, n_players, n_outputs).
      design_std_error: the same shape: error of the estimate for this background.
      background_std_error: the same shape: error of this background as a sample.
      prediction, base_value, completeness_gap: (n_examples, n_outputs).
      interactions: (n_examples, n_pairs, n_outputs); n_pairs is 0 where none were asked for.
      noise_ratio: (n_examples,) of the actual error, as near as can be, to `design_std_error`.
      design_dof, background_dof: (n_examples,) degrees of freedom of the errors.
      design_ids: (n_examples,) number of each example's design; those of one share its coalitions.
    """

    attributions: FloatArray
    design_std_error: FloatArray
    background_std_error: FloatArray
    prediction: FloatArray
    base_value: FloatArray
    completeness_gap: FloatArray
    interactions: FloatArray
    noise_ratio: FloatArray
    design_dof: FloatArray
    background_dof: FloatArray
    design_ids: npt.NDArray[np.int64]

    @property
    def std_error(self) -> FloatArray:
        """Both errors together."""
        return np.hypot(self.design_std_error, self.background_std_error)

    @property
    def degrees_of_freedom(self) -> FloatArray:
        """Of `std_error`; of an error of 0, or one that is not known, as of the row's least certain one."""
        of_design, of_background = self.design_dof[:, None, None], self.background_dof[:, None, None]
        dof = population_dof(self.background_std_error, of_design, of_background)
        known = self.std_error > 0
        least = np.where(known, dof, np.inf).min(axis=(1, 2), keepdims=True, initial=np.inf)
        return np.where(known, dof, np.where(np.isfinite(least), least, 1.0))


@dataclasses.dataclass(frozen=True)
class ExplainedExamples:
    """A batch of rows with their attributions.

    Attributes:
      split: the rows' split.
      rows: n_examples of them.
      hashes: (n_examples,) content hashes.
      draws: (n_examples,) random numbers, different for copies.
      outputs: of the model.
      baseline: of the baseline model on the same rows and designs, if there is one.
      profiled: the rows with features varied, where profiles were asked for: by the model, then by the baseline model.
      losses: method -> what it says of the rows, for methods that need labels, where they were asked for.
      baseline_losses: the same of the baseline model, with the same donors and permutations.
    """

    split: str
    rows: pa.RecordBatch
    hashes: HashArray
    draws: HashArray
    outputs: ExplainedOutputs
    baseline: ExplainedOutputs | None = None
    profiled: tuple[ProfiledRows, ...] = ()
    losses: Mapping[str, MethodRows] = dataclasses.field(default_factory=dict)
    baseline_losses: Mapping[str, MethodRows] = dataclasses.field(default_factory=dict)


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
        config, players = self.request.config, self.request.players
        models = [model.acquire() for model in self.request.models]
        keep = config.method(SAGE) is not None
        self.explainers = [RowExplainer(model, players, config, keep_coalitions=keep) for model in models]
        self.losses = [LossExplainer(model, players, config) for model in models if wants_losses(config)]
        features = [name for names in players.values() for name in names]
        self.profilers = [Profiler(model, features) for model in models if wants_profiles(config)]

    def process(
        self, element: SplitRows, background: Background
    ) -> Iterator[ExplainedExamples | beam.pvalue.TaggedOutput]:
        """Explains one batch."""
        split = element.split
        try:
            done, refused = [self._explain(element, background)], dict[int, str]()
        except ModelCallError:
            done, refused = self._explain_in_parts(element, background)
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

    def _explain(self, examples: SplitRows, background: Background) -> Explained:
        return explain_examples(self.explainers, examples, background, self.request.config, self.profilers, self.losses)

    def _explain_in_parts(self, examples: SplitRows, background: Background) -> tuple[list[Explained], dict[int, str]]:
        """The rows that the models take, explained; and the reasons of the others."""
        config = self.request.config
        refused = refused_rows([explainer.model for explainer in self.explainers], examples.rows)
        good = np.setdiff1d(np.arange(examples.rows.num_rows), list(refused))
        # No more rows than this are explained: where more fail the run does too, and need not ask about each.
        allowed = None if config.max_examples is None else config.max_failed_fraction * config.max_examples
        try:
            done, mixed = by_halves(
                len(good), lambda rows: self._explain(examples.take(good[rows]), background), allowed
            )
        except TooManyFailedRowsError as error:
            raise TooManyFailedRowsError(
                f"more rows of split `{examples.split}` could not be explained than `max_failed_fraction` "
                f"{config.max_failed_fraction} allows: {_REFUSED_MIXED} ({error}); {GROUP}."
            ) from error
        reasons = {int(good[row]): f"{_REFUSED_MIXED} ({reason}); {GROUP}" for row, reason in mixed.items()}
        return done, {**refused, **reasons}


def explain_examples(
    explainers: Sequence[RowExplainer],
    examples: SplitRows,
    background: Background,
    config: ExplainConfig,
    profilers: Sequence[Profiler] = (),
    losses: Sequence[LossExplainer] = (),
) -> Explained:
    """Attributions of each row.

    Args:
      explainers: of the model, and of the baseline model if there is one.
      examples: rows without `row_errors`.
      background: reference rows.
      config: which outputs to keep.
      profilers: of the models as well, where profiles were asked for.
      losses: of the models as well, where methods that need labels were asked for.

    Returns:
      The explained rows; (record, reason) of those for which a model's output was not finite; what was done how often.
    """
    split, batch, hashes = examples.split, examples.rows, examples.hashes
    draws = hashes if examples.draws is None else examples.draws
    backgrounds = [background, background.of_baseline()][: len(explainers)]
    estimates: list[Estimates] = []
    for explainer, one in zip(explainers, backgrounds, strict=True):
        # With `classes: predicted` the candidate chooses, so that both models are compared on one output.
        estimates.append(explainer.estimate(batch, hashes, one, estimates[0].chosen if estimates else None))
    pairs = list(zip(estimates, backgrounds, strict=True))
    errors: dict[int, str] = {}
    for pair in pairs:
        errors = {**_output_errors(*pair, estimates[0].chosen), **errors}
    finite = np.isin(np.arange(batch.num_rows), list(errors), invert=True)
    good, failures = set_aside(batch, errors)
    kept = estimates[0].chosen[finite]
    outputs = [_outputs(*pair, finite, kept) for pair in pairs]
    counts = {
        "selected": batch.num_rows,
        "explained": good.num_rows,
        "model_rows": sum(one.n_model_rows for one in estimates),
        "padding_rows": sum(one.n_padding_rows for one in estimates),
        "predicted_rows": len(estimates) * batch.num_rows,
    }
    if config.shapley.max_relative_error is not None:
        counts["refined"] = sum(one.n_refined for one in estimates)
        counts["above_max_relative_error"] = sum(one.n_imprecise for one in estimates)
    baseline = outputs[1] if len(outputs) > 1 else None
    explained = ExplainedExamples(split, good, hashes[finite], draws[finite], outputs[0], baseline)
    done: dict[str, int] = {}
    if profilers and background.profiles is not None:
        explained, done = _with_profiles(explained, profilers, pairs, finite, background.profiles, config)
    if losses and background.losses is not None:
        explained, of_losses = _with_losses(explained, losses, estimates, finite, background)
        done |= of_losses
    counts["model_rows"] += sum(n for name, n in done.items() if name.endswith("_model_rows"))
    return explained, failures, counts | done


def _with_profiles(
    explained: ExplainedExamples,
    profilers: Sequence[Profiler],
    pairs: Sequence[tuple[Estimates, Background]],
    finite: npt.NDArray[np.bool_],
    plan: ProfilePlan,
    config: ExplainConfig,
) -> tuple[ExplainedExamples, dict[str, int]]:
    """The rows with features varied; how many model rows that took of each model."""
    ids, kept = example_ids(explained.rows, explained.hashes, config.id_key), pairs[0][0].chosen[finite]
    asked = pairs[0][1].outputs[kept]
    profiled = [
        profiler.profile(explained.rows, plan, asked, ids, np.take_along_axis(_floor(*pair)[finite], kept, axis=1))
        for profiler, pair in zip(profilers, pairs, strict=True)
    ]
    done = {f"{side}profile_model_rows": n for side, (_, n) in zip(("", "baseline_"), profiled, strict=False)}
    return dataclasses.replace(explained, profiled=tuple(rows for rows, _ in profiled)), done


def _with_losses(
    explained: ExplainedExamples,
    losses: Sequence[LossExplainer],
    estimates: Sequence[Estimates],
    finite: npt.NDArray[np.bool_],
    background: Background,
) -> tuple[ExplainedExamples, dict[str, int]]:
    """The rows with what methods that need labels say of them; what was done how often."""
    found: list[dict[str, MethodRows]] = []
    counts: dict[str, int] = {}
    backgrounds = [background, background.of_baseline()][: len(losses)]
    for explainer, one, seen in zip(losses, estimates, backgrounds, strict=True):
        if seen.losses is None:
            continue
        values = None if one.coalition_values is None else one.coalition_values.take(finite)
        rows, done = explainer.evaluate(
            explained.rows, explained.draws, seen, seen.losses, one.prediction[finite], values
        )
        # Labels are those of the rows, whatever the model.
        again = {f"baseline_{name}": n for name, n in done.items() if name.endswith("_model_rows")}
        counts |= again if found else done
        found.append(rows)
    if len(found) == 1:
        return dataclasses.replace(explained, losses=found[0]), counts
    ours, theirs = paired(*found)
    return dataclasses.replace(explained, losses=ours, baseline_losses=theirs), counts


def example_ids(rows: pa.RecordBatch, hashes: HashArray, id_key: str | None) -> list[bytes]:
    """The value of the id feature, else the content hash."""
    ids = [f"{value:016x}".encode() for value in hashes.tolist()]
    if id_key is None:
        return ids
    column = column_or_nulls(rows, id_key).to_pylist()
    own = [row[0] if row else None for row in column]
    return [
        by_hash if value is None else value if isinstance(value, bytes) else str(value).encode()
        for value, by_hash in zip(own, ids, strict=True)
    ]


def _output_errors(estimates: Estimates, background: Background, chosen: IntArray) -> dict[int, str]:
    """Row -> what is wrong with what each row asks for; the same outputs of the baseline model are asked for."""
    asked = np.maximum(chosen, 0)
    prediction = np.take_along_axis(background.asked(estimates.prediction), asked, axis=1)
    values = np.take_along_axis(estimates.values, asked[:, None], axis=2)
    written = np.abs(np.concatenate([prediction[:, None], values], axis=1))
    errors: dict[int, str] = {}
    for reason, bad in (
        (_NOT_FINITE, ~np.isfinite(prediction).all(axis=1) | (chosen < 0).any(axis=1)),
        (_NOT_FINITE_MIXED, ~np.isfinite(values).all(axis=(1, 2))),
        (_TOO_LARGE, (written > LARGEST_OUTPUT).any(axis=(1, 2))),
    ):
        errors = {**dict.fromkeys(np.flatnonzero(bad).tolist(), reason), **errors}
    return errors


def _floor(estimates: Estimates, background: Background) -> FloatArray:
    """(n, K') one unit in the last place of the outputs that are explained."""
    return rounding_floor(background.asked(estimates.prediction), background.asked(background.predictions))


def _outputs(
    estimates: Estimates, background: Background, finite: npt.NDArray[np.bool_], chosen: IntArray
) -> ExplainedOutputs:
    """What was asked for of the rows with finite outputs; attributions that are nothing but rounding are 0."""
    prediction = background.asked(estimates.prediction)

    def asked(array: FloatArray) -> FloatArray:
        kept = array[finite]
        index = chosen.reshape(len(chosen), *[1] * (array.ndim - 2), chosen.shape[1])
        return np.take_along_axis(kept, index, axis=-1)

    floor = asked(_floor(estimates, background))
    found, design_error, interactions = (
        asked(array) for array in (estimates.values, estimates.design_std_error, estimates.interactions)
    )
    attributions = without_rounding(found, design_error, floor)
    nothing = (attributions == 0) & (design_error <= floor[:, None])
    return ExplainedOutputs(
        attributions=attributions,
        design_std_error=np.where(nothing, 0.0, design_error),
        background_std_error=np.where(nothing, 0.0, asked(estimates.background_std_error)),
        prediction=asked(prediction),
        base_value=asked(np.broadcast_to(background.base_values, prediction.shape)),
        completeness_gap=asked(estimates.completeness_gap) + (attributions - found).sum(axis=1),
        interactions=np.where(np.abs(interactions) <= INTERACTION_UNITS * floor[:, None], 0.0, interactions),
        noise_ratio=estimates.noise_ratio[finite],
        design_dof=estimates.design_dof[finite],
        background_dof=estimates.background_dof[finite],
        design_ids=estimates.design_ids[finite],
    )
