"""The table beside a verdict that remembers the verdicts before it."""

from __future__ import annotations

from tfx_explain.tables.columns import UNKNOWN, number, text, whole
from tfx_explain.tables.schema import Column, Kind, Table

SHARE, DRIFT, VERDICT = "share", "drift", "verdict"
"""What a row of it is about."""
_OF_DRIFT = ("kind", (DRIFT,))
_FIGURES = ("kind", (SHARE, DRIFT))

HISTORY = Table(
    file="history.parquet",
    about="What a verdict and those before it found, copied from one to the next, so that it outlives what is cleaned "
    "away: shares of the importance, and what rules about drift found over all rows. It lies beside `findings.json`, "
    "which has its SHA-256 as `history_digest`.",
    when="in the directory of a verdict",
    row="run, kind, output, feature and rule",
    key=("run", "kind", "output", "player", "rule"),
    columns=(
        whole("run", "Counts runs from 0, the oldest that is kept; of the 100 newest. The last one is this verdict."),
        text("created", "When the run was explained, in UTC (ISO 8601)."),
        text("span", "The span of its examples; no text where ExampleGen named none."),
        Column("blessed", Kind.FLAG, "The verdict on the run."),
        text("explanation_uri", "Where its explanation was written."),
        text("manifest_digest", "SHA-256 of the manifest of that explanation."),
        text("model_digest", "Digest of the model that was explained."),
        text(
            "kind",
            "`verdict`: a row of each run, without a figure; `share`: the importance of a feature as a part of that of "
            "all, of the 20 largest of the first 5 outputs; `drift`: what a rule about drift found, of 50 at most.",
        ),
        text("output", "Name of the output; no text of a verdict."),
        text("method", "The method of attributions; no text of a verdict, and where a rule named none."),
        text("player", "Name of the feature, or of the group of features, of a share; no text of other rows."),
        text(
            "rule",
            "The rule about drift, with its measure and what else is set but its limit; no text of other rows.",
        ),
        number("value", "The figure.", empty=UNKNOWN, of=_FIGURES),
        number("ci_low", "Its lower bound: of a share of the 95 % interval.", empty=UNKNOWN, of=_FIGURES),
        number("ci_high", "Its upper bound, likewise.", empty=UNKNOWN, of=_FIGURES),
        number("threshold", "What the rule allows.", empty=UNKNOWN, of=_OF_DRIFT),
        text("outcome", "Of the rule: `pass`, `fail`, `insufficient_evidence`; no text of other rows."),
    ),
)
