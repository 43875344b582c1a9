"""What is wrong with a page is seen, and nothing else."""

from __future__ import annotations

import pytest

import accessibility

STYLE = "<style>.a .scroll, .a pre { overflow-x: auto; } .other { overflow: hidden; }</style>"
STOP = 'tabindex="0" role="group" aria-label="x"'


@pytest.mark.parametrize(
    ("page", "fault"),
    [
        ('<div class="wide scroll">', "scrolls"),
        (f'<div class="scroll" {STOP}>', ""),
        ('<div class="scroll" tabindex="0" role="group" aria-label=" ">', "scrolls"),
        ("<pre>", "scrolls"),
        ('<div class="other">', ""),
        ('<svg aria-label="x">', "is a picture"),
        ('<svg role="img" aria-label="x">', ""),
        ('<img src="x" alt="">', "is a picture"),
        ('<img src="x" alt="x">', ""),
        ("<table>", "has no name"),
        ('<p aria-label="x">', "has a name"),
        ("<h1></h1><h3>", "comes after a heading of level 1"),
        ("<h1></h1><h2></h2><h3></h3><h2>", ""),
    ],
)
def test_faults_are_seen(page: str, fault: str) -> None:
    found = accessibility.faults(STYLE + page)
    assert len(found) == bool(fault)
    assert all(fault in one for one in found)
