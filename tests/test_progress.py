"""How far a job is, from all of its processes."""

import json
import os
from pathlib import Path

import pytest

from tfx_explain import progress
from tfx_explain.progress import Done, Progress, gathered


class Clock:
    """Gives the seconds that it is set to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_line_has_rows_and_rates_and_the_time_that_is_left() -> None:
    assert Done(250, 1_000, 5_000).line(10.0) == (
        "explained 250 of 1,000 rows, 25 rows/s, 500 model rows/s, about 30 s left"
    )
    assert Done(1_000, 1_000, 20_000).line(10.0) == "explained 1,000 of 1,000 rows, 100 rows/s, 2,000 model rows/s"
    assert Done(250, 0, 5_000).line(10.0) == "explained 250 rows, 25 rows/s, 500 model rows/s"
    assert Done(0, 1_000).line(10.0) == "explained 0 of 1,000 rows"


def test_a_process_has_a_line_for_the_log_once_a_minute() -> None:
    clock = Clock()
    counted = Progress(clock)
    counted.choose(1_000)
    clock.now += 500.0
    counted.begin()
    lines = []
    for _ in range(10):
        clock.now += 20.0
        lines.append(counted.explain(10, 100))
    assert [line is not None for line in lines] == [False, False, True] * 3 + [False]
    # Other processes may explain rows that this one has chosen.
    assert lines[2] == "explained 30 rows, 0 rows/s, 5 model rows/s"
    assert counted.done == Done(100, 1_000, 1_000)


def test_what_other_processes_write_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "PROGRESS", Progress())
    progress.PROGRESS.explain(5, 50)
    with gathered() as done:
        assert done() == Done()
        progress.PROGRESS.explain(1, 10)
        directory = Path(os.environ["TFX_EXPLAIN_PROGRESS"])
        (directory / "another").write_text(json.dumps([20, 100, 300]))
        (directory / "half").write_text("[1, ")
        assert done() == Done(21, 100, 310)
    assert "TFX_EXPLAIN_PROGRESS" not in os.environ
    assert not directory.exists()


def test_a_worker_writes_how_far_it_is_now_and_then(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TFX_EXPLAIN_PROGRESS", str(tmp_path))
    clock = Clock()
    worker = Progress(clock)
    worker.explain(5, 50)
    assert not list(tmp_path.iterdir())
    clock.now += 2.0
    worker.explain(5, 50)
    worker.explain(5, 50)
    (file,) = tmp_path.iterdir()
    assert json.loads(file.read_text()) == [10, 0, 100]
    monkeypatch.setenv("TFX_EXPLAIN_PROGRESS", str(tmp_path / "gone"))
    clock.now += 2.0
    worker.explain(5, 50)
