"""XRAI as a method of a job."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tfx_explain import tables
from tfx_explain.config.xrai import XraiConfig
from tfx_explain.errors import ConfigError
from tfx_explain.methods.attribution_rows import AttributionRows
from tfx_explain.methods.background import Background, JobPlan, background_digest
from tfx_explain.methods.batch import Batch
from tfx_explain.methods.context import FirstRows, JobContext, Sample
from tfx_explain.methods.method import Accumulated, Result
from tfx_explain.methods.path_gradients.base import PathMethod
from tfx_explain.methods.path_gradients.model_paths import paths_of, starts_of
from tfx_explain.methods.path_gradients.references import References, predictions_of, settle, typical_rows
from tfx_explain.methods.path_gradients.rows import AskedSide, PathEstimates
from tfx_explain.methods.xrai.pixels import PixelRows, pixel_rows
from tfx_explain.methods.xrai.reference_images import with_images
from tfx_explain.methods.xrai.regions_of_rows import region_rows
from tfx_explain.models import Inputs, Model
from tfx_explain.models.path_gradients import Paths, Points
from tfx_explain.part_records import PartRows, PartsOf
from tfx_explain.regions import need_images
from tfx_explain.rows import take_rows

KEY = tables.XRAI

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
_REGIONS = PartsOf("regions", ("pixels",), has_maps=True)
# What pixels add, as 64-bit floats that are held at a time: 64 MiB.
_FIGURES = 2**23


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
        return {self.settings.feature: _REGIONS}

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
        super().check(rows, models)

    def check_paths(self, paths: Paths, model: Model) -> None:
        """Raises a ConfigError where the model does not make a picture of the feature."""
        if paths.picture(self.player) is None:
            raise ConfigError(
                f"`xrai` looks inside `{self.settings.feature}`, but {model.what} makes no single tensor of shape "
                "(height, width) or (height, width, channels) of it from which gradients pass; use `shapley`."
            )

    def plan(self, sample: Sample, models: Sequence[Model], plan: JobPlan) -> tuple[References, Mapping[str, int]]:
        """Makes the references: a typical row of the background, with images of one colour."""
        settings, players = self.settings, self.context.players
        others = sorted(name for names in players.values() for name in names if name != settings.feature)
        numbers = typical_rows(plan, 1, others)[0] if others else np.zeros(1, np.int64)
        n = len(settings.references)
        numbers = np.repeat(numbers, n)
        spec = next(spec for spec in models[0].features if spec.name == settings.feature)
        typical = take_rows(plan.background.rows, numbers)
        rows, weights = with_images(typical, spec, plan.background.rows, settings.references), np.full(n, 1 / n)
        predictions = predictions_of(models, rows, plan.outputs, KEY)
        background = Background(rows, weights, background_digest(rows, weights))
        spent = {"xrai_references": n * len(models)}
        return settle(background, numbers, predictions, models, players, plan), spent

    def explainer(self, models: Sequence[Model]) -> XraiExplainer:
        """One of each model."""
        return XraiExplainer(models, self.context, self.settings, self.player)

    def describe(self, accumulated: Accumulated, plan: JobPlan) -> Mapping[str, Mapping[str, Any]]:
        """The references, and how accurate integrals are asked to be."""
        references: References = plan.per_method[KEY]
        return {KEY: {**references.describe(), **self.settings.model_dump(mode="json")}}


class XraiExplainer:
    """At work with all models.

    Args:
      models: what is explained, and the baseline model if there is one.
      context: of the job.
      settings: of the method.
      player: which of the players the image is.
    """

    def __init__(self, models: Sequence[Model], context: JobContext, settings: XraiConfig, player: int) -> None:
        self._models, self._players, self._settings = tuple(models), context.players, settings
        self._player = player

    def explain(self, batch: Batch, plan: JobPlan, earlier: Mapping[str, tuple[Any, ...]]) -> Result[AttributionRows]:
        """Attributions and regions of each row; errors where they are not finite or too large."""
        found = [
            self._side(model, side.inputs, AskedSide.of(side, references, batch.chosen), references, plan.background)
            for index, (model, side) in enumerate(zip(self._models, batch.sides, strict=True))
            for references in (plan.per_method[KEY].side(index),)
        ]
        errors: dict[int, str] = {}
        for one in found:
            errors = {**one.estimates.errors(), **errors}
        finite = np.isin(np.arange(batch.rows.num_rows), list(errors), invert=True)
        n_steps = sum(one.n_steps for one in found)
        incomplete = sum(int((~one.is_complete & finite).sum()) for one in found)
        counts = {
            f"{KEY}_model_rows": n_steps,
            f"{KEY}_gradient_rows": n_steps,
            f"{KEY}_above_max_completeness_gap": incomplete,
        }
        return Result(tuple(one.rows(batch, finite, self._settings.feature) for one in found), errors, counts)

    def _side(
        self, model: Model, inputs: Inputs, asked: AskedSide, references: Background, background: Background
    ) -> _Side:
        paths = paths_of(model, self._players, background)
        starts, weights = starts_of(paths, model, references), references.weights
        n, n_outputs = asked.outputs.shape
        shape = (n, paths.n_players, n_outputs)
        made = _Side(asked, PathEstimates.empty(shape, weights), np.ones(n, np.bool_), [], 0)
        made.estimates.background_variance[:] = 0.0  # references were named, not drawn
        at_once = max(_FIGURES // max(2 * starts.moving.shape[1] * n_outputs * len(weights), 1), 1)
        for rows in np.split(np.arange(n), range(at_once, n, at_once)) if n else []:
            part, ends = asked.take(rows), paths.enter(inputs.take(rows))
            found = pixel_rows(paths, starts, ends, weights, part, self._settings, self._player)
            made.add(rows, found, self._regions(paths, ends, found, part), self._player)
        return made

    def _regions(self, paths: Paths, ends: Points, found: PixelRows, asked: AskedSide) -> PartRows:
        """Regions of rows whose attributions are numbers, none of others."""
        good = np.isfinite(found.pixels).all(axis=(1, 2, 3))
        rows = np.flatnonzero(good)
        some = PixelRows(found.of_players[rows], found.pixels[rows], found.is_complete[rows], 0)
        made = region_rows(paths.pictures(ends.take(rows), self._player), some, asked.prediction[rows])
        lengths, maps = np.zeros(len(good), np.int64), np.full(len(good), b"", object)
        lengths[rows] = made.lengths
        maps[rows] = made.maps
        return dataclasses.replace(made, lengths=lengths, maps=maps)


@dataclasses.dataclass
class _Side:
    """What is found of n rows by one model, some rows after the other.

    Attributes:
      asked: what the model says of the rows.
      estimates: their attributions.
      is_complete: (n,) whether they add up as accurately as asked for.
      parts: regions of the rows so far.
      n_steps: points that gradients were taken at.
    """

    asked: AskedSide
    estimates: PathEstimates
    is_complete: npt.NDArray[np.bool_]
    parts: list[PartRows]
    n_steps: int

    def add(self, rows: IntArray, found: PixelRows, regions: PartRows, player: int) -> None:
        """Takes over what some rows come to."""
        even, odd = found.of_players[:, 0], found.of_players[:, 1]
        values, errors = (even + odd) / 2, np.abs(even - odd) / 2
        # The image adds what its pixels add, to the last digit.
        values[:, player] = found.pixels.mean(axis=1).sum(axis=1)
        self.estimates.values[rows], self.estimates.design_variance[rows] = values, np.square(errors)
        self.is_complete[rows] = found.is_complete
        self.n_steps += found.n_steps
        self.parts.append(regions)

    def rows(self, batch: Batch, kept: npt.NDArray[np.bool_], feature: str) -> AttributionRows:
        """Those rows that are kept, (n,) booleans."""
        made = self.estimates.rows(self.asked, batch.hashes, kept)
        return dataclasses.replace(made, parts={feature: PartRows.joined(self.parts).take(np.flatnonzero(kept))})
