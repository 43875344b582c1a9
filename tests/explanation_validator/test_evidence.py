"""Evidence is of the method whose rows it is made from, however many methods the tables hold."""

import dataclasses
import types

import numpy as np
import pandas as pd
import pytest

from tfx_explain.config import SlicingSpec
from tfx_explain.explanation_validator.details import Details
from tfx_explain.explanation_validator.evidence import evidence_in
from tfx_explain.explanation_validator.sides import Side, compare
from tfx_explain.judgement import RULES

PLAYERS = ("age", "income")
VALUES = {"shapley": [1.0, 2.0], "another": [10.0, 20.0]}
KEY = {"slice": "overall", "output": "score"}


def _importance(method):
    rows = {"method": method, "player": PLAYERS, "value": VALUES[method], "num_examples": 40}
    rows |= {
        "num_effective_examples": 30.0,
        "skewness": 0.5,
        "mean_signed": VALUES[method],
        "mean_signed_std_error": 0.1,
    }
    return pd.DataFrame(KEY | rows)


def _covariance(method):
    pairs = {"player_a": ["age", "age", "income"], "player_b": ["age", "income", "income"]}
    return pd.DataFrame(
        KEY | {"method": method} | pairs | {"covariance": np.array([0.1, 0.02, 0.3]) * VALUES[method][0]}
    )


@pytest.fixture(scope="module")
def explanation():
    """What evidence is read from, with the tables of two methods."""
    return types.SimpleNamespace(
        uri="an explanation",
        players=PLAYERS,
        outputs=("score",),
        methods=("shapley",),
        importance=pd.concat([_importance(method) for method in VALUES], ignore_index=True),
        importance_covariance=pd.concat([_covariance(method) for method in VALUES], ignore_index=True),
        manifest={
            "method": {},
            "unused_features": ["race"],
            "completeness_gap": {"max_relative": 1e-9},
            "config": {"slicing_specs": []},
            "slices": {"included": [{"slice": "overall", "features": {}, "num_examples": 40}], "too_small": []},
        },
    )


@pytest.mark.parametrize("method", VALUES)
def test_evidence_holds_the_figures_of_its_method_alone(explanation, method):
    (evidence,) = evidence_in(explanation, [SlicingSpec()], method=method)
    scale = VALUES[method][0]
    assert (evidence.method, evidence.players, evidence.unused) == (method, (*PLAYERS, "race"), ("race",))
    np.testing.assert_array_equal(evidence.mean_abs, [*VALUES[method], 0.0])
    expected = np.array([[0.1, 0.02, 0], [0.02, 0.3, 0], [0, 0, 0]]) * scale
    np.testing.assert_allclose(evidence.mean_abs_covariance, expected)
    assert (evidence.n_examples, evidence.weighed_examples) == (40, 30.0)


def test_what_was_cut_off_is_read_with_the_importance_that_it_is_of(explanation):
    of_method = explanation.importance.assign(value=[1.0, 0.0, 10.0, 0.0], cut_off=[0.0, -0.25, 0.0, np.nan])
    cut = types.SimpleNamespace(**{**vars(explanation), "importance": of_method})
    totals = {"shapley": 0.75, "another": 10.0}
    for method, total in totals.items():
        (evidence,) = evidence_in(cut, [SlicingSpec()], method=method)
        comparison = compare(*[Side(cut, (), method=method)] * 2, ("overall", "score"))
        assert evidence.total == comparison.candidate.total == comparison.baseline.total == total
    sliced = pd.DataFrame({**KEY, "method": "shapley", "player": PLAYERS, "difference": 0.1, "std_error": 0.1}).assign(
        slice="s", pooled_std_error=0.1, p_value=0.5, degrees_of_freedom=9.0
    )
    cut.slice_differences, cut.has = sliced, lambda _: True
    details, (evidence,) = Details(cut, [RULES["max_slice_difference"]], "shapley"), evidence_in(cut, [SlicingSpec()])
    contrast = details.added_to(dataclasses.replace(evidence, slice_key="s"), None, evidence).contrast
    assert (contrast.total, contrast.total_std_error) == (0.75, evidence.total_std_error)
    (before,) = evidence_in(explanation, [SlicingSpec()])
    assert before.total == sum(VALUES["shapley"])


@pytest.mark.parametrize("method", VALUES)
def test_comparisons_hold_the_figures_of_their_method_alone(explanation, method):
    side = Side(explanation, (), method=method)
    comparison = compare(side, side, ("overall", "score"))
    assert comparison.method == method
    np.testing.assert_array_equal(comparison.candidate.mean_abs, VALUES[method])
    np.testing.assert_allclose(comparison.baseline.covariance[0, 1], 0.02 * VALUES[method][0])
