"""One store with four runs that happened, and what they left on disk; who changes something puts it back."""

import contextlib
import dataclasses
import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import audited
from tfx_explain import ValidationConfig
from tfx_explain.cli import main

ALLOW = ValidationConfig(rules=[{"min_examples": {"value": 1}}], min_slice_examples=1)
REFUSE = ValidationConfig(
    rules=[{"max_share": {"players": ["age"], "value": 0.0001}}, {"min_examples": {"value": 1}}], min_slice_examples=1
)
OF_EARLIER_VERSIONS = ("blessed", "explanation_uri", "methods", "model_uri", "num_examples", "tfx_explain_version")
DAY = 86_400_000
FIRST = 1_795_392_000_000  # 2026-11-23, in milliseconds


@dataclasses.dataclass
class History:
    """The store and its runs: `good` was pushed, `bad` refused and held back, `old` is of an earlier version and was
    pushed, `bare` was pushed without anybody having explained it."""

    root: Path
    verdicts: dict[str, Any] = dataclasses.field(default_factory=dict)
    policies: dict[str, str] = dataclasses.field(default_factory=dict)

    @property
    def file(self) -> Path:
        return self.root / "metadata.db"

    @property
    def store(self) -> str:
        return f"sqlite:{self.file}"

    def place(self, run: str, name: str) -> Path:
        return self.root / run / name

    @contextlib.contextmanager
    def changed(self, path: Path, change: Callable[[bytes], bytes]) -> Iterator[None]:
        before = path.read_bytes()
        path.write_bytes(change(before))
        try:
            yield
        finally:
            path.write_bytes(before)


@pytest.fixture(scope="session")
def history(tmp_path_factory: pytest.TempPathFactory) -> History:
    made = History(tmp_path_factory.mktemp("history"))
    recorder = audited.Recorder(audited.sqlite_config(made.file))
    verdicts = {policy.to_json(): audited.judged_once(policy) for policy in (ALLOW, REFUSE)}
    runs = (("old", ALLOW, True, OF_EARLIER_VERSIONS), ("bad", REFUSE, False, None), ("good", ALLOW, True, None))
    for span, (name, policy, pushed, known) in enumerate(runs, 1):
        root = made.root / name
        verdict = audited.write_run(root, verdicts[policy.to_json()], name.encode())
        made.verdicts[name], made.policies[name] = verdict, policy.to_json()
        manifest = json.loads((root / "explanation/manifest.json").read_text())
        audited.record_run(recorder, root, verdict, manifest, policy.to_json(), known=known, pushed=pushed, span=span)
    model = recorder.artifact("Model", str(made.place("bare", "model")))
    recorder.execution("Trainer", {}, {"model": model}, "bare")
    pushed_model = recorder.artifact("PushedModel", str(made.place("bare", "pushed_model")), pushed=1)
    recorder.execution("Pusher", {"model": model}, {"pushed_model": pushed_model}, "bare")
    times = {name: FIRST + day * DAY for day, name in enumerate(("old", "bad", "good", "bare"))}
    audited.set_times(made.file, {str(made.root / name): moment for name, moment in times.items()})
    return made


@pytest.fixture(autouse=True)
def _never_written(history: History) -> Iterator[None]:
    """Whatever is asked, the store keeps every byte, and nothing comes to lie beside it."""
    before, beside = hashlib.sha256(history.file.read_bytes()).hexdigest(), sorted(history.root.iterdir())
    yield
    assert hashlib.sha256(history.file.read_bytes()).hexdigest() == before
    assert sorted(history.root.iterdir()) == beside


@pytest.fixture
def ask(history: History, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    """Runs the command on the store, and gives the exit code and what was printed; errors are one sentence."""

    def run(*arguments: str, metadata: str | None = history.store) -> tuple[int, str]:
        store = () if metadata is None else ("--metadata", metadata)
        code = main(["audit", *store, *arguments])
        said = capsys.readouterr()
        assert (said.err.count("\n"), bool(said.out)) == ((1, False) if said.err else (0, True))
        return code, said.out + said.err

    return run
