"""Runs a compiled job, each step in a process of its own, and prints what became of its tasks.

python -m launcher job.yaml --root artifacts --runs 2
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import sys
from pathlib import Path

from launcher import OPEN_SOURCE, VERTEX, Launcher, in_processes
from launcher.run import FAILED

BACKENDS = {"vertex": VERTEX, "open_source": OPEN_SOURCE}


def main() -> int:
    """Runs the job; returns 0 where no task failed."""
    parser = argparse.ArgumentParser(description="Run a compiled job as the launcher of Kubeflow Pipelines v2 would.")
    parser.add_argument("job", type=Path, help="the compiled job")
    parser.add_argument(
        "--root", type=Path, required=True, help="pipeline root, a directory; `runs.json` is written there"
    )
    parser.add_argument("--backend", choices=BACKENDS, default="vertex")
    parser.add_argument("--runs", type=int, default=1, help="how often the job is run")
    parser.add_argument("--tries", type=int, default=1, help="how often a step may be started")
    flags = parser.parse_args()
    steps = in_processes([Path(path) for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path])
    launcher = Launcher(flags.root, steps, BACKENDS[flags.backend], flags.tries)
    runs = []
    for _ in range(flags.runs):
        run = launcher.run(flags.job)
        runs.append(run)
        for task, state in run.states.items():
            failed = f", {len(run.errors[task])} tries failed" if task in run.errors else ""
            print(f"run {run.name}  {task:45}{state:>10}{run.seconds[task]:7.1f} s{failed}", flush=True)
            if state == FAILED:
                print(run.errors[task][-1])
    (flags.root / "runs.json").write_text(json.dumps([dataclasses.asdict(run) for run in runs]))
    return int(any(FAILED in run.states.values() for run in runs))


if __name__ == "__main__":
    sys.exit(main())
