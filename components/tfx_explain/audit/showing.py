"""Cases, checks and a log as lines for people, and as plain data for programs."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from tfx_explain import documents
from tfx_explain.audit.cases import Case, Explained, Push, Verdict, iso
from tfx_explain.audit.check import Check

UNKNOWN = "not recorded"
"""What stands for what an earlier version did not record."""

_OF_EXPLANATION = (
    "examples_digest", "num_failed", "config_digest", "manifest_digest", "tables_digest", "attributions_digest",
)  # fmt: skip
_OF_VERDICT = (
    "decided_by", "outcomes", "refusals", "num_refusals", "findings_digest", "policy_digest", "explanation_digest",
    "baseline_uri",
)  # fmt: skip


class LogShown(NamedTuple):
    """What is said of a log.

    Attributes:
      path: of the file.
      lines: how many it has.
      added: how many of them are new.
      digest: SHA-256 of the last one.
      problems: why the chain of lines is broken, a sentence each.
      contradictions: what the store says now otherwise than when it was logged, a sentence each.
      notes: a sentence each.
    """

    path: str
    lines: int
    added: int
    digest: str
    problems: Sequence[str]
    contradictions: Sequence[str]
    notes: Sequence[str]


HEADINGS = ("when", "verdict", "pushed", "model", "examples", "decided by")


def row(case: Case) -> tuple[str, ...]:
    """A case in one line: the texts beneath HEADINGS."""
    last = max(case.times) if case.verdict is None else case.verdict.created
    return (
        iso(last),
        _word(case),
        "; ".join(_pushed_by(push) for push in case.pushes) or "no",
        case.model or UNKNOWN,
        _joined(case.explanation),
        _decided(case),
    )


def table(cases: Sequence[Case]) -> list[str]:
    """All cases, a line each beneath a line of headings; none where there are none."""
    rows = [HEADINGS, *map(row, cases)] if cases else []
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(text.ljust(width) for text, width in zip(one, widths, strict=True)).rstrip() for one in rows]


def details(case: Case) -> list[str]:
    """All that is known of a case, for whoever asks why."""
    lines = [f"{case.model or UNKNOWN}: {_word(case)}"]
    for label, text in (*_about_explanation(case.explanation), *_about_verdict(case.verdict), *_about_pushes(case)):
        lines.append(f"  {label:<14} {text}")
    return lines


def _about_explanation(one: Explained | None) -> list[tuple[str, str]]:
    if one is None:
        return [("explanation", "none in the store")]
    run = f"pipeline {one.pipeline or UNKNOWN}, run {one.run or UNKNOWN}"
    failed = UNKNOWN if one.num_failed is None else f"{one.num_failed:,}"
    rows = UNKNOWN if one.num_examples is None else f"{one.num_examples:,}"
    return [
        ("explained", f"{iso(one.created)} in {one.uri}{_away(one.deleted)}"),
        ("by", f"tfx-explain {one.version or UNKNOWN}, {run}"),
        ("model digest", one.model_digest or UNKNOWN),
        ("examples", f"{_joined(one)}, digest {one.examples_digest or UNKNOWN}"),
        ("rows", f"{rows} explained, failed: {failed}"),
        ("methods", one.methods or UNKNOWN),
        ("configuration", f"digest {one.config_digest or UNKNOWN}; {one.config or UNKNOWN}"),
    ]


def _about_verdict(one: Verdict | None) -> list[tuple[str, str]]:
    if one is None:
        return [("verdict", "none")]
    counts = one.outcomes or {}
    outcomes = ", ".join(f"{n} {outcome.replace('_', ' ')}" for outcome, n in counts.items() if n)
    baseline = UNKNOWN if one.baseline_uri is None else one.baseline_uri or "none"
    lines = [
        ("judged", f"{iso(one.created)} in {one.uri}{_away(one.deleted)}"),
        ("decided by", one.decided_by or UNKNOWN),
        ("outcomes", outcomes or ("no rule" if one.outcomes else UNKNOWN)),
        *(("refused by", _refusal(refusal)) for refusal in one.refusals or ()),
        ("policy", f"digest {one.policy_digest or UNKNOWN}; {one.policy or UNKNOWN}"),
        ("baseline", baseline),
    ]
    if one.model_blessed is not None:
        why = "" if one.model_blessed else f": {one.why_not_blessed or UNKNOWN}"
        lines.append(("model blessed", f"{'yes' if one.model_blessed else 'no'}{why}"))
    return lines


def _about_pushes(case: Case) -> list[tuple[str, str]]:
    if not case.pushes:
        return [("pushed", "no")]
    return [("pushed", _pushed_by(push)) for push in case.pushes]


def _refusal(refusal: Mapping[str, Any]) -> str:
    figures = ", ".join(f"{name} {refusal[name]:g}" for name in _FIGURES if isinstance(refusal.get(name), int | float))
    about = f" of {refusal['about']}" if refusal.get("about") else ""
    return f"{refusal.get('rule')}{about} in {refusal.get('slice')}, output {refusal.get('output')}: {figures}"


_FIGURES = ("value", "ci_low", "ci_high", "threshold")


def _away(deleted: str) -> str:
    return f" ({deleted})" if deleted else ""


def _word(case: Case) -> str:
    verdict = case.verdict
    if verdict is None:
        return "not judged" if case.explanation else "not explained"
    if verdict.blessed is None:
        return UNKNOWN
    if verdict.blessed and verdict.model_blessed is False:
        return "met, not blessed"
    return "blessed" if verdict.blessed else "refused"


def _decided(case: Case) -> str:
    verdict = case.verdict
    if verdict is None:
        return "no verdict"
    if verdict.blessed and verdict.model_blessed is False:
        return verdict.why_not_blessed or UNKNOWN
    return verdict.decided_by or UNKNOWN


def _joined(one: Explained | None) -> str:
    if one is None:
        return "none"
    spans = f" (span {', '.join(one.spans)})" if one.spans else ""
    return f"{', '.join(one.examples) or UNKNOWN}{spans}"


def _pushed_by(push: Push) -> str:
    if push.pushed is None:
        what = f"{iso(push.created)} {UNKNOWN}"
    else:
        when = iso(push.created)
        what = f"{when} to {push.destination or push.uri}" if push.pushed else f"held back {when}"
    return f"{what}, by {push.by}"


def checked(checks: Sequence[Check]) -> list[str]:
    """What was changed, is gone or could not be checked, a line each, and how many things were checked."""
    counts = Counter(check.state for check in checks)
    lines = [
        f"{check.state:<12}  {check.what:<13}  {check.uri}{f': {check.why}' if check.why else ''}"
        for check in checks
        if check.state not in ("unchanged", "not recorded")
    ]
    counted = ", ".join(f"{n} {state}" for state, n in sorted(counts.items()))
    return [*lines, f"checked: {counted or 'nothing'}"]


def logged(log: LogShown) -> list[str]:
    """What is said of a log."""
    lines = [f"changed       log            {problem}" for problem in (*log.problems, *log.contradictions)]
    lines += [f"note          log            {note}" for note in log.notes]
    if log.problems:
        return [*lines, f"log: nothing was added to {log.path}"]
    return [
        *lines,
        f"log: {log.path} has {log.lines} lines, {log.added} of them new, the last one's SHA-256 is {log.digest}",
    ]


def as_data(case: Case) -> dict[str, Any]:
    """A case for programs: null is what does not apply, or what `not_recorded` names."""
    data: dict[str, Any] = {"model": case.model, "answer": _word(case)}
    parts = (("explanation", case.explanation, _OF_EXPLANATION), ("verdict", case.verdict, _OF_VERDICT))
    for name, part, recorded in parts:
        data[name] = None if part is None else {**_plain(part), "not_recorded": _absent(part, recorded)}
    return {**data, "pushes": [_plain(push) for push in case.pushes]}


def _absent(part: Explained | Verdict, names: Sequence[str]) -> list[str]:
    return [name for name in names if getattr(part, name) is None]


def _plain(part: Any) -> dict[str, Any]:
    data = {**dataclasses.asdict(part), "created": iso(part.created)}
    for name in ("config", "policy"):
        if data.get(name) is not None:
            data[name] = _parsed(data[name])
    return data


def _parsed(text: str) -> Any:
    """The value behind a text that is JSON; others, cut ones among them, stay texts."""
    try:
        return documents.parse_json(text)
    except documents.DocumentError:
        return text
