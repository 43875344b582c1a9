"""Whether the pages that people read are those that were written.

No verdict rests on a page, so none is refused for one; but who changes a page deceives whoever reads it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tfx_explain import storage, tables
from tfx_explain.audit.check import Check, json_object, told
from tfx_explain.listed_files import differences
from tfx_explain.tables.manifest import REPORT_DIGEST


def check_report(explanation_uri: str) -> Check:
    """The report of an explanation against its manifest, whose own digest is another check's."""
    manifest = _read(explanation_uri, tables.MANIFEST)
    digest = manifest.get(REPORT_DIGEST)
    check = _check("report", explanation_uri, {} if digest is None else {tables.REPORT: digest})
    return check._replace(why=f"{check.why}; `tfx-explain report` writes it again") if check.why else check


def check_verdict_pages(validation_uri: str) -> Check:
    """The pages of a verdict against its findings, likewise."""
    digests = _read(validation_uri, tables.FINDINGS).get(tables.PAGE_DIGESTS)
    return _check("pages", validation_uri, digests if isinstance(digests, dict) else {})


def _read(directory: str, name: str) -> Mapping[str, Any]:
    """The JSON object in a file; empty where there is none."""
    uri = storage.join(directory, name)
    return (json_object(storage.read_bytes(uri)) or {}) if storage.exists(uri) else {}


def _check(what: str, directory: str, digests: Mapping[str, str]) -> Check:
    there = storage.names(directory)
    if not there:
        return Check(what, directory, "gone")
    if not digests:
        return Check(what, directory, "not recorded")
    differing = next(differences(directory, digests, [name for name in digests if name in there]), None)
    return (
        Check(what, directory, "unchanged") if differing is None else Check(what, directory, "changed", told(differing))
    )
