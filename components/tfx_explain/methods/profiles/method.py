"""Profiles as a method of a job: partial dependence and accumulated local effects, from the same evaluations."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from tfx_explain import tables
from tfx_explain.methods.background import JobPlan
from tfx_explain.methods.batch import Batch
from tfx_explain.methods.context import SIDE_PREFIXES, FirstRows, JobContext, Sample, features_read
from tfx_explain.methods.method import (
    BASELINE,
    CANDIDATE,
    DIFFERENCE,
    Accumulated,
    Contributed,
    Earlier,
    Result,
    SliceRows,
)
from tfx_explain.methods.profiles.plan import N_SAMPLE, ProfilePlan, check_features, num_ice, plan_profiles
from tfx_explain.methods.profiles.rows import (
    ProfileAccumulator,
    ProfiledRows,
    Profiler,
    baseline_profile_table,
    profile_table,
)
from tfx_explain.methods.rounding import rounding_floor
from tfx_explain.models import Model
from tfx_explain.part_records import PartsOf

KEY = "profiles"
_CURVES = "curves"


@dataclasses.dataclass(frozen=True)
class Profiles:
    """Partial dependence, individual curves, and accumulated local effects of the players' features."""

    context: JobContext
    key: str = KEY
    n_sample: int = N_SAMPLE
    needs_row_count: bool = False
    attributes: bool = False

    @property
    def parts(self) -> Mapping[str, PartsOf]:
        """None: it does not look inside features."""
        return {}

    def check(self, rows: FirstRows, models: Sequence[Model]) -> None:
        """Raises a ConfigError where a feature is named that there is not."""
        check_features(self.context.config, rows.features)

    def plan(self, sample: Sample, models: Sequence[Model], plan: JobPlan) -> tuple[ProfilePlan, Mapping[str, int]]:
        """Chooses grids and bins; asks no model."""
        players, rest = self.context.players, self.context.rest
        features = sorted(name for names in players.values() for name in names)
        explained = [name for player, names in players.items() if player != rest for name in names]
        rows = sample.first(N_SAMPLE).rows
        return plan_profiles(rows, self.context.config, explained, features_read(models, features)), {}

    def for_rows(self, plan: ProfilePlan, n_rows: int, n_background: int) -> ProfilePlan:
        """The same for any number of rows."""
        return plan

    def explainer(self, models: Sequence[Model]) -> _Explainer:
        """A profiler of each model."""
        return _Explainer([Profiler(model, sum(self.context.players.values(), ())) for model in models])

    def contributions(self, rows: ProfiledRows, side: str, part: SliceRows) -> Iterator[Contributed]:
        """Curves of each output; single ones of the candidate alone."""
        return self._curves(rows.take(part.places), part, num_ice(self.context.config) if side == CANDIDATE else 0)

    def differences(self, ours: ProfiledRows, theirs: ProfiledRows, part: SliceRows) -> Iterator[Contributed]:
        """Curves of the model less those of the baseline model."""
        return self._curves(ours.take(part.places) - theirs.take(part.places), part, 0)

    def _curves(self, rows: ProfiledRows, part: SliceRows, n_ice: int) -> Iterator[Contributed]:
        empty = partial(ProfileAccumulator, rows.plan, n_ice)
        for index, output in enumerate(self.context.outputs):
            yield Contributed(_CURVES, output, (empty, (rows, index, part.draws, part.weights)))

    def tables(self, accumulated: Accumulated, plan: JobPlan) -> Mapping[str, pd.DataFrame]:
        """The curves, and with a baseline model its own."""
        ours, theirs, change = (accumulated.side(side, _CURVES) for side in (CANDIDATE, BASELINE, DIFFERENCE))
        varied = plan.per_method[KEY]
        made = {tables.PROFILES.file: profile_table(ours, varied)}
        if theirs:
            made[tables.BASELINE_PROFILES.file] = baseline_profile_table(theirs, change, varied)
        return made

    def describe(self, accumulated: Accumulated, plan: JobPlan) -> Mapping[str, Mapping[str, object]]:
        """What was varied, where."""
        described: Mapping[str, Mapping[str, Any]] = plan.per_method[KEY].describe(self.context.config)
        return described


class _Explainer:
    """Profilers of all models.

    Args:
      profilers: one per side.
    """

    def __init__(self, profilers: Sequence[Profiler]) -> None:
        self.profilers = tuple(profilers)

    def explain(self, batch: Batch, plan: JobPlan, earlier: Earlier) -> Result[ProfiledRows]:
        """Varies the features of each row."""
        profiled: list[ProfiledRows] = []
        counts: dict[str, int] = {}
        for index, (profiler, side) in enumerate(zip(self.profilers, batch.sides, strict=True)):
            background = plan.side(index)
            floor = rounding_floor(background.asked(side.prediction), background.asked(background.predictions))
            of_chosen = np.take_along_axis(floor, batch.chosen, axis=1)
            asked = plan.outputs[batch.chosen]
            rows, n_model_rows = profiler.profile(batch.rows, plan.per_method[KEY], asked, batch.ids, of_chosen)
            profiled.append(rows)
            counts[f"{SIDE_PREFIXES[index]}profile_model_rows"] = n_model_rows
        return Result(tuple(profiled), counts=counts)
