"""Settings of the insides of features: of texts, or of series, as their keys tell."""

from typing import Any

import jsonschema
import pytest

from tfx_explain import ConfigError, ExplainConfig
from tfx_explain.config.parts import SeriesPartsConfig, TextPartsConfig

SCHEMA = jsonschema.Draft202012Validator(ExplainConfig.json_schema())


def data_of(parts: dict[str, Any]) -> dict[str, Any]:
    return {"methods": [{"shapley": {"parts": {"x": parts}}}]}


@pytest.mark.parametrize(
    ("parts", "kind"),
    [
        ({}, TextPartsConfig),
        ({"absent": "zero"}, TextPartsConfig),
        ({"max_parts": 9}, TextPartsConfig),
        ({"windows": 3}, SeriesPartsConfig),
        ({"by": "channel", "absent": "mean"}, SeriesPartsConfig),
        ({"padding": -1, "absent": 2}, SeriesPartsConfig),
        ({"window_length": 3, "absent": "zero"}, SeriesPartsConfig),
    ],
)
def test_keys_tell_texts_from_series(parts: dict[str, Any], kind: type) -> None:
    config = ExplainConfig.from_dict(data_of(parts))
    assert type(config.shapley.parts["x"]) is kind
    assert ExplainConfig.from_json(config.to_json()) == config
    SCHEMA.validate(data_of(parts))


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        (
            {"window": 3},
            "unknown key `window` under `methods.0.shapley.parts.x` in ExplainConfig; did you mean `windows`",
        ),
        ({"unt": "word"}, "unknown key `unt` under `methods.0.shapley.parts.x` in ExplainConfig; did you mean `unit`"),
        ({"windows": 3, "unit": "word"}, "unknown key `unit` under `methods.0.shapley.parts.x` in .*; known keys: "),
        ({"windows": 0}, "`methods.0.shapley.parts.x.windows` in ExplainConfig: "),
        ({"windows": 3, "absent": "delete"}, "`methods.0.shapley.parts.x.absent.*` in ExplainConfig: "),
        ({"windows": 3, "padding": float("nan")}, "a finite number is needed here"),
        ({"channels": "3"}, "a number is needed here, without quotes"),
    ],
)
def test_what_does_not_fit_is_refused_in_a_sentence(parts: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        ExplainConfig.from_dict(data_of(parts))
    assert "PartsConfig" not in str(caught.value)


@pytest.mark.parametrize(
    ("parts", "opens"),
    [({}, True), ({"coarse_first": False}, False), ({"max_parts": 3}, False), ({"max_parts": 4}, True)],
)
def test_long_texts_are_opened_where_there_is_room(parts: dict[str, Any], opens: bool) -> None:
    assert ExplainConfig.from_dict(data_of(parts)).shapley.parts["x"].opens is opens


def test_the_schema_knows_what_a_series_has_not() -> None:
    assert not SCHEMA.is_valid(data_of({"windows": 3, "unit": "word"}))
    assert not SCHEMA.is_valid(data_of({"absent": 3}))
