"""Explanations made up for reports, and pages as tests read them."""

from __future__ import annotations

import html.parser
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from tfx_explain.judgement import Evidence, Finding, apply_rule
from tfx_explain.report import ReportData
from tfx_explain.summary import ImportanceAccumulator

_VOID = {"meta", "line", "circle", "rect", "br", "link", "img", "input", "hr", "wbr"}


class Page(html.parser.HTMLParser):
    """Tags, attributes, text, scripts and `<data>` figures of a page; fails on tags that do not nest."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.texts: list[str] = []
        self.scripts: list[str] = []
        self.figures: list[float] = []
        self._open: list[str] = []
        self.feed(page)
        self.close()
        assert not self._open, f"never closed: {self._open}"
        self.text = " ".join(" ".join(self.texts).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag == "data":
            self.figures.append(float(dict(attrs)["value"] or "nan"))
        if tag not in _VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in _VOID:
            assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open[-1:] == ["script"]:
            self.scripts.append(data)
        elif self._open[-1:] != ["style"]:
            self.texts.append(data)


def report_data(
    players: Sequence[str],
    *,
    n: int = 300,
    outputs: Sequence[str] = ("approve",),
    slices: Sequence[str] = ("overall",),
    seed: int = 0,
    n_rows: int = 60,
    **kwargs: Any,
) -> ReportData:
    """Attributions that fade from player to player, of random rows."""
    rng, n_rows = np.random.default_rng(seed), min(n, n_rows)
    d, frames, examples = len(players), [], {}
    for output in outputs:
        features = rng.normal(size=(n, d))
        phi = features * np.linspace(1.0, 0.1, d)
        accumulator = ImportanceAccumulator(d)
        accumulator.add(phi, np.zeros((n, d)), np.zeros((n, d)), np.zeros(n), phi.sum(1))
        columns = accumulator.result().columns()
        frames += [
            pd.DataFrame({"slice": slice_, "output": output, "method": "shapley", "player": players, **columns})
            for slice_ in slices
        ]
        rows = pd.DataFrame(features[:n_rows], columns=players)
        attributions = pd.DataFrame(phi[:n_rows], columns=[f"attribution_{player}" for player in players])
        errors = pd.DataFrame(0.01, rows.index, [f"std_error_{player}" for player in players])
        examples[output] = pd.concat([rows, attributions, errors], axis=1).assign(
            base_value=0.5, prediction=0.5 + phi[:n_rows].sum(1), example_id=[f"row{i}" for i in range(n_rows)]
        )
    manifest = kwargs.pop("manifest", manifest_of(players, outputs, n))
    return ReportData(manifest, pd.concat(frames, ignore_index=True), examples, **kwargs)


def manifest_of(players: Sequence[str], outputs: Sequence[str], n: int) -> dict[str, Any]:
    """What a manifest says of these."""
    return {
        "tfx_explain_version": "0.1.0",
        "method": {"shapley": {"estimator": "exact", "coalitions_per_background_row": 510}},
        "model": {"uri": "gs://bucket/model/7", "digest": "d1g3st", "output_space": "logit"},
        "examples": {"splits": ["eval"], "digests": {"eval": "e4"}},
        "background": {"split": "train", "num_rows": 128, "digest": "b4ck"},
        "players": {player: [player] for player in players},
        "unused_features": ["never_read"],
        "outputs": list(outputs),
        "base_values": [0.25] * len(outputs),
        "counts": {"eval": {"read": n + 3, "explained": n, "model_rows": 1234567}},
        "failures": {"eval": {"feature `x` is missing": 3}},
        "completeness_gap": {"max_abs": 2.5e-9, "max_relative": 1e-9},
        "seed": 7,
    }


def findings() -> list[Finding]:
    """One that passes and one that fails."""
    evidence = Evidence(("race", "income"), 500, np.array([1.0, 9.0]), np.diag([0.001, 0.01]), 1e-9, output="approve")
    return [
        apply_rule("max_completeness_gap", {"value": 1e-3}, evidence),
        apply_rule("max_share", {"players": ["race"], "value": 0.05}, evidence),
    ]


def history(n: int, refused: int = 5, names: Sequence[str] = ("income", "debt", "age")) -> pd.DataFrame:
    """Runs as `history.parquet` has them: one feature takes over from another after the run that is refused."""
    rows = []
    for run in range(n):
        about = {
            "run": run,
            "created": f"2026-11-{run + 1:02d}T06:00:00+00:00",
            "span": str(run + 1),
            "blessed": run < refused,
            "explanation_uri": f"/explanation/{run}",
            "manifest_digest": f"{run:064d}",
            "model_digest": "a",
            "output": "",
            "method": "",
            "player": "",
            "rule": "",
            "outcome": "",
            **dict.fromkeys(("value", "ci_low", "ci_high", "threshold"), math.nan),
        }
        rows.append({**about, "kind": "verdict"})
        moved = 0.3 * (run >= refused)
        for name, share in zip(names, (0.6 - moved, 0.3 + moved, 0.1), strict=True):
            share += 0.01 * (run % 3)
            of_feature = {"output": "score", "method": "shapley", "player": name, "value": share}
            rows.append({**about, "kind": "share", **of_feature, "ci_low": share - 0.03, "ci_high": share + 0.03})
        distance = 0.02 + 0.005 * (run % 3) + moved
        of_rule = {"output": "score", "rule": "drift total_variation", "value": distance, "threshold": 0.15}
        outcome = "fail" if run >= refused else "pass"
        bounds = {"ci_low": max(distance - 0.05, 0.0), "ci_high": distance + 0.05, "outcome": outcome}
        rows.append({**about, "kind": "drift", **of_rule, **bounds})
    return pd.DataFrame(rows)
