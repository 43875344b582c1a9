"""What a page keeps from people who use a keyboard or a screen reader, as far as its HTML tells."""

from __future__ import annotations

import html.parser
import re
from collections.abc import Mapping, Sequence

_NAMED_WITHOUT_ROLE = {"svg", "table", "section", "nav", "main"}
_HEADING = re.compile(r"h([1-6])")
_SCROLLS = re.compile(r"([^{}]+)\{[^{}]*overflow(?:-[xy])?\s*:\s*(?:auto|scroll)[^{}]*\}")


def faults(page: str) -> list[str]:
    """What is wrong, one sentence each: areas that scroll need a tab stop and a name, pictures and tables a name."""
    parser = _Parser(page)
    if not parser.seen:
        return ["there is nothing on the page"]
    return parser.faults


class _Parser(html.parser.HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.faults: list[str] = []
        self.seen = 0
        self._level = 0
        style = " ".join(re.findall(r"<style>(.*?)</style>", page, re.DOTALL))
        selectors = [one.split()[-1] for rule in _SCROLLS.findall(style) for one in rule.split(",")]
        self._scrolling: Sequence[str] = list(dict.fromkeys(selectors))
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        self.seen += 1
        self.faults += [f"<{tag} class={attributes.get('class')!r}> {fault}" for fault in self._of(tag, attributes)]

    def _of(self, tag: str, attributes: Mapping[str, str]) -> list[str]:
        found = []
        names = {tag, *(f".{name}" for name in attributes.get("class", "").split())}
        has_name = bool(attributes.get("aria-label", "").strip())
        role = attributes.get("role", "")
        if names & set(self._scrolling) and not (attributes.get("tabindex") == "0" and role and has_name):
            found.append("scrolls, but has no tab stop, role and name")
        if tag == "svg" and not (role == "img" and has_name):
            found.append("is a picture without the role of one or a name")
        if tag == "img" and not attributes.get("alt", "").strip():
            found.append("is a picture without a text in its place")
        if tag == "table" and not has_name:
            found.append("has no name")
        if has_name and not role and tag not in _NAMED_WITHOUT_ROLE:
            found.append("has a name, but no role that may have one")
        heading = _HEADING.fullmatch(tag)
        if heading:
            level = int(heading[1])
            if level > self._level + 1:
                found.append(f"comes after a heading of level {self._level}")
            self._level = level
        return found
