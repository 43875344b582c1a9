"""Clarify's settings for texts, images and time series."""

from __future__ import annotations

import re
from typing import Any

from tfx_explain.config.parts import DELETE
from tfx_explain.conversion.columns import Columns
from tfx_explain.conversion.draft import UNNAMED, Draft

_SHAP, _SERIES = "methods.shap", "methods.asymmetric_shapley_value"
_UNITS = {"token": "word", "sentence": "sentence", "paragraph": "paragraph"}
_SEGMENTS = 20
"""Clarify's default."""
_MOST_SEGMENTS = 128
_FEWEST_ROWS, _MOST_ROWS = 64, 65_536
_OF_ROWS = "other columns have their values from rows of examples, so write these rows as such"
_LAST_NAME = re.compile(r"(?:[\w\[\]*.]*[.\]])?([A-Za-z_][A-Za-z0-9_]*)")


def add_text(draft: Draft, columns: Columns, settings: dict[str, Any]) -> None:
    """Adds what is to be found inside the text.

    Args:
      draft: the configuration.
      columns: of the data.
      settings: of `shapley`.
    """
    at = f"{_SHAP}.text_config.granularity"
    name, absent = _text_column(draft, columns)
    unit = _UNITS.get(str(draft.document.get(at, "token")).lower())
    budget = f"{_SHAP}.num_samples"
    if name is None or unit is None:
        unknown = f"which column is the text is not said; {UNNAMED}" if unit else "it is none of its three values"
        draft.lose(at, unknown)
        if draft.document.has(budget):
            draft.lose(budget, "see `text_config`")
        return
    of_text: dict[str, Any] = {"unit": unit}
    if absent:
        of_text["absent"] = absent
    rows = draft.within(budget, _FEWEST_ROWS, _MOST_ROWS)
    if rows is not None:
        of_text["model_rows"] = rows
        draft.change(budget, f"methods.shapley.parts.{name}.model_rows", "rows of the model for all parts of a text")
    settings["parts"] = {name: of_text}


def _text_column(draft: Draft, columns: Columns) -> tuple[str | None, str]:
    """The name of the text, where it is known, and what stands for an absent part of it ("" = nothing)."""
    names = columns.features
    baseline = draft.document.get(f"{_SHAP}.baseline")
    rows = [one for one in baseline if isinstance(one, list)] if isinstance(baseline, list) else []
    columns_of_texts = {
        name: [row[place] for row in rows]
        for place, name in enumerate(names)
        if rows and all(len(row) == len(names) and isinstance(row[place], str) for row in rows)
    }
    if draft.feature is not None:
        name: str | None = draft.feature
    elif len(columns_of_texts) == 1 or len(names) == 1:
        (name,) = columns_of_texts or names
    else:
        name = None
    return name, _absent_text(draft, name, columns_of_texts.get(name or "", []))


def _absent_text(draft: Draft, name: str | None, texts: list[str]) -> str:
    """What stands for absent parts; "" = nothing, which is told where the baseline says something else, or nothing."""
    path, said = f"{_SHAP}.baseline", f"`absent` of `methods.shapley.parts.{name}` says what stands for absent parts"
    absent = texts[0] if texts else ""
    if name is None or not draft.document.has(path):
        return ""
    if not texts:
        draft.lose(path, f"no text is read from it, so absent parts are left out: {said}; {_OF_ROWS}")
    elif len(set(texts)) > 1:
        draft.lose(path, f"its rows have several texts, so absent parts are left out: {said}, one text; {_OF_ROWS}")
    elif absent == DELETE:
        draft.lose(path, f"`{DELETE}` means to leave absent parts out, as is done, not that word: {said}; {_OF_ROWS}")
    elif absent:
        to = f"methods.shapley.parts.{name}.absent, `background_examples` (`--background`)"
        draft.change(path, to, f"{absent!r} stands for absent parts; {_OF_ROWS}")
        return absent
    return ""


def add_image(draft: Draft, settings: dict[str, Any]) -> None:
    """Adds what is to be found inside the image.

    Args:
      draft: the configuration.
      settings: of `shapley`.
    """
    at = f"{_SHAP}.image_config"
    if str(draft.document.get(f"{at}.model_type")).upper() == "OBJECT_DETECTION":
        draft.lose(f"{at}.model_type", "only outputs of a fixed number of figures are explained, no boxes")
    name = draft.feature or "image"
    if draft.feature is None:
        draft.change(at, f"methods.shapley.parts.{name}", f"the feature is taken to be called `image`; else {UNNAMED}")
    path = f"{at}.num_segments"
    segments = draft.within(path, 1, _MOST_SEGMENTS) if draft.document.has(path) else _SEGMENTS
    of_image: dict[str, Any] = {"segments": segments or _SEGMENTS}
    if draft.document.has(f"{_SHAP}.baseline"):
        draft.lose(f"{_SHAP}.baseline", "absent regions are those of the image's own blur; `absent` has other ways")
    budget = f"{_SHAP}.num_samples"
    rows = draft.within(budget, _FEWEST_ROWS, _MOST_ROWS)
    if rows is not None:
        of_image["model_rows"] = rows
        draft.change(budget, f"methods.shapley.parts.{name}.model_rows", "rows of the model for all parts of an image")
    settings["parts"] = {name: of_image}


def add_series(draft: Draft) -> None:
    """Adds Shapley values of windows of time series, the nearest that there is to asymmetric ones."""
    at = "time_series_data_config"
    settings = draft.methods.setdefault("shapley", {})
    parts: dict[str, Any] = settings.setdefault("parts", {})
    for key in ("target_time_series", "related_time_series"):
        given = draft.document.get(f"{at}.{key}")
        names = [_last_name(one) for one in (given if isinstance(given, list) else [given])]
        if draft.document.has(f"{at}.{key}") and None in names:
            draft.lose(
                f"{at}.{key}", "the name of the feature is not in it; name it under `parts` of `shapley` by hand"
            )
        settings_of_series = {"by": "time", **_absent_values(draft, f"{_SERIES}.baseline.{key}")}
        for name in filter(None, names):
            if parts.setdefault(name, settings_of_series) != settings_of_series:
                draft.lose(f"{at}.{key}", f"`{name}` is the name of another series, too, whose baseline is another")
    item = _last_name(draft.document.get(f"{at}.item_id"))
    if item is not None:
        draft.put("id_key", item)
    elif draft.document.has(f"{at}.item_id"):
        draft.lose(f"{at}.item_id", "the name of the feature is not in it; name it as `id_key` by hand")
    if not parts:
        del settings["parts"]


def _absent_values(draft: Draft, path: str) -> dict[str, str]:
    """What absent values of a series are, as the file says."""
    absent = draft.document.get(path)
    if absent in ("zero", "mean"):
        return {"absent": str(absent)}
    if draft.document.has(path):
        draft.lose(path, "it is neither `zero` nor `mean`; `absent` of a series has other ways")
    return {}


def _last_name(expression: object) -> str | None:
    """The name that a JMESPath expression ends in, where it is a path and no more."""
    found = _LAST_NAME.fullmatch(expression) if isinstance(expression, str) else None
    return None if found is None else found[1]
