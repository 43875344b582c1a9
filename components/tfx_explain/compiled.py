"""A step of a pipeline that is run by other versions than it was compiled with."""

from __future__ import annotations

from collections.abc import Mapping

from tfx_explain.errors import ConfigError
from tfx_explain.version import __version__


def check_compiled(properties: Mapping[str, object], tfx_version: str) -> None:
    """Refuses a step that was compiled for another version of this package, or of TFX.

    Args:
      properties: the step's own; `component_version` and `tfx_version` say what it was compiled with. Steps that were
        compiled by earlier versions do not say so, and are run.
      tfx_version: of what runs it. Of TFX the first two numbers count.

    Raises:
      ConfigError: versions differ.
    """
    pairs = (
        ("tfx-explain", str(properties.get("component_version") or __version__), __version__),
        ("TFX", _minor(str(properties.get("tfx_version") or tfx_version)), _minor(tfx_version)),
    )
    differ = [(name, compiled, running) for name, compiled, running in pairs if compiled != running]
    if differ:
        with_what = " and ".join(f"{name} {compiled}" for name, compiled, _ in differ)
        by_what = " and ".join(f"{name} {running}" for name, _, running in differ)
        raise ConfigError(
            f"this step was compiled with {with_what}, but is run by {by_what}; compile the pipeline with the versions "
            "that its image has, or name an image that has those of the pipeline."
        )


def _minor(version: str) -> str:
    return ".".join(version.split(".")[:2])
