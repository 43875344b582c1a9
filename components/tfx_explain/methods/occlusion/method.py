"""Occlusion as a method of a job."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from tfx_explain.config.occlusion import OccludedImageConfig, OcclusionConfig
from tfx_explain.config.parts import BACKGROUND, SpansConfig
from tfx_explain.errors import ConfigError, UnreadableImageError
from tfx_explain.methods.absent import absent_numbers
from tfx_explain.methods.attributing import Attributing
from tfx_explain.methods.attribution_rows import AttributionRows
from tfx_explain.methods.background import JobPlan, pool_size
from tfx_explain.methods.batch import Batch
from tfx_explain.methods.context import FirstRows, JobContext, Sample
from tfx_explain.methods.images import ImageForm, files_of, read_file
from tfx_explain.methods.method import Accumulated
from tfx_explain.methods.occlusion.explainer import KEY, OcclusionExplainer, OcclusionPlan
from tfx_explain.methods.refusals import refused_rows
from tfx_explain.methods.removal import Removal
from tfx_explain.methods.shapley.parts.images import too_fine
from tfx_explain.methods.shapley.parts.inside import check_parts, described_parts, parts_of
from tfx_explain.methods.shapley.parts.removal import Removed, removals_of
from tfx_explain.methods.shapley.parts.seen import probe_of
from tfx_explain.methods.shapley.parts.tokens import check_tokens, token_markers
from tfx_explain.models import Model
from tfx_explain.part_records import PartsOf
from tfx_explain.rows import take_rows

_N_TRIED = 16


@dataclasses.dataclass(frozen=True)
class Occlusion(Attributing):
    """What the output has more than without each feature, and without each part of some.

    Attributes:
      context: of the job.
    """

    context: JobContext
    key: str = KEY
    needs_row_count: bool = False
    attributes: bool = True

    @property
    def settings(self) -> OcclusionConfig:
        """What the user asked for."""
        settings: OcclusionConfig = self.context.config.method(KEY)
        return settings

    @property
    def parts(self) -> Mapping[str, PartsOf]:
        """Parts of the images, texts and series that the configuration names."""
        return parts_of(self.settings.parts)

    @property
    def n_sample(self) -> int:
        """Background rows."""
        return pool_size(self.context.config.background)

    def check(self, rows: FirstRows, models: Sequence[Model]) -> None:
        """Refuses parts of what has none, and squares too small for the images."""
        check_parts(self.context, self.settings.parts, rows, models)
        check_tokens(self.settings.parts, rows, models)
        for feature, of in self.settings.parts.items():
            if isinstance(of, OccludedImageConfig) and of.patches is not None:
                sizes = list(_sizes(feature, rows, models))
                grids = [of.patches.grid(*size) for size in sizes]
                if grids and min(grid.n_cells for grid in grids) > of.max_parts:
                    raise ConfigError(f"`occlusion` cannot cut `{feature}`: {too_fine(grids[0], of.max_parts)}.")

    def plan(self, sample: Sample, models: Sequence[Model], plan: JobPlan) -> tuple[OcclusionPlan, Mapping[str, int]]:
        """What absent numbers become, and words that texts are tried with."""
        parts, config = self.settings.parts, self.context.config
        wants_images = [name for name, of in parts.items() if _is_image(of) and of.absent == BACKGROUND]
        if wants_images and len(plan.background.weights) < 2:
            raise ConfigError(
                f"`absent: background` of `{wants_images[0]}` takes the mean over images of the background, which has "
                "a single row; raise `background.num_rows`."
            )
        pool = sample.first(pool_size(config.background)).rows
        probes = {
            feature: probe_of(sample.rows, feature) for feature, of in parts.items() if isinstance(of, SpansConfig)
        }
        markers = token_markers(models[0], parts, sample.rows, plan.background)
        return OcclusionPlan(absent_numbers(pool, models, parts), probes, markers), {}

    def for_rows(self, plan: OcclusionPlan, n_rows: int, n_background: int) -> OcclusionPlan:
        """The same for any number of rows."""
        return plan

    def explainer(self, models: Sequence[Model]) -> OcclusionExplainer:
        """One of each model."""
        return OcclusionExplainer(models, self.context, self.settings)

    def parts_removals(
        self, models: Sequence[Model], batch: Batch, plan: JobPlan, rows: AttributionRows
    ) -> Mapping[str, Removal]:
        """The parts of each feature that is looked into."""
        settled: OcclusionPlan = plan.per_method[KEY]
        return removals_of(self.context, self.settings.parts, settled.absent, Removed(models[0], batch, plan, rows))

    def describe(self, accumulated: Accumulated, plan: JobPlan) -> Mapping[str, Mapping[str, object]]:
        """What is hidden, and that figures are no shares of the output."""
        settled: OcclusionPlan = plan.per_method[KEY]
        return {KEY: {"adds_up": False, "parts": described_parts(self.settings.parts, settled.absent)}}


def _is_image(settings: object) -> bool:
    return isinstance(settings, OccludedImageConfig)


def _sizes(feature: str, rows: FirstRows, models: Sequence[Model]) -> Iterator[tuple[int, int]]:
    """Height and width of what a model gets of some images, or of their files; nothing where neither can be told."""
    form = ImageForm.of(feature, models)
    if form.shape is not None:
        yield form.height_and_width
        return
    first = next(iter(rows.splits.values())).slice(0, _N_TRIED)
    for model in models:
        good = np.setdiff1d(np.arange(first.num_rows), [*model.row_errors(first), *refused_rows([model], first)])
        is_read = any(spec.name == feature for spec in model.features)
        pixels = model.with_pixels(feature, model.inputs(take_rows(first, good))) if is_read and len(good) else None
        if pixels is not None:
            yield pixels.shape[0], pixels.shape[1]
            return
    for file in filter(None, files_of(first, feature)):
        try:
            height, width = read_file(file).shape[:2]
        except UnreadableImageError:
            continue
        yield height, width
