"""Models cut for paths, each once per process, whichever methods follow them."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Collection, Mapping, Sequence

from tfx_explain.methods.background import Background
from tfx_explain.methods.context import features_of
from tfx_explain.models import Model
from tfx_explain.models.path_gradients import Paths, Points

_LOCK = threading.Lock()
_CUT: weakref.WeakKeyDictionary[Model, dict[tuple[object, ...], Paths]] = weakref.WeakKeyDictionary()


_STARTS: weakref.WeakKeyDictionary[Paths, dict[str, Points]] = weakref.WeakKeyDictionary()


def starts_of(paths: Paths, model: Model, references: Background) -> Points:
    """The references at the cut, made once for all batches."""
    with _LOCK:
        made = _STARTS.setdefault(paths, {})
        if references.digest not in made:
            made[references.digest] = paths.enter(model.inputs(references.rows))
        return made[references.digest]


def paths_of(
    model: Model, players: Mapping[str, Sequence[str]], background: Background, inside: Collection[str] = ()
) -> Paths:
    """The model, cut where rows can move along straight lines.

    Args:
      model: what is explained.
      players: name -> features.
      background: of the job; on its rows the cut is tried.
      inside: features that are looked into.

    Raises:
      ModelError: the model has no gradients for some feature.
    """
    features = features_of(model, players)
    key = (background.digest, features, tuple(inside))
    with _LOCK:
        cuts = _CUT.setdefault(model, {})
        if key not in cuts:
            cuts[key] = model.paths(model.inputs(background.rows), features, inside)
        return cuts[key]
