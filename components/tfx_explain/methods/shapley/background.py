"""What Shapley values settle for the whole job beside the background: a budget, and surrogates of the models."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from tfx_explain.methods.background import JobPlan, SideBackground
from tfx_explain.methods.shapley.surrogates import ModelSurrogate


@dataclasses.dataclass(frozen=True)
class ShapleyBackground(SideBackground):
    """The background as one of the models sees it, and how its coalitions are solved.

    Attributes:
      budget: coalitions per background row that a pilot found to be needed; None = as configured.
      surrogate: of the model, where the estimator is `surrogate`.
      probes: feature that is looked into -> words to put in the place of the end of a text.
      markers: text that is looked into by tokens -> two words that the model tells apart; not where there are none.
    """

    budget: int | None = None
    surrogate: ModelSurrogate | None = None
    probes: Mapping[str, bytes] = dataclasses.field(default_factory=dict)
    markers: Mapping[str, tuple[bytes, bytes]] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class ShapleyPlan:
    """What all workers need.

    Attributes:
      budget: coalitions per background row that a pilot found to be needed; None = as configured.
      surrogates: of each model, where the estimator is `surrogate`.
      probes: feature that is looked into -> words to put in the place of the end of a text.
      markers: text that is looked into by tokens -> two words that the model tells apart; not where there are none.
    """

    budget: int | None = None
    surrogates: tuple[ModelSurrogate, ...] = ()
    probes: Mapping[str, bytes] = dataclasses.field(default_factory=dict)
    markers: Mapping[str, tuple[bytes, bytes]] = dataclasses.field(default_factory=dict)

    def background(self, plan: JobPlan, index: int) -> ShapleyBackground:
        """As a model sees it: 0 for the one that is explained, 1 for the baseline model."""
        surrogate = self.surrogates[index] if self.surrogates else None
        return ShapleyBackground(
            **vars(plan.side(index)),
            budget=self.budget,
            surrogate=surrogate,
            probes=self.probes,
            markers=self.markers,
        )
