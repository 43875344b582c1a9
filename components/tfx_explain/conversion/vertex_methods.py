"""Vertex AI's three methods as those of an ExplainConfig."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tfx_explain.conversion.draft import UNNAMED, Draft
from tfx_explain.conversion.vertex_inputs import Input, is_flat, is_zero, n_players
from tfx_explain.errors import ConfigError

_MOST_PATHS = 100_000
_MOST_STEPS = 100_000
_MOST_PLACES, _DEFAULT_PLACES = 512, 128
_STEP, _MOST_XRAI_STEPS = 16, 4_096
_MOST_SIGMA = 10_000


def add_shapley(draft: Draft, inputs: list[Input], at: str | None) -> None:
    """Adds Shapley values.

    Args:
      draft: the configuration.
      inputs: of the model.
      at: path of the method in the file; None where it names none.
    """
    settings: dict[str, Any] = {}
    draft.document.check_one_of(f"{at}.path_count", f"{at}.num_paths")
    for name in ("path_count", "num_paths") if at else ():
        paths = draft.within(f"{at}.{name}", 1, _MOST_PATHS)
        if paths is None:
            continue
        steps = n_players(inputs) - 1
        if steps == 0:
            draft.needless(f"{at}.{name}", "one feature has nothing to be permuted with")
            continue
        if steps < 0:
            draft.lose(f"{at}.{name}", "without `metadata` it is not known how many features there are to be permuted")
            continue
        settings |= {"estimator": "permutation", "budget": max(2, paths + paths % 2) * steps}
    parts = _places(draft, inputs)
    if parts:
        settings["parts"] = parts
    draft.methods["shapley"] = settings
    draft.fit_background(max((len(one.baselines) for one in inputs), default=0))


def add_gradients(draft: Draft, inputs: list[Input], at: str) -> None:
    """Adds integrated gradients; arguments as of `add_shapley`."""
    settings: dict[str, Any] = {}
    draft.document.check_one_of(f"{at}.step_count", f"{at}.num_integral_steps")
    for name in ("step_count", "num_integral_steps"):
        steps = draft.within(f"{at}.{name}", 3, _MOST_STEPS)
        if steps is not None:
            settings["max_steps"] = steps
    parts = _places(draft, inputs)
    if parts:
        settings["parts"] = parts
    references = _references(draft, [one for one in inputs if one.feature not in parts])
    if references:
        settings["references"] = references
    draft.methods["integrated_gradients"] = settings


def _references(draft: Draft, inputs: list[Input]) -> object:
    """Where paths start: `zero`, values of features, or None where the file does not say, or it cannot be said."""
    given = [one for one in inputs if one.baselines]
    to = "methods.integrated_gradients.references"
    if not given or any(len(one.baselines) > 1 for one in given):
        for one in given:
            draft.lose(
                f"{one.path}.input_baselines",
                "paths start from rows of the background, of which `num_references` may be several; write these as "
                "examples, `background_examples` (`--background`)",
            )
        return None
    if len(given) == len(inputs) and all(is_zero(one.baselines[0]) for one in given):
        for one in given:
            draft.carry(f"{one.path}.input_baselines", to)
        return "zero"
    references: dict[str, object] = {}
    for one in given:
        value = one.baselines[0]
        if not is_flat(value):
            draft.lose(
                f"{one.path}.input_baselines", "a value of `references` is one text or number, or a list of these"
            )
            continue
        draft.carry(f"{one.path}.input_baselines", to)
        references[one.feature] = value
    return references or None


def _places(draft: Draft, inputs: list[Input]) -> dict[str, Any]:
    """Features each place of whose tensor is looked at."""
    parts: dict[str, Any] = {}
    for one in inputs:
        path = f"{one.path}.index_feature_mapping"
        if one.absent is None:
            continue
        if len(one.places) > _MOST_PLACES:
            draft.lose(path, f"a feature has at most {_MOST_PLACES} parts, so it is explained as a whole")
            continue
        settings: dict[str, Any] = {"window_length": 1, "absent": one.absent}
        scalar = one.baselines[0] if len(one.baselines) == 1 else None
        baselines = f"{one.path}.input_baselines"
        if isinstance(scalar, int | float) and not isinstance(scalar, bool):
            settings["absent"] = float(scalar)
            draft.carry(baselines, f"methods.<method>.parts.{one.feature}.absent")
        elif draft.document.has(baselines):
            draft.lose(baselines, f"an absent place of `{one.feature}` has one value for all: {one.absent}")
        if len(one.places) > _DEFAULT_PLACES:
            settings["max_parts"] = len(one.places)
        draft.change(path, f"methods.<method>.parts.{one.feature}", "each place is a part, called by its number")
        parts[one.feature] = settings
    return parts


def add_xrai(draft: Draft, inputs: list[Input], at: str) -> None:
    """Adds regions of the image; arguments as of `add_shapley`."""
    image = _image(inputs, draft.feature)
    settings: dict[str, Any] = {"feature": image.feature if image else draft.feature or "image"}
    if image is None and draft.feature is None:
        draft.change(at, "methods.xrai.feature", f"the feature is taken to be called `image`; else {UNNAMED}")
    draft.document.check_one_of(f"{at}.step_count", f"{at}.num_integral_steps")
    for name in ("step_count", "num_integral_steps"):
        steps = draft.within(f"{at}.{name}", 1, _MOST_XRAI_STEPS)
        if steps is not None:
            settings["num_steps"] = -(-steps // _STEP) * _STEP
            if steps % _STEP == 0:
                draft.carry(f"{at}.{name}", "methods.xrai.num_steps")
    path = f"{at}.blur_baseline_config.max_blur_sigma"
    sigma = draft.document.get(path)
    if isinstance(sigma, int | float):
        if 0 < sigma <= _MOST_SIGMA:
            settings |= {"gradients": "blur_ig", "max_sigma": sigma}
        else:
            draft.lose(path, f"it is not above 0 and at most {_MOST_SIGMA:,}")
    if image is not None and image.baselines:
        colours = _colours(draft, image)
        if colours and "gradients" not in settings:
            settings["references"] = colours
    draft.methods["xrai"] = settings


def _image(inputs: list[Input], feature: str | None) -> Input | None:
    """The input that is the image; None where there is none to be known.

    Raises:
      ConfigError: it is in a group.
    """
    images = [one for one in inputs if one.feature == feature or (feature is None and one.is_image)]
    images = images or (inputs if len(inputs) == 1 and feature is None else [])
    if len(images) != 1:
        return None
    if images[0].group:
        raise ConfigError(
            f"`xrai` looks inside `{images[0].feature}`, which is in group `{images[0].group}`; take it out."
        )
    return images[0]


def _colours(draft: Draft, image: Input) -> list[str]:
    """Black and white, where these are the baselines."""
    path = f"{image.path}.input_baselines"
    blacks = _ends(draft, image, ("feature_value_domain.min_value", "domain.min")) or {0}
    whites = _ends(draft, image, ("feature_value_domain.max_value", "domain.max")) or {1, 255}
    found = ["black" if _is_all(one, blacks) else "white" if _is_all(one, whites) else "" for one in image.baselines]
    if not all(found) or len(set(found)) < len(found):
        draft.lose(path, "paths start from black images, white ones, or both; `references` says from which")
        return []
    draft.carry(path, "methods.xrai.references")
    return found


def _ends(draft: Draft, image: Input, keys: Sequence[str]) -> set[object]:
    """What the file says that one end of the image's values is; empty where it does not say."""
    return {draft.document.get(f"{image.path}.{key}") for key in keys} - {None}


def _is_all(baseline: object, values: set[object]) -> bool:
    """Whether a baseline is one of these values everywhere."""
    if isinstance(baseline, list):
        return bool(baseline) and all(_is_all(one, values) for one in baseline)
    return isinstance(baseline, int | float) and baseline in values
