"""The insides of all features that a job looks into, by all models; and what stands in the way of that."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from tfx_explain.config import ExplainConfig
from tfx_explain.config.parts import RegionsConfig, SomeParts, SpansConfig, TextPartsConfig, WindowsConfig
from tfx_explain.errors import ConfigError
from tfx_explain.methods.attribution_rows import AttributionRows
from tfx_explain.methods.background import SideBackground
from tfx_explain.methods.batch import Batch
from tfx_explain.methods.context import FirstRows, JobContext
from tfx_explain.methods.images import ImageForm
from tfx_explain.methods.method import Result
from tfx_explain.methods.shapley.background import ShapleyBackground
from tfx_explain.methods.shapley.parts.cutting import Cutting
from tfx_explain.methods.shapley.parts.feature import FeatureParts, PartBatch
from tfx_explain.methods.shapley.parts.image_parts import Cut, ImageParts
from tfx_explain.methods.shapley.parts.images import REGION_PARTS
from tfx_explain.methods.shapley.parts.long_texts import LongTexts
from tfx_explain.methods.shapley.parts.rewritten import check_images
from tfx_explain.methods.shapley.parts.series import SERIES_PARTS, check_series
from tfx_explain.methods.shapley.parts.texts import TEXT_PARTS, TextRows, check_text
from tfx_explain.models import Model
from tfx_explain.part_records import PartRows, PartsOf

COUNT = "parts_model_rows"

_Found = tuple[int, PartRows, dict[int, str], int]


class Insides:
    """Looks into features of rows once their attributions are known.

    Args:
      models: what is explained, and the baseline model if there is one.
      players: name -> features.
      config: of the job.
    """

    def __init__(self, models: Sequence[Model], players: Mapping[str, Sequence[str]], config: ExplainConfig) -> None:
        self._cutting = Cutting(models, config.shapley.parts)
        self.features = {
            feature: [FeatureParts(model, feature, players, config) for model in models]
            for feature in config.shapley.parts
        }
        self.images = {
            feature: [ImageParts(of.of_model, settings, ImageForm.of(feature, models)) for of in self.features[feature]]
            for feature, settings in config.shapley.parts.items()
            if isinstance(settings, RegionsConfig)
        }
        self.long_texts = {
            feature: LongTexts(self.features[feature], settings)
            for feature, settings in config.shapley.parts.items()
            if isinstance(settings, TextPartsConfig) and settings.opens
        }

    def added(
        self,
        found: Result[AttributionRows],
        batch: Batch,
        backgrounds: Sequence[ShapleyBackground],
        absent: Mapping[str, tuple[float, ...]],
    ) -> Result[AttributionRows]:
        """What was found of a batch, with the parts of its features; without the rows that have none.

        Args:
          found: of the batch.
          batch: the rows.
          backgrounds: as each model sees it.
          absent: series -> what absent values of each channel are.
        """
        good = np.setdiff1d(np.arange(batch.rows.num_rows), list(found.errors))
        kept, sides = batch.take(good), list(found.sides)
        reasons: dict[int, str] = {}
        n_model_rows = 0
        for feature in self.features:
            for index, parts, errors, n in self._found(feature, kept, sides, backgrounds, absent):
                sides[index] = replace(sides[index], parts={**sides[index].parts, feature: parts})
                reasons = {**errors, **reasons}
                n_model_rows += n
        left = np.setdiff1d(np.arange(len(good)), list(reasons))
        return Result(
            tuple(side.take(left) for side in sides) if reasons else tuple(sides),
            {**found.errors, **{int(good[row]): reason for row, reason in reasons.items()}},
            {**found.counts, COUNT: n_model_rows},
            tuple(one if one is None or not reasons else one.take(left) for one in found.lent),
        )

    def _found(
        self,
        feature: str,
        kept: Batch,
        sides: Sequence[AttributionRows],
        backgrounds: Sequence[ShapleyBackground],
        absent: Mapping[str, tuple[float, ...]],
    ) -> Iterator[_Found]:
        """Of each model the parts of its rows, what is wrong with some, and the model rows that were asked about."""
        for index, images in enumerate(self.images.get(feature, ())):
            cuts = images.cuts(kept, index, backgrounds[index], absent[feature])
            of_side = kept, index, backgrounds[index]
            yield index, *_explained(self.features[feature][index], cuts, of_side, sides[index])
        if feature in self.images:
            return
        # Both models have the same parts.
        rows, unreadable = self._cutting.cut(kept, feature, backgrounds[0], absent)
        of = [
            PartBatch(kept, side, background, rows, of_model.of_model.calls(side, background))
            for of_model, side, background in zip(self.features[feature], kept.sides, backgrounds, strict=True)
        ]
        found: Iterable[_Found]
        if feature in self.long_texts and isinstance(rows, TextRows):
            found = self.long_texts[feature].explain(rows, of, sides)
        else:
            models = enumerate(self.features[feature])
            found = ((index, *of_model.explain(of[index], sides[index])) for index, of_model in models)
        for index, parts, errors, n in found:
            yield index, parts, {**errors, **unreadable}, n


def _explained(
    of_model: FeatureParts, cuts: Iterator[Cut], of_side: tuple[Batch, int, SideBackground], rows: AttributionRows
) -> tuple[PartRows, dict[int, str], int]:
    """The regions of n rows, row -> what is wrong with it, and the model rows that were asked about.

    Args:
      of_model: the games over parts.
      cuts: of the images.
      of_side: n rows, which of their sides is the model's, and the background as it sees it.
      rows: attributions of the features of the same rows.
    """
    none = np.zeros((0, rows.prediction.shape[1]))
    made = [PartRows(np.zeros(0, np.int64), np.zeros((0, 1), np.int64), none, none, np.zeros(0, object))]
    reasons, n_model_rows = dict[int, str](), 0
    for cut in cuts:
        parts, errors, n = of_model.explain(cut.part_batch(*of_side), rows.take(cut.rows))
        made.append(replace(parts, maps=cut.images.maps))
        reasons |= cut.of_batch({**errors, **cut.reasons})
        n_model_rows += n + cut.n_model_rows
    return PartRows.joined(made), reasons, n_model_rows


def parts_of(parts: Mapping[str, SomeParts]) -> dict[str, PartsOf]:
    """What the parts of each feature are."""
    kinds = ((SpansConfig, TEXT_PARTS), (WindowsConfig, SERIES_PARTS), (RegionsConfig, REGION_PARTS))
    return {
        feature: next(of for kind, of in kinds if isinstance(settings, kind)) for feature, settings in parts.items()
    }


def check_parts(context: JobContext, parts: Mapping[str, SomeParts], rows: FirstRows, models: Sequence[Model]) -> None:
    """Refuses to look into what has no such parts, or is no player.

    Args:
      context: of the job.
      parts: features that are looked into -> how.
      rows: the first ones of each split.
      models: what is explained, and the baseline model if there is one.

    Raises:
      ConfigError: names the feature, and what to do.
    """
    for feature, settings in parts.items():
        if tuple(context.players.get(feature, ())) != (feature,):
            raise ConfigError(
                f"`parts` looks inside `{feature}`, which is no player that is a single feature; players are "
                f"{', '.join(context.players)}."
            )
        if isinstance(settings, SpansConfig):
            check_text(feature, rows, models)
        elif isinstance(settings, RegionsConfig):
            check_images(feature, settings, rows, models)
        else:
            check_series(feature, settings, rows, models)


def described_parts(
    parts: Mapping[str, SomeParts], absent: Mapping[str, tuple[float, ...]]
) -> dict[str, dict[str, object]]:
    """Feature -> what its parts are, and what absent means, as the manifest has it."""
    found = {feature: settings.model_dump() for feature, settings in parts.items()}
    for feature, settings in parts.items():
        if isinstance(settings, WindowsConfig):
            of_series = {"windows": settings.cutter.n_windows, "channels": len(absent[feature])}
            found[feature] |= {**of_series, "absent_values": list(absent[feature])}
        elif isinstance(settings, RegionsConfig):
            found[feature] |= {"segments": settings.n_segments or None, "absent_values": list(absent[feature])}
    return found
