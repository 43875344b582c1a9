"""A feature that is looked into, as one model reads it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tfx_explain.methods.background import Background
from tfx_explain.methods.batch import BatchSide
from tfx_explain.methods.context import features_of
from tfx_explain.methods.shapley.parts.calls import PartCalls
from tfx_explain.models import Model


@dataclass(frozen=True, eq=False)
class ModelFeature:
    """A feature that is a player of its own.

    Attributes:
      model: that is explained.
      feature: its name.
      place: which of the players it is.
      is_read: whether the model reads it.
      others: features of each other player that the model reads.
    """

    model: Model
    feature: str
    place: int
    is_read: bool
    others: Sequence[Sequence[str]]

    @classmethod
    def of(cls, model: Model, feature: str, players: Mapping[str, Sequence[str]]) -> ModelFeature:
        """Of players, name -> features."""
        place, read = list(players).index(feature), features_of(model, players)
        others = [names for number, names in enumerate(read) if names and number != place]
        return cls(model, feature, place, bool(read[place]), others)

    def calls(self, side: BatchSide, background: Background) -> PartCalls:
        """Of the model, which is fed rows as they are."""
        return PartCalls.of(self.model, self.feature, self.others, side.inputs, self.model.inputs(background.rows))
