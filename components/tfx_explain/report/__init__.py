"""An explanation or a verdict as one self-contained HTML page for people; no TensorFlow, no network, no script."""

from tfx_explain.report.data import ReportData
from tfx_explain.report.render import GENERATOR, render_explanation, render_report, render_verdict

__all__ = ["GENERATOR", "ReportData", "render_explanation", "render_report", "render_verdict"]
