"""From SageMaker Clarify's analysis configuration to an ExplainConfig."""

from __future__ import annotations

import re
from typing import Any

from tfx_explain.conversion.clarify_parts import add_image, add_series, add_text
from tfx_explain.conversion.columns import Columns, plain_name
from tfx_explain.conversion.document import Document
from tfx_explain.conversion.draft import MAX_ROWS, Draft
from tfx_explain.errors import ConfigError

_SHAP, _PDP, _SERIES = "methods.shap", "methods.pdp", "methods.asymmetric_shapley_value"
_MOST_GRID = 1_000
_MOST_BUDGET = 2**31
_NO_COLUMN = "`name_or_index` names no column that is known"
_INTERVAL = re.compile(r"\s*[\[(].*,.*[\])]\s*")


def draft_of(document: Document, feature: str | None) -> Draft:
    """The configuration that a file asks for.

    Args:
      document: the file.
      feature: what an image or a text is called, where the file does not say.

    Raises:
      ConfigError: it asks for nothing that is computed here, or for two things where one is possible.
    """
    if not any(document.has(path) for path in (_SHAP, _PDP, _SERIES)):
        raise ConfigError(
            "the file asks for no explanation: it has none of `methods.shap`, `methods.pdp` and "
            "`methods.asymmetric_shapley_value`; bias metrics are computed by Fairness Indicators, not here."
        )
    document.check_one_of(f"{_SHAP}.text_config", f"{_SHAP}.image_config")
    document.check_one_of("joinsource_name_or_index", "time_series_data_config.item_id")
    draft, columns = Draft(document, feature), Columns.of(document)
    draft.put("max_examples", None)
    draft.reasons["max_examples"] = "every row is explained"
    _add_data(draft, columns)
    _add_output(draft)
    if document.has(_SHAP):
        _add_shap(draft, columns)
    if document.has(_SERIES):
        add_series(draft)
    if document.has(_PDP):
        _add_curves(draft, columns)
    return draft


def _add_data(draft: Draft, columns: Columns) -> None:
    document = draft.document
    label = columns.label(draft)
    if label is not None:
        draft.put("label_key", label)
    if document.has("joinsource_name_or_index"):
        name = columns.name("joinsource_name_or_index", draft)
        if name is not None and columns.is_json and name not in columns.headers:
            name = plain_name(name, "joinsource_name_or_index", draft)
        if name is not None:
            draft.put("id_key", name)
    specs = [*_facets(draft, columns), *_segments(draft, columns)]
    if specs:
        draft.put("slicing_specs", [{}, *(spec for place, spec in enumerate(specs) if spec not in specs[:place])])


def _add_output(draft: Draft) -> None:
    """In which unit outputs are explained, and what they are called."""
    document = draft.document
    logit = document.get(f"{_SHAP}.use_logit") is True
    draft.put("model.output_space", "logit" if logit else "raw")
    draft.reasons["model"] = "`use_logit` is true" if logit else "without `use_logit` the output is explained as it is"
    if logit:
        draft.put("model.output_is", "probabilities")
    headers = document.get("predictor.label_headers")
    if isinstance(headers, list):
        names = [str(header) for header in headers]
        if len(names) > 1 and len(set(names)) == len(names) and all(names):
            draft.put("class_names", names)
        else:
            draft.lose("predictor.label_headers", "classes have names that differ, each of the two or more its own")


def _add_shap(draft: Draft, columns: Columns) -> None:
    document = draft.document
    settings: dict[str, Any] = draft.methods.setdefault("shapley", {})
    _add_background(draft)
    seed = draft.within(f"{_SHAP}.seed", 0, 2**63 - 1)
    if seed is not None:
        draft.put("seed", seed)
    included = columns.names(f"{_SHAP}.features_to_explain", draft)
    if included:
        draft.put("features.include", included)
    _note_aggregate(draft)
    if document.has(f"{_SHAP}.text_config"):
        add_text(draft, columns, settings)
    elif document.has(f"{_SHAP}.image_config"):
        add_image(draft, settings)
    else:
        budget = draft.within(f"{_SHAP}.num_samples", columns.least_budget, _MOST_BUDGET)
        if budget is not None:
            settings["budget"] = budget


def _add_background(draft: Draft) -> None:
    baseline, clusters = draft.document.get(f"{_SHAP}.baseline"), f"{_SHAP}.num_clusters"
    if baseline is None:
        n_rows = draft.within(clusters, 1, MAX_ROWS)
        if n_rows is not None:
            draft.config["background"] = {"num_rows": n_rows, "strategy": "medoids"}
        return
    if draft.document.has(clusters):
        draft.lose(clusters, "`baseline` says what the background is")
    draft.fit_background(len(baseline) if isinstance(baseline, list) else 0)


def _note_aggregate(draft: Draft) -> None:
    path = f"{_SHAP}.agg_method"
    if draft.document.has(path) and draft.document.get(path) != "mean_abs":
        draft.lose(path, "importance is the mean size (`mean_abs`); take others of `explanation.attributions()`")
    path = f"{_SHAP}.save_local_shap_values"
    if draft.document.get(path) is False:
        draft.lose(path, "the attributions of each row are always written")


def _add_curves(draft: Draft, columns: Columns) -> None:
    settings: dict[str, Any] = {}
    features = columns.names(f"{_PDP}.features", draft)
    if features:
        settings["features"] = features
        if draft.document.has(f"{_PDP}.top_k_features"):
            draft.needless(f"{_PDP}.top_k_features", "`features` says which have a curve")
    points = draft.within(f"{_PDP}.grid_resolution", 2, _MOST_GRID)
    if points is not None:
        settings["grid_size"] = points
    draft.methods["partial_dependence"] = settings


def _facets(draft: Draft, columns: Columns) -> list[dict[str, Any]]:
    """Slices by the columns that bias is measured for."""
    specs: list[dict[str, Any]] = []
    for place in range(draft.document.count("facet")):
        at, values_at = f"facet[{place}].name_or_index", f"facet[{place}].value_or_threshold"
        if draft.document.has("facet_dataset_uri"):
            draft.lose(at, "it is a column of another file; join that to the examples and name it in `slicing_specs`")
            draft.lose(values_at, "see `name_or_index`")
            continue
        name, values = columns.name(at, draft), draft.document.get(values_at)
        if name is None:
            draft.lose(values_at, _NO_COLUMN)
            continue
        listed = values if isinstance(values, list) else [] if values is None else [values]
        if len(listed) == 1 and not isinstance(listed[0], str):
            why = "one number is a value or a threshold, and slices are by value"
            draft.lose(values_at, f"{why}; where it is a value, write `feature_values: {{{name}: {listed[0]}}}`")
            draft.lose(at, f"see `value_or_threshold`; `feature_keys: [{name}]` would give a part for each value")
        else:
            specs += _parts(name, listed, values_at, draft)
    return specs


def _segments(draft: Draft, columns: Columns) -> list[dict[str, Any]]:
    """Slices by the segments that metrics are computed on."""
    specs: list[dict[str, Any]] = []
    for place in range(draft.document.count("segment_config")):
        at, values_at = f"segment_config[{place}].name_or_index", f"segment_config[{place}].segments"
        name, segments = columns.name(at, draft), draft.document.get(values_at)
        if name is None:
            draft.lose(values_at, _NO_COLUMN)
        elif not isinstance(segments, list) or not segments:
            why = "`segments` does not say into which parts it is cut"
            draft.lose(at, f"{why}; `feature_keys: [{name}]` would give a part for each value")
        elif not all(len(one) == 1 and not _is_interval(one[0]) for one in segments):
            draft.lose(values_at, "a slice has one value, and is neither an interval nor several values together")
            draft.told[at] = draft.told[values_at]
        else:
            specs += _parts(name, [one[0] for one in segments], values_at, draft)
    return specs


def _parts(name: str, values: list[Any], path: str, draft: Draft) -> list[dict[str, Any]]:
    """A slice for each value; for any value where none is named."""
    if any(isinstance(value, bool) or not isinstance(value, str | int | float) for value in values):
        draft.lose(path, "values of a slice are texts or numbers")
        values = []
    return [{"feature_values": {name: value}} for value in values] or [{"feature_keys": [name]}]


def _is_interval(value: object) -> bool:
    return isinstance(value, str) and _INTERVAL.fullmatch(value) is not None
