"""Workers and drivers that are killed, stopped or interrupted: one sentence soon, nothing half-written or left over."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

import worlds
from fuzzing import models
from fuzzing.case import Case, Result, fault_of_sentence, generator
from striking.sitecustomize import PLACES
from tfx_explain.errors import TfxExplainError
from tfx_explain.reader import load

NAME = "kills"
COUNTED = ("hangs", "half-written", "raw tracebacks", "orphans")
"""What must not be."""

SECONDS_TO_SAY_SO = 60.0
SECONDS_TO_INTERRUPT = 10.0
_SECONDS_OF_A_JOB = 600.0

_THROUGH_PYTHON = """
import sys, tfx_explain
if __name__ == "__main__":
    model, examples, config, out = sys.argv[1:]
    try:
        tfx_explain.explain(
            model=model, examples=examples, config=config, output_dir=out, beam_args=["--direct_num_workers=2"]
        )
    except tfx_explain.TfxExplainError as error:
        sys.stderr.write(f"tfx-explain: {error}\\n")
        sys.exit(2)
    except KeyboardInterrupt:
        sys.stderr.write("tfx-explain: interrupted.\\n")
        sys.exit(130)
"""


@dataclasses.dataclass(frozen=True)
class Blow:
    """What is done to whom.

    Attributes:
      place: where in the work of a worker.
      signal: what is sent.
      driver: whether it is sent to the driver, not to the worker.
      delay: how many seconds later.
      by_command: whether the command line is the driver, or a program of one's own.
    """

    place: str
    signal: signal.Signals
    driver: bool
    delay: float
    by_command: bool


_SIGNALS = [
    (signal.SIGKILL, False),
    (signal.SIGTERM, False),
    (signal.SIGSTOP, False),
    (signal.SIGKILL, True),
    (signal.SIGINT, True),
    (signal.SIGTERM, True),
]


def blow_of(seed: int, index: int) -> Blow:
    """Every signal at every place, then again at other times."""
    rng = generator(seed, NAME, index)
    number, driver = _SIGNALS[index // len(PLACES) % len(_SIGNALS)]
    place = list(PLACES)[index % len(PLACES)]
    delay = float(rng.choice([0.0, rng.uniform(0.0, 1.5)]))
    return Blow(place, number, driver, delay, bool(rng.integers(2)))


def prepare(seed: int, directory: Path) -> Case:
    """Jobs with two workers, one blow each."""
    model = models.linear(directory / "model")
    examples = worlds.write_splits(directory / "examples", worlds.make_rows, 40, 200, num_shards=4)
    (directory / "config.yaml").write_text("background: {num_rows: 8}\nmax_examples: null\n")
    (directory / "program.py").write_text(_THROUGH_PYTHON)

    def case(index: int) -> Result:
        blow = blow_of(seed, index)
        place = directory / "case"
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        result = Result()
        result.counts["kills"] += 1
        run = _Run(place, blow)
        given = [model, examples, str(directory / "config.yaml"), str(place / "out")]
        run.start(_command(*given) if blow.by_command else [sys.executable, str(directory / "program.py"), *given])
        run.check(result)
        result.violations = [f"{blow}: {text}" for text in result.violations]
        return result

    return case


def _command(model: str, examples: str, config: str, out: str) -> list[str]:
    named = {"--model": model, "--examples": examples, "--config": config, "--output": out}
    options = [text for option in named.items() for text in option]
    return [sys.executable, "-m", "tfx_explain.cli", "explain", *options, "--", "--direct_num_workers=2"]


class _Run:
    """One job that is struck.

    Args:
      place: a directory of its own.
      blow: what strikes it.
    """

    def __init__(self, place: Path, blow: Blow) -> None:
        self.place, self.blow = place, blow
        self.mark, self.out = place / "mark", place / "out"
        self.token = uuid.uuid4().hex

    def start(self, command: list[str]) -> None:
        """Starts the driver."""
        strike = {"mark": str(self.mark), **dataclasses.asdict(self.blow)}
        path = [str(Path(__file__).parent.parent / "striking"), os.environ.get("PYTHONPATH", "")]
        environment = {"STRIKE": json.dumps(strike), "STRUCK": self.token, "PYTHONPATH": os.pathsep.join(path)}
        with open(self.place / "said", "wb") as said:
            self.driver = subprocess.Popen(
                command, env={**os.environ, **environment}, stdout=said, stderr=said, start_new_session=True
            )

    def check(self, result: Result) -> None:
        """Waits for the end, and counts what must not be."""
        took = self._wait()
        left = self._left()
        said = (self.place / "said").read_bytes().decode(errors="replace")
        result.files["said"] = said.encode()
        result.counts["seconds from blow to end"] += round(took)
        fallen = {
            "hangs": f"no end {took:.0f} s after the blow" if self.driver.returncode is None else "",
            "orphans": f"processes left: {left}" if left else "",
            "raw tracebacks": f"said {said[-600:]!r}" if "Traceback" in said else "",
            "half-written": self._half_written(),
        }
        for what, text in fallen.items():
            result.counts[what] += bool(text)
            result.violations += [text] if text else []
        if not any(fallen.values()):
            result.violations += filter(None, [self._wrong_answer(said, took, result)])
        for pid in [*left, self.driver.pid]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.driver.wait()

    def _wait(self) -> float:
        """Seconds from the blow to the end, which is awaited for so long."""
        until = time.time() + _SECONDS_OF_A_JOB
        struck = None
        while self.driver.poll() is None and time.time() < until:
            if struck is None and self.mark.exists() and self.mark.read_text():
                struck = float(self.mark.read_text())
                until = struck + SECONDS_TO_SAY_SO
            time.sleep(0.05)
        if struck is None and self.mark.exists() and self.mark.read_text():
            struck = float(self.mark.read_text())
        return 0.0 if struck is None else time.time() - struck

    def _left(self) -> list[int]:
        """Processes of the job that are there when the driver is gone; they have a moment to go."""
        for _ in range(100):
            left = [pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if self._is_ours(pid)]
            if not left or self.driver.returncode is None:
                return left
            time.sleep(0.05)
        return left

    def _is_ours(self, pid: int) -> bool:
        if pid == self.driver.pid:
            return False
        with contextlib.suppress(OSError):
            return f"STRUCK={self.token}".encode() in Path(f"/proc/{pid}/environ").read_bytes()
        return False

    def _half_written(self) -> str:
        code = self.driver.returncode
        if code is None or code > 0 or not self.out.exists():
            return f"left {sorted(os.listdir(self.out))}" if self.out.exists() else ""
        try:
            explanation = load(str(self.out))
        except TfxExplainError as error:  # what a driver leaves that is killed cannot be read
            return f"exit code 0 though {error}" if code == 0 else ""
        try:
            explanation.verify()
        except TfxExplainError as error:
            return f"can be read as an explanation though {error}"
        return ""

    def _expected(self) -> int:
        """The exit code of a job that does not finish."""
        if not self.blow.driver:
            return 2
        # A program of one's own ends by SIGTERM as it likes.
        dies = self.blow.signal == signal.SIGKILL or (self.blow.signal == signal.SIGTERM and not self.blow.by_command)
        return -self.blow.signal if dies else 130

    def _wrong_answer(self, said: str, took: float, result: Result) -> str:
        code, driver = self.driver.returncode, self.blow.driver
        if code == 0:
            result.counts["finished all the same"] += 1
            return "" if self.mark.exists() else "nobody was struck"
        expected = self._expected()
        if code != expected:
            return f"exit code {code}, not {expected}: {said[-600:]!r}"
        if code < 0:
            return ""
        if code == 130 and took > SECONDS_TO_INTERRUPT:
            return f"interrupted for {took:.1f} s"
        # Libraries are loud where nobody quietens them.
        *before, told = said.rstrip("\n").split("\n")
        word = "interrupted" if driver else "worker "
        if (before and self.blow.by_command) or not told.startswith(f"tfx-explain: {word}"):
            return f"said {said[-600:]!r}"
        result.counts["told in a sentence"] += 1
        return fault_of_sentence(told)
