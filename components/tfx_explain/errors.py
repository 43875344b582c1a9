"""Every error that tfx-explain raises on purpose.

    Exception
    └── TfxExplainError                 catch this to catch all of ours
        ├── ConfigError                 a configuration that cannot work, whatever the data
        ├── InputError                  examples, files or artifacts that cannot be used
        │   ├── EmptySplitError         a split that is named but holds no rows
        │   ├── MissingFeatureError     a feature, label or key that the data does not have
        │   ├── UnreadableImageError    bytes that are no whole picture of a kind that is read
        │   └── TooManyFailedRowsError  more rows were dead-lettered than `max_failed_fraction` allows
        ├── ModelError                  a model that cannot be loaded or called
        │   ├── ModelCallError          a model that fails on rows that it is given
        │   └── SignatureError          a signature or output that is absent, ambiguous or unusable
        ├── EstimationError             a design that cannot estimate what was asked: too small a budget
        └── WorkerError                 a worker process that ended, or was stopped, before its work was done

Each message is one sentence: what is wrong, where, and what to do about it. Whatever names and values it quotes, it
stays on one line, of bounded length, without characters that steer a terminal.
"""

from __future__ import annotations

from tfx_explain.printable import sentence


class TfxExplainError(Exception):
    """Base of all errors raised on purpose by this package."""

    def __init__(self, message: str = "") -> None:
        super().__init__(sentence(message))


class ConfigError(TfxExplainError, ValueError):
    """A configuration that cannot work, whatever the data."""


class InputError(TfxExplainError, ValueError):
    """Examples, files or artifacts that cannot be used."""


class EmptySplitError(InputError):
    """A split that is named in the configuration but holds no rows."""


class MissingFeatureError(InputError):
    """A feature, label, id or weight key that the examples do not have."""


class UnreadableImageError(InputError):
    """Bytes that are no whole picture of a kind that is read, or one that is too large."""


class TooManyFailedRowsError(InputError):
    """More rows could not be explained than `max_failed_fraction` allows."""


class ModelError(TfxExplainError):
    """A model that cannot be loaded, or whose outputs cannot be explained."""


class ModelCallError(ModelError):
    """A model that fails on rows, or mixtures of rows, that it is given."""


class SignatureError(ModelError):
    """A signature or output that is absent, ambiguous or unusable."""


class EstimationError(TfxExplainError, ValueError):
    """An estimator that cannot deliver what was asked of it with the given budget."""


class WorkerError(TfxExplainError):
    """A worker process that ended, or was stopped, before its work was done."""
