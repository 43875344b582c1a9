"""The verdicts before this one: a small table that each verdict copies from the last and adds itself to.

What it says of earlier runs is copied, so that a trend outlives explanations that are cleaned away.
"""

from __future__ import annotations

import dataclasses
import hashlib
import math
from collections.abc import Iterator
from typing import Any

import pandas as pd

from tfx_explain import documents, records, storage, tables
from tfx_explain.errors import InputError
from tfx_explain.judgement import RULES, Finding
from tfx_explain.judgement.wording import joined
from tfx_explain.reader import ExplanationReader
from tfx_explain.report.header import span_of
from tfx_explain.slicing import OVERALL

MAX_RUNS = 100
MAX_FEATURES = 20
MAX_OUTPUTS = 5
MAX_FINDINGS = 50
DIGEST = "history_digest"
_COLUMNS = [column.name for column in tables.HISTORY.columns]
_FIGURES = ("value", "ci_low", "ci_high", "threshold")


@dataclasses.dataclass(frozen=True)
class History:
    """Runs and what they found, as `tables.HISTORY` describes.

    Attributes:
      content: the file.
    """

    content: bytes

    @property
    def table(self) -> pd.DataFrame:
        """Its rows, oldest run first."""
        return records.parse_table(tables.HISTORY.file, self.content).to_pandas()

    @property
    def digest(self) -> str:
        """SHA-256 of the file."""
        return hashlib.sha256(self.content).hexdigest()

    @classmethod
    def read(cls, directory: str) -> History | None:
        """What a verdict knew of itself and those before it; None where it is gone, or an earlier version wrote it.

        Args:
          directory: of the verdict.

        Raises:
          InputError: it is not what was written.
        """
        findings, uri = (storage.join(directory, name) for name in (tables.FINDINGS, tables.HISTORY.file))
        if not storage.exists(findings):
            return None
        try:
            told: Any = documents.parse_json(storage.read_bytes(findings), max_values=None)
            digest = told.get(DIGEST)
        except (documents.DocumentError, AttributeError):
            raise InputError(f"{findings} is damaged; leave out the verdict before this one to begin anew.") from None
        if digest is None:
            return None
        there = cls(storage.read_bytes(uri) if storage.exists(uri) else b"")
        if there.digest != digest:
            raise InputError(
                f"{uri} is not the file that was written (its SHA-256 differs); leave out the verdict before this one "
                "to begin anew."
            )
        return there


def extended(
    earlier: History | None, explanation: ExplanationReader, findings: tuple[Finding, ...], *, blessed: bool
) -> History:
    """The history with one run more; one that was in it, of the same explanation, takes its new verdict.

    Args:
      earlier: what the verdict before knew.
      explanation: what was judged.
      findings: what was found.
      blessed: the verdict.
    """
    rows = pd.DataFrame(_rows(explanation, findings, blessed), columns=_COLUMNS)
    if earlier is not None:
        before = earlier.table
        before = before[before["manifest_digest"] != explanation.manifest_digest]
        rows = pd.concat([before, rows.assign(run=int(before["run"].max()) + 1 if len(before) else 0)])
    order = sorted(set(rows["run"]))[-MAX_RUNS:]
    rows = rows[rows["run"].isin(order)]
    rows = rows.assign(run=rows["run"].map({run: place for place, run in enumerate(order)}).astype("int64"))
    return History(records.table_bytes(rows.reset_index(drop=True)))


def _rows(explanation: ExplanationReader, findings: tuple[Finding, ...], blessed: bool) -> list[dict[str, Any]]:
    manifest = explanation.manifest
    run = {
        "run": 0,
        "created": str(manifest["created"]),
        "span": span_of(manifest),
        "blessed": blessed,
        "explanation_uri": explanation.uri,
        "manifest_digest": explanation.manifest_digest,
        "model_digest": str(manifest["model"]["digest"]),
        **dict.fromkeys(("output", "method", "player", "rule", "outcome"), ""),
        **dict.fromkeys(_FIGURES, math.nan),
    }
    told = [{"kind": tables.VERDICT}, *_shares(explanation), *_drift(findings)]
    return [{**run, **one} for one in told]


def _shares(explanation: ExplanationReader) -> Iterator[dict[str, Any]]:
    """The features of the largest shares, by the first method that attributes."""
    for method in explanation.methods[:1]:
        for output in explanation.outputs[:MAX_OUTPUTS]:
            rows = explanation.importance_for(output=output, method=method)
            rows = rows.assign(share=tables.shares_of_total(rows)).head(MAX_FEATURES)
            for name, share, low, high in rows[["player", "share", "share_ci_low", "share_ci_high"]].itertuples(False):
                yield {
                    "kind": tables.SHARE,
                    "output": output,
                    "method": method,
                    "player": name,
                    "value": share,
                    "ci_low": low,
                    "ci_high": high,
                }


def _drift(findings: tuple[Finding, ...]) -> Iterator[dict[str, Any]]:
    """What rules found that compare with a baseline, over all rows."""
    judged = [one for one in findings if is_drift(one) and one.slice_key == OVERALL and one.outcome != "skipped"]
    seen: dict[tuple[str, str], int] = {}
    for finding in judged[:MAX_FINDINGS]:
        name = drift_name(finding)
        seen[name, finding.output] = n = seen.get((name, finding.output), 0) + 1
        yield {
            "kind": tables.DRIFT,
            "output": finding.output,
            "method": str(finding.settings.get("method") or ""),
            "rule": name if n == 1 else f"{name} ({n})",
            **{figure: getattr(finding, figure) for figure in _FIGURES},
            "outcome": finding.outcome,
        }


def is_drift(finding: Finding) -> bool:
    """Whether its rule compares with a baseline."""
    return finding.rule in RULES and RULES[finding.rule].needs_baseline


def drift_name(finding: Finding) -> str:
    """The rule with what it measures, and the settings that tell it from others of the same measure, but its limit."""
    settings = finding.settings
    told = [" ".join(str(part) for part in (finding.rule, settings.get("measure"), settings.get("method")) if part)]
    told += [f"k {settings['k']}"] if "k" in settings else []
    told += [f"against {settings['against']}"] if settings.get("against") else []
    told += [f"of {joined(settings['players'])}"] if settings.get("players") else []
    return ", ".join(told)
