"""The sections of both configurations in reading order, and where each stands in a whole configuration."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, get_args

from tfx_explain.config import ExplainConfig, ValidationConfig
from tfx_explain.config.base import Config, OneOf, Part, SlicingSpec
from tfx_explain.config.data import NearConfig
from tfx_explain.config.methods import Method
from tfx_explain.config.model import PositiveRateConfig
from tfx_explain.config.occlusion import OccludedImageConfig
from tfx_explain.config.parts import ImagePartsConfig, SeriesPartsConfig, SpansConfig, TextPartsConfig, WindowsConfig
from tfx_explain.config.reasons import ReasonCode
from tfx_explain.config.validation import Rule

Step = str | tuple[str, ...]
"""A key, or a list: what stands in it before."""

_AROUND: Mapping[str, Mapping[str, object]] = {
    "permutation_importance": {"label_key": "approved"},
    "sage": {"label_key": "approved"},
    "max_slice_difference": {"slicing_specs": [{"feature_keys": ["sex"]}]},
}
_REASONS: Mapping[str, object] = {"reasons": {"adverse": "low", "allow": ["income"]}}
_CHECKING = ("interaction_strength", "faithfulness")
_INSIDE: Mapping[str, Sequence[tuple[str, str, type[Part]]]] = {
    "shapley": (
        ("Texts inside `shapley`", "review", TextPartsConfig),
        ("Series inside `shapley`", "series", SeriesPartsConfig),
        ("Images inside `shapley`", "image", ImagePartsConfig),
    ),
    "integrated_gradients": (
        ("Texts inside `integrated_gradients` and `occlusion`", "review", SpansConfig),
        ("Series inside `integrated_gradients` and `occlusion`", "series", WindowsConfig),
    ),
    "occlusion": (("Images inside `occlusion`", "image", OccludedImageConfig),),
}


@dataclasses.dataclass(frozen=True)
class Section:
    """A block of a configuration.

    Attributes:
      heading: on the page.
      settings: the class that describes its keys.
      config: the configuration that it stands in.
      steps: that lead to it from the top.
      around: what else the configuration needs then.
    """

    heading: str
    settings: type[Part]
    config: type[Config]
    steps: tuple[Step, ...] = ()
    around: Mapping[str, object] = dataclasses.field(default_factory=dict)

    @property
    def examples(self) -> list[dict[str, Any]]:
        """Settings of the whole section."""
        extra = self.settings.model_config.get("json_schema_extra")
        return list(extra["examples"]) if isinstance(extra, dict) else []

    @property
    def examples_of_keys(self) -> Iterator[tuple[str, object, dict[str, Any]]]:
        """(key, a value of it, settings that have it): those of the first example with the key, else of the first."""
        for name, field in self.settings.model_fields.items():
            others = next((settings for settings in self.examples if name in settings), self.examples[0])
            for value in field.examples or ():
                yield name, value, {**others, name: value}

    def whole(self, settings: Mapping[str, object]) -> dict[str, Any]:
        """A configuration that has these settings here."""
        made: Any = dict(settings)
        for step in reversed(self.steps):
            made = {step: made} if isinstance(step, str) else [*step, made]
        around = dict(self.around)
        for key, value in made.items():
            needed = around.get(key)
            around[key] = {**needed, **value} if isinstance(needed, dict) else value
        return around


def _explain() -> Iterator[Section]:
    yield Section("ExplainConfig", ExplainConfig, ExplainConfig)
    for name in ("background", "features", "model"):
        yield Section(f"`{name}`", _settings(ExplainConfig, name), ExplainConfig, (name,))
    yield Section("`near`", NearConfig, ExplainConfig, ("background", "near"))
    yield Section("`positive_rate`", PositiveRateConfig, ExplainConfig, ("model", "positive_rate"))
    yield Section("`reasons`", _settings(ExplainConfig, "reasons"), ExplainConfig, ("reasons",))
    yield Section("`codes`", ReasonCode, ExplainConfig, ("reasons", "codes", "income"), _REASONS)
    yield Section("`slicing_specs`", SlicingSpec, ExplainConfig, ("slicing_specs", ()))


def _methods() -> Iterator[Section]:
    for name in Method.model_fields:
        steps: tuple[Step, ...] = ("methods", ("shapley",) if name in _CHECKING else (), name)
        yield Section(f"`{name}`", _settings(Method, name), ExplainConfig, steps, _AROUND.get(name, {}))
        for heading, feature, settings in _INSIDE.get(name, ()):
            yield Section(heading, settings, ExplainConfig, (*steps, "parts", feature))


def _rules() -> Iterator[Section]:
    for name in Rule.model_fields:
        around = _AROUND.get(name, {})
        yield Section(f"`{name}`", _settings(Rule, name), ValidationConfig, ("rules", (), name), around)


def _settings(of: type[Part], name: str) -> type[Part]:
    """The section under a key."""
    annotation = of.model_fields[name].annotation
    return next(
        kind for kind in (annotation, *get_args(annotation)) if isinstance(kind, type) and issubclass(kind, Part)
    )


EXPLAIN, METHODS = tuple(_explain()), tuple(_methods())
VALIDATE, RULES = (Section("ValidationConfig", ValidationConfig, ValidationConfig),), tuple(_rules())
SECTIONS = (*EXPLAIN, *METHODS, *VALIDATE, *RULES)
ALTERNATIVES: Mapping[str, type[OneOf]] = {"Methods": Method, "Rules": Rule}
