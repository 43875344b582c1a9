r"""A card as Markdown (CommonMark with tables), in which names of the data stay text.

Names stand in code, where nothing but the end of the code means anything; sentences have the characters escaped that
Markdown, or a place that shows it, would act upon.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from tfx_explain.card.blocks import Block, Card, Cell, Facts, Name, Points, Section, Table, Told
from tfx_explain.printable import MAX_SENTENCE, printable, shortened
from tfx_explain.report.text import count, number

MARK = "<!-- model card by tfx-explain -->"
"""The first line of every card."""
ACT = "Annex IV of Regulation (EU) 2024/1689"
_MAX_NAME = 300
_ACTIVE = re.compile(r"[\\`*\[\]<>&|~$@^{}]|(?<![^\W_])_|_(?![^\W_])|:(?=\S)|(?<=www)\.", re.IGNORECASE)
"""Underscores inside words mean nothing; before a colon that is followed by text there may be the scheme of a link."""
_STARTS = re.compile(r"^(\d+)([.)])|^([-+=#])")
_BACKTICKS = re.compile("`+")
_INTRODUCTION = (
    f"Sections name the paragraphs of {ACT} that they serve, not fulfil. Figures in tables are found again in the file "
    "that is named beneath; of a table the words in brackets are its columns, of entries the last column is a JSON "
    "Pointer (RFC 6901). Files are those of the explanation; `findings.json` is that of the verdict."
)


def to_markdown(card: Card) -> str:
    """The card as text, its lines ended by newlines."""
    title = sentence(card.name) if card.is_named else code(card.name)
    parts = [MARK, f"# Model card: {title}", _INTRODUCTION]
    for section in card.sections:
        parts += [f"## {section.title}", _serves(section), *map(_block, section.blocks)]
    return "\n\n".join(parts) + "\n"


def _serves(section: Section) -> str:
    paragraphs = ", ".join(section.serves)
    return f"*Serves {'paragraph' if len(section.serves) == 1 else 'paragraphs'} {paragraphs}.*"


def _block(block: Block) -> str:
    if isinstance(block, Table):
        return _table(block)
    if isinstance(block, Facts):
        return _facts(block)
    if isinstance(block, Points):
        return "\n".join(f"- {sentence(one)}" for one in block.sentences)
    if isinstance(block, Told):
        return "\n".join(f"- {sentence(what)}: {sentence(text, len(text))}" for what, text in block.entries)
    return sentence(block)


def _table(table: Table) -> str:
    headings = [f"{column.heading} ({code(column.source)})" for column in table.columns]
    # A column stands to the right where it has figures.
    is_figure = [any(_is_figure(row[i]) for row in table.rows) for i in range(len(headings))]
    where = " and ".join(f"{code(column)} is {code(value)}" for column, value in table.where.items())
    note = f" {sentence(table.note)}" if table.note else ""
    source = f"Source: {code(table.file)}{f', rows where {where}' if where else ''}.{note}"
    return "\n".join([*_lines(headings, is_figure, table.rows), "", source])


def _facts(facts: Facts) -> str:
    headings = ["What", "Entry", f"Where in {code(facts.file)}"]
    rows = [(fact.label, fact.value, Name(fact.pointer)) for fact in facts.facts]
    return "\n".join(_lines(headings, [False, False, False], rows))


def _lines(headings: Sequence[str], is_figure: Sequence[bool], rows: Sequence[Sequence[Cell]]) -> list[str]:
    marks = ["---:" if right else "---" for right in is_figure]
    cells = [[_cell(value) for value in row] for row in rows]
    return [f"| {' | '.join(row)} |" for row in (headings, marks, *cells)]


def _is_figure(value: Cell) -> bool:
    return isinstance(value, int | float)


def _cell(value: Cell) -> str:
    if value is None:
        return ""
    if isinstance(value, Name):
        return _name_in_cell(value.text)
    if isinstance(value, str):
        return _without_pipes(sentence(value))
    return count(value) if isinstance(value, int) else number(value)


def _name_in_cell(name: str) -> str:
    """A name as code, or as text where it has what would end the cell: code has no way to write that everywhere."""
    if "|" in name:
        return _without_pipes(sentence(name, _MAX_NAME))
    return code(name) if name else ""


def _without_pipes(text: str) -> str:
    """Readers differ in whether the second backslash of two escapes what comes behind, so pipes have none."""
    return text.replace("\\|", "&#124;")


def code(name: str) -> str:
    """A name of the data as code, in which no character means anything."""
    text = shortened(printable(name), _MAX_NAME)
    if not text:
        return "(empty)"
    longest = max(map(len, _BACKTICKS.findall(text)), default=0)
    fence = "`" * (longest + 1)
    # One space at both ends is taken off again where there are others beside it.
    pad = " " if text.startswith(("`", " ")) or text.endswith(("`", " ")) else ""
    return f"{fence}{pad}{text}{pad}{fence}"


def sentence(text: str, limit: int = MAX_SENTENCE) -> str:
    """Text of people, which may hold names, with what Markdown would act upon escaped."""
    kept = printable(shortened(text, limit))
    escaped = _ACTIVE.sub(lambda found: f"\\{found.group()}", kept)
    return _STARTS.sub(lambda found: f"{found[1]}\\{found[2]}" if found[1] else f"\\{found[3]}", escaped)
