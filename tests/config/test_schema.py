"""The published JSON schema accepts what the configurations accept, and refuses what it can see to be wrong."""

import copy
import json
import re
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snippets import PAGES, ROOT, texts
from tfx_explain import ConfigError, ExplainConfig, ValidationConfig, documents

VALIDATORS = {
    kind: jsonschema.Draft202012Validator(kind.json_schema(), format_checker=None)
    for kind in (ExplainConfig, ValidationConfig)
}

FULL_EXPLAIN = {
    "splits": ["eval"],
    "max_examples": None,
    "background": {"split": "train", "num_rows": 128, "strategy": "medoids"},
    "features": {"include": ["a", "b", "r", "s"], "exclude": ["c"], "groups": {"g": ["a", "b"]}},
    "label_key": "y",
    "model": {"classes": [0, 2], "output_space": "probability"},
    "slicing_specs": [{}, {"feature_keys": ["sex"]}, {"feature_values": {"island": "Biscoe", "year": 2007}}],
    "methods": [
        "sage",
        {
            "shapley": {
                "estimator": "auto",
                "budget": "auto",
                "max_relative_error": 0.1,
                "interactions": 2,
                "parts": {"r": {"unit": "sentence"}, "s": {"windows": 5, "by": "both", "absent": 0.5}},
            }
        },
        {"partial_dependence": {"pairs": [["a", "b"]], "features": ["a"]}},
        {"accumulated_local_effects": {"features": None}},
        {"interaction_strength": {"players": ["a", "b"]}},
        {"permutation_importance": {"metric": "auc"}},
        {"integrated_gradients": {"references": {"a": 1.5, "b": ["x", 2], "c": None}, "num_references": 3}},
        {"expected_gradients": {"num_samples": 100, "max_relative_error": 0.1}},
    ],
    "seed": 7,
}
FULL_POLICY = {
    "confidence": 0.9,
    "rules": [
        {"drift": "default"},
        {"drift": {"measure": "z_score", "max": 3, "against": "model"}},
        {"attribution_drift": {"measure": "classifier", "max": 0.6, "players": ["a"]}},
        {"max_share": {"players": ["a"], "value": 0.5}},
        {"max_top_share": {"value": 0.9}},
        {"top_k_includes": {"k": 3, "players": ["a"]}},
        {"canary": {"feature": "noise", "players": None}},
        {"sign": {"players": ["a"], "direction": "positive"}},
        {"monotonic": {"feature": "a", "direction": "increasing", "tolerance": 0}},
        {"max_interaction": {"players": ["a", "b"], "value": 0.1}},
        {"max_slice_difference": {"value": 0.1}},
        {"min_examples": {"value": 10}},
    ],
    "slicing_specs": [{"feature_keys": ["sex"]}],
}


def _examples() -> list[tuple[Any, Any]]:
    """What README, docs and pipelines show, and a configuration that uses every section."""
    found: list[tuple[Any, Any]] = [(ExplainConfig, FULL_EXPLAIN), (ValidationConfig, FULL_POLICY)]
    for path in sorted(ROOT.glob("pipelines/**/*.yaml")):
        data = documents.parse_yaml(path.read_text())
        found.append((ValidationConfig if "rules" in data else ExplainConfig, data))
    kinds = {kind.__name__: kind for kind in VALIDATORS}
    # The keys of `configuration.md` stand in their sections: `test_configuration_page.py` runs them there. What an
    # owner says of a model is read by `test_pages.py`.
    for page in (page for page in PAGES if page.name not in {"configuration.md", "api.md", "model_card.md"}):
        for block in texts(str(page.relative_to(ROOT)), "yaml"):
            found += _configurations(documents.parse_yaml(block))
        for name, arguments in re.findall(r"(ExplainConfig|ValidationConfig)\(([^()]+)\)", page.read_text()):
            found.append((kinds[name], json.loads(json.dumps(eval(f"dict({arguments})")))))
        for snippet in re.findall(r"`((?:slicing_specs|features): [^`]+)`", page.read_text()):
            found.append((ExplainConfig, documents.parse_yaml(snippet)))
    return found


def _configurations(data: Any) -> list[tuple[Any, Any]]:
    """What one block of a page shows: a configuration, or methods; several of one name are alternatives."""
    if isinstance(data, dict):
        return [(ValidationConfig if "rules" in data else ExplainConfig, data)]
    alternatives = len({next(iter(one)) for one in data}) < len(data)
    return [(ExplainConfig, {"methods": methods}) for methods in ([[one] for one in data] if alternatives else [data])]


@pytest.mark.parametrize(("kind", "data"), _examples())
def test_what_the_documents_show_meets_the_schema(kind: Any, data: Any) -> None:
    config = kind.from_dict(data)
    VALIDATORS[kind].validate(data)
    VALIDATORS[kind].validate(json.loads(config.to_json()))


def test_the_documents_show_something() -> None:
    assert len(_examples()) >= 6


@pytest.mark.parametrize("kind", VALIDATORS)
def test_the_schema_is_one(kind: Any) -> None:
    jsonschema.Draft202012Validator.check_schema(kind.json_schema())


REFUSED = [
    (ExplainConfig, {"methods": [{"xrai": {"feature": "image", "num_steps": 20}}]}),
    (ExplainConfig, {"methods": [{"shapley": {}, "sage": {}}]}),
    (ExplainConfig, {"methods": [{}]}),
    (ExplainConfig, {"methods": [{"shapley": {"budget": "all"}}]}),
    (ExplainConfig, {"methods": "shapley"}),
    (ExplainConfig, {"methods": ["shapley", {"integrated_gradients": {"references": "mean"}}]}),
    (ExplainConfig, {"methods": ["shapley", {"integrated_gradients": {"references": {"a": True}}}]}),
    (ExplainConfig, {"methods": ["shapley", {"integrated_gradients": {"references": {}}}]}),
    (ExplainConfig, {"methods": ["shapley", {"expected_gradients": {"num_samples": 2}}]}),
    (ExplainConfig, {"background": {"rows": 3}}),
    (ExplainConfig, {"max_examples": "100"}),
    (ExplainConfig, {"max_examples": True}),
    (ExplainConfig, {"seed": -1}),
    (ExplainConfig, {"slicing_specs": [{"feature_values": {"sex": True}}]}),
    (ValidationConfig, {}),
    (ValidationConfig, {"rules": []}),
    (ValidationConfig, {"rules": ["max_share"]}),
    (ValidationConfig, {"rules": [{"drift": "normal"}]}),
    (ValidationConfig, {"rules": [{"drift": "default", "min_examples": {"value": 1}}]}),
    (ValidationConfig, {"rules": [{"max_share": {"players": ["a"], "value": 5}}]}),
    (ValidationConfig, {"rules": [{"max_share": {"players": ["a"], "value": "0.5"}}]}),
    (ValidationConfig, {"rules": [{"min_examples": {"value": 1}, "max_top_share": {"value": 1}}]}),
]


@pytest.mark.parametrize(("kind", "data"), REFUSED)
def test_what_the_schema_refuses_is_refused(kind: Any, data: Any) -> None:
    assert not VALIDATORS[kind].is_valid(data)
    with pytest.raises(ConfigError):
        kind.from_dict(data)


def _paths(data: Any) -> list[tuple[Any, ...]]:
    items = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    return [path for key, value in items for path in [(key,), *((key, *rest) for rest in _paths(value))]]


_VALUES = [0, 1, 2, -1, 3.0, 0.5, 10**9, "auto", "default", "x", "7", "", None, True, False, [], {}]
_VALUES += [["a"], [1], [0, 1], [["a", "b"]], {"a": ["b"]}, {"a": 1}, "shapley", "drift", ["sage"], {"shapley": {}}]


@pytest.mark.parametrize(("kind", "whole"), [(ExplainConfig, FULL_EXPLAIN), (ValidationConfig, FULL_POLICY)])
def test_whatever_is_accepted_meets_the_schema(kind: Any, whole: dict[str, Any]) -> None:
    """Any one value of a whole configuration replaced by any of many others."""
    paths = _paths(whole)

    @settings(max_examples=200)
    @given(st.sampled_from(paths), st.sampled_from(_VALUES))
    def check(path: tuple[Any, ...], value: Any) -> None:
        data = copy.deepcopy(whole)
        place: Any = data
        for step in path[:-1]:
            place = place[step]
        place[path[-1]] = value
        try:
            kind.from_dict(data)
        except ConfigError:
            return
        assert VALIDATORS[kind].is_valid(data), (path, value)

    check()
