"""Hostile records among good ones: each is explained or set aside exactly once, as the model itself takes it."""

from __future__ import annotations

import functools
import math
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

import worlds
from fuzzing import models, spoiling
from fuzzing.case import Case, Result, fault_of, generator, pick
from tfx_explain import api
from tfx_explain.errors import TfxExplainError
from tfx_explain.reader import ExplanationReader

NAME = "records"
N_CLEAN = 60
N_SPOILT = 460
_EXTRAS: list[dict[str, Any]] = [
    {},
    {"id_key": "row_id"},
    {"label_key": "approve", "methods": ["shapley", {"permutation_importance": {"num_donors": 1}}]},
    {"slicing_specs": [{}, {"feature_keys": ["segment"]}]},
    {"methods": ["shapley", {"partial_dependence": {"grid_size": 3, "num_ice": 2}}]},
    {"example_weight_key": "weight"},
]


def prepare(seed: int, directory: Path, n_spoilt: int = N_SPOILT) -> Case:
    """Cases of one job each, in turn for each way to call a model."""

    @functools.cache
    def made(kind: str) -> models.Kind:
        return models.KINDS[kind](directory / kind)

    worlds.write_records(directory / "background", [worlds.to_example(row) for row in models.rows(60, 1)])
    clean = [worlds.to_example(row) for row in models.rows(N_CLEAN, 2)]
    # What a job says of the good rows while nothing else is among them.
    alone: dict[str, dict[int, dict[str, Any]]] = {}

    def run(kind: str, records: list[bytes], extra: dict[str, Any], num_shards: int) -> ExplanationReader:
        place = directory / "case"
        shutil.rmtree(place, ignore_errors=True)
        examples = worlds.write_records(place / "examples", records, num_shards)
        return api.explain(
            model=made(kind).model_dir,
            examples=examples,
            background=str(directory / "background" / "*"),
            output_dir=str(place / "out"),
            config={
                "background": {"num_rows": 6},
                "max_examples": None,
                "max_failed_fraction": 1.0,
                "model": made(kind).config,
                **extra,
            },
        )

    def case(index: int) -> Result:
        rng = generator(seed, NAME, index)
        kind = list(models.KINDS)[index % len(models.KINDS)]
        if kind not in alone:
            alone[kind] = explained_rows(run(kind, clean, {}, 1))
        spoilt, told = spoiling.spoil_all(models.rows(n_spoilt, 3 + index), rng)
        records = [*clean, *spoilt]
        order = rng.permutation(len(records))
        result = Result(files={"told": "\n".join(told).encode()})
        result.counts["records"] += len(spoilt)
        try:
            explanation = run(kind, [records[i] for i in order], pick(rng, _EXTRAS), int(rng.integers(1, 4)))
        except (Exception, SystemExit) as error:  # noqa: BLE001 - that is what is looked for
            result.counts["exceptions not ours"] += not isinstance(error, TfxExplainError)
            result.counts["rows lost"] += len(records)
            result.violations.append(f"{kind}: the job fell: {fault_of(error) or error}")
            return result
        _account(explanation, records, result, kind)
        check_values(explained_rows(explanation), alone[kind], records, told, made(kind), result, kind)
        return result

    return case


def explained_rows(explanation: ExplanationReader) -> dict[int, dict[str, Any]]:
    """Id -> what was written of the row; a row without its id, or with one that is there already, under -1, -2, ..."""
    rows: dict[int, dict[str, Any]] = {}
    for batch in explanation.attribution_batches():
        for row in batch.to_pylist():
            ids = row.get("row_id") or []
            key = ids[0] if len(ids) == 1 and isinstance(ids[0], int) and ids[0] >= 0 else -1 - len(rows)
            rows[key if key not in rows else -1 - len(rows)] = row
    return rows


def _account(explanation: ExplanationReader, records: list[bytes], result: Result, kind: str) -> None:
    """Every record read is explained or among the dead letters, as it was read."""
    manifest = explanation.manifest
    counts = next(iter(manifest["counts"].values()))
    failed = sum(sum(reasons.values()) for reasons in manifest["failures"].values())
    n_explained = sum(batch.num_rows for batch in explanation.attribution_batches())
    letters = explanation.dead_letters()
    result.counts["explained"] += n_explained
    result.counts["set aside"] += len(letters)
    lost = len(records) - n_explained - len(letters)
    if lost or counts["read"] != len(records) or counts["explained"] != n_explained or failed != len(letters):
        result.counts["rows lost"] += abs(lost)
        result.violations.append(
            f"{kind}: {len(records)} records, read {counts['read']}, explained {counts['explained']} and {n_explained} "
            f"are written, failed {failed} and {len(letters)} are written"
        )
    read, known = Counter(records), {_normal(record) for record in records}
    for record, reason in zip(letters["record"], letters["reason"], strict=True):
        if read[record] > 0:
            read[record] -= 1
        elif _normal(record) not in known:
            result.counts["dead letters not as read"] += 1
            result.files["letter"] = record
            result.violations.append(f"{kind}: a dead letter is not as it was read ({reason})")


def check_values(
    rows: dict[int, dict[str, Any]],
    alone: dict[int, dict[str, Any]],
    records: list[bytes],
    told: list[str],
    model: models.Kind,
    result: Result,
    kind: str,
) -> None:
    """Good rows as without the others; all others as the model itself answers to their bytes."""
    for row_id, good in alone.items():
        found = rows.get(row_id)
        names = [name for name in good if name.startswith(("attribution_", "prediction", "base_value", "std_error"))]
        if found is None:
            result.counts["rows lost"] += 1
            result.violations.append(f"{kind}: good row {row_id} is not explained")
        elif any(found[name] != good[name] for name in names):
            worst = max(abs(found[name][0] - good[name][0]) for name in names)
            result.violations.append(f"{kind}: good row {row_id} has attributions that are {worst:.2g} off")
    ids = [_id(record) for record in records]
    known = Counter(ids)
    for record, row_id, what in zip(records[N_CLEAN:], ids[N_CLEAN:], told, strict=True):
        if row_id is None or known[row_id] > 1 or row_id not in rows:
            continue
        # Ours and the model's parser differ on bytes that no program writes; what they mean must be the same.
        answer, got = model.ask(_normal(record)), rows[row_id]["prediction"][0]
        if isinstance(answer, str):
            result.files["record"] = record
            result.violations.append(f"{kind}: explained ({got:g}) though the model says {answer[:150]!r} ({what})")
        elif answer is not None and not math.isclose(got, float(np.float32(answer)), rel_tol=1e-5, abs_tol=1e-6):
            result.files["record"] = record
            result.violations.append(f"{kind}: prediction {got:.7g} where the model gives {answer:.7g} ({what})")
        else:
            result.counts["checked against the model"] += answer is not None


def _normal(record: bytes) -> bytes:
    """The same row in the one way that protocol buffers write it, features without values left out; else as it is."""
    try:
        example = tf.train.Example.FromString(record)
    except Exception:  # noqa: BLE001 - it has no other way
        return record
    example.DiscardUnknownFields()
    features = example.features.feature
    for name in list(features):
        kind = features[name].WhichOneof("kind")
        if kind is None or not getattr(features[name], kind).value:
            del features[name]
    return example.SerializeToString(deterministic=True)


def _id(record: bytes) -> int | None:
    try:
        values = tf.train.Example.FromString(record).features.feature["row_id"].int64_list.value
    except Exception:  # noqa: BLE001 - it has none that could be known
        return None
    return values[0] if len(values) == 1 and values[0] >= 0 else None
