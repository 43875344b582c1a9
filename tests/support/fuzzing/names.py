"""Hostile names on the whole way: features, groups, outputs, slices, ids; through job, report, command line, policy."""

from __future__ import annotations

import contextlib
import dataclasses
import html.parser
import io
import json
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

import worlds
from fuzzing.case import Case, Result, control_characters, fault_of_sentence
from tfx_explain import cli
from tfx_explain.reader import load

NAME = "names"

TOGETHER = [
    "<script>alert(1)</script>", "</script><img src=x onerror=alert(1)>", "<b>bold", "a&amp;b&lt;", '"><svg/onload=x>',
    "quote'single", 'quote"double', "back`tick`", "back\\slash", "a/b/c", "../../etc/passwd", "/etc/passwd", ".", "..",
    "dots.in.name", "a[0]", "score[1]", "[*?]", "{x}", "{0} %s %d %(name)s {x!r}", "{{ 7 * 7 }}", "{% raw %}",
    "$(id) `id` $HOME", "=cmd()", "-1+1", "@import", "--help", "a,b", "a=b", "a;b", "a:b", "a|b", "#",
    "zero\u200bwidth", "\ufeffbom", "🦊🏳️‍🌈", "特徴量", "الدخل", "признак", "é", "e\u0301", "İ", "ß", "self", "rest",
    "None", "nan", "null", "true", "0", "1e5", "shapley", "player", "value", "slice", "output", "index", "class",
    "lambda", "Plain", "plain ", "__init__", "__class__", "(missing)", "All Examples", "train", "*", "overall",
]  # fmt: skip
"""Names that a job may well take, several at a time."""

ALONE = [
    "line\nbreak", "carriage\rreturn", "tab\tstop", "nul\x00byte", "\x1b[31mred\x1b[0m", "bell\x07", "\x9b31m",
    "\x85next", "rtl\u202egnp.exe", "\u2066iso", "\u2028separator", "x" * 10_000, "", " ", "\t", " padded ",
    "other_features", "prediction", "base_value", "completeness_gap", "example_id", "attribution_x",
    "attribution_plain", "std_error_plain", "baseline_prediction", "__weight__", "baseline_attribution_plain",
]  # fmt: skip
"""Names that are refused somewhere, each in a job of its own."""

_BATCH = 6
HOSTILE = [tuple(TOGETHER[at : at + _BATCH]) for at in range(0, len(TOGETHER), _BATCH)] + [(name,) for name in ALONE]
"""The names of each case."""


def prepare(seed: int, directory: Path) -> Case:
    """Cases of a few names each; beyond the list, names are put together at random."""

    def case(index: int) -> Result:
        names = HOSTILE[index] if index < len(HOSTILE) else (_made_up(seed, index),)
        result = Result(files={"names": json.dumps(names).encode()})
        result.counts["hostile names"] += len(names)
        for read_by_model in (True, False):
            if not _try(names, directory, result, read_by_model=read_by_model) and len(names) > 1:
                for name in names:
                    _try((name,), directory, result, read_by_model=read_by_model)
        result.violations = list(dict.fromkeys(result.violations))
        return result

    return case


def _made_up(seed: int, index: int) -> str:
    rng = np.random.default_rng([seed, index])
    return "".join([*TOGETHER, *ALONE][i][:20] for i in rng.integers(0, len(TOGETHER + ALONE), 3))


@dataclasses.dataclass(frozen=True)
class _Names:
    """What is called how: player -> feature that stands for it, and the rest."""

    features: dict[str, str]
    output: str = "score"
    id_key: str | None = None
    slice_key: str = "segment"
    segments: tuple[str, ...] = ("usual",)

    @classmethod
    def of(cls, names: tuple[str, ...], read_by_model: bool) -> _Names:
        if read_by_model:
            return cls({name: name for name in names}, output=names[0], segments=names)
        # The last one names what rows are sliced by, where there is more than one: a group has no feature's name.
        groups = names[:-1] or names
        features = {name: f"feature {i}" for i, name in enumerate(groups)}
        return cls(features, id_key=names[0], slice_key=names[-1] if len(names) > 1 else "segment")


def _try(names: tuple[str, ...], directory: Path, result: Result, *, read_by_model: bool) -> bool:
    """The whole way with names of features, output and slices, or of groups and ids; whether it works."""
    place = directory / "case"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    here, out = _Names.of(names, read_by_model), place / "out"
    tell = f" ({'features' if read_by_model else 'groups'} {str(names)[:80]})"
    try:
        model = _model(place / "model", here)
    except Exception:  # noqa: BLE001 - TensorFlow does not take the name, so no model has it
        result.counts["names no model can have"] += 1
        return False
    try:
        worlds.write_splits(place / "examples", lambda n, s: _rows(here, n, s), 8, 12)
    except (TypeError, ValueError):
        result.counts["names no example can have"] += 1
        return False
    config: dict[str, Any] = {
        "background": {"num_rows": 4},
        "id_key": here.id_key,
        "label_key": "approve",
        "slicing_specs": [{}, {"feature_keys": [here.slice_key]}],
        "methods": ["shapley", {"partial_dependence": {"grid_size": 3, "num_ice": 2}}],
    }
    if not read_by_model:
        config["features"] = {"groups": {name: [feature] for name, feature in here.features.items()}}
    if read_by_model:
        config["slicing_specs"].append({"feature_values": {here.slice_key: here.segments[0]}})
    (place / "config.json").write_text(json.dumps(config))
    code, said = _command(
        result, tell, "explain", "--model", model, "--examples", str(place / "examples"), "--config",
        str(place / "config.json"), "--output", str(out),
    )  # fmt: skip
    if code:
        result.counts["refused in a sentence"] += 1
        result.files[f"refusal{read_by_model}"] = said.encode()
        if out.exists() and any(out.iterdir()):
            result.violations.append(f"a job that failed left {[p.name for p in out.iterdir()][:3]}{tell}")
        return False
    result.counts["jobs"] += 1
    _check(here, str(out), result, tell)
    (place / "policy.json").write_text(json.dumps(_policy(here, read_by_model)))
    policy = str(place / "policy.json")
    code, said = _command(result, tell, "validate", "--explanation", str(out), "--config", policy)
    if code != 0:
        result.violations.append(f"a policy that anything meets has exit code {code}: {said[-200:]!r}{tell}")
    _command(result, tell, "report", str(out))
    return True


def _policy(here: _Names, read_by_model: bool) -> dict[str, Any]:
    rules: list[dict[str, Any]] = [{"max_share": {"players": [name], "value": 1.0}} for name in here.features]
    if read_by_model:
        name = next(iter(here.features))
        rules.append({"monotonic": {"feature": name, "direction": "increasing", "tolerance": 100.0}})
    specs: list[dict[str, Any]] = [{}]
    if read_by_model:
        specs += [{"feature_values": {here.slice_key: segment}} for segment in here.segments[:1]]
    return {"rules": rules, "slicing_specs": specs, "on_insufficient_evidence": "bless", "min_slice_examples": 1}


def _model(directory: Path, here: _Names) -> str:
    spec = {name: tf.io.FixedLenFeature([], tf.float32) for name in [*here.features.values(), "plain"]}
    module = tf.Module()

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
    def serve(examples):
        parsed = tf.io.parse_example(examples, spec)
        return {here.output: 0.5 * parsed["plain"] + sum(2.0 * parsed[name] for name in here.features.values())}

    module.serve = serve
    tf.saved_model.save(module, str(directory), signatures={"serving_default": serve})
    return str(directory)


def _rows(here: _Names, n: int, seed: int) -> list[dict[str, Any]]:
    rng = np.random.default_rng(seed)
    rows = []
    for i in range(n):
        row: dict[str, Any] = {name: float(rng.normal()) for name in [*here.features.values(), "plain"]}
        row["approve"] = i % 2
        row.setdefault(here.slice_key, here.segments[i % len(here.segments)].encode("utf-8", "surrogatepass"))
        if here.id_key is not None:
            row.setdefault(here.id_key, f"{here.id_key}{i}".encode())
        rows.append(row)
    return rows


def _command(result: Result, tell: str, *arguments: str) -> tuple[int, str]:
    """Runs the command line; what it says must obey nobody."""
    out, err = io.StringIO(), io.StringIO()
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = cli.main(list(arguments))
    except (Exception, SystemExit) as error:  # noqa: BLE001 - that is what is looked for
        result.counts["exceptions not ours"] += 1
        result.violations.append(f"{arguments[0]}: {type(error).__name__}: {str(error)[:300]!r}{tell}")
        return 2, out.getvalue() + err.getvalue()
    odd = control_characters(out.getvalue(), allowed="\n")
    if odd:
        result.violations.append(f"{arguments[0]} prints control characters {odd}{tell}")
    if code == cli.NO_VERDICT:
        fault = fault_of_sentence(err.getvalue().rstrip("\n"))
        if fault:
            result.violations.append(f"{arguments[0]}: {fault}{tell}")
    return code, out.getvalue() + err.getvalue()


def _check(here: _Names, uri: str, result: Result, tell: str) -> None:
    """The figures are there under the names, and the report shows the names instead of obeying them."""
    explanation = load(uri)
    players = {*here.features, "plain"}
    if set(explanation.importance_for()["player"]) != players:
        result.violations.append(f"importance is of {sorted(explanation.importance_for()['player'])}{tell}")
    rows = explanation.attributions()
    if len(rows) != 12:
        result.violations.append(f"{len(rows)} rows of 12 were explained{tell}")
    for player, feature in here.features.items():
        absent = np.mean([float(np.ravel(cell)[0]) for cell in explanation.background[feature]])
        if not np.allclose(rows[f"attribution_{player}"], 2.0 * (rows[feature] - absent), atol=1e-4):
            result.violations.append(f"attributions of {player[:60]!r} are not those of the linear model{tell}")
    text = Path(uri, "report.html").read_text(encoding="utf-8")
    result.files["report.html"] = text.encode()
    odd = control_characters(text, allowed="\n\t")
    if odd:
        result.violations.append(f"the report holds control characters {odd}{tell}")
    strange = _Markup.of(text)
    if strange:
        result.violations.append(f"the report has markup that no report has: {strange}{tell}")


class _Markup(html.parser.HTMLParser):
    """The elements and attributes of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: Counter[str] = Counter()
        self.n_programs = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen[tag] += 1
        self.n_programs += tag == "script" and ("type", "application/json") not in attrs
        self.seen.update(f"{tag} {name}" for name, _ in attrs)

    @classmethod
    def of(cls, text: str) -> list[str]:
        """What no report has by itself: handlers of events, sources elsewhere, broken markup, programs but its own."""
        parser = cls()
        parser.feed(text)
        bad = [seen for seen in parser.seen if " on" in seen or seen.split()[0] in ("img", "iframe", "object")]
        bad += [
            seen
            for seen in parser.seen
            if not all(part.replace("-", "").replace(":", "").isalnum() for part in seen.split())
        ]
        if parser.n_programs != 1:
            bad.append(f"{parser.n_programs} programs")
        return sorted(set(bad))[:5]
