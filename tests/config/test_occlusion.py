"""Settings of occlusion: what is hidden of which feature, as its keys tell."""

from typing import Any

import jsonschema
import pytest

from tfx_explain import ConfigError, ExplainConfig
from tfx_explain.config.occlusion import OccludedImageConfig
from tfx_explain.config.parts import SpansConfig, WindowsConfig

SCHEMA = jsonschema.Draft202012Validator(ExplainConfig.json_schema())


def data_of(parts: dict[str, Any], *methods: Any) -> dict[str, Any]:
    return {"methods": [{"occlusion": {"parts": {"x": parts}}}, *methods]}


@pytest.mark.parametrize(
    ("parts", "kind"),
    [
        ({}, SpansConfig),
        ({"unit": "sentence"}, SpansConfig),
        ({"windows": 3}, WindowsConfig),
        ({"size": 16}, OccludedImageConfig),
        ({"size": 0.25, "stride": 0.125, "absent": "mean"}, OccludedImageConfig),
        ({"segments": 9}, OccludedImageConfig),
        ({"masks": "mask"}, OccludedImageConfig),
    ],
)
def test_keys_tell_what_is_hidden(parts: dict[str, Any], kind: type) -> None:
    config = ExplainConfig.from_dict(data_of(parts))
    assert type(config.method("occlusion").parts["x"]) is kind
    assert ExplainConfig.from_json(config.to_json()) == config
    SCHEMA.validate(data_of(parts))


def test_features_alone_need_no_settings() -> None:
    assert ExplainConfig.from_dict({"methods": ["occlusion"]}).method("occlusion").parts == {}


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"size": 16.5}, "a length is a whole number of pixels, or below 1 a part of the shorter side"),
        ({"size": 0}, "greater than 0"),
        ({"size": 8, "stride": 3}, "`size: 8` is no multiple of `stride: 3`"),
        ({"size": 8, "stride": 9}, "`size: 8` is no multiple of `stride: 9`"),
        ({"size": 8, "stride": 0.5}, "both in pixels, or both parts of the shorter side"),
        ({"stride": 3}, "give one of them, not none"),
        ({"stride": 3, "segments": 3}, "`stride` says how far the square of `size` is slid"),
        ({"size": 8, "segments": 3}, "give one of them, not size and segments"),
        ({"size": 8, "num_references": 4}, "`num_references` says how many images .* but `absent` is `blur`"),
        ({"size": 8, "model_rows": 64}, "unknown key `model_rows`"),
        ({"sise": 8}, "did you mean `size`"),
    ],
)
def test_what_does_not_fit_is_refused_in_a_sentence(parts: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        ExplainConfig.from_dict(data_of(parts))


def test_images_of_the_background_are_those_that_the_background_has() -> None:
    parts, blurred = {"size": 4, "absent": "background"}, {"shapley": {"parts": {"x": {"segments": 4}}}}
    with pytest.raises(
        ConfigError, match=r"`occlusion` takes the images `x` of the background, where .* `absent: blur`"
    ):
        ExplainConfig.from_dict(data_of(parts, blurred))
    sampled = {"xrai": {"feature": "x", "gradients": "expected_gradients"}}
    with pytest.raises(ConfigError, match=r"`xrai` takes the images `x` of the background, where .* `absent: blur`"):
        ExplainConfig.from_dict({"methods": [sampled, blurred]})
    ExplainConfig.from_dict(data_of({"size": 4, "absent": "mean"}, blurred))


def test_what_is_no_player_of_its_own_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"`parts` of `occlusion` looks inside `x`, which is in group `g`"):
        ExplainConfig.from_dict({**data_of({"size": 4}), "features": {"groups": {"g": ["x"]}}})


def test_masks_are_no_players() -> None:
    assert ExplainConfig.from_dict(data_of({"masks": "mask"})).mask_features == ["mask"]
