"""Faithfulness as a method of a job: it checks the attributions of others."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from tfx_explain import tables
from tfx_explain.config.faithfulness import FaithfulnessConfig
from tfx_explain.errors import ConfigError, ModelError
from tfx_explain.methods.background import JobPlan, pool_size
from tfx_explain.methods.context import FirstRows, JobContext, Sample
from tfx_explain.methods.faithfulness.explainer import FaithfulnessExplainer
from tfx_explain.methods.faithfulness.plan import KEY, FaithfulnessPlan
from tfx_explain.methods.faithfulness.pointing import Boxes, no_boxes
from tfx_explain.methods.faithfulness.randomised import AttributingMethod, plans_of
from tfx_explain.methods.faithfulness.rows import FaithfulnessRows, Target
from tfx_explain.methods.method import CANDIDATE, Accumulated, Contributed, SliceRows
from tfx_explain.methods.refusals import said
from tfx_explain.models import Model
from tfx_explain.part_records import PartsOf
from tfx_explain.summary.faithfulness import CURVES, CurveMeans, FaithfulnessAccumulator


@dataclasses.dataclass(frozen=True)
class Faithfulness:
    """Curves of what the model says as parts of rows are taken away, and what explanations of other models share.

    Attributes:
      context: of the job.
      methods: whose attributions are checked.
    """

    context: JobContext
    methods: tuple[AttributingMethod, ...]
    key: str = KEY
    needs_row_count: bool = True
    attributes: bool = False

    @property
    def settings(self) -> FaithfulnessConfig:
        """What the user asked for."""
        settings: FaithfulnessConfig = self.context.config.method(KEY)
        return settings

    @property
    def parts(self) -> Mapping[str, PartsOf]:
        """None of its own."""
        return {}

    @property
    def n_sample(self) -> int:
        """Background rows, and what the methods take with other models."""
        return max([pool_size(self.context.config.background), *(method.n_sample for method in self.methods)])

    def check(self, rows: FirstRows, models: Sequence[Model]) -> None:
        """Refuses rows of a single player without parts, and models whose weights cannot be drawn anew."""
        if len(self.context.players) < 2 and not any(method.parts for method in self.methods):
            raise ConfigError(
                "`faithfulness` takes away players or parts one after the other, but the rows have a single player "
                "and no method looks inside it; leave it out."
            )
        self._check_others(rows, models[0])
        if self.settings.num_randomised_models:
            try:
                models[0].with_random_weights(0)
            except ModelError as error:
                raise ConfigError(
                    f"`randomisation` of `faithfulness` compares with random weights, but {said(error)}; leave it out."
                ) from error

    def _check_others(self, rows: FirstRows, model: Model) -> None:
        """Refuses a single output for `random_logit`, and boxes that are none or that nothing could point at."""
        classes = self.context.config.model.classes
        n_outputs = len(classes) if isinstance(classes, tuple) else model.n_outputs
        if self.settings.random_logit and n_outputs < 2:
            raise ConfigError(
                "`random_logit` of `faithfulness` compares with attributions of another output, but a single one is "
                "explained; set `model.classes` to several, to null or to `predicted`, or leave it out."
            )
        feature = self.settings.boxes
        if feature is None:
            return
        if not any(of.has_maps for method in self.methods for of in method.parts.values()):
            raise ConfigError(
                "`boxes` of `faithfulness` are for regions of images, but no method that is checked looks for any; "
                "list `xrai`, or leave `boxes` out."
            )
        if feature not in rows.features.union(*(of_split.schema.names for of_split in rows.splits.values())):
            raise ConfigError(
                f"`boxes` of `faithfulness` names `{feature}`, which the examples do not have; name the feature that "
                "holds boxes."
            )
        are_right = np.concatenate([Boxes.of(of_split, feature).is_right for of_split in rows.splits.values()])
        if len(are_right) and not are_right.any():
            raise ConfigError(f"`boxes` of `faithfulness`: {no_boxes(feature)}.")

    def plan(
        self, sample: Sample, models: Sequence[Model], plan: JobPlan
    ) -> tuple[FaithfulnessPlan, Mapping[str, int]]:
        """Plans the explanations of models with random weights."""
        n_models = self.settings.num_randomised_models
        return FaithfulnessPlan(plans_of(models[0], self.methods, n_models, sample, plan)), {}

    def for_rows(self, plan: FaithfulnessPlan, n_rows: int, n_background: int) -> FaithfulnessPlan:
        """The part of the rows that is checked."""
        return plan.for_rows(n_rows, self.settings)

    def explainer(self, models: Sequence[Model]) -> FaithfulnessExplainer:
        """One of each model."""
        return FaithfulnessExplainer(models, self.context, self.methods)

    def contributions(self, rows: FaithfulnessRows, side: str, part: SliceRows) -> Iterator[Contributed]:
        """What the rows that were checked say of the model; those of the baseline model are in no table."""
        if side != CANDIDATE:
            return
        for target, found in rows.of.items():
            is_in = found.is_looked_at[part.places]
            places, weights = part.places[is_in], part.weights[is_in]
            empty = partial(FaithfulnessAccumulator, found.curves.shape[2], found.similarity.shape[1])
            some = found.take(places)
            for index, output in enumerate(self.context.outputs) if len(places) else ():
                figures = some.areas[..., index], some.ends[..., index], some.curves[..., index]
                others = some.mu_fidelity[:, index], some.similarity[..., index], some.has_parts
                extra = some.other_output[:, index], some.hits[:, index], some.box_areas, some.has_no_box
                yield Contributed(_what(target), output, (empty, (*figures, others, weights, extra)))

    def differences(self, ours: FaithfulnessRows, theirs: FaithfulnessRows, part: SliceRows) -> Iterator[Contributed]:
        """None: a model's explanation is faithful or not by itself."""
        return iter(())

    def tables(self, accumulated: Accumulated, plan: JobPlan) -> Mapping[str, pd.DataFrame]:
        """Measures, and the curves behind them."""
        measures, curves = list[dict[str, Any]](), list[pd.DataFrame]()
        for key, sums in accumulated.of.items():
            method, feature = _target(key.what)
            place = {"slice": key.slice_name, "output": key.output, "method": method, "feature": feature}
            for measured in sums.measures():
                if measured.measure not in CURVES or measured.measure in self.settings.curves:
                    low, high = measured.interval()
                    figures = {**dataclasses.asdict(measured), "ci_low": low, "ci_high": high}
                    measures.append({**place, **figures, "num_left_out": sums.left_out(measured.measure)})
            for curve in sums.curves():
                if curve.curve in self.settings.curves:
                    curves.append(_curve_frame(place, curve))
        return {
            tables.FAITHFULNESS.file: _with_types(pd.DataFrame(measures), tables.FAITHFULNESS),
            tables.FAITHFULNESS_CURVES.file: _with_types(
                pd.concat(curves, ignore_index=True) if curves else pd.DataFrame(), tables.FAITHFULNESS_CURVES
            ),
        }

    def describe(self, accumulated: Accumulated, plan: JobPlan) -> Mapping[str, Mapping[str, object]]:
        """The settings, and whose attributions were checked."""
        settled: FaithfulnessPlan = plan.per_method[KEY]
        described = {
            **self.settings.model_dump(mode="json"),
            "methods": [method.key for method in self.methods],
            "num_randomised_models": len(settled.randomised),
            "fraction_of_rows": settled.fraction,
        }
        return {KEY: described}


def _what(target: Target) -> str:
    return f"{target.method} {target.feature}"


def _target(what: str) -> Target:
    return Target(*what.split(" ", 1))


def _curve_frame(place: Mapping[str, str], curve: CurveMeans) -> pd.DataFrame:
    n_steps = len(curve.values) - 1
    return pd.DataFrame(
        {
            **place,
            "curve": curve.curve,
            "share": [step / n_steps for step in range(n_steps + 1)],
            "value": curve.values,
            "std_error": curve.std_errors,
            "random_value": curve.random_values,
            "random_std_error": curve.random_std_errors,
        }
    )


def _with_types(made: pd.DataFrame, table: tables.Table) -> pd.DataFrame:
    """The columns in their order, with their types even where there is no row."""
    types = {tables.Kind.TEXT: "object", tables.Kind.NUMBER: "float64", tables.Kind.WHOLE: "int64"}
    named = made.reindex(columns=[column.name for column in table.columns])
    return named.astype({column.name: types[column.kind] for column in table.columns})
