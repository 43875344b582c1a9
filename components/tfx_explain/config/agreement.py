"""What must hold between sections of a configuration, so that what is asked for can be done."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfx_explain.config.methods import ATTRIBUTION_METHODS, SHOWING_METHODS
from tfx_explain.config.parts import BACKGROUND, RegionsConfig

if TYPE_CHECKING:
    from tfx_explain.config.explain import ExplainConfig
    from tfx_explain.config.xrai import XraiConfig


def check_agreement(config: ExplainConfig) -> None:
    """Refuses sections that each are right, but not together.

    Raises:
      ValueError: two sections contradict each other.
    """
    checks = (
        _near_one_probability,
        _faithful_to_something,
        _reasons_of_something,
        _without_values,
        _parts_of_players,
        _images_of_the_background,
    )
    for check in checks:
        check(config)


def _near_one_probability(config: ExplainConfig) -> None:
    """A cut-off in probability is the model's own."""
    near = config.background.near
    if near is not None and near.unit == "probability" and config.model.positive_rate is not None:
        raise ValueError(
            "`background.near.unit: probability` may be the model's or what `model.positive_rate` makes of it; "
            "give `output` and `within` in log-odds"
        )


def _faithful_to_something(config: ExplainConfig) -> None:
    """Faithfulness is that of attributions."""
    checked = config.method("faithfulness")
    if checked is None:
        return
    listed = [name for name in ATTRIBUTION_METHODS if config.method(name) is not None]
    for name in checked.methods or ():
        if name not in listed:
            why = "is not listed" if name in ATTRIBUTION_METHODS else "does not attribute"
            raise ValueError(
                f"`faithfulness` checks the attributions of `{name}`, which {why}; methods that attribute here: "
                f"{', '.join(listed) or 'none'}"
            )
    if not listed:
        raise ValueError("`faithfulness` checks the attributions of other methods; list one that attributes, too")


def _reasons_of_something(config: ExplainConfig) -> None:
    """Reasons are attributions with a sign."""
    if config.reasons is None:
        return
    listed = [method.name for method in config.methods if method.name in ATTRIBUTION_METHODS]
    name = config.reasons.chosen_method(listed)
    xrai: XraiConfig | None = config.method("xrai")
    if name == "xrai" and xrai is not None and not xrai.adds_up:
        raise ValueError(
            "`reasons` need attributions with a sign, which `smooth_grad` of `xrai` has not; name another `method`"
        )


def _without_values(config: ExplainConfig) -> None:
    """What keeps values out of files lists nothing that shows some."""
    if config.store_features != "none":
        return
    shows = [f"method `{name}`" for name in SHOWING_METHODS if config.method(name) is not None]
    shows += [f"`parts` of `{method}`" for method, _ in sorted(config.parts)]
    shows += ["`feature_keys` of `slicing_specs`"] * any(spec.feature_keys for spec in config.slicing_specs)
    if shows:
        raise ValueError(
            f"`store_features: none` keeps values of features out of all files, but {shows[0]} writes some; remove "
            "it, or store the features"
        )


def _parts_of_players(config: ExplainConfig) -> None:
    """What is looked inside is a player of its own."""
    features = config.features
    for method, name in sorted(config.parts):
        grouped = [group for group, members in features.groups.items() if name in members]
        if grouped or name in features.exclude or (features.include is not None and name not in features.include):
            where = f"in group `{grouped[0]}`" if grouped else "left out by `features`"
            raise ValueError(
                f"`parts` of `{method}` looks inside `{name}`, which is {where}; let it be a player of its own"
            )


def _images_of_the_background(config: ExplainConfig) -> None:
    """Methods that take images of the background have them as they are."""
    taken = [
        place
        for place, of in config.parts.items()
        if place[0] == "occlusion" and isinstance(of, RegionsConfig) and of.absent == BACKGROUND
    ]
    xrai: XraiConfig | None = config.method("xrai")
    if xrai is not None and xrai.gradients == "expected_gradients":
        taken.append(("xrai", xrai.feature))
    for method, feature in taken:
        other = config.shapley.parts.get(feature)
        if other is not None and other.absent != BACKGROUND:
            raise ValueError(
                f"`{method}` takes the images `{feature}` of the background, where `parts` of `shapley` makes them "
                f"`absent: {other.absent}`; set `absent: background` there"
            )
