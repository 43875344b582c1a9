"""The methods that a configuration may list, and what kinds of them there are."""

from __future__ import annotations

from typing import ClassVar

from tfx_explain.config.base import OneOf
from tfx_explain.config.faithfulness import FaithfulnessConfig
from tfx_explain.config.occlusion import OcclusionConfig
from tfx_explain.config.path_methods import ExpectedGradientsConfig, IntegratedGradientsConfig
from tfx_explain.config.shapley import ShapleyConfig
from tfx_explain.config.whole_data import (
    AccumulatedLocalEffectsConfig,
    InteractionStrengthConfig,
    PartialDependenceConfig,
    PermutationImportanceConfig,
    SageConfig,
)
from tfx_explain.config.xrai import XraiConfig


class Method(OneOf):
    """One thing to compute."""

    noun: ClassVar[str] = "method"
    shapley: ShapleyConfig | None = None
    partial_dependence: PartialDependenceConfig | None = None
    accumulated_local_effects: AccumulatedLocalEffectsConfig | None = None
    interaction_strength: InteractionStrengthConfig | None = None
    permutation_importance: PermutationImportanceConfig | None = None
    sage: SageConfig | None = None
    integrated_gradients: IntegratedGradientsConfig | None = None
    expected_gradients: ExpectedGradientsConfig | None = None
    xrai: XraiConfig | None = None
    occlusion: OcclusionConfig | None = None
    faithfulness: FaithfulnessConfig | None = None


ATTRIBUTION_METHODS = ("shapley", "integrated_gradients", "expected_gradients", "xrai", "occlusion")
"""Methods that say how much each player moved the output of a row."""

SHOWING_METHODS = ("partial_dependence", "accumulated_local_effects", "xrai")
"""Methods whose tables or pictures show values of features."""

LOSS_METHODS = ("permutation_importance", "sage")
"""Methods that need labels."""
