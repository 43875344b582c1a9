"""Explains with a portable runner, compares every bit with the in-process run, and takes the engine apart half way.

Prints the runner, rows, seconds, how many columns of attributions and tables are equal to the bit, those of the loan
approval pipeline among them, and what became of a run whose worker was killed, whose job server was, whose workers have
other versions, or whose port something else took.

    python -m portable --rows 20000
    JOB_ENDPOINT=localhost:8099 python -m portable
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

import portable
import tfx_explain
from launcher import verdicts
from portable import Engine, crossings, loans, world
from tfx_explain import tables
from tfx_explain.reader import ExplanationReader

PARTS = EXPLAIN, LOANS, LOSSES = "explain", "loans", "losses"
MOST_SECONDS = 60
"""How long a run may take to see that its engine is gone."""


def main() -> int:
    """Returns 0 where everything is equal and every loss ended in a sentence."""
    parser = argparse.ArgumentParser(description="Explain with a portable runner and compare with the in-process run.")
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, help="parts of the test (default: all)")
    parser.add_argument("--applications", type=Path, help="directory with the CSV of the loan pipeline (default: made)")
    flags = parser.parse_args()
    rows, parts = flags.rows, set(flags.only)
    if why := portable.lacking():
        print(why)
        return 0
    # So that nothing is left where this is ended from outside.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended from outside"))
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        # The loan pipeline has data of its own.
        inputs = world.make(root, rows) if parts - {LOANS} else {}
        config = world.config(rows)
        with portable.started(root / "logs") as engine:
            print(f"runner: {engine.name}", flush=True)
            is_right = EXPLAIN not in parts or compare(root, inputs, config, engine)
            is_right &= LOANS not in parts or compare_loans(root, engine, flags.applications)
        if LOSSES in parts:
            is_right &= all([*losses(root, inputs, config)])
    return 0 if is_right else 1


def losses(root: Path, inputs: dict[str, str], config: dict[str, Any]) -> Iterator[bool]:
    """Takes engines apart, one after the other; whether each run ended right."""
    with portable.started(root / "logs_of_worker") as engine:
        yield lose("worker killed", root, inputs, config, engine, kill_worker)
    if engine.server is not None:
        with portable.started(root / "logs_of_server") as engine:
            yield lose("job server killed", root, inputs, config, engine, kill_server)
    for package in ("tfx_explain", "apache_beam"):
        with portable.started(root / f"logs_of_{package}", package) as engine:
            yield lose(f"workers with another {package}", root, inputs, config, engine)
    with portable.started(root / "logs_of_pool") as engine:
        taken = dataclasses.replace(engine, job_endpoint=engine.worker_pool)
        yield lose("port of the job server taken", root, inputs, config, taken)


def compare(root: Path, inputs: dict[str, str], config: dict[str, Any], engine: Engine) -> bool:
    """Explains on both engines; whether everything is the same."""
    found = []
    for name, beam_args in (("in process", []), (engine.name, engine.beam_args)):
        started = time.monotonic()
        output = root / f"explained_{len(found)}"
        with crossings.measured() as moved:
            found.append(tfx_explain.explain(**inputs, output_dir=str(output), config=config, beam_args=beam_args))
        if not beam_args:
            print(moved, flush=True)
        explained = found[-1].manifest["counts"]["eval"]["explained"]
        print(f"{name}: {explained:,} rows explained in {time.monotonic() - started:.0f} s", flush=True)
    return are_equal(*found)


def compare_loans(root: Path, engine: Engine, applications: Path | None) -> bool:
    """Runs the loan approval pipeline; whether explanation and verdict are those of the same model in process."""
    started = time.monotonic()
    ours, theirs = loans.judged(root / "loans", engine, applications or loans.written(root / "applications"))
    verdict, expected = theirs.verdict(), ours.verdict()
    different = verdicts.difference(verdict, expected)
    print(f"loan pipeline: {verdicts.name(verdict)}, {verdicts.name(expected)} in process, ", end="")
    print(
        f"{verdicts.n_findings(verdict)} findings{f' DIFFER: {different}' if different else ' are the same'}, ", end=""
    )
    print(f"{time.monotonic() - started:.0f} s", flush=True)
    explanations = [tfx_explain.load(judged.explanation) for judged in (ours, theirs)]
    return are_equal(*explanations, [loans.KEY]) and not different


def are_equal(ours: ExplanationReader, theirs: ExplanationReader, key: Sequence[str] = world.NAMES) -> bool:
    """Says how many columns are equal to the bit; whether all are."""
    counted, different = world.differences(ours, theirs, key)
    n_columns = sum(counted.values())
    print(f"equal to the bit: {n_columns - len(different)} of {n_columns} columns of {len(counted)} tables")
    for name in different:
        print(f"  differs: {name}")
    return not different


def lose(
    what: str,
    root: Path,
    inputs: dict[str, str],
    config: dict[str, Any],
    engine: Engine,
    kill: Callable[[Engine], None] | None = None,
) -> bool:
    """Explains once more, where something is wrong from the start or is killed half way; whether that ended right."""
    output = root / f"lost {what}"
    settings = root / "explain.yaml"
    settings.write_text(yaml.safe_dump(config))
    given = [f"--{name.replace('_', '-')}={value}" for name, value in inputs.items()]
    command = [sys.executable, "-m", "tfx_explain.cli", "explain", *given, f"--config={settings}", f"--output={output}"]
    run = subprocess.Popen([*command, "--", *engine.beam_args], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if kill is not None:
        wait_for_work(engine, run)
        kill(engine)
    return ends_in_a_sentence(what, run, output)


def ends_in_a_sentence(what: str, run: subprocess.Popen[bytes], output: Path) -> bool:
    """Whether a run that cannot work ends soon, says why, and leaves no explanation."""
    started = time.monotonic()
    try:
        _, said = run.communicate(timeout=2 * MOST_SECONDS)
    except subprocess.TimeoutExpired:
        run.kill()
        run.communicate()
        print(f"{what}: the run went on for {2 * MOST_SECONDS} s and was ended")
        return False
    seconds, last = time.monotonic() - started, said.decode().strip().splitlines()[-1:]
    print(f"{what}: exit code {run.returncode} after {seconds:.1f} s: {' '.join(last)}", flush=True)
    is_sentence = run.returncode == 2 and "Traceback" not in said.decode() and bool(last)
    return is_sentence and seconds < MOST_SECONDS and not (output / tables.MANIFEST).exists()


def wait_for_work(engine: Engine, run: subprocess.Popen[bytes]) -> None:
    """Until a worker has computed for some seconds more than it took to start."""
    last = time.monotonic() + 10 * MOST_SECONDS
    while run.poll() is None and time.monotonic() < last:
        if any(seconds_of(pid) > 15 for pid in engine.workers()):
            return
        time.sleep(0.2)


def seconds_of(pid: int) -> float:
    """Of a processor, that a process has had."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def kill_worker(engine: Engine) -> None:
    """All processes that compute."""
    for pid in engine.workers():
        os.kill(pid, signal.SIGKILL)


def kill_server(engine: Engine) -> None:
    """The job server."""
    if engine.server is not None:
        engine.server.kill()


if __name__ == "__main__":
    sys.exit(main())
