"""The manifest: what was explained, by what and how, for people, programs and audits."""

from __future__ import annotations

import contextlib
import datetime
import importlib.metadata
import json
import logging
import platform
from collections.abc import Mapping, Sequence

from tfx_explain import records, tables
from tfx_explain.config import ExplainConfig
from tfx_explain.job.request import ExplainRequest
from tfx_explain.job.results import JobResults
from tfx_explain.methods.outputs import names_of
from tfx_explain.models import Model
from tfx_explain.optional import is_installed
from tfx_explain.tables.manifest import LIMITS, PARTS, PROCESSES, REASONS, STORED_FEATURES
from tfx_explain.timings import COUNTED, Spent
from tfx_explain.version import __version__

_LOG = logging.getLogger(__name__)

_LIBRARIES = ("tensorflow", "keras", "tfx", "apache-beam", "tensorflow-data-validation", "numpy")


def describe_run(
    request: ExplainRequest, run: JobResults, seconds: float, processes: Sequence[Mapping[str, Spent]]
) -> dict[str, object]:
    """The manifest of a finished run; the keys are those of `tables.manifest`.

    Args:
      request: what was asked for.
      run: what the workers found out.
      seconds: how long the job took.
      processes: what -> what it took, of each process.
    """
    config, model = request.config, request.models[0].acquire()
    counts = {split: run.counts[split] for split in request.example_patterns}
    # What is no share of the output has none.
    gaps = {name: gap for name, gap in run.gaps.items() if run.methods.get(name, {}).get("adds_up", True)}
    return {
        "format_version": records.FORMAT_VERSION,
        "tfx_explain_version": __version__,
        "created": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "method": run.methods,
        tables.ATTRIBUTION_METHODS: list(run.gaps),
        PARTS: request.layout.describe_parts(),
        "config": json.loads((request.asked or config).to_json()),
        **({} if request.limits is None else {LIMITS: dict(request.limits)}),
        "model": _model(request, model, run.looks_like_probabilities),
        "baseline_model": _baseline(request),
        "transform_graph": _transform_graph(request),
        "label": _label(request),
        "examples": _examples(request, counts),
        "background": _background(request, run),
        "players": {name: list(features) for name, features in request.players.items()},
        "top_players": run.top_players,
        "unused_features": list(request.unused_features),
        STORED_FEATURES: None if request.stored_features is None else sorted(request.stored_features),
        "outputs": list(request.outputs),
        "class_names": _class_names(request, model),
        "base_values": dict(zip(names_of(model, run.outputs), run.base_values, strict=True)),
        "counts": counts,
        "slices": run.slices,
        "failures": run.failures,
        "completeness_gap": next(iter(gaps.values()), {"max_abs": 0.0, "max_relative": 0.0}),
        "completeness_gaps": gaps,
        **({} if request.reasons is None else {REASONS: request.reasons.describe()}),
        "seed": config.seed,
        "versions": {"python": platform.python_version(), **_versions()},
        "timings_seconds": {"total": round(seconds, 3), **_seconds(processes)},
        PROCESSES: [_spent(process) for process in processes if process],
        "attributions_uri": _attributions_uri(request),
    }


def _examples(request: ExplainRequest, counts: Mapping[str, dict[str, int | str]]) -> dict[str, object]:
    """What was read; takes the digests of splits out of their counts."""
    return {
        "splits": list(counts),
        "span": request.span or None,
        "patterns": dict(request.example_patterns),
        "digests": {split: values.pop("digest", None) for split, values in counts.items()},
    }


def _background(request: ExplainRequest, run: JobResults) -> dict[str, object]:
    asked = request.config.background
    return {
        "pattern": request.background_pattern,
        "split": asked.split,
        "strategy": asked.strategy,
        **run.background,
    }


def _model(request: ExplainRequest, model: Model, like: str) -> dict[str, str | int]:
    is_one = model.output_space == "logit" and model.n_outputs == 1
    return {
        "uri": request.models[0].model_dir,
        "digest": request.models[0].identity,
        "signature": request.config.model.signature,
        "output": model.output_name,
        "output_space": model.output_space,
        "output_space_note": _space_note(model, request.config, like),
        "link": "sigmoid" if is_one else model.link if model.output_space == "logit" else "",
        "num_outputs": model.n_outputs,
        "access": model.access,
    }


def _space_note(model: Model, config: ExplainConfig, like: str) -> str:
    """Why the space is not the one asked for, and whether what the outputs look like speaks against it."""
    note = model.output_space_note
    if like and config.model.output_space == "logit" and model.output_space == "raw":
        hint = f"The outputs of all background rows lie {like}, as probabilities do; if they are some, set "
        note = f"{note} {hint}`model.output_is: probabilities`."
        _LOG.warning("%s", note)
    elif like and config.model.output_is == "logits":
        note = (
            f"{note} The outputs of all background rows lie {like}, as probabilities do, but log-odds seldom.".strip()
        )
        _LOG.warning("%s", note)
    return note


def _baseline(request: ExplainRequest) -> dict[str, str] | None:
    if len(request.models) == 1:
        return None
    handle = request.models[1]
    described = {"uri": handle.model_dir, "digest": handle.identity}
    if handle.transform is not None and handle.acquire().is_joined:
        described["transform_graph"] = handle.transform.identity
    return described


def _transform_graph(request: ExplainRequest) -> dict[str, str | list[str]] | None:
    """Which graph, and what it was used for."""
    transform = request.transform
    if transform is None:
        return None
    uses = {
        "players": request.models[0].transform is None,
        "model": any(handle.acquire().is_joined for handle in request.models),
        "label": request.labels is not None and request.labels.transform is not None,
    }
    used_for = [what for what, is_used in uses.items() if is_used]
    return {"uri": transform.directory, "digest": transform.identity, "used_for": used_for}


def _class_names(request: ExplainRequest, model: Model) -> dict[str, str]:
    """Output -> what it is called; of a single output the classes that it tells apart have no output each."""
    if model.n_outputs == 1:
        return {}
    names = names_of(model, range(len(request.class_names)))
    return {
        name: told.decode("utf-8", "replace")
        for name, told in zip(names, request.class_names, strict=True)
        if name in request.outputs
    }


def _label(request: ExplainRequest) -> dict[str, str | int] | None:
    """Where it came from."""
    labels = request.labels
    if labels is None:
        return None
    source = "examples" if labels.transform is None else "transform"
    return {"key": labels.key, "from": source, "num_class_names": len(labels.class_names)}


def _seconds(processes: Sequence[Mapping[str, Spent]]) -> dict[str, float]:
    """What -> its seconds in all processes together."""
    return {
        what: round(sum(process[what].seconds for process in processes if what in process), 3)
        for what in COUNTED
        if any(what in process for process in processes)
    }


def _spent(process: Mapping[str, Spent]) -> dict[str, dict[str, float]]:
    return {
        what: {"times": process[what].times, "seconds": round(process[what].seconds, 3)}
        for what in COUNTED
        if what in process
    }


def _versions() -> dict[str, str]:
    found = {}
    for name in filter(_is_there, _LIBRARIES):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found


def _is_there(library: str) -> bool:
    return is_installed(library.replace("-", "_"))


def _attributions_uri(request: ExplainRequest) -> str:
    """Relative where the attributions lie beneath the explanation, so that the whole can be moved."""
    inside = request.explanation_dir.rstrip("/") + "/"
    return request.attributions_dir.removeprefix(inside)
