"""Explanations of models inside TFX pipelines, and without TFX.

Names load when they are first used: `import tfx_explain` alone imports neither TensorFlow, TFX nor Apache Beam. Only
the components and their artifacts need TFX, which comes with the extra `tfx`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from tfx_explain.optional import is_installed
from tfx_explain.version import __version__

if TYPE_CHECKING:
    from tfx_explain.api import estimate, explain
    from tfx_explain.artifacts import Explanation, ExplanationValidation
    from tfx_explain.blessed_model.component import (
        BlessedModelFinder,
        BlessedModelRecorder,
        OptionalBaselineEvaluator,
    )
    from tfx_explain.config import ExplainConfig, ValidationConfig
    from tfx_explain.engines import beam_args
    from tfx_explain.errors import (
        ConfigError,
        EmptySplitError,
        EstimationError,
        InputError,
        MissingFeatureError,
        ModelError,
        SignatureError,
        TfxExplainError,
        TooManyFailedRowsError,
        UnreadableImageError,
        WorkerError,
    )
    from tfx_explain.explainer.component import Explainer
    from tfx_explain.explanation_validator.component import ExplanationValidator
    from tfx_explain.explanation_validator.judge import judge
    from tfx_explain.reader import ExplanationReader, load

_NEED_TFX = frozenset(
    {
        "Explainer",
        "ExplanationValidator",
        "BlessedModelFinder",
        "BlessedModelRecorder",
        "OptionalBaselineEvaluator",
        "Explanation",
        "ExplanationValidation",
    }
)

_HOME = {
    "beam_args": "engines",
    "estimate": "api",
    "explain": "api",
    "judge": "explanation_validator.judge",
    "load": "reader",
    "Explainer": "explainer.component",
    "ExplanationValidator": "explanation_validator.component",
    "BlessedModelFinder": "blessed_model.component",
    "BlessedModelRecorder": "blessed_model.component",
    "OptionalBaselineEvaluator": "blessed_model.component",
    "ExplanationReader": "reader",
    "ExplainConfig": "config",
    "ValidationConfig": "config",
    "Explanation": "artifacts",
    "ExplanationValidation": "artifacts",
    "TfxExplainError": "errors",
    "ConfigError": "errors",
    "InputError": "errors",
    "EmptySplitError": "errors",
    "MissingFeatureError": "errors",
    "TooManyFailedRowsError": "errors",
    "UnreadableImageError": "errors",
    "ModelError": "errors",
    "SignatureError": "errors",
    "EstimationError": "errors",
    "WorkerError": "errors",
}

__all__ = [
    "BlessedModelFinder",
    "BlessedModelRecorder",
    "ConfigError",
    "EmptySplitError",
    "EstimationError",
    "ExplainConfig",
    "Explainer",
    "Explanation",
    "ExplanationReader",
    "ExplanationValidation",
    "ExplanationValidator",
    "InputError",
    "MissingFeatureError",
    "ModelError",
    "OptionalBaselineEvaluator",
    "SignatureError",
    "TfxExplainError",
    "TooManyFailedRowsError",
    "UnreadableImageError",
    "ValidationConfig",
    "WorkerError",
    "__version__",
    "beam_args",
    "estimate",
    "explain",
    "judge",
    "load",
]

if not is_installed("tfx"):  # so that `from tfx_explain import *` takes what is there
    for _absent in _NEED_TFX:
        __all__.remove(_absent)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        value = getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
        if name in _NEED_TFX:  # whose notebooks then know how to show the artifacts
            importlib.import_module(f"{__name__}.visualizations")
    except ImportError as error:
        if name not in _NEED_TFX:
            raise
        raise ImportError(
            f"tfx_explain.{name} needs TFX, which cannot be imported ({error}): pip install 'tfx-explain[tfx]'."
        ) from error
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
