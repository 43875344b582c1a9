"""Pages of all kinds of models, as large as reports get, and with names that try to be markup."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
import pyarrow as pa
from PIL import Image

import pages
from tfx_explain import records
from tfx_explain.attribution_records import MethodFigures, RecordLayout, attribution_batch
from tfx_explain.part_records import PartRows, PartsOf
from tfx_explain.regions import encode_labels
from tfx_explain.report import Beside, ReportData, render_report, render_verdict
from tfx_explain.report.inside import InsideSection, make_inside
from tfx_explain.report.reasons import count_reasons, reasons_of_rows
from tfx_explain.summary import PartialDependenceAccumulator

EVIL = """<script>alert("x")</script><img src=x onerror=alert(1)>&amp;'"""
MAX_BYTES = 2_000_000


def _judged(data: ReportData) -> ReportData:
    return dataclasses.replace(data, findings=pages.findings(), blessed=False, verdict_page="verdict.html")


def of_features(d: int, **kwargs: object) -> ReportData:
    """Features by number, a few of them texts, two in a group; profiles of all by both methods."""
    names = [f"feature_{place}" for place in range(d)]
    data = pages.report_data(names, n=2_000, n_rows=400, **kwargs)
    categories = np.array(["Berlin", "Paris", "a place with a very long name indeed", "Rome", "Oslo", "Riga"], object)
    for frame in data.examples.values():
        frame["feature_1"] = categories[(frame["feature_1"].rank() % len(categories)).astype(int)]
        frame["city"], frame["zip"] = categories[np.arange(len(frame)) % 6], np.arange(len(frame)) * 7 % 400
    players = {**data.manifest["players"], "feature_2": ["city", "zip"]}
    model = {**data.manifest["model"], "output": data.outputs[0]}
    manifest = {**data.manifest, "players": players, "created": "2026-11-29T20:00:00+00:00", "model": model}
    importance = data.importance.assign(num_examples=2_000)
    return dataclasses.replace(data, manifest=manifest, importance=importance, profiles=_profiles(names, data.outputs))


def _profiles(names: Sequence[str], outputs: Sequence[str]) -> pd.DataFrame:
    """Curves on seven points, with single curves."""
    rng, n = np.random.default_rng(0), 7
    accumulator = PartialDependenceAccumulator([[1 / n] * n], 20)
    ids = np.array([f"row{i}" for i in range(50)], object)
    accumulator.add([rng.normal(size=(50, n)) + np.arange(n)], None, np.arange(50, dtype=np.uint64), ids)
    place = {"slice": "overall", "position": np.arange(n), "grid_value": np.arange(n) * 10.0, "level": None}
    curve = pd.DataFrame({**place, "kind": "curve", "example_id": None, **accumulator.result(0).columns()})
    singles = accumulator.ice(0)
    ice = [
        pd.DataFrame({**place, "kind": "ice", "example_id": one, "centred_value": singles.centred_values[at]})
        for at, one in enumerate(singles.example_ids)
    ]
    both = pd.concat([curve, *ice], ignore_index=True)
    methods = ("partial_dependence", "accumulated_local_effects")
    return pd.concat(
        [
            (both if method == methods[0] else curve).assign(output=output, method=method, feature=name)
            for output in outputs
            for method in methods
            for name in names
        ],
        ignore_index=True,
    )


def of_classes(n: int) -> ReportData:
    """A softmax over many classes, whose tables are in the order of text."""
    outputs = [f"probabilities[{place}]" for place in range(n)]
    data = of_features(10, outputs=sorted(outputs))
    model = {**data.manifest["model"], "link": "softmax", "num_outputs": n}
    return dataclasses.replace(data, manifest={**data.manifest, "outputs": outputs, "model": model})


def of_slices(n: int) -> ReportData:
    """Two large slices, and others of one row each."""
    names = ["sex=f", "sex=m", *(f"id={place}" for place in range(n - 2))]
    data = of_features(10, slices=("overall", *names))
    large = data.importance["slice"].isin(["overall", "sex=f", "sex=m"])
    return dataclasses.replace(data, importance=data.importance.assign(num_examples=np.where(large, 1_000, 1)))


def _inside(feature: str, values: Sequence[bytes], of: PartsOf, parts: PartRows) -> list[InsideSection]:
    """What Shapley values found inside the only feature."""
    layout = RecordLayout((feature,), 1, ("shapley",), parts={"shapley": {feature: of}})
    column = records.lists_of(np.array(list(values), object)[:, None], pa.large_binary())
    sums = parts.sums()[:, None]
    zeros = np.zeros_like(sums)
    figures = MethodFigures(zeros[:, 0], sums, zeros, zeros[:, 0], parts={feature: parts})
    ids = [b"row %d" % row for row in range(len(values))]
    rows = pa.RecordBatch.from_arrays([column], names=[feature])
    return make_inside(attribution_batch(rows, layout, ids, [sums[:, 0]], [figures]), layout, ["out"])


def of_reasons(n: int = 30, k: int = 7) -> ReportData:
    """Reasons of all rows, with codes, long texts and texts that try to be markup."""
    data = of_features(n)
    (output,), rows = data.outputs, data.examples["approve"].reset_index(drop=True)
    names = [f"feature_{place}" for place in range(n)]
    values = rows[[f"attribution_{name}" for name in names]].to_numpy()
    texts = [EVIL, "What you owe is high for what you earn, " * 6, *(f"{name} speaks against it" for name in names[2:])]
    listed = []
    for row, order in enumerate(np.argsort(values, axis=1)[:, :k]):
        chosen = [int(place) for place in order if values[row, place] < 0]
        listed += [
            (row, f"row{row}", output, rank, names[place], f"R{place}", texts[place], values[row, place], row % 7 == 0)
            for rank, place in enumerate(chosen, 1)
        ]
    columns = ["row", "example_id", "output", "rank", "player", "code", "text", "attribution", "rank_uncertain"]
    frame = pd.DataFrame(listed, columns=columns).assign(std_error=0.01, tied=False)
    table = pa.Table.from_pandas(frame, preserve_index=False)
    manifest = {
        **data.manifest,
        "reasons": {"adverse": {output: "low"}, "method": "shapley", "k": k, "confidence": 0.95},
    }
    of_rows = reasons_of_rows(table, set(rows["example_id"]))
    return dataclasses.replace(data, manifest=manifest, reasons=count_reasons(table), row_reasons=of_rows)


def of_images(n: int = 6) -> ReportData:
    """Photographs of noise in four regions."""
    rng, files = np.random.default_rng(0), []
    labels = np.kron(np.arange(4).reshape(2, 2), np.ones((16, 16), np.int64))
    for _ in range(n):
        file = io.BytesIO()
        Image.fromarray(rng.integers(0, 255, (192, 192, 3)).astype(np.uint8)).save(file, "PNG")
        files.append(file.getvalue())
    maps = np.array([encode_labels(labels)] * n, object)
    values = rng.normal(size=(4 * n, 1))
    parts = PartRows(np.full(n, 4), np.full((4 * n, 1), 256), values, np.abs(values) / 9, maps)
    data = pages.report_data(["image"], outputs=("out",))
    of = PartsOf("regions", ("pixels",), has_maps=True)
    return dataclasses.replace(data, inside=_inside("image", files, of, parts))


def of_texts() -> ReportData:
    """Long texts, one of them from right to left and one that tries to be markup."""
    texts = [
        b"a good film that ends badly " * 30,
        "\u05e1\u05e8\u05d8 \u05d8\u05d5\u05d1 ".encode() * 30,
        EVIL.encode(),
    ]
    lengths, where = [], []
    for content in texts:
        stops = [*range(7, len(content), 7), len(content)]
        where += list(zip([0, *stops[:-1]], stops, strict=True))
        lengths.append(len(stops))
    values = np.random.default_rng(0).normal(size=(len(where), 1))
    parts = PartRows(np.array(lengths), np.array(where), values, np.abs(values) / 9)
    data = pages.report_data(["review"], outputs=("out",))
    return dataclasses.replace(data, inside=_inside("review", texts, PartsOf("spans", ("start", "stop")), parts))


def of_hostile_names() -> ReportData:
    """Names and values that try to be markup, wherever some stand."""
    data = pages.report_data([EVIL, f"{EVIL}2", "b"], outputs=(EVIL,), slices=("overall", EVIL), n_rows=40, title=EVIL)
    data.examples[EVIL]["b"], data.examples[EVIL]["example_id"] = EVIL, f"</script>{EVIL}"
    model = {"uri": EVIL, "output": EVIL, "output_space": "logit"}
    manifest = {**data.manifest, "failures": {EVIL: {EVIL: 2}}, "unused_features": [EVIL], "model": model}
    return dataclasses.replace(data, manifest=manifest)


KINDS: dict[str, Callable[[], str]] = {
    "10-features": lambda: render_report(_judged(of_features(10))),
    "60-features": lambda: render_report(of_features(60)),
    "300-features": lambda: render_report(of_features(300)),
    "25-classes": lambda: render_report(of_classes(25)),
    "200-slices": lambda: render_report(of_slices(200)),
    "reasons": lambda: render_report(of_reasons()),
    "images": lambda: render_report(of_images()),
    "texts": lambda: render_report(of_texts()),
    "hostile-names": lambda: render_report(of_hostile_names()),
    "verdict": lambda: render_verdict(
        pages.findings(), blessed=False, about="/explanation", beside=Beside(page="report.html")
    ),
    "trend": lambda: render_verdict(pages.findings(), blessed=False, beside=Beside(history=pages.history(10))),
}
"""What it is of -> its page."""
