"""What users may ask for: ExplainConfig and ValidationConfig.

Both are frozen, refuse unknown keys, and turn every mistake into one `ConfigError` sentence when they are BUILT, so a
pipeline with a bad configuration never starts. They read and write the same YAML or JSON, and publish a JSON schema
(`ExplainConfig.json_schema()`).
"""

from tfx_explain.config.base import SlicingSpec
from tfx_explain.config.data import BackgroundConfig, FeaturesConfig
from tfx_explain.config.drift import DEFAULT_DRIFT_RULES
from tfx_explain.config.explain import ExplainConfig
from tfx_explain.config.model import ModelConfig
from tfx_explain.config.validation import Rule, ValidationConfig

__all__ = [
    "DEFAULT_DRIFT_RULES",
    "BackgroundConfig",
    "ExplainConfig",
    "FeaturesConfig",
    "ModelConfig",
    "Rule",
    "SlicingSpec",
    "ValidationConfig",
]
