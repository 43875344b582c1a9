"""An explanation or a verdict as one self-contained HTML page for people; no TensorFlow, no network."""

from tfx_explain.report.data import Link, ReportData
from tfx_explain.report.page import GENERATOR
from tfx_explain.report.render import Beside, render_explanation, render_judged, render_report, render_verdict

__all__ = [
    "GENERATOR",
    "Beside",
    "Link",
    "ReportData",
    "render_explanation",
    "render_judged",
    "render_report",
    "render_verdict",
]
