"""Writes `docs/format.md` from the descriptions in `tfx_explain.tables`.

make format-page
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from markdown_parts import as_table, code, link
from tfx_explain import records, tables
from tfx_explain.tables import Column, Table
from tfx_explain.tables.manifest import ENTRIES

PAGE = Path(__file__).parents[1] / "docs/format.md"
DESCRIBED = (*tables.TABLES[:-1], tables.ATTRIBUTION_RECORDS, tables.REPORT_EXAMPLES)
INTRODUCTION = f"""# The format of an explanation

Made by `make format-page` from `components/tfx_explain/tables/`, to which tests hold what is written. This is format
{records.FORMAT_VERSION}, of 2026-11-25; the manifest's `format_version` says which an explanation has.

An explanation is a directory of Parquet tables, JSON and TFRecords, which other tools read without this package:

```sql
select player, value, ci_low, ci_high, share
from 'explanation/importance.parquet'
where slice = 'overall' and method = 'shapley'
order by output, rank
```

## What readers may rely on

- The format number rises when a file, a column or an entry of the manifest goes, or changes its meaning, unit or type.
- New files, columns, entries, methods and metrics may come at any time, without a new number. Read columns by name,
  pass over what you do not know, and choose the `method` you mean: figures of several methods share a table.
- A column "since" a day was added then; tables that are older lack it.
- The columns of a table's key together tell its rows apart. The order of rows is for people; no figure rests on it.
- Slices overlap, and `overall` is one of them: choose a `slice` before you sum anything.
- An empty cell is NULL in SQL, and NaN or None in pandas. A column that says nothing of empty cells has none. One
  that is "only where" another has some value is empty in all other rows, and may be absent where there are none such.
- A method gives attributions where its `metric` is `mean_abs_attribution`, as that of `shapley` is.
- Errors and intervals are not known below two effective examples, and where the noise of an attribution is not known.
  An interval is about the examples: it holds what all examples of the kind would give, 95 % of the time, with the same
  background.
- A figure in units of "output" is in the manifest's `model.output_space`: `logit` (log-odds), `probability`, or `raw`.
- The manifest has the SHA-256 of the other files. What was changed since is refused when it is read; files of other
  names beside them are left alone.
- Format {", ".join(map(str, records.OLDER_FORMATS))} has no digests: this package reads it, but judges nothing by it.

Types are text (VARCHAR), number (DOUBLE), whole number (BIGINT), true or false (BOOLEAN), numbers (FLOAT[]), whole
numbers (BIGINT[]) and bytes (BLOB[]). A player is a feature, or a group of features that is explained as one.
"""


def page() -> str:
    """The whole page."""
    parts = [INTRODUCTION, f"## Files\n\n{as_table(('file', 'holds', 'there'), _files())}"]
    parts += [_described(table, DESCRIBED[:place]) for place, table in enumerate(DESCRIBED)]
    parts.append(_described(tables.HISTORY, ()))
    entries = ((code(entry.name), entry.about, entry.when or _since(entry.since)) for entry in ENTRIES)
    parts.append(f"## Entries of `manifest.json`\n\n{as_table(('entry', 'says', 'there'), entries)}")
    return "\n".join(parts)


def _files() -> Iterator[tuple[str, str, str]]:
    """All files, with links to the tables."""
    for table in DESCRIBED:
        yield link(table.file, code(table.file)), table.about, table.when
    for file in tables.OTHER_FILES:
        yield code(file.name), file.about, file.when
    yield link(tables.HISTORY.file, code(tables.HISTORY.file)), tables.HISTORY.about, tables.HISTORY.when


def _described(table: Table, before: Sequence[Table]) -> str:
    """One table; columns that one before it has too are not said again."""
    same = next((other for other in before if other.columns == table.columns[: len(other.columns)]), None)
    columns = table.columns[len(same.columns) if same else 0 :]
    rows = [(code(column.name), column.kind.value, column.unit, _sentence(column)) for column in columns]
    if table.own and not same:
        rows.append(("any other", "lists", "", table.own))
    key = f"Key: {', '.join(map(code, table.key))}." if table.key else "No columns tell its rows apart."
    parts = [f"## {code(table.file)}", f"{table.about} It has a row for each {table.row}. {key}"]
    if same:
        parts.append(f"Columns are those of {code(same.file)}{', and:' if rows else '.'}")
    if rows:
        parts.append(as_table(("column", "type", "unit", "says"), rows).rstrip())
    return "\n\n".join(parts) + "\n"


def _sentence(column: Column) -> str:
    """What a column says, when it is empty, and when it is there."""
    remarks = [f"Empty {column.empty}."] if column.empty else []
    if column.of:
        name, values = column.of
        remarks.append(f"Only where {code(name)} is {' or '.join(map(code, values))}.")
    if column.of_baseline:
        remarks.append("Only if there was a baseline model.")
    if column.when:
        remarks.append(f"Only if {column.when}.")
    if column.since:
        remarks.append(f"Since {column.since}.")
    return " ".join([column.about, *remarks])


def _since(day: str) -> str:
    return f"since {day}" if day else "always"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
