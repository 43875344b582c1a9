"""What an explanation says of itself in the log."""

import logging
from typing import Any

import pytest

from tfx_explain.explainer.description import log_explanation


def test_the_log_says_how_many_rows_what_counts_and_where_to_look(caplog: pytest.LogCaptureFixture) -> None:
    manifest: Any = {
        "counts": {"eval": {"explained": 48, "read": 50}},
        "failures": {"eval": {"no number": 2}},
        "top_players": ["age", "ra\u200bce"],
    }
    with caplog.at_level(logging.INFO, "absl"):
        log_explanation(manifest, "/explanation/3")
    assert caplog.messages == [
        "eval: 48 of 50 rows explained, 2 failed.",
        "Most important: age, ra\\u200bce.",
        "See /explanation/3/report.html",
    ]
