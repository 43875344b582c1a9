"""What rules judge, made of attributions in memory rather than of a written explanation."""

from collections.abc import Sequence
from typing import Any

from tfx_explain.judgement import Evidence
from tfx_explain.judgement.details import SignedMeans
from tfx_explain.summary import ImportanceSummary


def evidence_of(summary: ImportanceSummary, players: Sequence[str], **about: Any) -> Evidence:
    """The evidence in a summary; `players` in the order in which attributions were added."""
    signed = SignedMeans(
        summary.mean_signed, summary.mean_signed_std_error, summary.mean_design_std_error, summary.signed_skewness
    )
    return Evidence(
        tuple(players),
        summary.n_examples,
        summary.mean_abs,
        summary.mean_abs_covariance,
        summary.max_relative_completeness_gap,
        n_effective=summary.n_effective,
        skewness=summary.skewness,
        signed=signed,
        cut_off=summary.cut_off,
        **about,
    )
