"""The cases that were asked for."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Iterable, Sequence

from tfx_explain import storage
from tfx_explain.audit.cases import Case
from tfx_explain.errors import InputError
from tfx_explain.filesystems import local_path
from tfx_explain.printable import shown


def of_model(cases: Sequence[Case], uri: str, store: str) -> list[Case]:
    """The cases of a model.

    Args:
      cases: all of a store.
      uri: the Model artifact, the model as it was explained, or where it was pushed to.
      store: its name.

    Raises:
      InputError: there is none.
    """
    asked = _plain(uri)
    found = [case for case in cases if any(_plain(place) == asked for place in _places(case))]
    if not found:
        models = list(dict.fromkeys(case.model for case in cases if case.model))
        has = f"it has {len(models)}, the last one {shown(models[-1], 200)}" if models else "it has none"
        raise InputError(f"{store} knows no model at {shown(uri, 200)}: {has}; name one that it has.")
    return found


def since(cases: Sequence[Case], moment: datetime.datetime) -> list[Case]:
    """The cases of which anything happened at a moment or after it; the pushes of each are those since then."""
    start = moment.timestamp() * 1000
    recent = [case for case in cases if max(case.times) >= start]
    return [
        dataclasses.replace(case, pushes=tuple(push for push in case.pushes if push.created >= start))
        for case in recent
    ]


def pushed(cases: Sequence[Case]) -> list[Case]:
    """The cases whose model was pushed, with the pushes that took place."""
    kept = [
        dataclasses.replace(case, pushes=tuple(push for push in case.pushes if push.pushed is not False))
        for case in cases
    ]
    return [case for case in kept if case.pushes]


def moment_of(text: str) -> datetime.datetime:
    """A day or moment in ISO 8601; without a zone it is UTC.

    Raises:
      ValueError: it is none.
    """
    moment = datetime.datetime.fromisoformat(text.removesuffix("Z") + "+00:00" * text.endswith("Z"))
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=datetime.timezone.utc)


def _places(case: Case) -> Iterable[str]:
    explained = None if case.explanation is None else case.explanation.model_uri
    pushes = (place for push in case.pushes for place in (push.uri, push.destination))
    return filter(None, (case.model, explained, *pushes))


def _plain(uri: str) -> str:
    """However a place is written, the same text; links are not followed, as an old model may be gone."""
    return local_path(uri) if storage.is_local(uri) else uri.rstrip("/")
