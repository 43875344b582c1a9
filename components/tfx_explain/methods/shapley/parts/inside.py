"""The insides of all features that a job looks into, by all models; and what stands in the way of that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from tfx_explain.config import ExplainConfig
from tfx_explain.config.parts import TextPartsConfig
from tfx_explain.errors import ConfigError
from tfx_explain.methods.attribution_rows import AttributionRows
from tfx_explain.methods.batch import Batch
from tfx_explain.methods.context import FirstRows, JobContext
from tfx_explain.methods.method import Result
from tfx_explain.methods.series import SeriesForm
from tfx_explain.methods.shapley.background import ShapleyBackground
from tfx_explain.methods.shapley.parts.feature import FeatureParts, PartBatch
from tfx_explain.methods.shapley.parts.rows import RowParts
from tfx_explain.methods.shapley.parts.series import SERIES_PARTS, check_series, series_rows
from tfx_explain.methods.shapley.parts.texts import TEXT_PARTS, check_text, text_rows
from tfx_explain.models import Model
from tfx_explain.part_records import PartsOf

COUNT = "parts_model_rows"


class Insides:
    """Looks into features of rows once their attributions are known.

    Args:
      models: what is explained, and the baseline model if there is one.
      players: name -> features.
      config: of the job.
    """

    def __init__(self, models: Sequence[Model], players: Mapping[str, Sequence[str]], config: ExplainConfig) -> None:
        self.settings = config.shapley.parts
        self.forms = {
            feature: SeriesForm.of(feature, settings, models)
            for feature, settings in self.settings.items()
            if not isinstance(settings, TextPartsConfig)
        }
        self.features = {
            feature: [FeatureParts(model, feature, players, config) for model in models]
            for feature in config.shapley.parts
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
        for feature, of_models in self.features.items():
            rows, unreadable = self.cut(kept, feature, backgrounds[0], absent)
            reasons = {**unreadable, **reasons}
            for index, of_model in enumerate(of_models):
                of = PartBatch(kept, kept.sides[index], backgrounds[index], rows)
                parts, errors, n = of_model.explain(of, sides[index])
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

    def cut(
        self, batch: Batch, feature: str, background: ShapleyBackground, absent: Mapping[str, tuple[float, ...]]
    ) -> tuple[RowParts, dict[int, str]]:
        """A feature of n rows in parts, and row -> why it cannot be cut."""
        settings = self.settings[feature]
        if isinstance(settings, TextPartsConfig):
            return text_rows(batch.rows, feature, settings, background.probes[feature])
        return series_rows(batch.rows, feature, settings, self.forms[feature], absent[feature])


def parts_of(config: ExplainConfig) -> dict[str, PartsOf]:
    """What the parts of each feature are."""
    of_settings = {feature: isinstance(settings, TextPartsConfig) for feature, settings in config.shapley.parts.items()}
    return {feature: TEXT_PARTS if is_text else SERIES_PARTS for feature, is_text in of_settings.items()}


def check_parts(context: JobContext, rows: FirstRows, models: Sequence[Model]) -> None:
    """Refuses to look into what has no such parts, or is no player.

    Raises:
      ConfigError: names the feature, and what to do.
    """
    for feature, settings in context.config.shapley.parts.items():
        if tuple(context.players.get(feature, ())) != (feature,):
            raise ConfigError(
                f"`parts` of `shapley` looks inside `{feature}`, which is no player that is a single feature; players "
                f"are {', '.join(context.players)}."
            )
        if isinstance(settings, TextPartsConfig):
            check_text(feature, rows, models)
        else:
            check_series(feature, settings, rows, models)


def described_parts(config: ExplainConfig, absent: Mapping[str, tuple[float, ...]]) -> dict[str, dict[str, object]]:
    """Feature -> what its parts are, and what absent means, as the manifest has it."""
    found = {feature: settings.model_dump() for feature, settings in config.shapley.parts.items()}
    for feature, settings in config.shapley.parts.items():
        if not isinstance(settings, TextPartsConfig):
            of_series = {"windows": settings.cutter.n_windows, "channels": len(absent[feature])}
            found[feature] |= {**of_series, "absent_values": list(absent[feature])}
    return found
