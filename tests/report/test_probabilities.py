"""Probabilities beside log-odds."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest

import pages
from tfx_explain.report import render_report
from tfx_explain.report.probabilities import PROBABILITY, link_of, with_probabilities

ONE = {"model": {"output_space": "logit", "output": "y"}, "outputs": ["y"]}


def frames(*predictions: list[float]) -> dict[str, pd.DataFrame]:
    return {f"y[{at}]": pd.DataFrame({"prediction": of, "base_value": 0.0}) for at, of in enumerate(predictions)}


def model(**of_model: object) -> dict[str, object]:
    return {"model": {"output_space": "logit", "output": "y", **of_model}, "outputs": ["y[0]", "y[1]", "y[2]"]}


def test_a_single_output_has_a_sigmoid() -> None:
    found = with_probabilities(frames([0.0, np.log(3.0), -40.0]), ONE)["y[0]"]
    np.testing.assert_allclose(found[PROBABILITY["prediction"]], [0.5, 0.75, np.exp(-40.0)], rtol=1e-12)
    assert (found[PROBABILITY["base_value"]] == 0.5).all()


def test_all_classes_together_have_a_softmax() -> None:
    log_odds = np.random.default_rng(0).normal(size=(3, 5)) * 20
    found = with_probabilities(frames(*log_odds.tolist()), model(link="softmax", num_outputs=3))
    columns = np.stack([frame[PROBABILITY["prediction"]] for frame in found.values()])
    np.testing.assert_allclose(columns, np.exp(log_odds) / np.exp(log_odds).sum(axis=0), rtol=1e-12)


@pytest.mark.parametrize(
    ("manifest", "link"),
    [
        (ONE, "sigmoid"),
        (model(link="sigmoid", num_outputs=7), "sigmoid"),
        (model(link="softmax", num_outputs=3), "softmax"),
        (model(link="softmax", num_outputs=4), ""),
        (model(), ""),
        ({**ONE, "outputs": ["y[predicted]"]}, ""),
        ({**ONE, "model": {"output_space": "probability", "output": "y", "link": ""}}, ""),
        ({}, ""),
    ],
)
def test_figures_have_probabilities_where_all_that_make_them_are_known(manifest: dict[str, object], link: str) -> None:
    assert link_of(manifest) == link
    if not link:
        before = frames([1.0], [2.0], [3.0])
        assert all(after is before[name] for name, after in with_probabilities(before, manifest).items())


def test_probabilities_are_corrected_for_a_sample_of_the_training_data() -> None:
    """Of 1,000 rows 20 are positive; the model was trained on these and as many others, so kept 20 of 980."""
    rate = {"config": {"model": {"positive_rate": {"trained": 0.5, "actual": 0.02}}}}
    sampled = np.array([0.5, 0.9, 0.01])
    log_odds = np.log(sampled / (1 - sampled))
    found = with_probabilities(frames(log_odds.tolist()), {**ONE, **rate})["y[0]"]
    kept = 20 / 980
    expected = sampled / (sampled + (1 - sampled) / kept)
    np.testing.assert_allclose(found[PROBABILITY["prediction"]], expected, rtol=1e-12)
    np.testing.assert_allclose(found[PROBABILITY["base_value"]], 0.02, rtol=1e-12)
    data = pages.report_data(["a", "b"])
    manifest = {**data.manifest, "model": {**data.manifest["model"], "output": "approve"}}
    text = pages.Page(render_report(dataclasses.replace(data, manifest={**manifest, **rate}))).text
    assert (
        "50.0 % of which was positive, where 2.0 % is: they are those of log-odds moved by \N{MINUS SIGN}3.89." in text
    )
    assert "corrected for the sample" not in pages.Page(render_report(data)).text
