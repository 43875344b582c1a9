"""Which rows are near a cut-off, in which unit, and of which output."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tfx_explain import ExplainConfig
from tfx_explain.errors import ConfigError, InputError
from tfx_explain.job.near import NEAR, USABLE, Near, check_near, settle_near


def settled(space: str = "logit", n_outputs: int = 1, link: str = "sigmoid", **near: Any) -> Near:
    config = ExplainConfig.from_dict({"background": {"near": {"within": 0.5, **near}}})
    model: Any = SimpleNamespace(n_outputs=n_outputs, output_name="score", output_space=space, link=link)
    found = settle_near(config, model)
    assert found is not None
    return found


def test_both_bounds_are_near_whatever_rounding_makes_of_them() -> None:
    near = settled(output=1.0)
    rounded = np.nextafter(np.float32(1.5), np.float32(2))
    assert (
        near.holds(np.array([[0.5], [1.5], [rounded], [1.51], [0.49], [np.nan]])).tolist() == [True] * 3 + [False] * 3
    )


def test_a_cut_off_may_be_a_probability() -> None:
    outputs = np.log([[0.2 / 0.8], [0.4 / 0.6], [0.59 / 0.41], [0.61 / 0.39]])
    assert settled(output=0.5, within=0.1, unit="probability").holds(outputs).tolist() == [False, True, True, False]
    of_classes = np.log([[0.1, 0.5, 0.4], [0.5, 0.1, 0.4]]) + 3.0
    near = settled(n_outputs=3, link="softmax", output=0.5, within=0.1, unit="probability", of="score[1]")
    assert near.holds(of_classes).tolist() == [True, False]
    # One that is explained in probabilities is taken as it is.
    assert settled("probability", output=0.5, within=0.1, unit="probability").holds(
        np.array([[0.45], [0.2]])
    ).tolist() == [
        True,
        False,
    ]


@pytest.mark.parametrize(
    ("model", "near", "said"),
    [
        ({"space": "raw"}, {"output": 0.5, "unit": "probability"}, "needs outputs that are log-odds or probabilities"),
        ({}, {"output": 1.5, "unit": "probability"}, "`background.near.output: 1.5` is no probability"),
        ({"space": "probability"}, {"output": -1}, "`background.near.output: -1` is no probability"),
        ({"n_outputs": 2}, {"output": 0}, r"does not say which of 2 outputs; name one of score[0], score[1]."),
        ({"n_outputs": 2}, {"output": 0, "of": "scor[1]"}, "did you mean `score[1]`?"),
        ({}, {"output": 0, "within": 0}, "greater than 0"),
        ({}, {"output": 0, "witin": 1}, "did you mean `within`?"),
    ],
)
def test_cut_offs_that_mean_nothing_are_refused(model: dict[str, Any], near: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as error:
        settled(**model, **near)
    assert said in str(error.value)


def test_a_corrected_probability_is_another_one() -> None:
    near = {"output": 0.5, "within": 0.1, "unit": "probability"}
    model = {"positive_rate": {"trained": 0.5, "actual": 0.02}}
    with pytest.raises(ConfigError, match="give `output` and `within` in log-odds"):
        ExplainConfig.from_dict({"background": {"near": near}, "model": model})


def test_too_few_rows_are_counted_in_the_sentence() -> None:
    config = ExplainConfig.from_dict({"background": {"near": {"output": 1, "within": 0.5}}})
    counts = {("train (background)", NEAR): 15, ("train (background)", USABLE): 4_000}
    with pytest.raises(InputError) as error:
        check_near(config, settled(output=1.0), counts)
    assert str(error.value).startswith(
        "15 of 4,000 rows of split `train` have an output `score` within 0.5 of 1 (logit), "
    )
    few = ExplainConfig.from_dict({"background": {"num_rows": 8, "near": {"output": 1, "within": 0.5}}})
    check_near(few, settled(output=1.0), counts)
