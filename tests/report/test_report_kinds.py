"""Reports of all kinds of models, as far as their HTML tells; `make report-check` opens them in a browser."""

from __future__ import annotations

import pytest

import accessibility
import pages
import report_kinds


@pytest.mark.parametrize("kind", report_kinds.KINDS)
def test_reports_of_all_kinds_are_small_readable_and_harmless(kind: str) -> None:
    source = report_kinds.KINDS[kind]()
    page = pages.Page(source)
    assert len(source.encode()) <= report_kinds.MAX_BYTES
    assert accessibility.faults(source) == []
    assert (
        len(page.scripts)
        == page.tags.count("script")
        == source.count("<script")
        == 1 + (kind not in ("verdict", "trend"))
    )
    assert ("img" in page.tags) == (kind == "images")
