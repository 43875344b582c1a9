"""The candidates of the demonstration through the whole pipeline: verdicts, and the reasons an expert would give."""

import io
import re
import warnings

import pytest

from loan_approval import local_runner
from pipeline_settings import changed_settings

pytestmark = pytest.mark.e2e

REASONS = {
    "B does not see race": ("BLESSED", "credit_record alone carries"),
    "C is B trained on permuted labels": ("REFUSED", "min_importance fail: credit_record moves the output by"),
    "D is B with a leaked label": ("REFUSED", "max_top_share fail: lender_action alone carries"),
}


@pytest.fixture(scope="module")
def said(tmp_path_factory):
    """Candidate -> what the terminal shows of it where fewer applications are explained, with a smaller background."""
    root, settings = tmp_path_factory.mktemp("demo"), tmp_path_factory.mktemp("settings")
    fewer = {
        "splits: [eval]": "splits: [eval]\nmax_examples: 300",
        "num_rows: 128": "num_rows: 16",
        "num_references: 8": "num_references: 2",
    }
    changed_settings(local_runner.HERE, settings, {"explain.yaml": fewer})
    terminal = io.StringIO()
    # The libraries' own warnings are none of ours: no code of the package runs here that other tests do not run too.
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        patch.setattr(local_runner, "DEMO", root)
        patch.setattr(local_runner, "HERE", settings)
        for name, directory in (("SERVING", "serving"), ("DATA", "data"), ("LEAKING_DATA", "leaking_data")):
            patch.setattr(local_runner, name, root / directory)
        local_runner._run_candidates({name: local_runner.CANDIDATES[name] for name in REASONS}, terminal)
    parts = re.split(r"\n\ncandidate (.*)\n", terminal.getvalue())
    return dict(zip(parts[1::2], parts[2::2], strict=True))


@pytest.mark.parametrize("name", REASONS)
def test_each_candidate_is_judged_as_an_expert_would(said, name):
    verdict, reason = REASONS[name]
    assert f"-> {verdict}" in said[name]
    assert reason in said[name]
    assert ("pushed: none" in said[name]) == (verdict == "REFUSED")


def test_a_refused_candidate_takes_no_further_step(said):
    for name, (verdict, _) in REASONS.items():
        skipped = re.findall(r"(\w+) +skipped", said[name])
        assert skipped == (["Evaluator", "Pusher"] if verdict == "REFUSED" else [])


def test_candidates_of_the_same_features_share_what_transform_made(said):
    by_candidate = {name: re.search(r"Transform +(.*)", said[name])[1] for name in REASONS}
    assert [what == "reused" for what in by_candidate.values()] == [False, True, False]
