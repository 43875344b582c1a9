"""The insides of all features that a job looks into, by all models; and what stands in the way of that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from tfx_explain.config import ExplainConfig
from tfx_explain.errors import ConfigError
from tfx_explain.methods.attribution_rows import AttributionRows
from tfx_explain.methods.batch import Batch
from tfx_explain.methods.context import FirstRows, JobContext
from tfx_explain.methods.method import Result
from tfx_explain.methods.shapley.background import ShapleyBackground
from tfx_explain.methods.shapley.parts.feature import FeatureParts, PartBatch
from tfx_explain.methods.shapley.parts.rows import RowParts
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
        self.config = config
        self.features = {
            feature: [FeatureParts(model, feature, players, config) for model in models]
            for feature in config.shapley.parts
        }

    def added(
        self, found: Result[AttributionRows], batch: Batch, backgrounds: Sequence[ShapleyBackground]
    ) -> Result[AttributionRows]:
        """What was found of a batch, with the parts of its features; without the rows that have none."""
        good = np.setdiff1d(np.arange(batch.rows.num_rows), list(found.errors))
        kept, sides = batch.take(good), list(found.sides)
        reasons: dict[int, str] = {}
        n_model_rows = 0
        for feature, of_models in self.features.items():
            rows, unreadable = self._cut(kept, feature, backgrounds[0])
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

    def _cut(self, batch: Batch, feature: str, background: ShapleyBackground) -> tuple[RowParts, dict[int, str]]:
        """A feature of n rows in parts, and row -> why it cannot be cut."""
        return text_rows(batch.rows, feature, self.config.shapley.parts[feature], background.probes[feature])


def parts_of(config: ExplainConfig) -> dict[str, PartsOf]:
    """What the parts of each feature are."""
    return dict.fromkeys(config.shapley.parts, TEXT_PARTS)


def check_parts(context: JobContext, rows: FirstRows, models: Sequence[Model]) -> None:
    """Refuses to look into what has no such parts, or is no player.

    Raises:
      ConfigError: names the feature, and what to do.
    """
    for feature in context.config.shapley.parts:
        if tuple(context.players.get(feature, ())) != (feature,):
            raise ConfigError(
                f"`parts` of `shapley` looks inside `{feature}`, which is no player that is a single feature; players "
                f"are {', '.join(context.players)}."
            )
        check_text(feature, rows, models)
