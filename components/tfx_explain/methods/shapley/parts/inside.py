"""The insides of all texts that a job looks into, by all models; and what stands in the way of that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa

from tfx_explain.config import ExplainConfig
from tfx_explain.errors import ConfigError
from tfx_explain.methods.attribution_rows import AttributionRows
from tfx_explain.methods.batch import Batch
from tfx_explain.methods.context import FirstRows, JobContext
from tfx_explain.methods.method import Result
from tfx_explain.methods.shapley.background import ShapleyBackground
from tfx_explain.methods.shapley.parts.texts import TextBatch, Texts, single_texts, spans_of
from tfx_explain.models import Model
from tfx_explain.part_records import PartsOf
from tfx_explain.rows import column_or_nulls, has_type, list_lengths

COUNT = "parts_model_rows"


class Insides:
    """Looks into the texts of rows once their attributions are known.

    Args:
      models: what is explained, and the baseline model if there is one.
      players: name -> features.
      config: of the job.
    """

    def __init__(self, models: Sequence[Model], players: Mapping[str, Sequence[str]], config: ExplainConfig) -> None:
        self.config = config
        self.texts = {
            feature: [Texts(model, feature, players, config) for model in models] for feature in config.shapley.parts
        }

    def added(
        self, found: Result[AttributionRows], batch: Batch, backgrounds: Sequence[ShapleyBackground]
    ) -> Result[AttributionRows]:
        """What was found of a batch, with the parts of its texts; without the rows that have none."""
        good = np.setdiff1d(np.arange(batch.rows.num_rows), list(found.errors))
        kept, sides = batch.take(good), list(found.sides)
        reasons: dict[int, str] = {}
        n_model_rows = 0
        for feature, texts in self.texts.items():
            spans, unreadable = spans_of(kept.rows, feature, self.config)
            reasons = {**unreadable, **reasons}
            for index, of_model in enumerate(texts):
                of = TextBatch(kept, kept.sides[index], backgrounds[index], single_texts(kept.rows, feature), spans)
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


def parts_of(config: ExplainConfig) -> dict[str, PartsOf]:
    """What the parts of each text are."""
    return {feature: PartsOf("spans", ("start", "stop", "seen")) for feature in config.shapley.parts}


def check_texts(context: JobContext, rows: FirstRows, models: Sequence[Model]) -> None:
    """Refuses to look into what is no text, or no player.

    Raises:
      ConfigError: names the feature, and what to do.
    """
    for feature in context.config.shapley.parts:
        if tuple(context.players.get(feature, ())) != (feature,):
            raise ConfigError(
                f"`parts` of `shapley` looks inside `{feature}`, which is no player that is a single feature; players "
                f"are {', '.join(context.players)}."
            )
        for model in models:
            for spec in model.features:
                if spec.name == feature and (spec.dtype != "string" or spec.size != 1):
                    raise ConfigError(
                        f"`parts` of `shapley` looks inside `{feature}`, which {model.what} reads as "
                        f"{spec.size} {spec.dtype} values and not as one text; take it out of `parts`."
                    )
        for split, of_split in rows.splits.items():
            _check_rows(of_split, feature, split)


def _check_rows(rows: pa.RecordBatch, feature: str, split: str) -> None:
    column = column_or_nulls(rows, feature)
    if has_type(rows, feature) and not pa.types.is_large_binary(column.type.value_type):
        raise ConfigError(
            f"`parts` of `shapley` looks inside `{feature}`, which is no text in split `{split}`; take it out of "
            "`parts`."
        )
    most = int(list_lengths(column).max(initial=0))
    if most > 1:
        raise ConfigError(
            f"`parts` of `shapley` looks inside `{feature}`, which has {most} values in a row of split `{split}`; a "
            "text is one value."
        )
