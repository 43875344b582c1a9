"""What a card is made of, before it is Markdown or JSON: sections of paragraphs, points and tables of figures."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence

import pandas as pd


@dataclasses.dataclass(frozen=True)
class Name:
    """A name or value of the data or the configuration, shown as it is: no word of the card's own."""

    text: str


Cell = Name | str | float | int | None
"""A name, a sentence of the card's own, a figure, or nothing."""


@dataclasses.dataclass(frozen=True)
class Column:
    """One column of a table.

    Attributes:
      heading: for people.
      source: the column of the file; empty where `Table.note` says how the figure is made.
    """

    heading: str
    source: str


@dataclasses.dataclass(frozen=True)
class Table:
    """Figures of one file.

    Attributes:
      file: where they are found again.
      where: column -> value, which all rows of the table share there.
      columns: those of the table.
      rows: a cell for each column.
      note: what else a reader needs to know.
    """

    file: str
    where: Mapping[str, str]
    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]
    note: str = ""


@dataclasses.dataclass(frozen=True)
class Fact:
    """One entry of a JSON file.

    Attributes:
      label: what it is, for people.
      value: the entry.
      pointer: where it is in the file, as a JSON Pointer (RFC 6901).
    """

    label: str | Name
    value: Cell
    pointer: str


@dataclasses.dataclass(frozen=True)
class Facts:
    """Entries of one JSON file."""

    file: str
    facts: Sequence[Fact]


@dataclasses.dataclass(frozen=True)
class Points:
    """Sentences, each for itself."""

    sentences: Sequence[str]


@dataclasses.dataclass(frozen=True)
class Told:
    """What the owner says, which nothing here has checked: (what, text)."""

    entries: Sequence[tuple[str, str]]


Block = str | Table | Facts | Points | Told
"""A paragraph is its text."""


@dataclasses.dataclass(frozen=True)
class Section:
    """A part of the card.

    Attributes:
      title: its heading.
      serves: paragraphs of Annex IV of the AI Act that ask for it.
      blocks: what it says.
    """

    title: str
    serves: Sequence[str]
    blocks: Sequence[Block]


@dataclasses.dataclass(frozen=True)
class Card:
    """A whole card.

    Attributes:
      name: of the model: the owner's, else where it lies.
      is_named: whether the owner gave that name.
      sections: in the order of reading.
    """

    name: str
    is_named: bool
    sections: Sequence[Section]

    def tables(self, file: str) -> list[Table]:
        """The tables with figures of a file."""
        blocks = (block for section in self.sections for block in section.blocks)
        return [block for block in blocks if isinstance(block, Table) and block.file == file]


def pointer(*path: str | int) -> str:
    """A JSON Pointer.

    Example:
      >>> pointer("counts", "a/b", "explained")
      '/counts/a~1b/explained'
    """
    return "".join(f"/{str(part).replace('~', '~0').replace('/', '~1')}" for part in path)


def table_of(
    file: str, rows: pd.DataFrame, columns: Iterable[Column], where: Mapping[str, str], note: str = ""
) -> Table:
    """A table of a file's rows as they are; of columns that an earlier version did not write, none."""
    there = [column for column in columns if column.source in rows]
    cells = [[cell(value) for value in row] for row in rows[[c.source for c in there]].itertuples(index=False)]
    return Table(file, where, there, cells, note)


def cell(value: object) -> Cell:
    """A value of a table or of JSON as a cell."""
    if value is None or isinstance(value, bool):
        return {None: None, True: "yes", False: "no"}[value]
    if isinstance(value, str):
        return Name(value)
    if hasattr(value, "item"):
        value = value.item()
    return value if isinstance(value, int | float) else Name(str(value))
