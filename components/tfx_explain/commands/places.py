"""A look at the places that a command names, before anything is imported that takes its time."""

from __future__ import annotations

import glob
from collections.abc import Mapping

from tfx_explain import storage
from tfx_explain.config import ExplainConfig
from tfx_explain.errors import InputError

_MODELS = ("model", "baseline_model")


def settings_of(job: Mapping[str, str | None]) -> ExplainConfig:
    """The configuration of a job, whose places on this machine are there.

    What is elsewhere, or a pattern, is looked at by whoever reads it. Models that a module file loads need be no paths.

    Args:
      job: the options of a command and their values.

    Raises:
      ConfigError: the configuration cannot be used.
      InputError: there is nothing at a place that is read, or something where a new directory is wanted.
    """
    file = job.get("config")
    settings = ExplainConfig() if file is None else ExplainConfig.from_file(file)
    for name, uri in job.items():
        if uri is None or name == "config" or (name in _MODELS and settings.model.module_file is not None):
            continue
        if not storage.is_local(uri):
            continue
        if name == "output_dir":
            storage.check_new(uri)
        elif not glob.has_magic(uri) and not storage.exists(uri):
            raise InputError(f"there is no {uri}; check `--{name.replace('_', '-')}`.")
    return settings
