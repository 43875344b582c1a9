"""What methods of gradients are, in words, and what they do not say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tfx_explain.tables.manifest import Manifest

_OF_PATHS = "gradients on the straight line from reference to row: what the model does off that line they do not see."
PATH_METHODS = {
    "integrated_gradients": (
        "Integrated gradients from reference rows",
        f"Integrated gradients add up {_OF_PATHS}",
    ),
    "expected_gradients": (
        "Expected gradients over background rows",
        f"Expected gradients average, over background rows, {_OF_PATHS}",
    ),
    "xrai": (
        "XRAI from images of one colour",
        f"XRAI adds up, over the pixels of regions of the image, {_OF_PATHS}",
    ),
}
"""Name -> what it is, and what its attributions do not say."""

_OF_REGIONS = "XRAI adds up, over the pixels of regions of the image,"
_OTHER_GRADIENTS = {
    "expected_gradients": (
        "XRAI by expected gradients over images of the background",
        f"{_OF_REGIONS} averages over images of the background of {_OF_PATHS}",
    ),
    "guided_ig": (
        "XRAI by guided integrated gradients from images of one colour",
        f"{_OF_REGIONS} gradients on a path that takes pixels of small gradients first: what the model does off that "
        "path they do not see.",
    ),
    "blur_ig": (
        "XRAI by integrated gradients from the blurred image",
        f"{_OF_REGIONS} gradients on the way from the blurred image to the image: what the model owes to the colours "
        "that a blur leaves is in the base value, which is each row's own.",
    ),
    "smooth_grad": (
        "XRAI by SmoothGrad",
        "SmoothGrad says how much the output depends on each pixel around the image, in units of the output per unit "
        "of a pixel's value. Figures of regions are sums of that: no shares of the output, and no base value belongs "
        "to them.",
    ),
}
"""By the setting `gradients` of `xrai`."""


def at(manifest: Manifest, *path: str) -> Any:
    """The entry at a path of keys; None where any of them is missing."""
    entry: Any = manifest
    for key in path:
        entry = entry.get(key) if isinstance(entry, Mapping) else None
    return entry


def told(manifest: Manifest, name: str) -> tuple[str, str]:
    """What a method of gradients is, in a few words, and what its attributions do not say."""
    return _OTHER_GRADIENTS.get(str(at(manifest, "method", name, "gradients")), PATH_METHODS[name])
