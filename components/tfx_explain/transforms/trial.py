"""Trials: the job itself on few of the rows, from which it is known what all of them will take."""

from __future__ import annotations

import dataclasses
import resource
import time
from collections.abc import Callable, Mapping

from tfx_explain import storage, tables
from tfx_explain.job.request import ExplainRequest
from tfx_explain.methods.registry import methods_of
from tfx_explain.tables.manifest import Manifest
from tfx_explain.tfrecords import read_records
from tfx_explain.transforms.write import N_REPORT_EXAMPLES
from tfx_explain.unfinished import unfinished

Run = Callable[[ExplainRequest], Manifest]
"""Runs a job, and gives its manifest."""

N_FEW = 8
"""Rows of a split in the first trial."""

_SECONDS_APART = 1.0
"""Shorter differences between trials are noise."""
_LEAST_GROWTH, _MOST_GROWTH = 4, 64
"""How many times as many rows the next trial may have."""
_HELD_FOR_BYTE = 1.0
"""Bytes that the local runner holds at a time for each byte of attribution records, before they are zipped;
`benchmarks/estimates.py` compares the forecast with what a job takes."""


@dataclasses.dataclass(frozen=True)
class Trial:
    """What a job on few rows took.

    Attributes:
      usable: split -> rows that were read and are no dead letters.
      n_explained: rows, of all splits together.
      seconds: from its start to its end.
      settling_rows: rows that models evaluated before any row was explained.
      model_rows: those for the explained rows, by all methods together.
      coalition_rows: those of them that the coalitions of `shapley` took.
      row_bytes: of the files that have a part for each row: attribution records and reasons.
      unzipped_bytes: of the attribution records before they are zipped.
      other_bytes: of all other files, of which the report and its rows show at most N_REPORT_EXAMPLES rows.
    """

    usable: Mapping[str, int]
    n_explained: int
    seconds: float
    settling_rows: int
    model_rows: int
    coalition_rows: int
    row_bytes: int
    unzipped_bytes: int
    other_bytes: int


@dataclasses.dataclass(frozen=True)
class Forecast:
    """What a whole job will take.

    Attributes:
      rows: split -> rows that will be explained.
      settling_rows: rows that models will evaluate before any row is explained.
      model_rows_per_row: by all methods together, for each explained row.
      coalition_rows_per_row: those of them that the coalitions of `shapley` take.
      seconds_per_row: that each further explained row takes; None where it was not timed, as the next ones.
      fixed_seconds: that the job takes besides.
      memory_bytes: at most at a time, of this process.
      output_bytes: of all that is written.
      n_tried: rows of a split in the largest trial.
      limits: what the manifest will say of `max_model_rows` and `max_seconds`; None where there are none.
    """

    rows: Mapping[str, int]
    settling_rows: int
    model_rows_per_row: float
    coalition_rows_per_row: float
    seconds_per_row: float | None = None
    fixed_seconds: float | None = None
    memory_bytes: int | None = None
    output_bytes: int | None = None
    n_tried: int = N_FEW
    limits: Mapping[str, object] | None = None

    @property
    def n_rows(self) -> int:
        """Rows that will be explained, of all splits together."""
        return sum(self.rows.values())

    @property
    def model_rows(self) -> int:
        """Rows that models will evaluate."""
        return self.settling_rows + round(self.model_rows_per_row * self.n_rows)

    @property
    def seconds_to_try_again(self) -> float:
        """What another forecast that knows of this one takes."""
        n_rows = (N_FEW + self.n_tried) * len(self.rows)
        return 2 * (self.fixed_seconds or 0.0) + (self.seconds_per_row or 0.0) * n_rows

    @property
    def rows_per_second(self) -> float | None:
        """Explained rows a second, once the first ones are; None where that was not timed, or too fast to tell."""
        return 1 / self.seconds_per_row if self.seconds_per_row else None

    @property
    def seconds(self) -> float | None:
        """How long the job will take."""
        if self.seconds_per_row is None or self.fixed_seconds is None:
            return None
        return self.fixed_seconds + self.seconds_per_row * self.n_rows


def forecast(request: ExplainRequest, run: Run, *, timed: bool, before: Forecast | None = None) -> Forecast:
    """Explains few rows, and says what all will take.

    Args:
      request: the whole job.
      run: runs a job.
      timed: whether seconds, memory and bytes are wanted too, which takes more trials.
      before: of a job that differs in rows and coalitions alone, and was timed, which saves trials.

    Raises:
      TfxExplainError: as of the job.
    """
    first = run_trial(request, N_FEW, run)
    # Later trials leave behind what a job that runs once does not.
    memory = _memory()
    most = request.config.max_examples
    rows = {split: n if most is None else min(n, most) for split, n in first.usable.items()}
    request = dataclasses.replace(request, n_planned=sum(rows.values()))
    if not timed:
        waits = any(method.needs_row_count for method in methods_of(request.context))
        return _forecast(rows, run_trial(request, N_FEW, run) if waits else first)
    if before is None or before.fixed_seconds is None:
        few = run_trial(request, N_FEW, run)
        many, compiling = _large_enough(request, few, sum(rows.values()), run)
        per_row = _seconds_per_row(few, many)
        fixed = max(first.seconds - per_row * first.n_explained + compiling, 0.0)
    else:
        few, many = first, run_trial(request, before.n_tried, run)
        per_row, fixed = _seconds_per_row(few, many), before.fixed_seconds
    n_rows, n_tried = sum(rows.values()), max(many.n_explained, 1)
    held = _HELD_FOR_BYTE * many.unzipped_bytes / n_tried * max(n_rows - n_tried, 0)
    return dataclasses.replace(
        _forecast(rows, many),
        seconds_per_row=per_row,
        fixed_seconds=fixed,
        memory_bytes=memory + round(held),
        output_bytes=_output_bytes(few, many, n_rows),
        n_tried=-(-many.n_explained // len(rows)),
    )


def _large_enough(request: ExplainRequest, few: Trial, n_rows: int, run: Run) -> tuple[Trial, float]:
    """A trial of so many rows more than few that the difference is no noise; and seconds that its first try took more.

    What is met for the first time, as batches of a new size, is compiled; that is no cost of rows.
    """
    n_many = 2 * N_FEW if n_rows > _LEAST_GROWTH * N_FEW else n_rows
    while True:
        cold, many = run_trial(request, n_many, run), run_trial(request, n_many, run)
        apart = many.seconds - few.seconds
        if many.n_explained >= n_rows or apart >= _SECONDS_APART:
            return many, max(cold.seconds - many.seconds, 0.0)
        n_many *= int(min(max(_SECONDS_APART / max(apart, 1e-3), _LEAST_GROWTH), _MOST_GROWTH))


def _seconds_per_row(few: Trial, many: Trial) -> float:
    n_apart = many.n_explained - few.n_explained
    return max(many.seconds - few.seconds, 0.0) / n_apart if n_apart > 0 else 0.0


def _output_bytes(few: Trial, many: Trial, n_rows: int) -> int:
    """What is written of so many rows: files go on growing as they did from few to many."""

    def grown(of_few: int, of_many: int, most: int) -> float:
        before, now, then = (min(n, most) for n in (few.n_explained, many.n_explained, n_rows))
        per_row = max(of_many - of_few, 0) / (now - before) if now > before else 0.0
        return of_many + per_row * (then - now)

    return round(
        grown(few.row_bytes, many.row_bytes, max(n_rows, many.n_explained))
        + grown(few.other_bytes, many.other_bytes, N_REPORT_EXAMPLES)
    )


def _forecast(rows: Mapping[str, int], trial: Trial) -> Forecast:
    n = max(trial.n_explained, 1)
    return Forecast(rows, trial.settling_rows, trial.model_rows / n, trial.coalition_rows / n)


def _memory() -> int:
    """Most bytes that this process has held so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def run_trial(request: ExplainRequest, n_rows: int, run: Run) -> Trial:
    """Runs the job on at most so many rows of each split, and removes what it wrote.

    Raises:
      TfxExplainError: as of the job.
    """
    directory = storage.join(request.explanation_dir, tables.TRIAL)
    most = request.config.max_examples
    few = n_rows if most is None else min(n_rows, most)
    # Of few rows a single one that fails may be more than may fail.
    config = request.config.model_copy(update={"max_examples": few, "max_failed_fraction": 1.0})
    records = storage.join(directory, tables.ATTRIBUTIONS)
    tried = dataclasses.replace(request, config=config, explanation_dir=directory, attributions_dir=records)
    storage.remove(directory)
    started = time.monotonic()
    with unfinished(lambda: storage.remove(directory)):
        try:
            manifest = run(tried)
            return _trial(manifest, time.monotonic() - started, directory, records)
        finally:
            storage.remove(directory)


def _trial(manifest: Manifest, seconds: float, directory: str, records: str) -> Trial:
    counts, failures = manifest["counts"], manifest["failures"]
    model_rows = sum(of_split["model_rows"] for of_split in counts.values())
    of_others = sum(n for of_split in counts.values() for name, n in of_split.items() if name.endswith("_model_rows"))
    files, reasons = storage.find(records), storage.join(directory, tables.REASONS.file)
    row_bytes = sum(map(storage.size, [*files, *([reasons] if storage.exists(reasons) else [])]))
    return Trial(
        usable={split: n["read"] - sum(failures.get(split, {}).values()) for split, n in counts.items()},
        n_explained=sum(of_split["explained"] for of_split in counts.values()),
        seconds=seconds,
        settling_rows=sum(manifest["background"]["model_rows"].values()),
        model_rows=model_rows,
        coalition_rows=model_rows - of_others,
        row_bytes=row_bytes,
        unzipped_bytes=sum(len(record) for uri in files for record in read_records(uri)),
        other_bytes=sum(map(storage.size, storage.find(directory))) - row_bytes,
    )
