"""What a transform graph is to a job: it goes before the model, or makes the label."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from tfx_explain.errors import ConfigError
from tfx_explain.job.model_handle import ModelHandle
from tfx_explain.methods.labels import Labels
from tfx_explain.models import Model

_LOG = logging.getLogger(__name__)


def check_use(handles: Sequence[ModelHandle], models: Sequence[Model], labels: Labels | None) -> None:
    """Refuses a transform graph that is of no use; says what is taken for granted of one that is.

    Args:
      handles: of the model, and of the baseline model if there is one.
      models: the same, loaded.
      labels: where the labels of rows come from.

    Raises:
      ConfigError: no model takes what the graph makes, and it makes no label.
    """
    transform = handles[0].transform
    if transform is None:
        return
    if not any(model.is_joined for model in models) and (labels is None or labels.transform is None):
        raise ConfigError(
            f"the transform graph at {transform.directory} is of no use: the model takes raw examples already, as one "
            "does whose serving graph holds Transform's layer, and no label is made of them; leave it out."
        )
    for handle, model in zip(handles[1:], models[1:], strict=True):
        if model.is_joined:
            _LOG.warning(
                "The baseline model at %s is taken to be trained with the transform graph at %s, too: with the one of "
                "an earlier run its figures mean nothing.",
                handle.model_dir,
                transform.directory,
            )
