"""Whether what the store says is still so: digests computed again from the files that are there."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any

from tfx_explain import storage, tables
from tfx_explain.audit.cases import Case, Explained, Push, Verdict
from tfx_explain.audit.check import Check, json_object, told
from tfx_explain.audit.contradictions import against_findings, against_manifest
from tfx_explain.audit.pages import check_report, check_verdict_pages
from tfx_explain.content_digest import EMPTY, directory_digest, object_digest
from tfx_explain.errors import TfxExplainError
from tfx_explain.listed_files import differences, explanation_files

_BLESSED, _NOT_BLESSED = "BLESSED", "NOT_BLESSED"


def check_cases(cases: Sequence[Case]) -> list[Check]:
    """Everything that cases rest on, each thing once, and the pages that people read of it.

    A thing that was cleaned away is gone; what is there but differs from what was recorded was changed. A relative
    address is looked for from the working directory.
    """
    asked: dict[tuple[str, str, str | None], Callable[[], Check]] = {}
    for case in cases:
        for key, check in (*_of_explanation(case.explanation), *_of_verdict(case), *_of_pushes(case)):
            asked.setdefault(key, check)
    return [_answered(what, uri, check) for (what, uri, _), check in asked.items()]


def _answered(what: str, uri: str, check: Callable[[], Check]) -> Check:
    try:
        return check()
    except TfxExplainError as error:
        return Check(what, uri, "not checked", str(error))


_Asked = tuple[tuple[str, str, str | None], Callable[[], Check]]
"""The kind of thing, where it is, and which one it was; and how to check it."""


def _of_explanation(one: Explained | None) -> Iterator[_Asked]:
    if one is not None:
        yield ("explanation", one.uri, one.manifest_digest), lambda: _explanation(one)
        yield ("report", one.uri, one.manifest_digest), lambda: check_report(one.uri)
        yield ("configuration", one.uri, one.config_digest), lambda: _configuration(one)
        if one.attributions_uri is not None:
            where = _attributions_uri(one)
            yield ("attributions", where, one.attributions_digest), lambda: _attributions(one, where)
        if one.model_uri is not None:
            yield ("model", one.model_uri, one.model_digest), lambda: _model(one)


def _of_verdict(case: Case) -> Iterator[_Asked]:
    one = case.verdict
    if one is not None:
        yield ("findings", one.uri, one.findings_digest), lambda: _findings(one)
        yield ("pages", one.uri, one.findings_digest), lambda: check_verdict_pages(one.uri)
        yield ("policy", one.uri, one.policy_digest), lambda: _policy(one)
        yield ("verdict", one.uri, one.explanation_digest), lambda: _verdict(one, case.explanation)
        if one.blessing_uri is not None:
            yield ("blessing", one.blessing_uri, None), lambda: _blessing(one, str(one.blessing_uri))


def _of_pushes(case: Case) -> Iterator[_Asked]:
    for push in case.pushes:
        for place in filter(None, (push.uri, push.destination)) if push.pushed else ():
            yield ("pushed model", place, push.uri), functools.partial(_pushed, case.explanation, push, place)


def _explanation(one: Explained) -> Check:
    """The manifest and the tables that it lists."""
    what = "explanation"
    if not storage.names(one.uri):
        return Check(what, one.uri, "gone", one.deleted)
    manifest, content = _manifest(one)
    if manifest is None:
        return Check(what, one.uri, "changed", "its manifest is gone or is none")
    if one.manifest_digest is not None and hashlib.sha256(content).hexdigest() != one.manifest_digest:
        return Check(what, one.uri, "changed", f"{tables.MANIFEST} is not the one that was recorded")
    files = manifest.get("files")
    if not isinstance(files, dict):
        return Check(what, one.uri, "not recorded", "an earlier version wrote it, without digests of its tables")
    differing = next(differences(one.uri, files, explanation_files(one.uri)), None)
    if differing is not None:
        return Check(what, one.uri, "changed", told(differing))
    if one.tables_digest is not None and object_digest(files) != one.tables_digest:
        return Check(what, one.uri, "changed", "its tables are not those that were recorded")
    differing_fact = against_manifest(one, manifest)
    if differing_fact:
        return Check(what, one.uri, "changed", differing_fact)
    return Check(what, one.uri, "unchanged" if one.manifest_digest else "not recorded")


def _manifest(one: Explained) -> tuple[dict[str, Any] | None, bytes]:
    where = storage.join(one.uri, tables.MANIFEST)
    if not storage.exists(where):
        return None, b""
    content = storage.read_bytes(where)
    return json_object(content), content


def _configuration(one: Explained) -> Check:
    """The configuration in the store against its digest there; one that was cut says nothing."""
    what, text = "configuration", one.config
    if text is None or one.config_digest is None:
        return Check(what, one.uri, "not recorded")
    config = json_object(text.encode())
    if config is None:
        cut = "characters)" in text
        return Check(
            what, one.uri, "not recorded" if cut else "changed", "it is cut" if cut else "it is no JSON object"
        )
    same = object_digest(config) == one.config_digest
    return Check(
        what, one.uri, *(("unchanged",) if same else ("changed", "the store holds another than it has a digest of"))
    )


def _attributions_uri(one: Explained) -> str:
    """Absolute; beneath the explanation where the store has it relative to that."""
    uri = str(one.attributions_uri)
    return uri if "://" in uri or uri.startswith("/") else storage.join(one.uri, uri)


def _attributions(one: Explained, where: str) -> Check:
    what = "attributions"
    there = [name for name in storage.names_beneath(where) if name.startswith("Split-")]
    if not there:
        return Check(what, where, "gone", one.deleted)
    manifest, _ = _manifest(one)
    files = None if manifest is None else manifest.get("attribution_files")
    if not isinstance(files, dict):
        return Check(what, where, "not recorded", "the manifest with their digests is gone, or of an earlier version")
    if one.attributions_digest is not None and object_digest(files) != one.attributions_digest:
        return Check(what, where, "changed", "the manifest lists others than were recorded")
    differing = next(differences(where, files, there), None)
    if differing is not None:
        return Check(what, where, "changed", told(differing))
    return Check(what, where, "unchanged" if one.attributions_digest or one.manifest_digest else "not recorded")


def _model(one: Explained) -> Check:
    what, uri = "model", str(one.model_uri)
    if one.model_digest is None:
        return Check(what, uri, "not recorded")
    ignored = tuple(place for place in (one.uri, _attributions_uri(one) if one.attributions_uri else "") if place)
    now = _model_digest(uri, _module_file(one), ignored)
    if now == one.model_digest:
        return Check(what, uri, "unchanged")
    if directory_digest(uri, ignored) == EMPTY:
        return Check(what, uri, "gone")
    return Check(what, uri, "changed", f"its digest is {now}, {one.model_digest} was explained")


def _pushed(explained: Explained | None, push: Push, place: str) -> Check:
    """What was pushed, which Pusher copies file by file, against the model that was explained."""
    what = "pushed model"
    if not storage.is_local(place) and not storage.is_known(place):
        return Check(what, place, "not recorded", "a model that is served there is no directory of files")
    now = directory_digest(place)
    if now == EMPTY:
        return Check(what, place, "gone")
    if explained is None or explained.model_digest is None:
        return Check(what, place, "not recorded", "nothing is known of a model that was explained")
    if push.may_be_packed or _module_file(explained) is not None:
        return Check(what, place, "not recorded", "its files need not be those that were explained")
    if now == explained.model_digest:
        return Check(what, place, "unchanged")
    return Check(what, place, "changed", f"its digest is {now}, {explained.model_digest} was explained")


def _model_digest(uri: str, module_file: str | None, ignored: tuple[str, ...]) -> str:
    if module_file is None:
        return directory_digest(uri, ignored)
    # A module file counts with what it imports from beside it; who knows that brings TensorFlow along.
    from tfx_explain.models.identity import model_identity  # noqa: PLC0415

    return model_identity(uri, module_file, ignored)


def _module_file(one: Explained) -> str | None:
    config = json_object((one.config or "").encode())
    if config is None:
        manifest, _ = _manifest(one)
        config = (manifest or {}).get("config")
    model = config.get("model") if isinstance(config, dict) else None
    return model.get("module_file") if isinstance(model, dict) else None


def _findings(one: Verdict) -> Check:
    """The file against its digest and against what the store says of it."""
    what = "findings"
    there = storage.names(one.uri)
    if not there:
        return Check(what, one.uri, "gone", one.deleted)
    if tables.FINDINGS not in there:
        return Check(what, one.uri, "changed", f"{tables.FINDINGS} is gone")
    content = storage.read_bytes(storage.join(one.uri, tables.FINDINGS))
    if one.findings_digest is not None and hashlib.sha256(content).hexdigest() != one.findings_digest:
        return Check(what, one.uri, "changed", f"{tables.FINDINGS} is not the one that was recorded")
    findings = json_object(content)
    differing = against_findings(one, findings) or _history(one, findings or {}, there)
    if not differing and not _says(there, blessed=bool(one.blessed)):
        differing = _MARKERS
    if differing:
        return Check(what, one.uri, "changed", differing)
    return Check(what, one.uri, "unchanged" if one.findings_digest else "not recorded")


def _history(one: Verdict, findings: dict[str, Any], there: Collection[str]) -> str:
    """What is wrong with the table of earlier verdicts, whose digest the findings have; empty where nothing is."""
    name, digest = tables.HISTORY.file, findings.get("history_digest")
    if digest is None:
        return ""
    if name not in there:
        return f"{name} is gone"
    content = storage.read_bytes(storage.join(one.uri, name))
    return "" if hashlib.sha256(content).hexdigest() == digest else f"{name} was changed"


_MARKERS = f"the files {_BLESSED} and {_NOT_BLESSED} are not as the store has the verdict"


def _says(there: Collection[str], *, blessed: bool) -> bool:
    """Whether the empty file that names a verdict is there, and not the other one."""
    return (_BLESSED in there, _NOT_BLESSED in there) == (blessed, not blessed)


def _blessing(one: Verdict, uri: str) -> Check:
    there = storage.names(uri)
    if not there:
        return Check("blessing", uri, "gone")
    if one.model_blessed is None:
        return Check("blessing", uri, "not recorded")
    same = _says(there, blessed=one.model_blessed)
    return Check("blessing", uri, "unchanged" if same else "changed", "" if same else _MARKERS)


def _policy(one: Verdict) -> Check:
    """The text that the step was given, as the store has it, against its digest."""
    if one.policy is None or one.policy_digest is None:
        return Check("policy", one.uri, "not recorded")
    same = hashlib.sha256(one.policy.encode()).hexdigest() == one.policy_digest
    return Check("policy", one.uri, "unchanged" if same else "changed", "" if same else "the store holds another text")


def _verdict(one: Verdict, explanation: Explained | None) -> Check:
    """What the store says in several places: which explanation was judged, and whether the model may be blessed."""
    if one.model_blessed and not one.blessed:
        return Check("verdict", one.uri, "changed", "the store says that the model is blessed, and that it was refused")
    known = None if explanation is None else explanation.manifest_digest
    if one.explanation_digest is None or known is None:
        return Check("verdict", one.uri, "not recorded")
    if one.explanation_digest != known:
        return Check("verdict", one.uri, "changed", "the store has other digests of the explanation than its verdict")
    return Check("verdict", one.uri, "unchanged")
