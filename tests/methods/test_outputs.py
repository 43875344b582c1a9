"""Outputs that no row asks for neither stop a run nor show in it; base values are those of the outputs explained."""

import types

import numpy as np
import pytest

import tfx_explain
import worlds
from tfx_explain.config import ExplainConfig, ModelConfig
from tfx_explain.errors import ConfigError, ModelError
from tfx_explain.methods.outputs import check_positive_rate, explained_outputs, places

pytestmark = pytest.mark.usefixtures("without_statistics")

N = 14
MODULE = """
import numpy as np
FEATURES = {"x": "float32", "y": "float32", "z": "float32"}
def load_model(model_dir):
    def call(c):
        out = np.stack([np.full(len(c["x"]), VALUE)] * COUNT, 1)
        out[:, 1] = c["x"] - 2 * c["y"] + 0.5 * c["z"] ** 2
        out[:, 10] = c["y"] * c["z"] + 1
        out[:, 2] = np.where(c["x"] > 0, 4.0, -4.0) + c["z"]
        return out
    return call
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    root = tmp_path_factory.mktemp("outputs")
    (root / "model").mkdir()
    rng = np.random.default_rng(0)
    rows = [dict(zip("xyz", rng.normal(size=3).astype(np.float32).tolist(), strict=True)) for _ in range(50)]
    for i, row in enumerate(rows):
        row |= {"id": i, "label": (1, 2, 10)[i % 3]}
    examples = worlds.write_records(root / "rows", [worlds.to_example(row) for row in rows])

    def explain(value, classes, output_is=None, **config):
        place = root / str(len(list(root.iterdir())))
        place.mkdir()
        (place / "module.py").write_text(MODULE.replace("VALUE", value).replace("COUNT", str(N)))
        space = {"output_is": output_is} if output_is else {}
        settings = {"model": {"module_file": str(place / "module.py"), "classes": classes, **space}, **config}
        settings = {"background": {"num_rows": 8}, "id_key": "id", "label_key": "label", **settings}
        where = {"model": str(root / "model"), "output_dir": str(place / "out")}
        return tfx_explain.explain(examples=examples, config=settings, **where)

    return explain


def expected(frame, output):
    x, y, z = (frame[name] for name in "xyz")
    third = np.where(x > 0, 4.0, -4.0) + z
    return {1: x - 2 * y + 0.5 * z**2, 2: third, 10: y * z + 1}[output]


@pytest.mark.parametrize("value", ["np.nan", "-np.inf"])
def test_outputs_that_nobody_asked_for_do_not_count(run, value):
    made = run(value, [10, 2], slicing_specs=[{"feature_keys": ["label"]}])
    assert made.manifest["outputs"] == ["output[10]", "output[2]"]
    assert list(dict.fromkeys(made.importance["output"])) == ["output[10]", "output[2]"]
    assert made.manifest["counts"]["eval"]["explained"] == 50
    weights = made.background["__weight__"].to_numpy()
    background = made.background[list("xyz")].apply(lambda column: column.str[0].astype(float))
    for output, base in made.manifest["base_values"].items():
        index = int(output.removeprefix("output[").removesuffix("]"))
        frame = made.attributions(output=output)
        np.testing.assert_allclose(frame["prediction"], expected(frame, index), rtol=1e-5)
        assert base == pytest.approx(weights @ expected(background, index), rel=1e-6)
        np.testing.assert_allclose(frame["base_value"], base, rtol=1e-6)
        gap = frame["prediction"] - frame["base_value"] - frame[[f"attribution_{name}" for name in "xyz"]].sum(axis=1)
        assert abs(gap).max() < 1e-5
    assert f"output[10] {made.manifest['base_values']['output[10]']:.2f}"[:12] in made.report()


def test_each_row_has_the_base_value_of_its_own_output(run):
    made = run("np.nan", "label", methods=["shapley", "partial_dependence"])
    base_values = made.manifest["base_values"]
    assert list(base_values) == ["output[1]", "output[2]", "output[10]"]
    frame = made.attributions()
    own = [base_values[f"output[{label}]"] for label in frame["label"]]
    np.testing.assert_allclose(frame["base_value"], own, rtol=1e-6)
    assert "of each row&#39;s own output" in made.report() or "of each row's own output" in made.report()
    predicted = run("-np.inf", "predicted", methods=[{"shapley": {"max_relative_error": 0.05}}]).attributions()
    best = np.max([expected(predicted, output) for output in (1, 2, 10)], axis=0)
    np.testing.assert_allclose(predicted["prediction"], best, rtol=1e-5)


def test_what_needs_all_outputs_says_so(run):
    with pytest.raises(ModelError, match=r"`permutation_importance` judges all outputs.*NaN") as error:
        run("np.nan", [1], "logits", methods=["shapley", "permutation_importance"])
    assert "\n" not in str(error.value)


def test_which_outputs_are_explained():
    one, other = np.ones((3, 4)), np.ones((3, 4))
    one[:, 0], other[:, 2], one[1, 3] = np.nan, np.inf, np.nan
    assert explained_outputs(ModelConfig(classes="predicted"), [one, other]).tolist() == [1, 3]
    assert explained_outputs(ModelConfig(classes="label"), [one[:, :1]]).tolist() == [0]
    assert explained_outputs(ModelConfig(), [one, other]).tolist() == [0, 1, 2, 3]
    assert explained_outputs(ModelConfig(classes=[3, 0]), [one, other]).tolist() == [3, 0]
    assert places(np.array([3, 0]), np.array([[0, 3], [2, 9]])).tolist() == [[1, 0], [-1, -1]]


@pytest.mark.parametrize(
    ("space", "n_outputs", "has"), [("logit", 14, "14 outputs"), ("raw", 1, "an output that is explained as it is")]
)
def test_one_probability_alone_is_corrected_for_a_training_sample(space, n_outputs, has):
    config = ExplainConfig(model={"positive_rate": {"trained": 0.5, "actual": 0.02}})
    check_positive_rate(types.SimpleNamespace(output_space="logit", n_outputs=1), config)
    with pytest.raises(ConfigError, match=f"one output of log-odds, but this one has {has}; remove it"):
        check_positive_rate(types.SimpleNamespace(output_space=space, n_outputs=n_outputs), config)
    with pytest.raises(ConfigError, match="explain them with `output_space: logit`"):
        ExplainConfig(model={"output_space": "raw", "positive_rate": {"trained": 0.5, "actual": 0.02}})
