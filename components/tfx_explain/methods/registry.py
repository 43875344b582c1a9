"""Which methods a job has, in the order in which they explain a batch and stand in tables."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tfx_explain.methods.context import JobContext
from tfx_explain.methods.faithfulness.method import Faithfulness
from tfx_explain.methods.interaction_strength.method import InteractionStrength
from tfx_explain.methods.interaction_strength.strengths import METHOD as INTERACTION_STRENGTH
from tfx_explain.methods.losses.method import Losses
from tfx_explain.methods.losses.plan import SAGE, wants_losses
from tfx_explain.methods.method import Method, SecondPass
from tfx_explain.methods.occlusion.method import Occlusion
from tfx_explain.methods.part_tables.method import PartTables
from tfx_explain.methods.path_gradients.expected_gradients import ExpectedGradients
from tfx_explain.methods.path_gradients.integrated_gradients import IntegratedGradients
from tfx_explain.methods.profiles.method import Profiles
from tfx_explain.methods.profiles.plan import wants_profiles
from tfx_explain.methods.shapley.method import Shapley
from tfx_explain.methods.xrai.method import Xrai
from tfx_explain.tables import EXPECTED_GRADIENTS, FAITHFULNESS_METHOD, INTEGRATED_GRADIENTS, OCCLUSION, SHAPLEY, XRAI

AnyMethod = Method[Any, Any]
"""Whatever its plan and rows are: only the method itself looks into them."""


def _shapley(context: JobContext) -> AnyMethod | None:
    if context.config.method(SHAPLEY) is None:
        return None
    return Shapley(context, lends_coalitions=context.config.method(SAGE) is not None)


def _integrated_gradients(context: JobContext) -> AnyMethod | None:
    return None if context.config.method(INTEGRATED_GRADIENTS) is None else IntegratedGradients(context)


def _expected_gradients(context: JobContext) -> AnyMethod | None:
    return None if context.config.method(EXPECTED_GRADIENTS) is None else ExpectedGradients(context)


def _xrai(context: JobContext) -> AnyMethod | None:
    settings = context.config.method(XRAI)
    return None if settings is None else Xrai(context, needs_row_count=settings.pixel_maps > 0)


def _occlusion(context: JobContext) -> AnyMethod | None:
    return None if context.config.method(OCCLUSION) is None else Occlusion(context)


def _profiles(context: JobContext) -> AnyMethod | None:
    return Profiles(context) if wants_profiles(context.config) else None


def _losses(context: JobContext) -> AnyMethod | None:
    return Losses(context) if wants_losses(context.config) else None


def _faithfulness(context: JobContext) -> AnyMethod | None:
    settings = context.config.method(FAITHFULNESS_METHOD)
    if settings is None:
        return None
    attributing = _attributing(context)
    named = [method.key for method in attributing] if settings.methods is None else settings.methods
    return Faithfulness(context, tuple(method for method in attributing if method.key in named))


def _part_tables(context: JobContext) -> AnyMethod | None:
    inside = tuple(method for method in _attributing(context) if method.parts)
    return PartTables(context, inside) if inside else None


def _attributing(context: JobContext) -> list[AnyMethod]:
    """Those that attribute, of a job."""
    of_others = (_faithfulness, _part_tables)
    made = (make(context) for make in METHODS if make not in of_others)
    return [method for method in made if method is not None and method.attributes]


def _interaction_strength(context: JobContext) -> SecondPass | None:
    return None if context.config.method(INTERACTION_STRENGTH) is None else InteractionStrength(context)


METHODS: list[Callable[[JobContext], AnyMethod | None]] = [
    _shapley,
    _integrated_gradients,
    _expected_gradients,
    _xrai,
    _occlusion,
    _profiles,
    _losses,
    _faithfulness,
    _part_tables,
]
"""Each gives the method where the job asks for it. Later ones may use what earlier ones lend."""

SECOND_PASSES: list[Callable[[JobContext], SecondPass | None]] = [_interaction_strength]
"""The same for methods that look at rows again once all is accumulated."""


def methods_of(context: JobContext) -> list[AnyMethod]:
    """The methods that a job asks for."""
    return [method for make in METHODS if (method := make(context)) is not None]


def second_passes_of(context: JobContext) -> list[SecondPass]:
    """The methods that a job asks for and that look at rows again."""
    return [method for make in SECOND_PASSES if (method := make(context)) is not None]


def attributing_methods_of(context: JobContext) -> tuple[str, ...]:
    """Keys of those that attribute, in the order of the configuration; ones that it does not know come last."""
    asked = [method.name for method in context.config.methods]
    keys = [method.key for method in methods_of(context) if method.attributes]
    return tuple(sorted(keys, key=lambda key: asked.index(key) if key in asked else len(asked)))
