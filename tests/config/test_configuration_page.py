"""Every key of both configurations has a sentence and an example that works; `docs/configuration.md` shows them."""

import re
import runpy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jsonschema
import pytest

from tfx_explain import ExplainConfig, ValidationConfig, documents

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/configuration.md"
CONFIGS = {kind.__name__: kind for kind in (ExplainConfig, ValidationConfig)}
SCHEMAS = {name: kind.json_schema() for name, kind in CONFIGS.items()}
VALIDATORS = {name: jsonschema.Draft202012Validator(schema) for name, schema in SCHEMAS.items()}


def _tool(name: str) -> SimpleNamespace:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "tools")
        return SimpleNamespace(**runpy.run_path(str(ROOT / f"tools/{name}.py")))


@pytest.fixture(scope="module")
def page() -> SimpleNamespace:
    return _tool("configuration_page")


SECTIONS = _tool("configuration_sections").SECTIONS


def _described() -> list[tuple[str, dict[str, Any]]]:
    """The published schemas of all sections, but for those that only name one of several."""
    inner = [section for schema in SCHEMAS.values() for section in schema["$defs"].items()]
    return [*SCHEMAS.items(), *((kind, schema) for kind, schema in inner if kind not in ("Method", "Rule"))]


def _check(config: str, data: dict[str, Any]) -> None:
    CONFIGS[config].from_dict(data)
    VALIDATORS[config].validate(data)


def test_the_page_is_made_from_the_keys(page: SimpleNamespace) -> None:
    assert PAGE.read_text(encoding="utf-8") == page.page(), "run `make configuration-page`"


def test_every_section_is_on_the_page() -> None:
    assert {kind for kind, _ in _described()} == {section.settings.__name__ for section in SECTIONS}


@pytest.mark.parametrize(("kind", "schema"), _described(), ids=lambda part: part if isinstance(part, str) else "")
def test_sections_and_keys_have_a_sentence_and_an_example(kind: str, schema: dict[str, Any]) -> None:
    for name, part in [(kind, schema), *schema["properties"].items()]:
        assert len(part["description"].split()) >= 3, name
        assert part["examples"], name
    for name, part in schema["properties"].items():
        assert not part["description"].endswith("."), f"the page ends the sentence of `{name}`"


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section.heading)
def test_examples_are_accepted(section: Any) -> None:
    config = section.config.__name__
    for settings in section.examples:
        _check(config, section.whole(settings))
    keys = set()
    for name, _, settings in section.examples_of_keys:
        _check(config, section.whole(settings))
        keys.add(name)
    assert keys == set(section.settings.model_fields)


def test_an_example_that_is_wrong_is_seen() -> None:
    """Each section stands at its place, so that what is in it is looked at."""
    for section in SECTIONS:
        with pytest.raises(Exception, match="unknown key `nonsense`"):
            _check(section.config.__name__, section.whole({**section.examples[0], "nonsense": 1}))


def test_what_the_page_shows_works() -> None:
    text = PAGE.read_text(encoding="utf-8")
    blocks = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    assert len(blocks) == sum(len(section.examples) for section in SECTIONS)
    for block in blocks:
        data = documents.parse_yaml(block)
        _check("ValidationConfig" if "rules" in data else "ExplainConfig", data)
    headings = [re.sub(r"[^\w -]", "", one).lower().replace(" ", "-") for one in re.findall(r"(?m)^#+ (.*)$", text)]
    assert len(set(headings)) == len(headings)
    assert set(re.findall(r"\]\(#([^)]+)\)", text)) <= set(headings)


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"type": "number", "minimum": 0, "maximum": 1}, "a number from 0 to 1"),
        ({"type": "number", "exclusiveMinimum": 0.5, "exclusiveMaximum": 1}, "a number above 0.5 and below 1"),
        ({"type": "number", "exclusiveMinimum": 0, "maximum": 10_000}, "a number above 0 and at most 10,000"),
        ({"type": "integer", "minimum": 0, "exclusiveMaximum": 9}, "a whole number of at least 0 and below 9"),
        ({"type": "integer", "minimum": 16, "multipleOf": 16}, "a whole number from 16 on, a multiple of 16"),
        ({"anyOf": [{"enum": ["a", "b"]}, {"const": True}, {"type": "null"}]}, "`a`, `b`, `true` or `null`"),
        ({"type": "array", "minItems": 1, "items": {"type": "string"}}, "a list of 1 or more texts"),
        ({"type": "array", "prefixItems": [{"type": "number"}] * 4}, "a list of 4 numbers"),
        ({"type": "array", "items": {"$ref": "#/$defs/Rule"}}, "a list of the Rule"),
        ({"type": "object", "additionalProperties": {"type": "array", "items": {"type": "string"}}},
         "a mapping of names to lists of texts"),
    ],
)  # fmt: skip
def test_types_in_words(schema: dict[str, Any], words: str) -> None:
    in_words = _tool("json_types").in_words
    assert in_words(schema, lambda name: f"the {name}") == words
