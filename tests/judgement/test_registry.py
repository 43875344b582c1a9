"""A rule is known by one description; the configuration offers what is described, and nothing else."""

import typing

import pytest

from tfx_explain.config.drift import AttributionDriftRule, DriftRule
from tfx_explain.config.rules import AttributionRule
from tfx_explain.config.validation import Rule
from tfx_explain.judgement import RULES
from tfx_explain.judgement.rules.attribution_drift import DISTRIBUTION_MEASURES
from tfx_explain.judgement.rules.drift import DRIFT_MEASURES


def settings_class(name):
    return next(each for each in typing.get_args(Rule.model_fields[name].annotation) if each is not type(None))


def test_every_rule_of_the_configuration_is_described_and_every_described_one_can_be_configured():
    assert list(Rule.model_fields) == list(RULES)
    assert [rule.name for rule in RULES.values()] == list(RULES)


@pytest.mark.parametrize("name", RULES)
def test_a_rule_takes_the_settings_that_its_configuration_has(name):
    rule, fields = RULES[name], settings_class(name).model_fields
    chosen_by_the_validator = {"against"} if rule.needs_baseline else set()
    if issubclass(settings_class(name), AttributionRule):
        chosen_by_the_validator.add("method")
    assert set(rule.defaults) == set(fields) - chosen_by_the_validator
    for setting, default in rule.defaults.items():
        if not fields[setting].is_required():
            assert default == fields[setting].default, setting
    named = {*rule.limits, *([rule.about] if rule.about in fields else [])}
    assert named <= set(fields)
    assert set(rule.directions) == (
        set(typing.get_args(fields["direction"].annotation)) if "direction" in fields else set()
    )


@pytest.mark.parametrize(
    ("settings", "measures"), [(DriftRule, DRIFT_MEASURES), (AttributionDriftRule, DISTRIBUTION_MEASURES)]
)
def test_the_measures_of_the_configuration_are_those_that_there_are(settings, measures):
    assert set(typing.get_args(settings.model_fields["measure"].annotation)) == set(measures)
