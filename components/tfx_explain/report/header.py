"""What a report is about: model, output, data, date and what was compared, for the head of the page."""

from __future__ import annotations

import datetime
import re
from typing import Any

from tfx_explain.report.gradients import at
from tfx_explain.report.text import count, words_of
from tfx_explain.tables.manifest import Manifest

MAX_OUTPUTS = 10
UNITS = {"logit": "log-odds", "probability": "probability", "raw": "units of the output"}
_SPACES = {
    "logit": "log-odds (the model's output before its final sigmoid or softmax)",
    "probability": "probability",
    "raw": "units of the output, as the model gives it",
}


def unit_of(manifest: Manifest) -> str:
    """What figures of the output are in, everywhere on the page."""
    return UNITS.get(str(at(manifest, "model", "output_space")), UNITS["raw"])


def about(manifest: Manifest) -> list[tuple[str, str]]:
    """What the page is about: (label, text), as far as the manifest says."""
    baseline = at(manifest, "baseline_model", "uri")
    found = [
        ("Model", _model(at(manifest, "model", "uri"))),
        ("Output", _output(manifest)),
        ("Data", _data(manifest)),
        ("Background", _background(manifest)),
        ("Baseline model", _model(baseline) or ("none" if manifest else "")),
        ("Made", _made(manifest)),
    ]
    return [(label, text) for label, text in found if text]


def _model(uri: Any) -> str:
    """Where a model is, and its version: the number of its directory, as TFX and TensorFlow Serving count."""
    if not uri:
        return ""
    numbers = [part for part in str(uri).rstrip("/").split("/") if part.isdigit()]
    return f"{uri}{f', version {numbers[-1]}' if numbers else ''}"


def _output(manifest: Manifest) -> str:
    names, space = at(manifest, "outputs") or (), str(at(manifest, "model", "output_space"))
    named = words_of(names, MAX_OUTPUTS)
    several = f"{count(len(names))} outputs: " if len(names) > 1 else ""
    unit = f", in {_SPACES[space]}" if space in _SPACES else ""
    note = at(manifest, "model", "output_space_note")
    return f"{several}{named}{unit}{f'; {note}' if note else ''}" if names else ""


def _data(manifest: Manifest) -> str:
    """Rows by split, and which span they are of."""
    counts = at(manifest, "counts") or {}
    splits = at(manifest, "examples", "splits") or list(counts)
    told = []
    for split in splits:
        explained, read = at(counts, split, "explained"), at(counts, split, "read")
        rows = f"{count(explained)} of " if explained not in (None, read) else ""
        told.append(f"{rows}{count(read)} rows of split {split}" if read is not None else f"split {split}")
    span = span_of(manifest)
    return ", ".join([*told, *([f"span {span}"] if span else [])])


def span_of(manifest: Manifest) -> str:
    """The span of the examples, by the manifest or else by the names of their files; empty where neither says."""
    told = at(manifest, "examples", "span")
    if told is not None:
        return str(told)
    patterns = (at(manifest, "examples", "patterns") or {}).values()
    found = {span for pattern in patterns for span in re.findall(r"\bspan[-_=]?(\d+)", str(pattern), re.IGNORECASE)}
    return ", ".join(sorted(found, key=int))


def _background(manifest: Manifest) -> str:
    rows, split = at(manifest, "background", "num_rows"), at(manifest, "background", "split")
    if rows is None:
        return ""
    near = " near a cut-off" if at(manifest, "background", "near") else ""
    return f"{count(rows)} rows{near}{f' of split {split}' if split else ''}, which stand in for absent features"


def _made(manifest: Manifest) -> str:
    created, version = at(manifest, "created"), at(manifest, "tfx_explain_version")
    try:
        when = datetime.datetime.fromisoformat(str(created)).strftime("%-d %B %Y, %H:%M UTC")
    except ValueError:
        when = str(created or "")
    return ", ".join(filter(None, [when, f"by tfx-explain {version}" if version else ""]))
