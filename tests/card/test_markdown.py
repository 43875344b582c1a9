"""Names and sentences of strangers are text in every card, whatever Markdown would make of them."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.tree import SyntaxTreeNode

from tfx_explain.card import make_card, to_markdown
from tfx_explain.card.blocks import Card, Column, Fact, Facts, Name, Points, Section, Table
from tfx_explain.printable import printable

HOSTILE = [
    "<script>alert(1)</script>",
    "a | b",
    "a \\| b \\",
    "a\\|b",
    "a\\\\|b` | `c\\",
    "`a`` ` b`",
    "``",
    " a ",
    "[a](http://evil.example)",
    "![a](x)",
    "**a** __b__ _c_ ~~d~~",
    "# a",
    "1. a",
    "- a",
    "--- a",
    "&lt;b&gt; &amp;",
    "https://evil.example www.evil.example a@evil.example",
    "a\n\n# b\n",
    "$a$ :smile: @b {c} ^d^",
    "<!-- a",
    "",
]
PARSER = MarkdownIt("gfm-like", {"html": True}).disable("linkify")
"""With HTML, so that markup would be found; links without markup are looked for in the text."""


def leaves(markdown: str) -> list[SyntaxTreeNode]:
    return [node for node in SyntaxTreeNode(PARSER.parse(markdown)).walk() if not node.children]


def card_of(text: str) -> Card:
    table = Table(
        "t.parquet", {"slice": text}, [Column("Name", "name"), Column("Figure", "value")], [(Name(text), 1.5)]
    )
    facts = Facts("m.json", [Fact(text, Name(text), f"/{text}")])
    return Card(text, True, [Section("Section", ("1",), [table, facts, Points([text]), text])])


@given(st.text(max_size=40))
def test_text_stays_text(text: str) -> None:
    check(text)


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_stays_text(text: str) -> None:
    check(text)


def check(text: str) -> None:
    markdown = to_markdown(card_of(text))
    nodes = SyntaxTreeNode(PARSER.parse(markdown))
    kinds = {node.type for node in nodes.walk()}
    assert kinds <= {
        *(
            "root",
            "html_block",
            "heading",
            "paragraph",
            "inline",
            "text",
            "code_inline",
            "em",
            "table",
            "thead",
            "tbody",
        ),
        *("tr", "th", "td", "bullet_list", "list_item"),
    }
    assert [node.content.strip() for node in nodes.walk() if node.type == "html_block"] == [
        "<!-- model card by tfx-explain -->"
    ]
    assert [node.tag for node in nodes.walk() if node.type == "heading"] == ["h1", "h2"]
    assert [len(node.children) for node in nodes.walk() if node.type == "tr"] == [2, 2, 3, 3]
    of_cells = [
        "".join(leaf.content for leaf in node.walk() if not leaf.children) for node in nodes.walk() if node.type == "td"
    ]
    assert [of_cells[0].strip(), of_cells[3].strip()] == [printable(text).strip()] * 2
    codes = [node.content for node in nodes.walk() if node.type == "code_inline"]
    assert printable(text) in codes or not text
    # Where a backslash takes whatever comes behind it, as in the reader of GitHub.
    rows = [line for line in markdown.splitlines() if line.startswith("|")]
    assert [re.sub(r"\\.", "", row).count("|") for row in rows] == [3, 3, 3, 4, 4, 4]
    (point,) = [node for node in nodes.walk() if node.type == "list_item"]
    assert "".join(node.content for node in point.walk() if node.type == "text") == printable(text).strip()


def test_text_is_no_link_without_markup() -> None:
    """Programs that show Markdown make links of what looks like one; an escape in it stops them."""
    from tfx_explain.card.markdown import sentence

    assert sentence("https://a.example") == "https\\://a.example"
    assert sentence("see www.a.example, a@b.example") == "see www\\.a.example, a\\@b.example"


def test_hostile_slices_stay_text(today: Any) -> None:
    kinds = {node.type for node in leaves(to_markdown(make_card(today.explanation, today.validation)))}
    assert kinds <= {"html_block", "text", "code_inline", "inline"}
