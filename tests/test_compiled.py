"""Steps that were compiled with other versions."""

import re

import pytest

from tfx_explain import ConfigError, __version__
from tfx_explain.compiled import check_compiled


@pytest.mark.parametrize(
    "properties",
    [
        {},
        {"component_version": __version__},
        {"component_version": __version__, "tfx_version": "1.16.0"},
        {"component_version": __version__, "tfx_version": "1.16.9"},
        {"component_version": None, "tfx_version": None},
    ],
)
def test_the_same_versions_and_those_of_steps_that_say_none_are_run(properties: dict[str, str | None]) -> None:
    check_compiled(properties, "1.16.1")


@pytest.mark.parametrize(
    ("properties", "said"),
    [
        ({"component_version": "9.9"}, f"with tfx-explain 9.9, but is run by tfx-explain {__version__};"),
        ({"component_version": __version__, "tfx_version": "1.21.0"}, "with TFX 1.21, but is run by TFX 1.16;"),
        ({"component_version": "9.9", "tfx_version": "1.1"}, "with tfx-explain 9.9 and TFX 1.1, but is run by"),
    ],
)
def test_other_versions_are_named(properties: dict[str, str | None], said: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(said)):
        check_compiled(properties, "1.16.1")
