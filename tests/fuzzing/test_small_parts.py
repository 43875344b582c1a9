"""A small part of `make fuzz`, and that the harness sees what it is there to see."""

from __future__ import annotations

import json
import shutil
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from fuzzing import configurations, explanations, files, kills, mutation, names, records, spoiling
from fuzzing.case import fault_of, fault_of_sentence, generator
from fuzzing.running import run_case
from striking.sitecustomize import PLACES
from tfx_explain.config import ExplainConfig
from tfx_explain.errors import ConfigError
from tfx_explain.explanation_validator.judge import Verdict

SEED = 20_241


def fallen(case: Any, indices: Any) -> list[str]:
    """What falls in these cases, each with its index."""
    return [f"{index}: {text}" for index in indices for text in run_case(case, index).violations]


@pytest.fixture(scope="module")
def damaged(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return explanations.prepare(SEED, tmp_path_factory.mktemp("explanations"))


def test_configurations_become_a_configuration_or_a_sentence(tmp_path: Path) -> None:
    assert not fallen(configurations.prepare(SEED, tmp_path), range(150))


def test_damaged_explanations_are_never_blessed(damaged: Any) -> None:
    assert not fallen(damaged, range(60))


def test_hostile_records_are_explained_or_set_aside_once(tmp_path: Path) -> None:
    assert not fallen(records.prepare(SEED, tmp_path, n_spoilt=60), range(1))


def test_hostile_names_work_or_are_refused_in_a_sentence(tmp_path: Path) -> None:
    alone = names.HOSTILE.index(("\x1b[31mred\x1b[0m",))
    assert not fallen(names.prepare(SEED, tmp_path), [0, alone])


@pytest.mark.parametrize(
    "what", ["a gzip cut off, beside a good shard", "a model that exits", "an output that is full"]
)
def test_broken_files_lose_no_rows(tmp_path: Path, what: str) -> None:
    assert not fallen(files.prepare(SEED, tmp_path), [list(files.ALL).index(what)])


def test_a_killed_worker_leaves_one_sentence_and_nothing_else(tmp_path: Path) -> None:
    blows = [kills.blow_of(SEED, index) for index in range(len(PLACES))]
    (chosen,) = (i for i, blow in enumerate(blows) if (blow.place, blow.signal) == ("writing", signal.SIGKILL))
    assert not fallen(kills.prepare(SEED, tmp_path), [chosen])


def test_a_case_depends_on_its_index_alone(tmp_path: Path) -> None:
    first, second = (configurations.prepare(3, tmp_path) for _ in range(2))
    assert [first(i).files for i in (7, 8, 9)] == [second(i).files for i in (7, 8, 9)]
    assert first(7).files != configurations.prepare(4, tmp_path)(7).files


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("two\nlines.", "control characters"),
        ("red \x1b[31m.", "control characters"),
        ("turned \u202e.", "control characters"),
        ("x" * 5_000, "characters"),
        (" ", "says nothing"),
    ],
)
def test_an_answer_that_is_no_sentence_falls(text: str, word: str) -> None:
    assert word in fault_of_sentence(text)
    assert not fault_of(ConfigError("`seed` in ExplainConfig: input should be an integer, got 'a'."))
    assert all("none of ours" in fault_of(error) for error in (KeyError("age"), SystemExit(3)))


def test_an_exception_that_is_not_ours_falls() -> None:
    def build() -> Any:
        raise KeyError("seed")

    result = configurations.check(build, ExplainConfig, "")
    assert result.counts["exceptions not ours"] == 1
    assert "KeyError" in result.violations[0]


def test_a_configuration_that_changes_on_the_way_falls() -> None:
    class Forgetful(ExplainConfig):
        def to_json(self) -> str:
            return ExplainConfig().to_json()

    assert configurations.round_trip(Forgetful(seed=3), Forgetful)
    assert not configurations.round_trip(ExplainConfig(seed=3), ExplainConfig)


def test_a_verdict_that_blesses_anything_falls(damaged: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is damaged, this judge blesses it: every case in the verdict's reach must be seen."""
    blind = Verdict(blessed=True, findings=(), explanation_uri="")
    monkeypatch.setattr(explanations, "judge", lambda *_: blind)
    monkeypatch.setattr(explanations, "load", lambda uri: uri)
    assert sum(damaged(index).counts["blessed though damaged"] for index in range(1, 31, 3)) == 10


def test_rows_that_get_lost_fall() -> None:
    class Written:
        manifest = {"counts": {"eval": {"read": 3, "explained": 1}}, "failures": {"eval": {"odd": 1}}}

        def attribution_batches(self) -> Any:
            return iter([type("Batch", (), {"num_rows": 1})])

        def dead_letters(self) -> Any:
            return pd.DataFrame({"record": [b"other"], "reason": ["odd"], "split": ["eval"]})

    result = records.Result()
    records._account(Written(), [b"a", b"b", b"c"], result, "kind")  # type: ignore[arg-type]
    assert result.counts["rows lost"] == 1
    assert result.counts["dead letters not as read"] == 1
    assert len(result.violations) == 2


def test_every_kind_of_spoiling_is_drawn() -> None:
    rows = records.models.rows(600, 1)
    made, told = spoiling.spoil_all(rows, generator(1, "records", 0))
    assert len(made) == len(rows)
    assert len(set(told)) >= 25
    assert sum(record == spoiling.worlds.to_example(row) for record, row in zip(made, rows, strict=True)) < 100


def test_mutations_leave_their_source_alone() -> None:
    data = {"rules": [{"max_share": {"players": ["a"], "value": 0.5}}]}
    before = json.dumps(data)
    mutated = [mutation.mutate(data, np.random.default_rng(seed)) for seed in range(50)]
    assert json.dumps(data) == before
    assert sum(repr(other) != repr(data) for other in mutated) > 40


def test_touched_files_of_the_user_fall(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "thesis").write_text("work")
    before = files._state(tmp_path)
    (tmp_path / "kept" / "thesis").write_text("gone")
    assert files._state(tmp_path) != before
    shutil.rmtree(tmp_path / "kept")
    assert set(files._state(tmp_path)) < set(before)
