"""Explanations that were changed, with all digests computed anew: what only their content can give away."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tfx_explain import integrity


def reseal(directory: Path, edit: Callable[[dict[str, Any]], object] | None = None) -> None:
    """Writes the manifest of a changed explanation as its Explainer would have."""
    path = directory / "manifest.json"
    manifest = integrity.without_digests(json.loads(path.read_text()))
    if edit is not None:
        edit(manifest)
    sealed = integrity.with_digests(manifest, str(directory), str(directory / "attributions"))
    path.write_text(json.dumps(sealed))
