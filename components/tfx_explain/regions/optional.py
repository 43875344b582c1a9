"""Modules that come with the extra `images`, imported when they are first needed."""

from __future__ import annotations

from types import ModuleType

from tfx_explain import optional as packages


def optional(name: str) -> ModuleType:
    """A module of scikit-image or Pillow.

    Raises:
      ConfigError: it is not installed.
    """
    return packages.optional(name, "Images need", "tfx-explain[images]")


def need_images() -> None:
    """Imports what images need.

    Raises:
      ConfigError: something is not installed.
    """
    for name in ("PIL.Image", "skimage.segmentation"):
        optional(name)
