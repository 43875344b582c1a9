"""How a table on disk, or an entry of a manifest, is described: in types that can be checked and in sentences to read.

`tables` and `entries` hold the descriptions, `docs/format.md` is made from them, and what is written and read is held
to them.
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Callable, Iterator, Mapping, Sequence

import pandas as pd
import pyarrow as pa

PLAYER = "<player>"
"""In the name of a column: there is one for each player."""

FEATURE = "<feature>"
"""The same for each feature whose parts are explained, which the manifest names by method."""


def method_prefix(method: str) -> str:
    """What columns of attribution records begin with that are of a further method."""
    return f"{method}_"


class Kind(enum.Enum):
    """What the cells of a column are, in the words of the format page."""

    TEXT = "text"
    NUMBER = "number"
    WHOLE = "whole number"
    FLAG = "true or false"
    NUMBERS = "numbers"
    WHOLES = "whole numbers"
    BYTES = "bytes"

    def is_read_as(self, values: pd.Series) -> bool:
        """Whether a column in memory holds such cells, gaps aside."""
        if self is Kind.TEXT:
            return pd.api.types.infer_dtype(values, skipna=True) in ("string", "empty")
        return bool(_PANDAS[self](values.dtype))


_ARROW: Mapping[Kind, pa.DataType] = {
    Kind.TEXT: pa.string(),
    Kind.NUMBER: pa.float64(),
    Kind.WHOLE: pa.int64(),
    Kind.FLAG: pa.bool_(),
}
_PANDAS: dict[Kind, Callable[[object], bool]] = {
    Kind.NUMBER: pd.api.types.is_numeric_dtype,
    Kind.WHOLE: pd.api.types.is_integer_dtype,
    Kind.FLAG: pd.api.types.is_bool_dtype,
}


@dataclasses.dataclass(frozen=True)
class Column:
    """One column of a table.

    Attributes:
      name: in the file; with `PLAYER` in it one column for each player.
      kind: of its cells.
      about: what a cell says, a sentence.
      unit: of the figure; empty where it has none.
      empty: when a cell is empty (NULL in SQL, NaN or None in pandas); empty itself where none ever is.
      of: (column, values): the rows that have the figure, those with such a value in that column. Cells of others are
        empty, and a table without such rows may lack the column. None: all rows.
      of_baseline: whether it is there only if there was a baseline model.
      of_attributions: whether it is there only if a method attributes.
      per_method: whether each further method that attributes has one too, with its name before it.
      when: what else it is there for only; empty: always.
      since: the day it was added, where tables were written before, which lack it.
    """

    name: str
    kind: Kind
    about: str
    unit: str = ""
    empty: str = ""
    of: tuple[str, tuple[str, ...]] | None = None
    of_baseline: bool = False
    of_attributions: bool = False
    per_method: bool = False
    when: str = ""
    since: str = ""

    def is_filled_in(self, table: pd.DataFrame) -> bool:
        """Whether a table has rows with the figure."""
        return self.of is None or self.of[0] not in table or bool(table[self.of[0]].isin(self.of[1]).any())

    def names(self, players: Sequence[str], methods: Sequence[str] = ("",)) -> tuple[str, ...]:
        """Its names: one for each player and method where it differs by them, of no method for the first one."""
        prefixes = ["", *map(method_prefix, methods[1:])] if methods and self.per_method else [""]
        if (self.of_attributions and not methods) or FEATURE in self.name:
            return ()
        named = [self.name.replace(PLAYER, player) for player in players] if PLAYER in self.name else [self.name]
        return tuple(prefix + name for prefix in prefixes for name in named)


@dataclasses.dataclass(frozen=True)
class Table:
    """One table of an explanation.

    Attributes:
      file: its name in the directory of the explanation.
      about: what it holds, in sentences.
      when: the explanations that have it.
      row: what it has a row for each of.
      key: the columns that together tell its rows apart; empty where none do.
      columns: those that it has, in any order.
      own: of tables of examples: what their other columns are.
    """

    file: str
    about: str
    when: str
    row: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    own: str = ""

    def __post_init__(self) -> None:
        names = [column.name for column in self.columns]
        if len(set(names)) < len(names) or not set(self.key) <= set(names):
            raise ValueError(f"the columns of {self.file} are there twice, or its key is not among them.")

    @property
    def name(self) -> str:
        """The file's name without its ending: what readers call the table."""
        return self.file.partition(".")[0]

    @property
    def types(self) -> dict[str, pa.DataType]:
        """Column of single values -> its type in the file, whatever is in it."""
        return {column.name: _ARROW[column.kind] for column in self.columns if column.kind in _ARROW}

    def names(
        self, players: Sequence[str] = (), *, baseline: bool = False, methods: Sequence[str] = ("",)
    ) -> tuple[str, ...]:
        """Names of the columns that an explanation has, examples' own aside.

        Args:
          players: of the explanation.
          baseline: whether there was a baseline model.
          methods: those that attribute.
        """
        kept = [column for column in self.columns if baseline or not column.of_baseline]
        return tuple(name for column in kept for name in column.names(players, methods))

    def joined(self, frames: Sequence[pd.DataFrame], *, baseline: bool = False) -> pd.DataFrame:
        """Rows one after the other, columns in their order, with their types even where there is no row.

        Args:
          frames: of any columns; those that are described and missing are empty.
          baseline: whether there was a baseline model.
        """
        kept = [column for column in self.columns if baseline or not column.of_baseline]
        made = pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()
        types = {Kind.TEXT: "object", Kind.NUMBER: "float64", Kind.WHOLE: "int64", Kind.FLAG: "bool"}
        named = made.reindex(columns=[column.name for column in kept])
        return named.astype({column.name: types[column.kind] for column in kept})

    def fault(self, table: pd.DataFrame) -> str:
        """What is wrong with the columns of a table that was read, in words; empty where nothing is.

        Further columns are none of it: later versions may add some.
        """
        return next(self._faults(table), "")

    def _faults(self, table: pd.DataFrame) -> Iterator[str]:
        for column in self.columns:
            if column.name not in table:
                if not (column.since or column.of_baseline) and column.is_filled_in(table):
                    yield f"it has no column `{column.name}`"
                continue
            values = table[column.name]
            if not column.kind.is_read_as(values) or (
                column.name in self.key and not column.empty and values.isna().any()
            ):
                what = {Kind.TEXT: "names", Kind.FLAG: "true and false"}.get(column.kind, f"{column.kind.value}s")
                yield f"its column `{column.name}` holds something else than {what}"
