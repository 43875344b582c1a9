"""Names that explanations use themselves meet no feature, group or key: such a row, or run, is refused."""

import numpy as np
import pyarrow as pa
import pytest

import tfx_explain
import worlds
from tfx_explain.attribution_records import MethodFigures, RecordLayout, attribution_batch
from tfx_explain.config import ExplainConfig, FeaturesConfig
from tfx_explain.errors import ConfigError, InputError
from tfx_explain.job.request import REST, ExplainRequest, choose_players
from tfx_explain.rows import name_errors

N_PEEKED = 1_000
MODULE = "FEATURES = {'x': 'float32', 'other_features': 'float32'}\n"
MODULE += "load_model = lambda d: lambda c: c['x'] + 2 * c['other_features']\n"


def rest(read, **features):
    config = ExplainConfig(features=features)
    players = choose_players(read, config.features)
    return ExplainRequest(config, (), {}, "", "", "", players, ()).rest, players


@pytest.mark.parametrize(
    ("features", "who"),
    [
        ({"exclude": ["b"]}, "feature"),
        ({"include": ["a", REST]}, "feature"),
        ({"exclude": ["b"], "groups": {REST: ["a", REST]}}, "group"),
        ({"exclude": [REST], "groups": {REST: ["a"]}}, "group"),
    ],
)
def test_what_is_left_out_shares_no_name(features, who):
    with pytest.raises(ConfigError, match=f"{who}.*has"):
        choose_players(["a", "b", REST], FeaturesConfig(**features))


def test_which_player_is_what_was_left_out():
    assert rest(["a", REST]) == (None, {"a": ("a",), REST: (REST,)})
    assert rest(["a", "b"], groups={REST: ["b"]}) == (None, {"a": ("a",), REST: ("b",)})
    assert rest(["a", REST], exclude=[REST]) == (REST, {"a": ("a",), REST: (REST,)})
    assert rest(["a", "b", REST], exclude=["b"], groups={"g": [REST]}) == (
        REST,
        {"a": ("a",), "g": (REST,), REST: ("b",)},
    )
    assert rest(["a", "b"], include=["a"]) == (REST, {"a": ("a",), REST: ("b",)})
    with pytest.raises(ConfigError, match="empty name"):
        ExplainConfig(features={"groups": {" ": ["a"]}})


def test_rows_with_a_reserved_name_are_told_by_their_values():
    lists = pa.large_list(pa.float32())
    batch = pa.RecordBatch.from_arrays(
        [pa.array([[1.0], [], None, [2.0]], lists), pa.array([None, [1.0], [1.0, 2.0], None], lists)],
        names=["attribution_a", "x"],
    )
    assert set(name_errors(batch, {"attribution_a", "prediction"})) == {0, 3}
    values = np.zeros((4, 1, 1))

    def added(rows):
        n = rows.num_rows
        figures = MethodFigures(values[:n, 0], values[:n], values[:n], values[:n, 0])
        return attribution_batch(rows, RecordLayout(("a",), 1), [b""] * n, [values[:n, 0]], [figures])

    with pytest.raises(InputError, match="`attribution_a` has a name"):
        added(batch)
    assert added(batch.slice(1, 2)).num_rows == 2


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    root = tmp_path_factory.mktemp("names")
    (root / "model").mkdir()
    (root / "module.py").write_text(MODULE)

    def explain(rows, **config):
        place = root / str(len(list(root.iterdir())))
        examples = worlds.write_records(place / "rows", [worlds.to_example(row) for row in rows])
        settings = {"model": {"module_file": str(root / "module.py")}, "background": {"num_rows": 4}, **config}
        return tfx_explain.explain(
            model=str(root / "model"), examples=examples, output_dir=str(place / "out"), config=settings
        )

    return explain


def rows(n):
    return [{"x": float(i % 7), REST: float(i % 3), "w": 1.0, "id": i} for i in range(n)]


def test_a_late_row_with_a_reserved_name_is_set_aside(run):
    late = rows(N_PEEKED + 200)
    for place, name in ((1_100, "prediction"), (1_150, "std_error_x"), (1_199, "attribution_other_features")):
        late[place][name] = 7.0
    # A name of a baseline model's columns is free where there is none, and comes back as it was.
    late[5]["baseline_prediction"] = b"text"
    made = run(late, id_key="id", max_examples=None)
    frame = made.attributions().set_index("id")
    assert set(frame.index) == set(range(len(late))) - {1_100, 1_150, 1_199}
    assert frame.loc[5, "baseline_prediction"] == "text"
    np.testing.assert_allclose(frame["prediction"], frame["x"] + 2 * frame[REST], rtol=1e-6)
    reasons = made.dead_letters()["reason"]
    assert len(reasons) == 3
    assert all("explanations use themselves" in reason for reason in reasons)


@pytest.mark.parametrize("name", ["attribution_x", "prediction", "__weight__", "example_id"])
def test_an_early_row_with_a_reserved_name_ends_the_run(run, name):
    early = rows(30)
    early[3][name] = 1.0
    with pytest.raises(InputError, match=rf"`{name}` has a name") as error:
        run(early)
    assert "\n" not in str(error.value)


def test_a_feature_called_like_the_rest_is_a_feature(run):
    weighted = [{**row, "prediction/output": 1.0} for row in rows(60)]
    made = run(weighted, methods=["shapley", "partial_dependence"], example_weight_key="prediction/output")
    assert set(made.profiles["feature"]) == {"x", REST}
    statistics = {feature.path.step[0] for feature in made.attribution_stats.datasets[0].features}
    assert statistics == {"attribution_x", f"attribution_{REST}", "prediction"}
