"""Broken files: rows accounted for or one sentence, no waiting, and nothing of the user's touched."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import worlds
from fuzzing import breakage, broken_examples, broken_models, broken_places, models
from fuzzing.case import Case, Result, fault_of, fault_of_sentence
from tfx_explain import api, cli
from tfx_explain.errors import TfxExplainError
from tfx_explain.reader import load

NAME = "files"
N_ROWS = 40
ALL: dict[str, breakage.Breakage] = {**broken_examples.ALL, **broken_models.ALL, **broken_places.ALL}
"""What is broken -> what breaks it."""


def prepare(seed: int, directory: Path) -> Case:
    """Cases of one breakage each, in the order of the list; then again with other bytes flipped."""
    model = models.linear(directory / "model")
    records = [worlds.to_example(row) for row in worlds.make_rows(N_ROWS, 2)]
    background = worlds.write_records(directory / "background", [worlds.to_example(r) for r in worlds.make_rows(20, 1)])

    def case(index: int) -> Result:
        what = list(ALL)[index % len(ALL)]
        place = directory / "case"
        _remove(place)
        place.mkdir()
        shutil.copytree(model, place / "model")
        run = breakage.Run(place, records, {"model": str(place / "model"), "background": background}, seed + index)
        result = Result()
        result.counts["broken files"] += 1
        ALL[what](run)
        before = _state(place)
        started = time.process_time()
        try:
            run.act(run, result) if run.act else _explain(run, result)
        finally:
            for undo in run.afterwards:
                undo()
        result.seconds = time.process_time() - started
        after = _state(place)
        for path in sorted(before.keys() | after.keys()):
            now = after.get(path)
            if before.get(path) != now and not f"{place / path}/".startswith(f"{run.written or place / 'out'}/"):
                result.violations.append(f"{path} was {before.get(path)} and is now {now}")
        result.violations = [f"{what}: {text}" for text in result.violations]
        return result

    return case


def _explain(run: breakage.Run, result: Result) -> None:
    out = str(run.arguments.pop("output_dir", run.place / "out"))
    run.written = "" if run.must_refuse else out
    there = os.path.lexists(out)
    before = _state(Path(out)) if there and os.path.isdir(out) else None
    config = {
        "background": {"num_rows": 4},
        "max_failed_fraction": 1.0,
        "max_examples": None,
        **run.config,
    }
    said = io.StringIO()
    try:
        with contextlib.redirect_stdout(said):
            explanation = api.explain(
                examples=str(run.arguments.pop("examples", run.place / "examples" / "*")),
                output_dir=out,
                config=config,
                **run.arguments,
            )
    except TfxExplainError as error:
        result.counts["refused in a sentence"] += 1
        result.files["sentence"] = str(error).encode()
        if fault_of(error):
            result.violations.append(fault_of(error))
        if not run.may_refuse:
            result.violations.append(f"refused though it can be read: {str(error)[:300]}")
        if before is not None and _state(Path(out)) != before:
            result.violations.append(f"the output directory was {before} and is {_state(Path(out))}")
        elif before is None and not there and os.path.lexists(out):
            result.violations.append(f"a run that failed left {out}")
    except (Exception, SystemExit) as error:  # noqa: BLE001 - that is what is looked for
        result.counts["exceptions not ours"] += 1
        result.violations.append(fault_of(error))
    else:
        result.counts["explained"] += 1
        _account(run, explanation, result)


def _account(run: breakage.Run, explanation: Any, result: Result) -> None:
    """Rows that are explained or set aside are all there are, or the manifest says how many bytes it could not read."""
    counts = next(iter(explanation.manifest["counts"].values()))
    explained, letters = len(explanation.attributions()), len(explanation.dead_letters())
    result.counts["rows explained"] += explained
    lost = run.n_rows - explained - letters
    if explained + letters != counts["read"] or (lost > 0 and not counts.get("lost_bytes")):
        result.counts["rows lost"] += max(lost, 0)
        result.violations.append(
            f"{run.n_rows} rows, read {counts['read']}, {explained} explained, {letters} set aside, "
            f"{counts.get('lost_bytes')} bytes said to be lost"
        )
    if run.must_refuse:
        result.violations.append(f"explained ({explained} rows) though it cannot be")


def command(run: breakage.Run, result: Result, *arguments: str) -> None:
    """The command line on broken files: an answer or one sentence."""
    out, err = io.StringIO(), io.StringIO()
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = cli.main(list(arguments))
    except (Exception, SystemExit) as error:  # noqa: BLE001 - that is what is looked for
        result.counts["exceptions not ours"] += 1
        result.violations.append(fault_of(error))
        return
    if code == cli.NO_VERDICT:
        result.counts["refused in a sentence"] += 1
        fault = fault_of_sentence(err.getvalue().rstrip("\n"))
        if fault:
            result.violations.append(fault)
    elif run.must_refuse:
        result.violations.append(f"exit code {code} though it cannot be done: {out.getvalue()[-200:]!r}")


def read(run: breakage.Run, result: Result, uri: str) -> None:
    """Opening what is no explanation."""
    try:
        load(uri)
        result.violations.append(f"{uri} was opened as an explanation")
    except (Exception, SystemExit) as error:  # noqa: BLE001 - that is what is looked for
        if fault_of(error):
            result.violations.append(fault_of(error))


def _state(root: Path) -> dict[str, str]:
    """Path -> kind, mode and content of all that is beneath a directory, links not followed."""
    state: dict[str, str] = {}
    for folder, directories, files in os.walk(root):
        for name in directories + files:
            path = Path(folder, name)
            told = str(path.relative_to(root))
            if path.is_symlink():
                state[told] = f"link to {os.readlink(path)}"
            elif path.is_file():
                state[told] = f"{path.stat().st_mode:o} {hashlib.sha256(path.read_bytes()).hexdigest()[:12]}"
            else:
                state[told] = f"{path.lstat().st_mode:o}"
    return state


def _remove(place: Path) -> None:
    def again(function: Callable[[str], Any], path: str, _: Any) -> None:
        os.chmod(os.path.dirname(path), 0o700)
        function(path)

    shutil.rmtree(place, onerror=again) if place.exists() else None
