"""From evidence to findings: the rules of a policy, drift from a baseline, and how sure the two are. Pure.

To add a rule: its settings in `config/rules.py`, and in `rules/` one function, one `RuleDescription`, and its place in
the registry.
"""

from tfx_explain.judgement.evidence import Evidence
from tfx_explain.judgement.finding import Finding, Outcome
from tfx_explain.judgement.harness import apply_rule, judge_rule, judgement_of, skip_rule
from tfx_explain.judgement.policy import Judgement, findings_of, is_blessed, promise
from tfx_explain.judgement.rule import Demand, RuleDescription
from tfx_explain.judgement.rules import RULES, describe
from tfx_explain.judgement.rules.attribution_drift import ATTRIBUTION_DRIFT

__all__ = [
    "ATTRIBUTION_DRIFT",
    "RULES",
    "Demand",
    "Evidence",
    "Finding",
    "Judgement",
    "Outcome",
    "RuleDescription",
    "apply_rule",
    "describe",
    "findings_of",
    "is_blessed",
    "judge_rule",
    "judgement_of",
    "promise",
    "skip_rule",
]
