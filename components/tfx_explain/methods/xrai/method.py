"""XRAI as a method of a job."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from tfx_explain import tables
from tfx_explain.config.xrai import XraiConfig
from tfx_explain.errors import ConfigError
from tfx_explain.methods.attribution_rows import AttributionRows
from tfx_explain.methods.background import Background, JobPlan, background_digest
from tfx_explain.methods.batch import Batch
from tfx_explain.methods.context import FirstRows, Sample
from tfx_explain.methods.images import check_masks
from tfx_explain.methods.method import Accumulated
from tfx_explain.methods.path_gradients.base import PathMethod
from tfx_explain.methods.path_gradients.model_paths import paths_of, starts_of
from tfx_explain.methods.path_gradients.references import (
    References,
    of_background,
    predictions_of,
    settle,
    typical_rows,
)
from tfx_explain.methods.path_gradients.rows import AskedSide
from tfx_explain.methods.removal import Removal, stand_ins
from tfx_explain.methods.xrai.crooked import blurred_starts
from tfx_explain.methods.xrai.expected import MOST_GROUPS
from tfx_explain.methods.xrai.explainer import XraiExplainer
from tfx_explain.methods.xrai.pixels import Pictures
from tfx_explain.methods.xrai.reference_images import with_images
from tfx_explain.methods.xrai.removal import RegionRemoval
from tfx_explain.models import Model
from tfx_explain.models.path_gradients import Paths
from tfx_explain.part_records import PartsOf
from tfx_explain.paths import choose_strata
from tfx_explain.regions import need_images
from tfx_explain.rows import take_rows

KEY = tables.XRAI

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
_REGIONS = PartsOf("regions", ("pixels",), has_maps=True)
# Of one row: 2 GiB.
_MOST_FIGURES = 2**28


@dataclasses.dataclass(frozen=True)
class Xrai(PathMethod):
    """Attributions along the paths from images of one colour, and regions of the image ranked by them."""

    key: str = KEY

    @property
    def settings(self) -> XraiConfig:
        """What the user asked for."""
        settings: XraiConfig = self.context.config.method(KEY)
        return settings

    @property
    def parts(self) -> Mapping[str, PartsOf]:
        """The regions of the image."""
        return {self.settings.feature: dataclasses.replace(_REGIONS, has_pixels=self.settings.pixel_maps > 0)}

    @property
    def player(self) -> int:
        """Which of the players the image is."""
        return list(self.context.players).index(self.settings.feature)

    def check(self, rows: FirstRows, models: Sequence[Model]) -> None:
        """As `PathMethod.check`; also a ConfigError where the feature is no image, or no player of its own."""
        feature = self.settings.feature
        if self.context.players.get(feature) != (feature,):
            raise ConfigError(
                f"`xrai` looks inside `{feature}`, which is no player of its own; the players are "
                f"{', '.join(self.context.players)}. Take it out of groups and of what is excluded."
            )
        need_images()
        if not self.settings.adds_up and len(self.context.players) > 1:
            others = ", ".join(name for name in self.context.players if name != feature)
            raise ConfigError(
                f"`{self.settings.gradients}` of `xrai` says how much the output depends on each pixel, which is no "
                f"share of it that could stand beside what {others} adds; it is for models that read the image alone, "
                "so use other `gradients` here."
            )
        for split, of_split in rows.splits.items():
            check_masks(self.settings.masks, of_split, f"`xrai` of `{feature}`", split)
        super().check(rows, models)

    def check_paths(self, paths: Paths, model: Model) -> None:
        """Raises a ConfigError where the model makes no picture of the feature, or one of too many figures."""
        shape = paths.picture(self.player)
        if shape is None:
            raise ConfigError(
                f"`xrai` looks inside `{self.settings.feature}`, but {model.what} makes no single tensor of shape "
                "(height, width) or (height, width, channels) of it from which gradients pass; use `shapley`."
            )
        n_outputs = max(len(self.context.outputs), 1)
        is_sampled = self.settings.gradients == "expected_gradients"
        n_held = MOST_GROUPS if is_sampled else 2 * len(self.settings.references)
        if n_held * math.prod(shape) * n_outputs > _MOST_FIGURES:
            raise ConfigError(
                f"`xrai` of {n_outputs} outputs at {shape[0]} x {shape[1]} pixels takes more memory than a worker has; "
                "set `model.classes` to `predicted`, or to fewer classes."
            )

    def plan(self, sample: Sample, models: Sequence[Model], plan: JobPlan) -> tuple[References, Mapping[str, int]]:
        """Makes the references: a typical row of the background, with images of one colour."""
        settings, players = self.settings, self.context.players
        if settings.gradients == "expected_gradients":
            return self._of_background(models, plan), {}
        others = sorted(name for names in players.values() for name in names if name != settings.feature)
        numbers = typical_rows(plan, 1, others)[0] if others else np.zeros(1, np.int64)
        # A way through blurred images starts with the row's own image; whichever stands here, it is replaced.
        colours = settings.references[:1] if settings.gradients == "blur_ig" else settings.references
        n = len(colours)
        numbers = np.repeat(numbers, n)
        spec = next(spec for spec in models[0].features if spec.name == settings.feature)
        typical = take_rows(plan.background.rows, numbers)
        rows, weights = with_images(typical, spec, plan.background.rows, colours), np.full(n, 1 / n)
        predictions = predictions_of(models, rows, plan.outputs, KEY)
        background = Background(rows, weights, background_digest(rows, weights))
        spent = {"xrai_references": n * len(models)}
        return settle(background, numbers, predictions, models, players, plan), spent

    def _of_background(self, models: Sequence[Model], plan: JobPlan) -> References:
        """Rows of the background, as of the method `expected_gradients`."""
        strata = choose_strata(self.settings.num_samples, plan.background.weights)
        if len(strata.references) < 2:
            raise ConfigError(
                "`expected_gradients` of `xrai` takes the mean over images of two background rows or more, with three "
                "gradients each; raise `num_samples` and `background.num_rows`."
            )
        return of_background(strata.references, strata.weights, models, self.context.players, plan)

    def for_rows(self, plan: References, n_rows: int, n_background: int) -> References:
        """The same, with the part of the rows of which maps of pixels are kept."""
        return dataclasses.replace(plan, fraction_of_maps=min(self.settings.pixel_maps / max(n_rows, 1), 1.0))

    def explainer(self, models: Sequence[Model]) -> XraiExplainer:
        """One of each model."""
        return XraiExplainer(models, self.context, self.settings, self.player)

    def parts_removals(
        self, models: Sequence[Model], batch: Batch, plan: JobPlan, rows: AttributionRows
    ) -> Mapping[str, Removal]:
        """The regions of the image, in whose place the references stand."""
        model, feature = models[0], self.settings.feature
        paths = paths_of(model, self.context.players, plan.background)
        references: References = plan.per_method[KEY]
        side, asked = references.side(0), AskedSide.of(batch.sides[0], references.side(0), batch.chosen)
        starts, ends = starts_of(paths, model, side), paths.enter(batch.sides[0].inputs)
        pictures = Pictures(paths, starts, ends, side.weights, asked, batch.hashes, self.player)
        is_blurred = self.settings.gradients == "blur_ig"
        instead = blurred_starts(pictures, self.settings.max_sigma) if is_blurred else starts
        if self.settings.gradients == "expected_gradients":
            instead = starts.take(stand_ins(side.weights))
        return {feature: RegionRemoval.of(pictures, instead, feature, rows.parts[feature], of_each_row=is_blurred)}

    def describe(self, accumulated: Accumulated, plan: JobPlan) -> Mapping[str, Mapping[str, object]]:
        """The references, and how accurate integrals are asked to be."""
        references: References = plan.per_method[KEY]
        described = references.describe()
        if self.settings.gradients in ("blur_ig", "smooth_grad"):
            # Each row's own, or none.
            del described["base_values"]
        return {KEY: {**described, **self.settings.describe()}}
