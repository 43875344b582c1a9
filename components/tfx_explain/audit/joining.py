"""The lineage of a store joined to cases."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from tfx_explain import documents
from tfx_explain.audit.cases import OUTCOMES, Case, Explained, Push, Verdict
from tfx_explain.audit.lineage import EXPLANATION, PUSHED_MODEL, VALIDATION, Artifact, Lineage


@dataclasses.dataclass(frozen=True)
class _Judged:
    """A verdict and what it is about, as the store has them."""

    verdict: Artifact
    explanation: Artifact | None
    model: str | None


def cases_of(lineage: Lineage) -> list[Case]:
    """All cases of a store, in the order in which they began.

    A push belongs to the verdict whose blessing Pusher was given, otherwise to the last one on the model before it; a
    model that was pushed without any is a case of its own.
    """
    explanations = lineage.of_kind(EXPLANATION)
    judged = _judged(lineage, explanations)
    pushes, without = _pushes(lineage, judged)
    about = {one.explanation.id for one in judged if one.explanation is not None}
    cases = [
        Case(
            one.model,
            None if one.explanation is None else _explained(lineage, one.explanation),
            _verdict(lineage, one.verdict),
            tuple(pushes.get(one.verdict.id, ())),
        )
        for one in judged
    ]
    cases += [
        Case(_model_of(lineage, explanation), _explained(lineage, explanation), None)
        for explanation in explanations
        if explanation.id not in about
    ]
    cases += [Case(model, None, None, (push,)) for model, push in without]
    return sorted(cases, key=lambda case: min(case.times))


def _judged(lineage: Lineage, explanations: Sequence[Artifact]) -> list[_Judged]:
    by_uri = {explanation.uri: explanation for explanation in explanations}
    found = []
    for verdict in lineage.of_kind(VALIDATION):
        explanation = lineage.input(verdict, "explanation") or by_uri.get(verdict.text("explanation_uri") or "")
        model = lineage.input(verdict, "model")
        of_explanation = None if explanation is None else _model_of(lineage, explanation)
        uri = model.uri if model else of_explanation or verdict.text("model_uri")
        found.append(_Judged(verdict, explanation, uri))
    return found


def _model_of(lineage: Lineage, explanation: Artifact) -> str | None:
    model = lineage.input(explanation, "model")
    return model.uri if model else explanation.text("model_uri")


def _pushes(lineage: Lineage, judged: Sequence[_Judged]) -> tuple[dict[int, list[Push]], list[tuple[str | None, Push]]]:
    """Verdict id -> pushes; and those that no verdict is about, with the model."""
    known = {one.verdict.id for one in judged}
    by_model: dict[str, list[Artifact]] = {}
    for one in judged:
        if one.model is not None:
            by_model.setdefault(one.model, []).append(one.verdict)
    of_verdict: dict[int, list[Push]] = {}
    without = []
    for pushed in lineage.of_kind(PUSHED_MODEL):
        model, blessing = lineage.input(pushed, "model"), lineage.input(pushed, "model_blessing")
        verdict = lineage.beside(blessing, "validation")
        is_wired = verdict is not None and verdict.id in known
        if not is_wired:
            earlier = [one for one in by_model.get(model.uri if model else "", []) if one.created <= pushed.created]
            verdict = earlier[-1] if earlier else None
        push = _push(lineage, pushed, blessing, _by(blessing, verdict, is_wired=is_wired))
        if verdict is None:
            without.append((model.uri if model else None, push))
        else:
            of_verdict.setdefault(verdict.id, []).append(push)
    return of_verdict, without


def _by(blessing: Artifact | None, verdict: Artifact | None, *, is_wired: bool) -> str:
    """What let a model through or held it back, in a sentence."""
    if is_wired and verdict is not None:
        return f"the verdict in {verdict.uri}"
    if blessing is None:
        given = "no blessing was given to Pusher"
    else:
        given = f"the blessing {blessing.uri}, which no explanation was judged for"
    if verdict is None:
        return f"{given}; no explanation of the model was judged before"
    return f"{given}; the last verdict on the model before is in {verdict.uri}"


def _push(lineage: Lineage, pushed: Artifact, blessing: Artifact | None, by: str) -> Push:
    return Push(
        uri=pushed.uri,
        created=pushed.created,
        pushed=_flag(pushed, "pushed"),
        destination=pushed.text("pushed_destination"),
        blessing=None if blessing is None else blessing.uri,
        by=by,
        may_be_packed=lineage.input(pushed, "infra_blessing") is not None,
    )


def _explained(lineage: Lineage, explanation: Artifact) -> Explained:
    maker = lineage.makers.get(explanation.id)
    given = None if maker is None else maker.properties.get("explain_config")
    examples = () if maker is None else maker.inputs.get("examples", ())
    spans = (str(one.properties["span"]) for one in examples if "span" in one.properties)
    return Explained(
        uri=explanation.uri,
        created=explanation.created,
        deleted=explanation.deleted,
        pipeline=None if maker is None else maker.contexts.get("pipeline"),
        run=None if maker is None else maker.contexts.get("pipeline_run"),
        examples=tuple(one.uri for one in examples),
        spans=tuple(spans),
        examples_digest=explanation.text("examples_digest"),
        num_examples=explanation.number("num_examples"),
        num_failed=explanation.number("num_failed"),
        methods=explanation.text("methods"),
        config=explanation.text("config") or (str(given) if given else None),
        config_digest=explanation.text("config_digest"),
        manifest_digest=explanation.text("manifest_digest"),
        tables_digest=explanation.text("tables_digest"),
        attributions_digest=explanation.text("attributions_digest"),
        attributions_uri=explanation.text("attributions_uri"),
        model_uri=explanation.text("model_uri"),
        model_digest=explanation.text("model_digest"),
        version=explanation.text("tfx_explain_version"),
    )


def _verdict(lineage: Lineage, verdict: Artifact) -> Verdict:
    maker, blessing = lineage.makers.get(verdict.id), lineage.beside(verdict, "blessing")
    policy = None if maker is None else maker.properties.get("validation_config")
    counts = {outcome: verdict.number(f"num_{outcome}") for outcome in OUTCOMES}
    known = {outcome: n for outcome, n in counts.items() if n is not None}
    return Verdict(
        uri=verdict.uri,
        created=verdict.created,
        deleted=verdict.deleted,
        blessed=_flag(verdict, "blessed"),
        explanation_uri=verdict.text("explanation_uri"),
        decided_by=verdict.text("decided_by"),
        outcomes=known if len(known) == len(OUTCOMES) else None,
        refusals=_refusals(verdict.text("refusals")),
        num_refusals=verdict.number("num_refusals"),
        findings_digest=verdict.text("findings_digest"),
        policy=str(policy) if policy else None,
        policy_digest=verdict.text("policy_digest"),
        explanation_digest=verdict.text("manifest_digest"),
        baseline_uri=verdict.text("baseline_uri"),
        blessing_uri=None if blessing is None else blessing.uri,
        model_blessed=None if blessing is None else _flag(blessing, "blessed"),
        why_not_blessed=None if blessing is None else blessing.text("why_not_blessed"),
    )


def _flag(artifact: Artifact, name: str) -> bool | None:
    value = artifact.number(name)
    return None if value is None else value == 1


def _refusals(text: str | None) -> Sequence[Mapping[str, Any]] | None:
    """What `describe_verdict` wrote; None where somebody wrote something else in its place."""
    try:
        found = documents.parse_json(text or "null")
    except documents.DocumentError:
        return None
    return found if isinstance(found, list) and all(isinstance(one, dict) for one in found) else None
