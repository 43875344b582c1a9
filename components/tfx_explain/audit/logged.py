"""What a log holds of verdicts and pushes, and what it does not hold yet."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tfx_explain.audit.cases import Case, Push, iso

_VERDICT, _PUSH = "verdict", "push"


def contradictions(entries: Sequence[Mapping[str, Any]], cases: Sequence[Case], store: str) -> list[str]:
    """What a store says now otherwise than when it was logged, a sentence each.

    Args:
      entries: of a log.
      cases: all of the store.
      store: its name; what was logged from another store is not looked for in this one.
    """
    verdicts = (_verdict_entry(case, store) for case in cases)
    now = {_key(verdict): verdict for verdict in verdicts if verdict is not None}
    pushes = {push.uri: _push(push) for case in cases for push in case.pushes}
    said = []
    for entry in entries:
        said += _of_pushes(entry, pushes, store)
        found, uri = now.get(_key(entry)), entry.get("validation_uri")
        if entry.get("kind") != _VERDICT:
            continue
        if found is not None:
            differ = [name for name in _FACTS if found[name] != entry.get(name)]
            said += [f"line {entry['number']}: the store now has another {name} of {uri}" for name in differ[:1]]
        elif entry.get("store") == store:
            said.append(f"line {entry['number']}: the store no longer has the verdict in {uri}")
    return said


def _of_pushes(entry: Mapping[str, Any], now: Mapping[str, Mapping[str, Any]], store: str) -> list[str]:
    """The same of the pushes that a line tells of."""
    said = []
    for push in entry.get("pushes", ()):
        uri = push.get("uri")
        if uri in now:
            differ = [name for name in _PUSH_FACTS if now[uri][name] != push.get(name)]
            said += [
                f"line {entry['number']}: the store now has another {name} of the push {uri}" for name in differ[:1]
            ]
        elif entry.get("store") == store:
            said.append(f"line {entry['number']}: the store no longer has the push {uri}")
    return said


_PUSH_FACTS = ("created", "pushed", "destination")
_FACTS = (
    "blessed", "decided_by", "outcomes", "refusals", "model_uri", "model_digest", "explanation_uri", "manifest_digest",
    "findings_digest", "policy_digest", "baseline_uri", "config_digest", "examples", "examples_digest", "model_blessed",
    "why_not_blessed",
)  # fmt: skip


def _verdict_entry(case: Case, store: str) -> dict[str, Any] | None:
    verdict, explained = case.verdict, case.explanation
    if verdict is None:
        return None
    of_verdict = {
        name: getattr(verdict, name)
        for name in (
            "blessed",
            "decided_by",
            "outcomes",
            "refusals",
            "findings_digest",
            "policy_digest",
            "baseline_uri",
        )
    }
    of_explanation = {
        name: getattr(explained, name, None)
        for name in ("model_digest", "config_digest", "examples", "examples_digest", "pipeline", "run")
    }
    entry = {
        "kind": _VERDICT,
        "store": store,
        "judged": iso(verdict.created),
        "validation_uri": verdict.uri,
        "explanation_uri": verdict.explanation_uri,
        "manifest_digest": verdict.explanation_digest,
        "model_uri": case.model,
        **of_verdict,
        **of_explanation,
        "model_blessed": verdict.model_blessed,
        "why_not_blessed": verdict.why_not_blessed,
        "pushes": [_push(push) for push in case.pushes],
    }
    # As a log has it, where tuples are lists.
    return dict(json.loads(json.dumps(entry)))


def _push(push: Push) -> dict[str, Any]:
    return {
        "uri": push.uri,
        "created": iso(push.created),
        "pushed": push.pushed,
        "destination": push.destination,
        "by": push.by,
    }


def _key(entry: Mapping[str, Any]) -> tuple[Any, Any]:
    return entry.get("validation_uri"), entry.get("judged")


def new_entries(cases: Sequence[Case], entries: Sequence[Mapping[str, Any]], store: str) -> Iterator[dict[str, Any]]:
    """What a log does not have yet, in the order in which it came about."""
    known = {_key(entry) for entry in entries if entry.get("kind") == _VERDICT}
    pushed = {push.get("uri") for entry in entries for push in entry.get("pushes", ())}
    for case in cases:
        entry = _verdict_entry(case, store)
        if entry is not None and _key(entry) not in known:
            yield entry
            continue
        pushes = [_push(push) for push in case.pushes if push.uri not in pushed]
        if pushes:
            about = {} if entry is None else {name: entry[name] for name in ("validation_uri", "judged")}
            yield {"kind": _PUSH, "store": store, "model_uri": case.model, **about, "pushes": pushes}
