"""Modules that come with the extra `images`, imported when they are first needed."""

from __future__ import annotations

import importlib
from types import ModuleType

from tfx_explain.errors import ConfigError


def optional(name: str) -> ModuleType:
    """A module of scikit-image or Pillow.

    Raises:
      ConfigError: it is not installed.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ConfigError(
            f"Images need {name.partition('.')[0]}, which cannot be imported: pip install 'tfx-explain[images]'."
        ) from error


def need_images() -> None:
    """Imports what images need.

    Raises:
      ConfigError: something is not installed.
    """
    for name in ("PIL.Image", "skimage.segmentation"):
        optional(name)
