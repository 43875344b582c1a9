"""`python -m fuzzing`: every family, each in a process of its own that may die or hang without ending the run.

Prints a line per family and one with the totals; exits with 1 if anything fell. What fell is kept beneath --keep.
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

SIZES = {"kills": 50, "records": 24, "files": 130, "names": 42, "explanations": 1_200, "configurations": 6_000}
"""Cases of a whole run; the slow ones first, as two families run at a time."""

SECONDS_PER_CASE = 1_200.0
"""A case that says nothing for longer than this hangs, however busy the machine is."""


@dataclasses.dataclass
class Tally:
    """All cases of a family."""

    family: str
    cases: int = 0
    counts: Counter[str] = dataclasses.field(default_factory=Counter)
    violations: list[str] = dataclasses.field(default_factory=list)
    slowest: tuple[float, int] = (0.0, 0)
    seconds: float = 0.0

    def add(self, line: dict) -> None:
        """Counts one finished case."""
        self.cases += 1
        self.counts.update(line["counts"])
        self.violations += [f"{self.family}:{line['index']}: {text}" for text in line["violations"]]
        self.slowest = max(self.slowest, (line["seconds"], line["index"]))

    def line(self) -> str:
        """The family's line."""
        counts = ", ".join(f"{n:,} {what}" for what, n in sorted(self.counts.items()))
        slowest = f"; slowest {self.slowest[0]:.2f} s of processor time (case {self.slowest[1]})"
        return (
            f"{self.family:<15} {self.cases:>6,} cases in {self.seconds:.0f} s: {counts}{slowest}; "
            f"{len(self.violations)} violations"
        )


def main() -> int:
    """Runs the families that were asked for."""
    # A shell that starts this in the background has Ctrl-C ignored, which drivers that are struck would inherit.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--size", type=float, default=1.0, help="fraction of a whole run")
    parser.add_argument("--only", default="", help="families, with a colon and an index for a single case")
    parser.add_argument("--keep", type=Path, default=Path(".cache/fuzz"))
    parser.add_argument("--jobs", type=int, default=2, help="families at a time")
    parser.add_argument("--run", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.run:
        family, first, last = options.run
        return _run_cases(family, options.seed, range(int(first), int(last)), options.keep)
    only = dict(part.partition(":")[::2] for part in options.only.split(",") if part) or dict.fromkeys(SIZES, "")
    if unknown := only.keys() - SIZES.keys():
        parser.error(f"there is no family {', '.join(sorted(unknown))}; --only takes some of {','.join(SIZES)}")
    options.keep.mkdir(parents=True, exist_ok=True)

    def run(family: str) -> Tally:
        size = max(1, round(SIZES[family] * options.size))
        at = only[family]
        tally = _supervise(family, options.seed, range(int(at), int(at) + 1) if at else range(size), options.keep)
        print(tally.line(), flush=True)
        return tally

    with ThreadPoolExecutor(options.jobs) as pool:
        tallies = list(pool.map(run, only))
    return _conclude(tallies, options.seed, options.keep)


def _conclude(tallies: list[Tally], seed: int, keep: Path) -> int:
    fallen = [text for tally in tallies for text in tally.violations]
    (keep / "violations.txt").write_text("".join(f"{text}\n" for text in fallen))
    for texts in _alike(fallen)[:40]:
        print(f"  FELL {len(texts)} x {texts[0][:600]}")
    counts = sum((tally.counts for tally in tallies), Counter())
    configurations = [tally.slowest[0] for tally in tallies if tally.family == "configurations"]
    slowest = f"; slowest configuration {configurations[0]:.2f} s" if configurations else ""
    print(
        f"total: {counts['records']:,} records, {counts['configurations']:,} configurations, "
        f"{counts['damaged explanations']:,} damaged explanations, {counts['hostile names']:,} hostile names, "
        f"{counts['broken files']:,} broken files (seed {seed}): {counts['exceptions not ours']} exceptions that are "
        f"not ours, {counts['rows lost']} rows lost, {counts['blessed though damaged']} verdicts blessed on a damaged "
        f"explanation; {counts['kills']} kills: {counts['hangs']} hangs, {counts['half-written']} half-written, "
        f"{counts['raw tracebacks']} raw tracebacks, {counts['orphans']} orphans; {len(fallen)} violations{slowest}"
    )
    return 1 if fallen else 0


def _alike(violations: list[str]) -> list[list[str]]:
    """Violations that differ only in figures and quoted text, the most frequent first."""
    groups: dict[str, list[str]] = {}
    for text in violations:
        told = re.sub(r"(['\"`]).*?\1|\(.*|\d+", "", text.partition(": ")[2])
        groups.setdefault(f"{text.partition(':')[0]} {told[:80]}", []).append(text)
    return sorted(groups.values(), key=len, reverse=True)


def _supervise(family: str, seed: int, indices: range, keep: Path) -> Tally:
    """Runs a family in processes: one that dies or hangs is a violation, and another goes on with the next case."""
    tally, started = Tally(family), time.monotonic()
    position = indices.start
    while position < indices.stop:
        command = [sys.executable, "-m", "fuzzing", "--seed", str(seed), "--keep", str(keep), "--run", family]
        with tempfile.TemporaryFile() as log:
            process = subprocess.Popen(
                [*command, str(position), str(indices.stop)], stdout=subprocess.PIPE, stderr=log, text=True, bufsize=1
            )
            ready, done, ended = _listen(process, tally)
            position += done
            if position < indices.stop:
                log.seek(0)
                (keep / f"{family}-{position}.log").write_bytes(log.read()[-20_000:])
                tally.counts["exceptions not ours"] += 1
                where = f"{family}:{position}" if ready else f"{family}, before its first case"
                tally.violations.append(f"{where}: the process {ended}")
                position = position + 1 if ready else indices.stop
    tally.seconds = time.monotonic() - started
    return tally


def _listen(process: subprocess.Popen, tally: Tally) -> tuple[bool, int, str]:
    """Whether the process came to its cases, how many it finished, and how it ended."""
    ready, done, alarm = False, 0, _Alarm(process)
    for text in process.stdout or ():
        alarm.heard()
        if ready:
            line = json.loads(text)
            tally.add(line)
            for violation in line["violations"][:3]:
                sys.stderr.write(f"  {tally.family}:{line['index']}: {violation[:300]}\n")
            done += 1
        ready = True
    code = process.wait()
    alarm.stop()
    if alarm.rang:
        return ready, done, f"hung: nothing for {SECONDS_PER_CASE:.0f} s"
    return ready, done, f"died with {signal.Signals(-code).name if code < 0 else f'exit code {code}'}"


class _Alarm:
    """Kills a process that says nothing for too long."""

    def __init__(self, process: subprocess.Popen) -> None:
        self.process = process
        self.rang = False
        self.last = time.monotonic()
        self.done = False
        self.pool = ThreadPoolExecutor(1)
        self.pool.submit(self._watch)

    def heard(self) -> None:
        self.last = time.monotonic()

    def stop(self) -> None:
        self.done = True
        self.pool.shutdown()

    def _watch(self) -> None:
        while not self.done:
            if time.monotonic() - self.last > SECONDS_PER_CASE:
                self.rang = True
                self.process.kill()
                return
            time.sleep(0.5)


def _run_cases(family: str, seed: int, indices: range, keep: Path) -> int:
    """In a process of its own: a JSON line for each case on standard output, which nobody else may write to."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    from fuzzing.running import run_case

    module = importlib.import_module(f"fuzzing.{family}")
    directory = Path(tempfile.mkdtemp(prefix=f"fuzz-{family}-"))
    try:
        case = module.prepare(seed, directory)
        answers.write("ready\n")
        for index in indices:
            result = run_case(case, index)
            for name, content in result.files.items() if result.violations else ():
                (keep / f"{family}-{index}-{name}").write_bytes(content)
            line = {"index": index, **{k: v for k, v in vars(result).items() if k != "files"}}
            answers.write(json.dumps(line) + "\n")
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
