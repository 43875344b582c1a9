"""Configurations from a grammar, then mutated, as dictionaries, JSON and YAML."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import yaml

from fuzzing import grammar, mutation
from fuzzing.case import Case, Result, fault_of, generator, pick
from tfx_explain.config import ExplainConfig, ValidationConfig
from tfx_explain.errors import TfxExplainError

NAME = "configurations"
MAX_SECONDS = 2.0
_DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


def prepare(seed: int, directory: Path) -> Case:
    """Cases of both classes in all forms."""

    def case(index: int) -> Result:
        rng = generator(seed, NAME, index)
        kind: Any = pick(rng, [ExplainConfig, ValidationConfig])
        data = grammar.document(kind, rng)
        for _ in range(int(rng.choice([0, 0, 1, 1, 2, 3]))):
            data = mutation.mutate(data, rng)
        form = pick(rng, ["dict", "json", "yaml"])
        if form == "dict":
            return check(lambda: kind.from_dict(mutation.foreign_values(data, rng)), kind, repr(data)[:2_000])
        text = as_json(data) if form == "json" or rng.random() < 0.2 else as_yaml(data)
        content = mutation.mutate_text(text, rng, form) if rng.random() < 0.4 else text.encode("utf-8", "surrogatepass")
        if form == "json":
            return check(lambda: kind.from_json(content.decode("utf-8", "replace")), kind, content)
        path = directory / f"{index}.yaml"
        path.write_bytes(content)
        try:
            return check(lambda: kind.from_file(path), kind, content)
        finally:
            path.unlink()

    return case


def check(build: Any, kind: Any, shown: str | bytes) -> Result:
    """A configuration that survives being written and read, or one sentence; neither may take long."""
    result = Result(files={"configuration": shown if isinstance(shown, bytes) else shown.encode("utf-8", "replace")})
    result.counts["configurations"] += 1
    started = time.process_time()
    try:
        built = build()
    except TfxExplainError as error:
        result.counts["refused"] += 1
        if fault_of(error):
            result.violations.append(fault_of(error))
    except (Exception, SystemExit) as error:  # noqa: BLE001 - that is what is looked for
        result.counts["exceptions not ours"] += 1
        result.violations.append(fault_of(error))
    else:
        result.counts["accepted"] += 1
        result.violations += round_trip(built, kind)
    result.seconds = time.process_time() - started
    if result.seconds > MAX_SECONDS:
        result.violations.append(f"it took {result.seconds:.1f} s of processor time")
    return result


def round_trip(built: Any, kind: Any) -> list[str]:
    """What is lost when a configuration is written as JSON and read again."""
    try:
        text = built.to_json()
        json.loads(text, parse_constant=lambda constant: float(f"no JSON: {constant}"))
        again = kind.from_json(text)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - that is what is looked for
        return [f"accepted, but cannot be written and read again: {type(error).__name__}: {str(error)[:300]}"]
    if again != built or again.to_json() != text:
        return [f"accepted, but is another after to_json and from_json: {text[:300]}"]
    return []


def as_json(data: Any) -> str:
    """JSON of anything; what JSON does not know as text."""
    try:
        return json.dumps(data, default=repr, ensure_ascii=False)
    except (TypeError, ValueError, RecursionError):
        return repr(data)


def as_yaml(data: Any) -> str:
    """YAML of anything; what YAML does not know as Python shows it."""
    flow = (isinstance(data, dict) and len(data) % 2 == 1) or None
    try:
        return yaml.dump(data, Dumper=_DUMPER, allow_unicode=True, default_flow_style=flow)
    except (yaml.YAMLError, TypeError, ValueError, RecursionError):
        return repr(data)
