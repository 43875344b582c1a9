"""What all configurations share: frozen sections, one sentence per mistake, YAML and JSON in and out."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_serializer, model_validator
from typing_extensions import Self

from tfx_explain.errors import ConfigError


class Part(BaseModel):
    """A section of a configuration."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())


class OneOf(Part):
    """A mapping with exactly one key, which names the alternative: `{max_share: {...}}`."""

    noun: ClassVar[str]

    @model_validator(mode="before")
    @classmethod
    def _bare_name(cls, data: Any) -> Any:
        return {data: {}} if isinstance(data, str) else data

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        given = [name for name in type(self).model_fields if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"each {self.noun} is a mapping with exactly one key, got {given or 'none'}")
        return self

    @model_serializer(mode="wrap")
    def _only_the_one(self, handler: Any) -> dict[str, Any]:
        return {self.name: handler(self)[self.name]}

    @property
    def name(self) -> str:
        """The one key that is set."""
        return next(name for name in type(self).model_fields if getattr(self, name) is not None)

    @property
    def settings(self) -> Any:
        """The settings under that key."""
        return getattr(self, self.name)


class Config(Part):
    """A whole configuration: one sentence per mistake, JSON and YAML in and out."""

    def __init__(self, **data: Any) -> None:
        try:
            super().__init__(**data)
        except ValidationError as error:
            raise ConfigError(_sentence(type(self), error)) from None

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Builds the configuration from plain data, as YAML or JSON gives it."""
        if not isinstance(data, Mapping):
            raise ConfigError(f"{cls.__name__} must be a mapping of keys to values, got {type(data).__name__}.")
        return cls(**{str(key): value for key, value in data.items()})

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Reads what `to_json` wrote."""
        try:
            data = json.loads(text)
        except json.JSONDecodeError as error:
            raise ConfigError(f"{cls.__name__} is not valid JSON ({error}); write it with `to_json()`.") from None
        return cls.from_dict(data)

    @classmethod
    def from_file(cls, path: str | Path) -> Self:
        """Reads a YAML or JSON file.

        Raises:
          ConfigError: the file is absent, is neither YAML nor JSON, or holds an unusable configuration.
        """
        try:
            data = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
        except OSError as error:
            raise ConfigError(f"cannot read the configuration {path}: {error.strerror}.") from None
        except yaml.YAMLError as error:
            raise ConfigError(f"{path} is neither YAML nor JSON: {' '.join(str(error).split())}.") from None
        try:
            return cls.from_dict(data if data is not None else {})
        except ConfigError as error:
            raise ConfigError(f"{path}: {error}") from None

    def to_json(self) -> str:
        """The configuration as canonical JSON: equal configurations give equal text."""
        return json.dumps(self.model_dump(mode="json"), sort_keys=True)

    @classmethod
    def json_schema(cls) -> dict[str, Any]:
        """The JSON schema, for editors and other programs."""
        return cls.model_json_schema()


def _sentence(model: type[BaseModel], error: ValidationError) -> str:
    """The first mistake of a pydantic error as one sentence: where, what, what to do."""
    # A misspelt key also makes its section lack the right one; only the first of the two helps.
    first = min(error.errors(include_url=False), key=lambda mistake: mistake["type"] != "extra_forbidden")
    path = [str(part) for part in first["loc"]]
    more = f" ({error.error_count() - 1} more after this one.)" if error.error_count() > 1 else ""
    if first["type"] == "extra_forbidden":
        known = _known_keys(model, first["loc"][:-1])
        near = difflib.get_close_matches(path[-1], known, n=1)
        hint = f"did you mean `{near[0]}`?" if near else f"known keys: {', '.join(known)}."
        where = f" under `{'.'.join(path[:-1])}`" if path[:-1] else ""
        return f"unknown key `{path[-1]}`{where} in {model.__name__}; {hint}{more}"
    text = str(first["msg"]).removeprefix("Value error, ").rstrip(".")
    where = f"`{'.'.join(path)}`" if path else "the configuration"
    got = "" if isinstance(first["input"], Mapping | BaseModel) else f", got {first['input']!r}"
    return f"{where} in {model.__name__}: {text[:1].lower()}{text[1:]}{got}.{more}"


def _known_keys(model: type[BaseModel], path: Sequence[str | int]) -> list[str]:
    """The keys that a section of a configuration accepts."""
    for part in path:
        if isinstance(part, int):
            continue
        found = _models_in(model.model_fields[part].annotation)
        if not found:
            break
        model = found[0]
    return list(model.model_fields)


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for argument in get_args(annotation) for model in _models_in(argument)]


class SlicingSpec(Part):
    """Parts of the data, as in TensorFlow Model Analysis: `{}` is everything, a feature key one part per value."""

    feature_keys: tuple[str, ...] = ()
    feature_values: dict[str, str | int | float] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        named = [*self.feature_keys, *self.feature_values]
        for name in named:
            if named.count(name) > 1:
                raise ValueError(f"a slice names feature `{name}` twice; name it once, as a key or with a value")
        return self

    @property
    def features(self) -> set[str]:
        """The features that the parts differ in; empty for everything."""
        return {*self.feature_keys, *self.feature_values}
