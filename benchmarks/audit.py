"""Seconds of `tfx-explain audit` on stores of ML Metadata: 20 runs with all files on disk, and 10,000 artifacts.

python benchmarks/audit.py
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests/support"))
N_RUNS = 20
N_ARTIFACTS = 10_000
PER_RUN = 7


def make(directory: Path, n_runs: int, n_written: int) -> Path:
    """A store with runs, every third refused; of the first ones the files are there, as of the last that were kept."""
    import audited
    from tfx_explain import ValidationConfig

    rules = {True: [{"min_examples": {"value": 1}}], False: [{"max_share": {"players": ["age"], "value": 0.0001}}]}
    policies = {blessed: ValidationConfig(rules=rule, min_slice_examples=1) for blessed, rule in rules.items()}
    verdicts = {blessed: audited.judged_once(policy) for blessed, policy in policies.items()}
    recorder = audited.Recorder(audited.sqlite_config(directory / "metadata.db"))
    manifest = json.loads((audited.WRITTEN / "manifest.json").read_text())
    for number in range(n_runs):
        run, blessed = directory / f"run-{number}", number % 3 > 0
        verdict = verdicts[blessed]
        if number < n_written:
            verdict = audited.write_run(run, verdict, str(number).encode())
            manifest = json.loads((run / "explanation/manifest.json").read_text())
        audited.record_run(recorder, run, verdict, manifest, policies[blessed].to_json(), pushed=blessed)
    return directory / "metadata.db"


def seconds(*arguments: str) -> float:
    """Of the program as a user runs it, its start included."""
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "tfx_explain.cli", "audit", *arguments], stdout=subprocess.PIPE, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(done.stdout)
    return time.perf_counter() - start


def measure(title: str, file: Path, log: Path, model: str) -> None:
    asked = {
        "all": (),
        "which rule refused a model": ("--model", model),
        "what was pushed since": ("--pushed", "--since", "2026-11-23"),
        "has anything been changed": ("--verify",),
        "a log begun": ("--log", str(log)),
        "a log verified, nothing new": ("--log", str(log)),
    }
    print(title)
    for what, arguments in asked.items():
        print(f"  {what:<28} {seconds('--metadata', f'sqlite:{file}', *arguments):5.2f} s")


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        few, many = Path(name) / "few", Path(name) / "many"
        few.mkdir()
        many.mkdir()
        file = make(few, N_RUNS, N_RUNS)
        measure(f"{N_RUNS} runs, all files on disk", file, few / "log", str(few / "run-0/model"))
        file = make(many, -(-N_ARTIFACTS // PER_RUN), 0)
        measure(f"{N_ARTIFACTS:,} artifacts, the files gone", file, many / "log", str(many / "run-0/model"))


if __name__ == "__main__":
    main()
