"""Descriptions of tables: the page that is made from them, and that whatever departs from them is seen."""

import runpy
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import formats
import tfx_explain
from tfx_explain import tables
from tfx_explain.tables import IMPORTANCE, Column, Kind, Table
from tfx_explain.tables.manifest import ENTRIES

ROOT = Path(__file__).parents[2]
OLD = ROOT / "tests/fixtures/explanation_format_2/explanation"


def test_the_page_is_made_from_the_descriptions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "tools")
    made = runpy.run_path(str(ROOT / "tools/format_page.py"))["page"]()
    assert (ROOT / "docs/format.md").read_text(encoding="utf-8") == made, "run `make format-page`"


def test_descriptions_are_sentences_and_names_are_there_once() -> None:
    described = [*tables.TABLES, tables.ATTRIBUTION_RECORDS]
    assert len({table.file for table in described}) == len(described)
    assert len({entry.name for entry in ENTRIES}) == len(ENTRIES)
    for about in [column.about for table in described for column in table.columns] + [entry.about for entry in ENTRIES]:
        assert about.endswith("."), about
    with pytest.raises(ValueError, match="there twice"):
        Table("x", "", "", "", (), (Column("a", Kind.TEXT, ""), Column("a", Kind.TEXT, "")))
    with pytest.raises(ValueError, match="its key is not among them"):
        Table("x", "", "", "", ("b",), (Column("a", Kind.TEXT, ""),))


def test_an_explanation_from_before_is_as_described() -> None:
    formats.check_files(tfx_explain.load(str(OLD)), old=True)


def replaced(written: pa.Table, name: str, change: Callable[[pd.Series], object]) -> pa.Table:
    return pa.Table.from_pandas(written.to_pandas().assign(**{name: lambda frame: change(frame[name])}))


DEPARTURES: dict[str, tuple[Callable[[pa.Table], pa.Table], str]] = {
    "a column too few": (lambda t: t.drop(["rms"]), "rms"),
    "a column too many": (lambda t: t.append_column("more", t["rms"]), "more"),
    "another type": (lambda t: replaced(t, "rank", lambda column: column.astype(float)), "rank is double"),
    "numbers as text": (lambda t: replaced(t, "value", lambda column: column.astype(str)), "value is string"),
    "a gap": (lambda t: replaced(t, "value", lambda column: column.where(column.index > 0)), "empty cells"),
    "a row twice": (lambda t: pa.concat_tables([t, t.slice(0, 1)]), "key is there twice"),
    "a figure of other rows": (lambda t: replaced(t, "metric", lambda column: "mse"), "other rows"),
}


@pytest.mark.parametrize("departure", DEPARTURES)
def test_what_departs_from_its_description_is_seen(departure: str) -> None:
    change, message = DEPARTURES[departure]
    written = pq.read_table(OLD / IMPORTANCE.file)
    formats.check_table(IMPORTANCE, written, old=True)
    with pytest.raises(AssertionError, match=message):
        formats.check_table(IMPORTANCE, change(written).replace_schema_metadata(), old=True)


def test_shares_are_of_a_total_that_is_not_cut_off() -> None:
    rows = pd.DataFrame({"value": [4.0, 2.0, 2.0, 0.0], "share": [0.5, 0.25, 0.25, 0.0]})
    assert tables.shares_of_total(rows).tolist() == rows["share"].tolist()
    cut = rows.assign(cut_off=[0.0, 0.0, 0.0, -3.0])
    assert tables.shares_of_total(cut).tolist() == pytest.approx([0.8, 0.4, 0.4, 0.0])
    # A method that knows nothing of it leaves the column empty.
    assert tables.shares_of_total(rows.assign(cut_off=float("nan"))).tolist() == rows["share"].tolist()
    of_noise = tables.shares_of_total(rows.assign(cut_off=[0.0, 0.0, 0.0, -9.0]))
    assert pd.isna(of_noise).tolist() == [True, True, True, False]


def test_manifests_are_held_to_their_entries() -> None:
    manifest = tfx_explain.load(str(OLD)).manifest
    formats.check_manifest(manifest)
    counts = {"eval": {**manifest["counts"]["eval"], "guessed": 1}}
    for changed in ({"more": 1}, {"counts": counts}, {"slices": {**manifest["slices"], "odd": []}}):
        with pytest.raises(AssertionError, match="not described"):
            formats.check_manifest(manifest | changed)
    with pytest.raises(AssertionError, match="seed is"):
        formats.check_manifest(manifest | {"seed": "0"})
    with pytest.raises(KeyError):
        formats.check_manifest({key: value for key, value in manifest.items() if key != "seed"})


def test_readers_pass_over_what_is_new_and_name_what_is_not_there() -> None:
    frame = pq.read_table(OLD / IMPORTANCE.file).to_pandas()
    assert IMPORTANCE.fault(frame.assign(more=1)) == ""
    assert IMPORTANCE.fault(frame.drop(columns="skewness")) == ""  # tables were written before it was added
    assert IMPORTANCE.fault(frame.drop(columns="rms")) == "it has no column `rms`"
    assert "`value` holds something else than numbers" in IMPORTANCE.fault(frame.assign(value="1"))
    assert "`player` holds something else than names" in IMPORTANCE.fault(frame.assign(player=1))
    assert "`player` holds something else than names" in IMPORTANCE.fault(frame.assign(player=None))
