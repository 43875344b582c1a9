"""The settings of a pipeline, with fewer rows than its demonstration takes."""

from collections.abc import Mapping
from pathlib import Path


def changed_settings(here: Path, there: Path, changes: Mapping[str, tuple[str, str]]) -> Path:
    """Copies `explain.yaml` and `policy.yaml`; `changes` says by file what to replace, which is there once."""
    for name in ("explain.yaml", "policy.yaml"):
        text = (here / name).read_text("utf-8")
        before, after = changes.get(name, ("", ""))
        assert not before or text.count(before) == 1, f"{before} in {name}"
        (there / name).write_text(text.replace(before, after) if before else text, "utf-8")
    return there
