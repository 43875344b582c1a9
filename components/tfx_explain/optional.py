"""Packages that only some runs need, imported when they are first needed."""

from __future__ import annotations

import importlib
import importlib.util
from types import ModuleType

from tfx_explain.errors import ConfigError


def is_installed(name: str) -> bool:
    """Whether there is a module of this name, which need not be imported to know that."""
    try:
        return importlib.util.find_spec(name) is not None
    except ImportError:
        return False


def optional(name: str, needed_by: str, install: str) -> ModuleType:
    """A module of a package that may be absent.

    Args:
      name: of the module.
      needed_by: what needs it and the verb, which begins the sentence that says it is absent: `Images need`.
      install: what pip is to be given: `tfx-explain[images]`.

    Raises:
      ConfigError: it is not installed, or cannot be imported.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ConfigError(
            f"{needed_by} {name.partition('.')[0]}, which cannot be imported: pip install '{install}'."
        ) from error
