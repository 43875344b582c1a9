"""Files of configurations."""

from __future__ import annotations

from pathlib import Path

from tfx_explain import documents, storage
from tfx_explain.errors import ConfigError, InputError

_MAX_FILE_BYTES = 4 * documents.MAX_CHARACTERS


def read_text(path: str | Path) -> str:
    """The text of a configuration.

    Args:
      path: of the file, or its URI.

    Raises:
      ConfigError: it cannot be read, is too large, or is no text in UTF-8.
    """
    try:
        with storage.open_binary(str(path)) as file:
            content = file.read(_MAX_FILE_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"cannot read the configuration {path}: {error.strerror or error}.") from None
    except InputError as error:
        raise ConfigError(f"the configuration {error}") from None
    if len(content) > _MAX_FILE_BYTES:
        raise ConfigError(f"{path} has more than {_MAX_FILE_BYTES:,} bytes; check that it is the configuration.")
    try:
        return documents.decode(content)
    except documents.DocumentError as error:
        raise ConfigError(f"{path} {error}.") from None
