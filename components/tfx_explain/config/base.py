"""What all configurations share: frozen sections, one sentence per mistake, YAML and JSON in and out."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal, get_args, get_origin

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    SerializerFunctionWrapHandler,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_serializer,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema
from typing_extensions import Self

from tfx_explain import documents
from tfx_explain.config.files import read_text
from tfx_explain.config.mistakes import models_in, sentence_of
from tfx_explain.errors import ConfigError
from tfx_explain.printable import shown

MAX_SECTIONS = 5_000
"""In one list: rules, slices, methods."""


class Part(BaseModel):
    """A section of a configuration. Its numbers are finite, and neither text nor `true`, which Python takes for 1."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=(), allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _plain(cls, value: object, info: ValidationInfo) -> object:
        types = set(_leaves(cls.model_fields[str(info.field_name)].annotation))
        if any(isinstance(kind, type) and issubclass(kind, BaseModel) for kind in types):
            if isinstance(value, list | tuple) and len(value) > MAX_SECTIONS:
                raise ValueError(f"{len(value):,} entries are more than the {MAX_SECTIONS:,} that one list may have")
        elif types & {int, float} or any(isinstance(kind, int) for kind in types):
            for single in _singles(value):
                _check_number(single, types)
        return value


def _check_number(value: object, types: set[object]) -> None:
    """Refuses what Python takes for a number, or JSON for no number, though whoever wrote it meant something else."""
    if isinstance(value, bool) and bool not in types:
        raise ValueError(f"{'text or a number is' if str in types else 'a number is'} needed here, not true or false")
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("a finite number is needed here")
    if isinstance(value, str) and str not in types and value not in types:
        raise ValueError("a number is needed here, without quotes")


class OneOf(Part):
    """A mapping with exactly one key, which names the alternative: `{max_share: {...}}`."""

    noun: ClassVar[str]

    @model_validator(mode="before")
    @classmethod
    def _bare_name(cls, data: object) -> object:
        return {data: {}} if isinstance(data, str) else data

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        given = [name for name in type(self).model_fields if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"each {self.noun} is a mapping with exactly one key, got {given or 'none'}")
        return self

    @model_serializer(mode="wrap")
    def _only_the_one(self, handler: SerializerFunctionWrapHandler) -> dict[str, object]:
        return {self.name: handler(self)[self.name]}

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Exactly one key, or its bare name where the settings under it all have defaults."""
        mapping = handler.resolve_ref_schema(handler(schema))
        mapping["oneOf"] = [
            {"required": [name], "properties": {name: {"type": "object"}}} for name in mapping["properties"]
        ]
        bare = [name for name in mapping["properties"] if _is_complete(cls, name)]
        if not bare:
            return mapping
        whole = dict(mapping)
        mapping.clear()
        mapping.update(title=whole["title"], anyOf=[{"enum": bare}, whole])
        return mapping

    @property
    def name(self) -> str:
        """The one key that is set."""
        return next(name for name in type(self).model_fields if getattr(self, name) is not None)

    @property
    def settings(self) -> Any:
        """The settings under that key."""
        return getattr(self, self.name)


def _is_complete(alternatives: type[OneOf], name: str) -> bool:
    """Whether an alternative needs no settings."""
    (settings,) = models_in(alternatives.model_fields[name].annotation)
    return not any(field.is_required() for field in settings.model_fields.values())


class Config(Part):
    """A whole configuration: one sentence per mistake, JSON and YAML in and out."""

    def __init__(self, /, **data: Any) -> None:
        try:
            super().__init__(**data)
        except ValidationError as error:
            raise ConfigError(sentence_of(type(self), error)) from None

    @classmethod
    def from_dict(cls, data: object) -> Self:
        """Builds the configuration from plain data, as YAML or JSON gives it: a mapping with text as keys."""
        if not isinstance(data, Mapping):
            raise ConfigError(f"{cls.__name__} must be a mapping of keys to values, got {type(data).__name__}.")
        for key in data:
            if not isinstance(key, str):
                raise ConfigError(f"unknown key {shown(key)} in {cls.__name__}; keys are text.")
        return cls(**data)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Reads what `to_json` wrote.

        Raises:
          ConfigError: it is not JSON, names a key twice, or holds an unusable configuration.
        """
        try:
            data = documents.parse_json(text)
        except documents.DocumentError as error:
            raise ConfigError(f"{cls.__name__} {error}.") from None
        return cls.from_dict(data)

    @classmethod
    def from_yaml(cls, text: str) -> Self:
        """Reads YAML or JSON, as in a file.

        Raises:
          ConfigError: it is neither, names a key twice, or holds an unusable configuration.
        """
        try:
            data = documents.parse_yaml(text)
        except documents.DocumentError as error:
            raise ConfigError(f"{cls.__name__} {error}.") from None
        return cls._of_document(data)

    @classmethod
    def from_file(cls, path: str | Path) -> Self:
        """Reads a YAML or JSON file.

        Args:
          path: of the file, or its URI.

        Raises:
          ConfigError: the file is absent, is neither YAML nor JSON, names a key twice, or holds an unusable
            configuration.
        """
        try:
            data = documents.parse_yaml(read_text(path))
        except documents.DocumentError as error:
            raise ConfigError(f"{path} {error}.") from None
        try:
            return cls._of_document(data)
        except ConfigError as error:
            raise ConfigError(f"{path}: {error}") from None

    @classmethod
    def _of_document(cls, data: object) -> Self:
        """The configuration of a parsed document, None of one that holds nothing."""
        required = [f"`{name}`" for name, field in cls.model_fields.items() if field.is_required()]
        if data is None and required:
            raise ConfigError(f"{cls.__name__} is empty; it needs {', '.join(required)}.")
        return cls.from_dict({} if data is None else data)

    def to_json(self) -> str:
        """The configuration as canonical JSON: equal configurations give equal text."""
        return json.dumps(self.model_dump(mode="json"), sort_keys=True)

    @classmethod
    def json_schema(cls) -> dict[str, Any]:
        """The JSON schema, for editors and other programs: it accepts what the configuration accepts, bare names too.

        What depends on several settings, say a method that needs `label_key`, only the configuration itself refuses.
        """
        return {"$schema": "https://json-schema.org/draft/2020-12/schema", **cls.model_json_schema()}


def _leaves(annotation: object) -> Iterator[object]:
    """The types and literal values that an annotation is made of."""
    arguments = get_args(annotation)
    if get_origin(annotation) is Literal or not arguments:
        yield from arguments or (annotation,)
    for argument in () if get_origin(annotation) is Literal else arguments:
        yield from _leaves(argument)


def _singles(value: object) -> Iterator[object]:
    """What a value is made of, one or two containers deep, which is as deep as numbers lie in a section."""
    for outer in (
        value.values() if isinstance(value, Mapping) else value if isinstance(value, list | tuple) else [value]
    ):
        yield from outer if isinstance(outer, list | tuple) else [outer]


class SlicingSpec(
    Part, json_schema_extra={"examples": [{"feature_keys": ["sex"]}, {"feature_values": {"island": "Biscoe"}}]}
):
    """Parts of the data, as in TensorFlow Model Analysis: `{}` is everything, a feature key one part per value."""

    feature_keys: tuple[str, ...] = Field(
        (),
        description="features whose values tell the parts apart: one part for each value, of several features for "
        "each combination",
        examples=[["sex"]],
    )
    feature_values: dict[str, str | int | float] = Field(
        default_factory=dict,
        description="feature -> the value that rows of the part have",
        examples=[{"island": "Biscoe", "year": 2007}],
    )

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        seen: set[str] = set()
        for name in (*self.feature_keys, *self.feature_values):
            if name in seen:
                raise ValueError(f"a slice names feature `{name}` twice; name it once, as a key or with a value")
            seen.add(name)
        return self

    @property
    def features(self) -> set[str]:
        """The features that the parts differ in; empty for everything."""
        return {*self.feature_keys, *self.feature_values}
