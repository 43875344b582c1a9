"""What makes a model this model and no other: the contents of its files, and of the Python that loads it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence

from tfx_explain.content_digest import LENGTH, directory_digest, file_digest
from tfx_explain.models.python_sources import fetch_sources, imported_beside


def model_identity(model_dir: str, module_file: str | None = None, ignored: Sequence[str] = ()) -> str:
    """A digest of a model's content, 32 hexadecimal digits.

    Every byte is read: what a file system says of a file (its time, size and inode) stays the same for some changes.
    Equal models have equal digests, wherever they are.

    Args:
      model_dir: where the model is; what is not there, or is no directory or file, counts as empty.
      module_file: the Python file that loads it, which counts too, with the files beside it that it imports.
      ignored: directories that do not count, as those that a job writes to.
    """
    directory = directory_digest(model_dir, ignored)
    if module_file is None:
        return directory
    digest = hashlib.sha256(directory.encode())
    module = fetch_sources(module_file)
    for path in [module.path, *imported_beside(module.path)]:
        name = os.path.relpath(path, os.path.dirname(module.path)) if path != module.path else ""
        content = file_digest(path)
        digest.update(name.encode("utf-8", "surrogateescape") + b"\0" + (content or b"absent"))
    return digest.hexdigest()[:LENGTH]
