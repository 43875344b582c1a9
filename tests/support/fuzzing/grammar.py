"""Random configurations that the published JSON schema allows: new keys are drawn as soon as the schema has them."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from fuzzing.case import pick
from tfx_explain.config import ExplainConfig, ValidationConfig

_WORDS = [
    "age",
    "income",
    "debt",
    "race",
    "sex",
    "approve",
    "eval",
    "train",
    "id",
    "größe",
    "a b",
    "x",
    "other_features",
]
_ALTERNATIVES = ("Rule", "Method")
_PART_OF_DEPTH = 4

_EXPLAIN: list[dict[str, Any]] = [
    {},
    {"splits": ["eval", "test"], "max_examples": None, "background": {"split": "train", "num_rows": 128}},
    {"features": {"groups": {"address": ["city", "zip"]}, "exclude": ["id"]}, "label_key": "approve"},
    {"label_key": "y", "methods": ["shapley", {"sage": {}}, {"permutation_importance": {"metric": "auc"}}]},
    {"methods": [{"shapley": {"interactions": 2}}, {"partial_dependence": {"pairs": [["age", "income"]]}}]},
    {"slicing_specs": [{}, {"feature_keys": ["sex"]}, {"feature_values": {"island": "Biscoe", "year": 2007}}]},
    {"model": {"classes": [0, 2], "output_space": "probability", "signature": "s"}, "seed": 2**62},
    {"methods": [{"shapley": {"estimator": "leverage", "budget": 500, "max_relative_error": 0.1}}, "sage"]},
]
_VALIDATE: list[dict[str, Any]] = [
    {"rules": [{"max_share": {"players": ["race"], "value": 0.05}}]},
    {"rules": [{"drift": "default"}], "slicing_specs": [{}, {"feature_keys": ["sex"]}]},
    {"rules": [{"monotonic": {"feature": "age", "direction": "increasing"}}, {"min_examples": {"value": 100}}]},
    {"rules": [{"sign": {"players": ["age", "debt"], "direction": "negative"}}, {"canary": {"feature": "noise"}}]},
    {"rules": [{"max_share": {"players": [f"f{i}"], "value": 0.5}} for i in range(30)], "multiplicity": "none"},
    {"rules": [{"top_k_includes": {"k": 3, "players": ["age"]}}, {"max_interaction": {"value": 0.1}}]},
    {"rules": [{"attribution_drift": {"measure": "disagreement", "max": 0.2, "against": "model"}}], "confidence": 0.99},
]


@functools.cache
def _schema(kind: Any) -> dict[str, Any]:
    return kind.json_schema()


def document(kind: Any, rng: np.random.Generator) -> dict[str, Any]:
    """A configuration that is valid, or is as far as a JSON schema can say."""
    draw = rng.random()
    if draw < 0.6:
        return pick(rng, _EXPLAIN if kind is ExplainConfig else _VALIDATE)
    if draw < 0.7 and kind is ValidationConfig:
        return {"rules": many_rules(rng)}
    return _instance(_schema(kind), _schema(kind), rng, 0)


def many_rules(rng: np.random.Generator) -> list[dict[str, Any]]:
    """A long policy about many players, as a program writes it."""
    n_rules, n_players = (int(rng.integers(1, limit)) for limit in (pick(rng, [20, 300, 2_000]), 200))
    players = [f"feature_{i}" for i in range(n_players)]
    rules = []
    for _ in range(n_rules):
        chosen = rng.choice(players, int(rng.integers(1, 5))).tolist()
        name = pick(rng, ["max_share", "min_share", "min_importance", "sign", "top_k_includes", "max_slice_difference"])
        settings: dict[str, Any] = {"players": chosen, "value": float(np.round(rng.random(), 3))}
        if name == "sign":
            settings = {"players": chosen, "direction": pick(rng, ["positive", "negative"])}
        elif name == "top_k_includes":
            settings = {"players": chosen, "k": int(rng.integers(1, 300))}
        rules.append({name: settings})
    return rules


def _instance(schema: dict[str, Any], root: dict[str, Any], rng: np.random.Generator, depth: int) -> Any:
    if "$ref" in schema:
        return _instance(root["$defs"][schema["$ref"].rsplit("/", 1)[1]], root, rng, depth)
    for keyword in ("anyOf", "oneOf"):
        if keyword in schema:
            return _instance(pick(rng, schema[keyword]), root, rng, depth)
    if "allOf" in schema:
        return _instance(schema["allOf"][0], root, rng, depth)
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return pick(rng, schema["enum"])
    kind = schema.get("type")
    if kind == "object":
        return _object(schema, root, rng, depth)
    if kind == "array":
        return _array(schema, root, rng, depth)
    if kind in ("integer", "number"):
        return _number(schema, rng)
    return {"null": None, "boolean": bool(rng.integers(2))}.get(str(kind), pick(rng, _WORDS))


def _object(schema: dict[str, Any], root: dict[str, Any], rng: np.random.Generator, depth: int) -> dict[str, Any]:
    properties = schema.get("properties", {})
    if schema.get("title") in _ALTERNATIVES:
        name = pick(rng, list(properties))
        options = [
            option for option in properties[name].get("anyOf", [properties[name]]) if option.get("type") != "null"
        ]
        return {name: _instance(pick(rng, options), root, rng, depth + 1)}
    required = schema.get("required", [])
    share = 0.35 if depth else 0.45
    made = {
        name: _instance(part, root, rng, depth + 1)
        for name, part in properties.items()
        if name in required or rng.random() < share
    }
    if isinstance(schema.get("additionalProperties"), dict) and depth < _PART_OF_DEPTH:
        for word in rng.choice(_WORDS, int(rng.integers(0, 3))).tolist():
            made[word] = _instance(schema["additionalProperties"], root, rng, depth + 1)
    return made


def _array(schema: dict[str, Any], root: dict[str, Any], rng: np.random.Generator, depth: int) -> list[Any]:
    if "prefixItems" in schema:
        return [_instance(part, root, rng, depth + 1) for part in schema["prefixItems"]]
    size = int(rng.integers(schema.get("minItems", 0), 5))
    return [_instance(schema.get("items", {}), root, rng, depth + 1) for _ in range(size)]


def _number(schema: dict[str, Any], rng: np.random.Generator) -> int | float:
    low = schema.get("minimum", schema.get("exclusiveMinimum", -3))
    high = schema.get("maximum", schema.get("exclusiveMaximum", low + pick(rng, [1, 10, 10_000])))
    value = low + (high - low) * pick(rng, [0.0, 0.1, 0.5, 0.999, 1.0, float(rng.random())])
    return int(value) if schema.get("type") == "integer" else float(value)
