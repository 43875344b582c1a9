"""The settings of a pipeline, with fewer rows than its demonstration takes."""

from collections.abc import Mapping
from pathlib import Path


def changed_settings(here: Path, there: Path, changes: Mapping[str, Mapping[str, str]]) -> Path:
    """Copies `explain.yaml` and `policy.yaml`; `changes` says by file what to replace, each of which is there once."""
    for name in ("explain.yaml", "policy.yaml"):
        text = (here / name).read_text("utf-8")
        for before, after in changes.get(name, {}).items():
            assert text.count(before) == 1, f"{before} in {name}"
            text = text.replace(before, after)
        (there / name).write_text(text, "utf-8")
    return there
