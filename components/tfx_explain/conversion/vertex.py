"""From Vertex AI's ExplanationSpec, or AI Platform's explanation metadata, to an ExplainConfig."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tfx_explain.conversion.document import Document, snake_case
from tfx_explain.conversion.draft import Draft
from tfx_explain.conversion.vertex_inputs import Input, inputs_of
from tfx_explain.conversion.vertex_methods import add_gradients, add_shapley, add_xrai
from tfx_explain.errors import ConfigError

_SHAPLEY, _GRADIENTS, _XRAI, _NEIGHBOURS = (
    f"parameters.{name}"
    for name in ("sampled_shapley_attribution", "integrated_gradients_attribution", "xrai_attribution", "examples")
)
_METHODS = (_SHAPLEY, _GRADIENTS, _XRAI)
_INSIDE = {"explanation_spec": "", "explanation_config": "parameters"}
"""Keys of a whole model or version, and what they hold."""


def place_of(data: Mapping[str, object]) -> tuple[str, str, Mapping[str, object]]:
    """Where in the table a file belongs: as whole, parameters or metadata; or as a part of a model's description.

    Returns:
      The path in the table, the path in the file, and what stands there.
    """
    names = {snake_case(name): name for name in data if isinstance(name, str)}
    for key, root in _INSIDE.items():
        inner = data.get(names.get(key, ""))
        if isinstance(inner, Mapping):
            return root, names[key], inner
    if {"inputs", "outputs"} & set(names):
        return "metadata", "", data
    if {"top_k", "output_indices"} & set(names) or any(
        f"parameters.{name}" in (*_METHODS, _NEIGHBOURS) for name in names
    ):
        return "parameters", "", data
    return "", "", data


def draft_of(document: Document, feature: str | None) -> Draft:
    """The configuration that a file asks for.

    Args:
      document: the file.
      feature: what the image is called, where the file does not say.

    Raises:
      ConfigError: it asks for nothing that is computed here, or for several methods where one is possible.
    """
    asked = [path for path in _METHODS if document.has(path)]
    if len(asked) > 1:
        raise ConfigError(f"the file asks for {' and '.join(f'`{path}`' for path in asked)}; keep one of them.")
    if not asked and document.has(_NEIGHBOURS):
        raise ConfigError("the file asks for examples like each row alone, which are not looked for here.")
    if not asked and not document.names("metadata.inputs"):
        raise ConfigError(
            "the file has neither a method nor inputs; check that it is an ExplanationSpec, or a part of one."
        )
    draft, inputs = Draft(document, feature), inputs_of(document)
    _add_output(draft)
    _add_names(draft, inputs)
    if _SHAPLEY in asked:
        add_shapley(draft, inputs, _SHAPLEY)
    elif _GRADIENTS in asked:
        add_gradients(draft, inputs, _GRADIENTS)
    elif _XRAI in asked:
        add_xrai(draft, inputs, _XRAI)
    else:
        add_shapley(draft, inputs, None)
        draft.reasons["methods"] = "the file names no method, so Shapley values"
    return draft


def _add_output(draft: Draft) -> None:
    """Which outputs are explained, in which unit, and what they are called."""
    document = draft.document
    draft.put("model.output_space", "raw")
    draft.reasons["model"] = "the output is explained as it is"
    _add_classes(draft)
    keys = document.names("metadata.outputs")
    for key in keys[:1]:
        _add_named(draft, f"metadata.outputs.{key}")
    for key in keys[1:]:
        for name in ("output_tensor_name", "index_display_name_mapping"):
            draft.lose(f"metadata.outputs.{key}.{name}", "one output is explained in a run, the first of those here")


def _add_named(draft: Draft, at: str) -> None:
    """The output at a path of the file: its key in the signature, and the names of its classes."""
    path = f"{at}.output_tensor_name"
    tensor = draft.document.get(path)
    if isinstance(tensor, str) and (":" in tensor or "/" in tensor):
        draft.lose(path, "it is a tensor of the graph; `model.output_key` names an output")
    elif tensor:
        draft.put("model.output_key", tensor)
    names = draft.document.get(f"{at}.index_display_name_mapping")
    if isinstance(names, list):
        _add_class_names(draft, names, f"{at}.index_display_name_mapping")


def _add_class_names(draft: Draft, names: list[Any], path: str) -> None:
    if all(isinstance(name, str) and name for name in names) and len(set(names)) == len(names) > 1:
        draft.put("class_names", names)
    else:
        draft.lose(path, "classes are the numbers of one list, each of the two or more with a name of its own")


def _add_classes(draft: Draft) -> None:
    """The outputs that each row is explained for: without a word the largest one."""
    document = draft.document
    indices, top = document.get("parameters.output_indices"), document.get("parameters.top_k")
    if isinstance(indices, list) and indices:
        numbers = [int(one) for one in indices if isinstance(one, int | float) and one >= 0 and one % 1 == 0]
        if len(numbers) == len(indices) == len(set(numbers)):
            draft.put("model.classes", numbers)
        else:
            draft.lose("parameters.output_indices", "outputs are the numbers of one list, each once; all are explained")
        if top is not None:
            draft.needless("parameters.top_k", "`output_indices` says which outputs are explained")
    elif top is None or top in (0, 1):
        draft.put("model.classes", "predicted")
        draft.reasons["model"] += ", of several the largest"
    elif top != -1:
        draft.change("parameters.top_k", "model.classes", "all outputs are explained, not only the largest ones")


def _add_names(draft: Draft, inputs: list[Input]) -> None:
    """What features are called, and which of them act as one."""
    shown = {one.feature: one.key for one in inputs if one.feature != one.key}
    told_apart = len({*shown.values()}) == len(shown) and all(name.strip() for name in shown.values())
    if shown and told_apart:
        draft.put("feature_names", shown)
    for one in inputs:
        path = f"{one.path}.input_tensor_name"
        if one.is_of_graph:
            draft.lose(path, f"it is a tensor of the graph; the feature is taken to be called `{one.key}`")
        elif one.feature == one.key:
            draft.needless(path, "the feature has this name in the examples")
        elif not told_apart:
            draft.lose(path, "`feature_names` gives each feature a name of its own, which these are not")
        if one.encoding == "concat_embedding":
            draft.lose(f"{one.path}.encoding", "a list of tokens is explained as a whole; one text has `parts`")
    groups: dict[str, list[str]] = {}
    for one in inputs:
        if one.group:
            groups.setdefault(one.group, []).append(one.feature)
    if groups:
        draft.put("features.groups", groups)
