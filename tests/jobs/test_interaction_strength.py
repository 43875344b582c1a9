"""Friedman's H through the whole job, on models whose interactions are known."""

import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import tfx_explain
import worlds
from tfx_explain import ConfigError, records
from tfx_explain.content_sample import copy_keys, draws_of, stream_of
from tfx_explain.methods.attribution_tables import SIZES
from tfx_explain.methods.interaction_strength.strengths import choose_pairs
from tfx_explain.methods.method import CANDIDATE, Key
from tfx_explain.rows import row_hashes
from tfx_explain.slicing import OVERALL
from tfx_explain.summary.friedman import friedman_h
from tfx_explain.tables import SHAPLEY

pytestmark = pytest.mark.usefixtures("without_statistics")

N = 600


def make_rows(seed: int) -> list[dict[str, Any]]:
    """Independent numbers of mean 1 and standard deviation 1; what the features are called says nothing."""
    rng = np.random.default_rng(seed)
    values = rng.normal(1.0, 1.0, size=(N, 5)).astype(np.float32)
    label = rng.integers(2, size=N)
    return [
        {**{name: float(v) for name, v in zip("abcde", row, strict=True)}, "label": int(y)}
        for row, y in zip(values, label, strict=True)
    ]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """Outputs a b + 2 c and 3 c d + e, and examples."""
    root = tmp_path_factory.mktemp("world")
    for seed, split in enumerate(("train", "eval")):
        worlds.write_records(root / f"Split-{split}", [worlds.to_example(row) for row in make_rows(seed)])

    def score(features: dict[str, Any]) -> Any:
        a, b, c, d, e = (tf.cast(features[name], tf.float64) for name in "abcde")
        return tf.stack([a * b + 2 * c, 3 * c * d + e], axis=1)

    spec = {name: tf.io.FixedLenFeature([], tf.float32) for name in "abcde"}
    return worlds.save_serving_model(root / "model", score, spec), str(root)


def run(world: tuple[str, str], output: Path, strength: dict[str, Any], **config: Any) -> Any:
    methods = [{"shapley": config.pop("shapley", {})}, {"interaction_strength": strength}]
    settings = {"background": {"num_rows": 10}, "max_examples": N, "methods": methods, **config}
    return tfx_explain.explain(model=world[0], examples=world[1], output_dir=str(output), config=settings)


def test_players_that_are_noise_for_many_outputs_do_not_come_before_one_that_matters_for_one() -> None:
    """Of one player noise leaves 2 above 0 and -2 below for either half of the outputs; the other matters by 1."""
    sums = np.array([[2.0, 0.0, 1.0], [-2.0, 0.5, 0.0]])
    found = [types.SimpleNamespace(uncut=row, mean_abs=np.maximum(row, 0.0)) for row in sums]
    accumulated = {
        Key(SHAPLEY, CANDIDATE, SIZES, OVERALL, str(i)): types.SimpleNamespace(result=lambda one=one: one)
        for i, one in enumerate(found)
    }
    settings = types.SimpleNamespace(players=None, top_k=2)
    methods = (types.SimpleNamespace(name=SHAPLEY),)
    config = types.SimpleNamespace(
        method=lambda _: settings, methods=methods, shapley=types.SimpleNamespace(interactions=0)
    )
    context: Any = types.SimpleNamespace(config=config, players=("a", "b", "c"), rest=None)
    assert choose_pairs(accumulated, context) == [(1, 2)]


def expected_strength() -> Any:
    """Of c and d in 3 c d + e, from the rows in the order of their draws: every second one is a point."""
    rows = make_rows(1)
    (batch,), _ = records.decode_examples([worlds.to_example(row) for row in rows])
    keys = copy_keys(row_hashes(batch), np.zeros(N, np.int64), stream_of(0, "explained eval"))
    draws = draws_of(keys)
    values = np.array([[row["c"], row["d"]] for row in rows])[np.argsort(draws)]
    c, d, points = values[::2, :1], values[::2, 1:], values[1::2]
    joint = np.broadcast_to(3 * points[:, 0] * points[:, 1], (N // 2, N // 2))
    return friedman_h(joint, 3 * points[:, 0] * d, 3 * c * points[:, 1], output_variance=1.0)


def test_products_are_found_and_sums_are_not(world: tuple[str, str], tmp_path: Path) -> None:
    features = {"groups": {"ab": ["a", "b"]}}
    explained = run(world, tmp_path / "out", {"num_rows": N, "players": ["c", "d", "e", "ab"]}, features=features)
    table = explained.interactions
    assert set(table["index"]) == {"H"}
    assert set(table["method"]) == {"interaction_strength"}
    assert set(table["slice"]) == {"overall"}
    assert set(table["num_examples"]) == {N}
    strengths = {(row.output, row.player_a, row.player_b): row for row in table.itertuples()}
    assert len(strengths) == 2 * 6
    for (output, *pair), row in strengths.items():
        if output == "score[1]" and set(pair) == {"c", "d"}:
            expected = expected_strength()
            for figure in ("value", "std_error", "ci_low", "ci_high", "h", "h_ci_low", "h_ci_high"):
                # The other feature only adds to the joint partial dependence's level, which does not count.
                assert getattr(row, figure) == pytest.approx(getattr(expected, figure), rel=1e-6)
        else:
            assert row.value == pytest.approx(0, abs=1e-5)
            assert row.h == pytest.approx(0, abs=1e-4) or np.isnan(row.h)
    first = table.groupby("output").head(1).set_index("output")
    assert set(first.loc["score[1]", ["player_a", "player_b"]]) == {"c", "d"}
    described = explained.manifest["method"]["interaction_strength"]
    assert described["rows_sampled"] == N
    assert described["model_rows"] == (4 + 6) * (N // 2) ** 2
    assert "acts together" in explained.report()


def test_the_most_important_players_are_paired(world: tuple[str, str], tmp_path: Path) -> None:
    explained = run(world, tmp_path / "out", {"top_k": 3, "num_rows": 60}, model={"classes": [1]})
    pairs = explained.manifest["method"]["interaction_strength"]["pairs"]
    top = set(explained.importance_for()["player"][:3])
    assert top == {"c", "d", "e"}
    assert {frozenset(pair) for pair in pairs} == {frozenset("cd"), frozenset("ce"), frozenset("de")}


def test_pairwise_interactions_choose_where_there_are_any(world: tuple[str, str], tmp_path: Path) -> None:
    explained = run(
        world,
        tmp_path / "out",
        {"top_k": 2, "num_rows": 200},
        shapley={"interactions": 2},
        label_key="label",
        model={"classes": "label"},
        features={"exclude": ["d"]},
    )
    # `d` is left out, so what is left of `c d` is with no player that has a name.
    assert explained.manifest["method"]["interaction_strength"]["pairs"] == [["a", "b"]]
    found = explained.interactions.groupby("index").size()
    assert found.to_dict() == {"H": 1, "SII": 10}
    h = explained.interactions.query("index == 'H'").iloc[0]
    # Half of the rows are labelled 0 and get the first output, so half of the interaction is seen.
    assert h["value"] == pytest.approx(0.5, abs=0.2)


@pytest.mark.parametrize(
    ("strength", "message"),
    [
        ({"players": ["a", "z"]}, "`methods.interaction_strength.players` names `z`; the players are a, b, c, d, e"),
        ({"players": ["a"]}, "at least 2"),
        ({"top_k": 1}, "greater than or equal to 2"),
    ],
)
def test_mistakes_are_one_sentence(
    strength: dict[str, Any], message: str, world: tuple[str, str], tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        run(world, tmp_path / "out", strength)
    assert "\n" not in str(caught.value)
