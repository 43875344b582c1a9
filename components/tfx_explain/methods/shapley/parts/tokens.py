"""A model's own tokens as spans of texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa

from tfx_explain.config.parts import SomeParts, SpansConfig
from tfx_explain.methods.background import Background
from tfx_explain.methods.context import FirstRows
from tfx_explain.methods.refusals import refused_rows
from tfx_explain.models import Model
from tfx_explain.regions.alignment import Aligner, find_markers
from tfx_explain.rows import column_or_nulls, take_rows

_MARKER_TEXTS = 256
_N_TRIED = 32


def texts_in_tokens(parts: Mapping[str, SomeParts], model: Model) -> dict[str, SpansConfig]:
    """Texts whose spans are the model's own tokens, of those that it reads."""
    read = {spec.name for spec in model.features}
    return {
        feature: settings
        for feature, settings in parts.items()
        if isinstance(settings, SpansConfig) and settings.unit == "token" and (feature in read or not read)
    }


def check_tokens(parts: Mapping[str, SomeParts], rows: FirstRows, models: Sequence[Model]) -> None:
    """Raises a ModelError where the model that is explained first makes no tokens that could be told apart."""
    first, model = next(iter(rows.splits.values())), models[0]
    wanted = texts_in_tokens(parts, model)
    tried = first.slice(0, _N_TRIED)
    refused = list(refused_rows([model], tried)) if wanted else []
    good = take_rows(tried, np.setdiff1d(np.arange(tried.num_rows), refused))
    for feature in wanted if good.num_rows else ():
        model.tokens(model.inputs(good), feature)


def token_markers(
    model: Model, parts: Mapping[str, SomeParts], rows: pa.RecordBatch, background: Background
) -> dict[str, tuple[bytes, bytes]]:
    """Text in tokens -> two words of some rows that the model tells apart; not where there are none.

    Args:
      model: what is explained first.
      parts: features that are looked into -> how.
      rows: of the background split, with their own texts.
      background: rows to try the model on.

    Raises:
      ModelError: it makes no tokens that could be told apart.
    """
    found = {}
    for feature in texts_in_tokens(parts, model):
        column = column_or_nulls(rows.slice(0, _MARKER_TEXTS), feature)
        texts = [values[0] for values in column.to_pylist() if values]
        pair = find_markers(model.tokens(model.inputs(background.rows), feature), texts)
        if pair is not None:
            found[feature] = pair
    return found


def aligners_of(
    model: Model,
    parts: Mapping[str, SomeParts],
    markers: Mapping[str, tuple[bytes, bytes]],
    background: Background,
) -> dict[str, Aligner]:
    """Text in tokens -> what finds them.

    Args:
      model: what is explained first.
      parts: features that are looked into -> how.
      markers: text -> two words that the model tells apart.
      background: rows to try the model on.
    """
    return {
        feature: Aligner(model.tokens(model.inputs(background.rows), feature), markers[feature], settings.absent_text)
        for feature, settings in texts_in_tokens(parts, model).items()
        if feature in markers
    }
