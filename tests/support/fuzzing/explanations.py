"""Written explanations, damaged: never blessed, and never an error that is not ours."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import worlds
from fuzzing import damage, models
from fuzzing.case import Case, Result, fault_of, generator, pick
from tfx_explain import api
from tfx_explain.config import ValidationConfig
from tfx_explain.errors import TfxExplainError
from tfx_explain.explanation_validator.judge import Verdict, judge
from tfx_explain.reader import load
from tfx_explain.report import render_explanation

NAME = "explanations"
_SLICES = [{}, {"feature_keys": ["race"]}]
_LOOSE: list[Any] = [
    {"max_share": {"players": ["race"], "value": 0.9}},
    {"min_share": {"players": ["income"], "value": 0.01}},
    {"max_top_share": {"value": 0.99}},
    {"top_k_includes": {"k": 4, "players": ["income"]}},
    {"min_importance": {"players": ["income"], "value": 0.01}},
    {"max_slice_difference": {"value": 5.0}},
    {"max_completeness_gap": {"value": 1e-3}},
    {"max_relative_std_error": {"value": 5.0}},
    {"min_examples": {"value": 20}},
]
_WHOLE_RULES = [
    *_LOOSE,
    {"sign": {"players": ["age"], "direction": "positive"}},
    {"monotonic": {"feature": "age", "direction": "increasing", "tolerance": 10.0}},
    {"max_interaction": {"value": 0.9}},
    {"drift": {"measure": "total_variation", "max": 0.9, "against": "model"}},
    {"attribution_drift": {"measure": "disagreement", "max": 0.99, "against": "model"}},
]
_DRIFT_RULES = [
    *_LOOSE,
    {"drift": {"measure": "total_variation", "max": 0.9}},
    {"drift": {"measure": "sign_flips", "max": 0.9}},
    {"attribution_drift": {"measure": "jensen_shannon", "max": 0.9}},
]


@dataclasses.dataclass(frozen=True)
class Trial:
    """What is judged: an explanation, a policy that blesses it, and a baseline if the policy compares.

    Attributes:
      verdict: the findings, as they are while nothing is damaged.
      judged: the files that the verdict rests on, as paths beneath the explanation's or the baseline's directory.
    """

    explanation: Path
    policy: ValidationConfig
    baseline: Path | None
    verdict: str
    judged: frozenset[tuple[str, str]]


def prepare(seed: int, directory: Path) -> Case:
    """Cases of two real explanations."""
    trials = make_trials(directory)
    plain = api.explain(
        model=str(directory / "model"),
        examples=str(directory / "examples"),
        output_dir=str(directory / "other"),
        config={"background": {"num_rows": 8}},
    )

    def case(index: int) -> Result:
        rng = generator(seed, NAME, index)
        trial = pick(rng, trials)
        place = directory / "damaged"
        shutil.rmtree(place, ignore_errors=True)
        names = ["explanation"] if trial.baseline is None else ["explanation", "baseline"]
        copies = {name: place / name for name in names}
        for name, copy in copies.items():
            shutil.copytree(getattr(trial, name), copy, copy_function=os.link)
        target = pick(rng, names)
        wanted = {name for side, name in trial.judged if side == target} if rng.random() < 0.6 else set()
        done = damage.damage(copies[target], rng, Path(pick(rng, [str(trials[0].explanation), plain.uri])), wanted)
        result = Result(files={"damage": f"{target}: {done}".encode()})
        result.counts["damaged explanations"] += 1
        files = {(target, name) for name in done.files}
        started = time.process_time()
        _judge(trial, copies, files, done, result)
        if index % 3 == 0:
            _read(str(copies[target]), result)
        result.seconds = time.process_time() - started
        result.violations = [f"{text} ({target}: {done})" for text in result.violations]
        return result

    return case


def make_trials(directory: Path) -> list[Trial]:
    """Two explanations with all that rules read, and policies that bless them."""
    worlds.write_splits(directory / "examples", _rows, 60, 120)
    worlds.write_splits(directory / "later", lambda n, split: _rows(n, 3 * split), 60, 100)
    model = models.linear(directory / "model")
    other = models.linear(directory / "baseline", debt=0.3)
    config = {
        "background": {"num_rows": 8},
        "label_key": "approve",
        "slicing_specs": _SLICES,
        "methods": [
            {"shapley": {"interactions": 2}},
            {"partial_dependence": {"features": ["age"], "num_ice": 2, "grid_size": 5}},
            {"permutation_importance": {"num_donors": 1}},
        ],
    }
    whole = api.explain(
        model=model,
        examples=str(directory / "examples"),
        output_dir=str(directory / "whole"),
        config=config,
        baseline_model=other,
    )
    later = api.explain(
        model=model,
        examples=str(directory / "later"),
        background=str(directory / "examples"),
        output_dir=str(directory / "new"),
        config={"background": {"num_rows": 8}, "slicing_specs": _SLICES},
    )
    return [_trial(whole.uri, _WHOLE_RULES, None), _trial(later.uri, _DRIFT_RULES, whole.uri)]


def _rows(n: int, split: int) -> list[dict[str, Any]]:
    """Explained rows (split 1 and above) are older than the background, so that the effect of age has a sign."""
    return [{**row, "age": row["age"] + 3.0 * (split > 0)} for row in worlds.make_rows(n, split)]


def _trial(explanation: str, rules: list[Any], baseline: str | None) -> Trial:
    policy = ValidationConfig.from_dict({"rules": rules, "slicing_specs": _SLICES, "min_slice_examples": 10})
    with _files_read() as read:
        verdict = judge(load(explanation), policy, None if baseline is None else load(baseline))
    if not verdict.blessed:
        fallen = [finding.message for finding in verdict.findings if finding.outcome != "pass"]
        raise RuntimeError(f"the undamaged explanation must be blessed: {fallen}")
    sides = {"explanation": explanation, "baseline": baseline}
    judged = {
        (side, os.path.relpath(path, root))
        for side, root in sides.items()
        for path in read
        if root is not None and Path(path).is_relative_to(root)
    }
    return Trial(
        Path(explanation), policy, None if baseline is None else Path(baseline), _told(verdict), frozenset(judged)
    )


@contextmanager
def _files_read() -> Iterator[set[str]]:
    """The paths of all files that Python opens meanwhile."""
    read: set[str] = set()
    listening = True

    def hear(event: str, arguments: tuple[Any, ...]) -> None:
        if listening and event == "open" and isinstance(arguments[0], str):
            read.add(arguments[0])

    sys.addaudithook(hear)  # stays for good, but no longer listens
    try:
        yield read
    finally:
        listening = False


def _told(verdict: Verdict) -> str:
    return json.dumps([finding.to_dict() for finding in verdict.findings], sort_keys=True, default=str)


def _judge(
    trial: Trial, copies: dict[str, Path], files: set[tuple[str, str]], done: damage.Damage, result: Result
) -> None:
    try:
        baseline = load(str(copies["baseline"])) if "baseline" in copies else None
        verdict = judge(load(str(copies["explanation"])), trial.policy, baseline)
    except TfxExplainError as error:
        result.counts["refused in a sentence"] += 1
        fault = fault_of(error)
        if fault:
            result.violations.append(fault)
        return
    except (Exception, SystemExit) as error:  # noqa: BLE001 - that is what is looked for
        result.counts["exceptions not ours"] += 1
        result.violations.append(f"judge: {fault_of(error)}")
        return
    same = _told(verdict) == trial.verdict
    tables = {name for name in files & trial.judged if not name[1].endswith("manifest.json")}
    if not verdict.blessed:
        result.counts["refused by findings"] += 1
    elif not same:
        result.counts["blessed though damaged"] += 1
        result.violations.append("blessed on figures that the job did not write")
    elif tables and not done.harmless:
        result.counts["blessed though damaged"] += 1
        result.violations.append(f"blessed though {', '.join(sorted(n for _, n in tables))} is not what the job wrote")
    else:
        result.counts["out of the verdict's reach"] += 1


def _read(uri: str, result: Result) -> None:
    """What people do with an explanation before they judge it."""
    readings = {
        "report": lambda: (load(uri).verify(), render_explanation(uri)),  # as the command does
        "attributions": lambda: [load(uri).attributions(output=name) for name in load(uri).outputs],
        "importance_for": lambda: load(uri).importance_for(),
        "tables": lambda: (load(uri).background, load(uri).dead_letters(), load(uri).attribution_stats),
    }
    for what, reading in readings.items():
        try:
            reading()
        except (Exception, SystemExit) as error:  # noqa: BLE001 - that is what is looked for
            fault = fault_of(error)
            if fault:
                result.counts["exceptions not ours"] += not isinstance(error, TfxExplainError)
                result.violations.append(f"{what}: {fault}")
