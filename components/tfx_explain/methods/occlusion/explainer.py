"""Occlusion of the rows of a batch, by all models."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from tfx_explain import tables
from tfx_explain.config.occlusion import OcclusionConfig
from tfx_explain.config.parts import RegionsConfig
from tfx_explain.methods.absent import Absent
from tfx_explain.methods.attribution_rows import AttributionRows
from tfx_explain.methods.background import LARGEST_OUTPUT, JobPlan
from tfx_explain.methods.batch import Batch
from tfx_explain.methods.context import JobContext
from tfx_explain.methods.images import ImageForm
from tfx_explain.methods.method import Earlier, Result
from tfx_explain.methods.occlusion.inside import Occluded, OccludedFeature, n_references
from tfx_explain.methods.occlusion.players import OccludedPlayers
from tfx_explain.methods.refusals import TOO_LARGE
from tfx_explain.methods.rounding import rounding_floor
from tfx_explain.methods.shapley.background import ShapleyBackground
from tfx_explain.methods.shapley.parts.cutting import Cutting
from tfx_explain.methods.shapley.parts.feature import PartBatch
from tfx_explain.methods.shapley.parts.image_parts import ImageParts
from tfx_explain.methods.shapley.parts.model_feature import ModelFeature
from tfx_explain.methods.shapley.rows import NOT_FINITE_MIXED
from tfx_explain.models import Model
from tfx_explain.part_records import PartRows
from tfx_explain.rows import HashArray
from tfx_explain.summary.sizes import MAX_DESIGNS

KEY = tables.OCCLUSION

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@dataclasses.dataclass(frozen=True)
class OcclusionPlan:
    """What all workers need.

    Attributes:
      absent: series -> what absent values of each channel are; image -> the number that all become, if one.
      probes: text -> words to put in the place of its end.
      markers: text in tokens -> two words that the model tells apart; not where there are none.
    """

    absent: Absent
    probes: Mapping[str, bytes]
    markers: Mapping[str, tuple[bytes, bytes]]

    def background(self, plan: JobPlan, index: int) -> ShapleyBackground:
        """As a model sees it: 0 for the one that is explained, 1 for the baseline model."""
        return ShapleyBackground(**vars(plan.side(index)), probes=self.probes, markers=self.markers)


class OcclusionExplainer:
    """At work with all models.

    Args:
      models: what is explained, and the baseline model if there is one.
      context: of the job.
      settings: what the user asked for.
    """

    def __init__(self, models: Sequence[Model], context: JobContext, settings: OcclusionConfig) -> None:
        seed, players = context.config.seed, context.players
        self._settings, self._places = settings, {name: place for place, name in enumerate(players)}
        self._players = [OccludedPlayers(model, players, settings.parts, seed) for model in models]
        self._cutting = Cutting(models, settings.parts)
        self._features = {
            feature: [OccludedFeature(ModelFeature.of(model, feature, players), of, seed) for model in models]
            for feature, of in settings.parts.items()
        }
        self._images = {
            feature: [ImageParts(one.of_model, of, ImageForm.of(feature, models)) for one in self._features[feature]]
            for feature, of in settings.parts.items()
            if isinstance(of, RegionsConfig)
        }

    def explain(self, batch: Batch, plan: JobPlan, earlier: Earlier) -> Result[AttributionRows]:
        """What each row has more than without each player; errors where outputs are not finite or too large."""
        settled: OcclusionPlan = plan.per_method[KEY]
        backgrounds = [settled.background(plan, index) for index in range(len(self._players))]
        sides = [self._side(index, batch, background) for index, background in enumerate(backgrounds)]
        for feature in self._features:
            for side, found in zip(sides, self._occluded(feature, batch, backgrounds, settled.absent), strict=True):
                n = n_references(self._settings.parts[feature], len(plan.background.weights))
                side.put(self._places[feature], feature, found, n)
        errors: dict[int, str] = {}
        for side in sides:
            errors = {**side.errors(), **errors}
        kept = np.setdiff1d(np.arange(batch.rows.num_rows), list(errors))
        counts = {f"{KEY}_model_rows": sum(side.n_model_rows for side in sides)}
        return Result(tuple(side.rows(batch.hashes, kept) for side in sides), errors, counts)

    def _side(self, index: int, batch: Batch, background: ShapleyBackground) -> SideRows:
        """The players that no part is looked for in."""
        side, outputs = batch.sides[index], background.outputs[batch.chosen]
        floor = rounding_floor(background.asked(side.prediction), background.asked(background.predictions))
        floor = np.take_along_axis(floor, batch.chosen, axis=1)
        found = self._players[index].effects(side, background, outputs, floor)
        prediction = np.take_along_axis(side.prediction, outputs, axis=1)
        return SideRows(
            prediction, found.values, np.zeros_like(found.values), found.std_errors, found.dof, found.n_model_rows
        )

    def _occluded(
        self, feature: str, batch: Batch, backgrounds: Sequence[ShapleyBackground], absent: Absent
    ) -> Iterator[Occluded]:
        """The parts of a feature, by each model."""
        if feature in self._images:
            of_models = self._features[feature]
            reading = [index for index, of in enumerate(of_models) if of.of_model.is_read] or [0]
            by_model = {index: self._of_images(feature, batch, index, backgrounds[index], absent) for index in reading}
            # What a model reads may be smaller than the file, of which one that reads no image would have other parts.
            instead = by_model[reading[0]].without_effect()
            yield from (by_model.get(index, instead) for index in range(len(of_models)))
            return
        rows, unreadable = self._cutting.cut(batch, feature, backgrounds[0], absent)
        # Its length stays with the row.
        alone_rows = dataclasses.replace(rows, has_rest=False)
        for index, of_feature in enumerate(self._features[feature]):
            side, background = batch.sides[index], backgrounds[index]
            calls = of_feature.of_model.calls(side, background)
            found = of_feature.explain(PartBatch(batch, side, background, alone_rows, calls))
            yield dataclasses.replace(found, reasons={**found.reasons, **unreadable})

    def _of_images(
        self, feature: str, batch: Batch, index: int, background: ShapleyBackground, absent: Absent
    ) -> Occluded:
        """The parts of all images, by one model."""
        made = [Occluded.nothing(batch.chosen.shape[1])]
        for cut in self._images[feature][index].cuts(batch, index, background, absent[feature]):
            of = cut.part_batch(batch, index, background)
            alone = dataclasses.replace(of, parts=dataclasses.replace(cut.images, has_rest=False))
            found = self._features[feature][index].explain(alone)
            parts = dataclasses.replace(found.parts, maps=cut.images.maps)
            of_batch = cut.of_batch({**found.reasons, **cut.reasons})
            n = found.n_model_rows + cut.n_model_rows
            made.append(dataclasses.replace(found, parts=parts, reasons=of_batch, n_model_rows=n))
        return Occluded.joined(made)


@dataclasses.dataclass
class SideRows:
    """What n rows have more than without each of d players, by one model.

    Attributes:
      prediction: (n, c).
      values: (n, d, c).
      design_std_errors: (n, d, c) of what stands in for each row anew.
      background_std_errors: (n, d, c) of the background as a sample.
      background_dof: degrees of freedom of the latter.
      n_model_rows: what it took.
      design_dof: of the former.
      parts: feature -> its parts.
      reasons: row -> what is wrong with the inside of a feature.
    """

    prediction: FloatArray
    values: FloatArray
    design_std_errors: FloatArray
    background_std_errors: FloatArray
    background_dof: float
    n_model_rows: int
    design_dof: float = np.inf
    parts: dict[str, PartRows] = dataclasses.field(default_factory=dict)
    reasons: dict[int, str] = dataclasses.field(default_factory=dict)

    def put(self, place: int, feature: str, found: Occluded, n_stand_ins: int) -> None:
        """Adds the inside of a feature, the player at this place, for which so many rows stood in."""
        self.values[:, place], self.design_std_errors[:, place] = found.values, found.std_errors
        self.parts[feature] = found.parts
        self.reasons = {**found.reasons, **self.reasons}
        self.n_model_rows += found.n_model_rows
        if n_stand_ins > 1:
            self.design_dof = min(self.design_dof, n_stand_ins - 1)

    def errors(self) -> dict[int, str]:
        """Row -> why it cannot be explained."""
        with np.errstate(invalid="ignore"):
            too_large = set(np.flatnonzero((np.abs(self.values) > LARGEST_OUTPUT).any(axis=(1, 2))).tolist())
            for of in self.parts.values():
                large = (np.abs(of.attributions) > LARGEST_OUTPUT).any(axis=1)
                too_large |= set(np.repeat(np.arange(len(of.lengths)), of.lengths)[large].tolist())
        not_finite = np.flatnonzero(~np.isfinite(self.values).all(axis=(1, 2))).tolist()
        return {**dict.fromkeys(too_large, TOO_LARGE), **dict.fromkeys(not_finite, NOT_FINITE_MIXED), **self.reasons}

    def rows(self, hashes: HashArray, kept: IntArray) -> AttributionRows:
        """Those that are kept, (k,) integers; nothing that they add up to is known.

        What stands in for rows anew is independent between them, but rows of different numbers are told apart, so that
        what importance is made of learns that from the rows themselves.
        """
        n, _, n_outputs = self.values[kept].shape
        none = np.full((n, n_outputs), np.nan)
        return AttributionRows(
            attributions=self.values[kept],
            design_std_error=self.design_std_errors[kept],
            background_std_error=self.background_std_errors[kept],
            prediction=self.prediction[kept],
            base_value=none,
            completeness_gap=none,
            interactions=np.zeros((n, 0, n_outputs)),
            noise_ratio=np.ones(n),
            design_dof=np.full(n, self.design_dof),
            background_dof=np.full(n, self.background_dof),
            design_ids=(hashes[kept] % np.uint64(MAX_DESIGNS)).astype(np.int64),
            parts={feature: of.take(kept) for feature, of in self.parts.items()},
        )
