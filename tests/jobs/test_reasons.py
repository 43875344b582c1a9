"""Reasons of whole jobs, on linear models whose reasons are known by hand."""

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

import formats
import pages
import tfx_explain
import worlds
from tfx_explain import records, tables
from tfx_explain.cli import main
from tfx_explain.errors import InputError
from tfx_explain.reader import ExplanationReader
from tfx_explain.reason_consistency import check_reasons

pytestmark = pytest.mark.usefixtures("without_statistics")

K = 2
ALLOWED = ["debt", "income", "race"]
CODES = {name: {"code": f"R{place}", "text": f"{name} speaks against it"} for place, name in enumerate(ALLOWED)}


@pytest.fixture(scope="module")
def explained(linear_model: str, linear_examples: str, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The loan model: a small score is adverse, age may not be a reason."""
    root = tmp_path_factory.mktemp("reasons")
    (root / "codes.json").write_text(json.dumps(CODES))
    reasons = {"adverse": "low", "k": K, "deny": ["age"], "codes": str(root / "codes.json")}
    return worlds.explain_by_id(linear_model, linear_examples, root / "out", reasons=reasons)


def by_hand(explanation: Any, allowed: list[str]) -> dict[str, list[tuple[str, float]]]:
    """Row -> the features that lowered its score most: weight times distance from the background's mean."""
    background = explanation.background.drop(columns=tables.BACKGROUND_WEIGHT)
    background = background.apply(lambda column: column.map(lambda cell: cell[0]))
    effects = {name: background[name].mean() * weight for name, weight in worlds.LINEAR_WEIGHTS.items()}
    effects["race"] = (background["race"] == b"b").mean() * worlds.RACE_EFFECT[b"b"]
    told = {}
    for row in worlds.make_rows(120, seed=2):
        moved = {name: weight * row[name] for name, weight in worlds.LINEAR_WEIGHTS.items()}
        moved["race"] = worlds.RACE_EFFECT[row["race"]]
        lowered = {name: moved[name] - effects[name] for name in allowed if moved[name] < effects[name]}
        told[str(row["application_id"])] = sorted(lowered.items(), key=lambda one: one[1])
    return told


def test_reasons_of_a_linear_model_are_those_by_hand(explained: Any) -> None:
    found = explained.reasons
    expected = by_hand(explained, ALLOWED)
    assert set(found["example_id"]) == {name for name, lowered in expected.items() if lowered}
    for name, rows in found.groupby("example_id"):
        lowered = expected[name]
        assert rows["player"].tolist() == [player for player, _ in lowered[:K]]
        assert rows["rank"].tolist() == [1, 2][: len(rows)]
        np.testing.assert_allclose(rows["attribution"], [value for _, value in lowered[:K]], rtol=1e-5, atol=1e-6)
        following = [*(value for _, value in lowered[1:]), 0.0][: len(rows)]
        np.testing.assert_allclose(rows["margin"], following - rows["attribution"], rtol=1e-4, atol=1e-6)
        assert rows["text"].tolist() == [f"{player} speaks against it" for player in rows["player"]]
    assert found["code"].tolist() == [CODES[player]["code"] for player in found["player"]]
    assert not found["tied"].any()
    assert found["example_id"].is_monotonic_increasing


def test_the_report_counts_what_the_table_holds(explained: Any) -> None:
    page = pages.Page(explained.report())
    first = explained.reasons.query("rank == 1")
    assert "What moved each row most to the low side" in page.text
    assert f"{explained.reasons['row'].nunique()} rows have a reason" in page.text
    for code, rows in first.groupby("code"):
        assert f"{code} {rows['text'].iloc[0]} {len(rows)} " in page.text
    (panel,) = json.loads(page.scripts[0])
    told = explained.reasons.groupby("example_id")["code"].agg(list)
    for row in panel["rows"]:
        codes = [line[1].partition(" ")[0] for line in row["reasons"]["lines"]]
        assert codes == told.get(row["id"], []), row["id"]


def test_errors_and_doubts_are_those_of_the_records(explained: Any) -> None:
    """Two ranks are uncertain where the intervals that a reader gives overlap."""
    rows = explained.attributions(confidence=0.95).set_index("example_id")
    assert 0 < explained.reasons["rank_uncertain"].mean() < 1
    for one in explained.reasons.itertuples():
        row = rows.loc[one.example_id]
        assert one.std_error == pytest.approx(row[f"std_error_{one.player}"], rel=1e-6)
        low, high = row[f"ci_low_{one.player}"], row[f"ci_high_{one.player}"]
        others = [(row[f"ci_low_{other}"], row[f"ci_high_{other}"]) for other in ALLOWED if other != one.player]
        meets = any(low <= upper and lower <= high for lower, upper in others)
        assert one.rank_uncertain == (meets or high >= 0)


def test_what_is_denied_is_nowhere(explained: Any, capsys: pytest.CaptureFixture[str]) -> None:
    strong = by_hand(explained, ["age", "debt", "income", "race"])
    assert any(lowered and lowered[0][0] == "age" for lowered in strong.values())
    assert b"age" not in (Path(explained.uri) / tables.REASONS.file).read_bytes()
    for form in ("table", "json", "csv"):
        assert main(["reasons", explained.uri, "--format", form]) == 0
        assert "age" not in capsys.readouterr().out


def test_the_command_prints_lines_json_and_csv(explained: Any, capsys: pytest.CaptureFixture[str]) -> None:
    first = explained.reasons.iloc[0]
    typed = ["reasons", explained.uri, "--row", first["example_id"]]
    assert main(typed) == 0
    heading, line, *_ = capsys.readouterr().out.splitlines()
    assert heading == f"row {first['example_id']}:"
    assert line.startswith(f"  1  {first['code']}  {first['text']}  {first['attribution']:+.4f} +- ")
    assert ("rank uncertain" in line) == first["rank_uncertain"]
    assert main([*typed, "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)[0] == first.to_dict()
    assert main(["reasons", explained.uri, "--format", "csv"]) == 0
    header, *lines = capsys.readouterr().out.splitlines()
    assert header == ",".join(tables.REASONS.names())
    assert len(lines) == len(explained.reasons)


def test_small_figures_keep_their_digits(
    explained: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As those of probabilities of rare events."""
    one = explained.reasons.head(1).assign(attribution=-1.2345678e-7, std_error=0.0)
    monkeypatch.setattr(ExplanationReader, "reasons", one)
    assert main(["reasons", explained.uri]) == 0
    assert " -1.235e-07 +- 0.0000" in capsys.readouterr().out


def test_a_row_without_reasons_is_told_from_one_that_is_not_there(
    explained: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    without = set(explained.attributions()["example_id"]) - set(explained.reasons["example_id"])
    assert main(["reasons", explained.uri, "--row", min(without)]) == 0
    assert capsys.readouterr().out == "no reasons: nothing moved the output to its adverse side\n"
    assert main(["reasons", explained.uri, "--row", "nobody"]) == 2
    assert "no explained row with the id `nobody`" in capsys.readouterr().err


def test_the_table_is_as_described_and_part_of_the_explanation(explained: Any) -> None:
    formats.check_files(explained)
    explained.verify()
    assert explained.manifest["reasons"]["players"] == ALLOWED
    assert tables.REASONS.file in explained.manifest["files"]


ROWS = [
    # `same` and `twin` are alike in every row, `idle` is read and multiplied by 0.
    {"same": same, "twin": same, "big": big, "part": part, "idle": float(number)}
    for number, (same, big, part) in enumerate([(1.0, 5.0, 0.0), (-1.0, -5.0, 2.0), (0.5, 1.0, -4.0), (-3.0, 0.0, 1.0)])
]
SPEC = {name: tf.io.FixedLenFeature([], tf.float32) for name in ROWS[0]}


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Two outputs, ties, a feature without effect, a group, and no key: copies of the first row have one name."""
    root = tmp_path_factory.mktemp("two")

    def score(features: dict[str, Any]) -> Any:
        value = {name: tf.cast(column, tf.float64) for name, column in features.items()}
        first = value["same"] + value["twin"] + 0.125 * value["big"] + 0.0 * value["idle"]
        return tf.stack([first, value["big"] - 2.0 * value["part"]], axis=1)

    model = worlds.save_serving_model(root / "model", score, SPEC)
    for split, rows in (("train", ROWS), ("eval", [*ROWS, ROWS[0]])):
        worlds.write_records(root / "examples" / f"Split-{split}", [worlds.to_example(row) for row in rows], 2)
    config = {
        "features": {"groups": {"size": ["big", "part"]}},
        "feature_names": {"size": "How large it is"},
        "reasons": {"adverse": {"score[1]": "low", "score[0]": "high"}},
    }
    return tfx_explain.explain(
        model=model, examples=str(root / "examples"), output_dir=str(root / "out"), config=config
    )


def test_ties_are_called_ties(two: Any) -> None:
    found = two.reasons.query("output == 'score[0]'")
    ties = found[found["player"].isin(["same", "twin"])]
    assert len(ties)
    assert ties["tied"].all()
    assert ties["rank_uncertain"].all()
    assert (ties.groupby("row")["rank"].nunique() == 1).all()
    assert not found[found["player"] == "size"]["tied"].any()


def test_each_output_has_its_own_side_and_groups_are_one_reason(two: Any) -> None:
    rows = two.attributions(output="score[1]").set_index("example_id")
    found = two.reasons.query("output == 'score[1]'")
    assert set(found["player"]) == {"size"}
    assert set(found["text"]) == {"How large it is"}
    assert (found["attribution"] < 0).all()
    assert set(found["example_id"]) == set(rows.index[rows["attribution_size"] < 0])
    assert (two.reasons.query("output == 'score[0]'")["attribution"] > 0).all()


def test_a_feature_without_effect_is_never_a_reason(two: Any) -> None:
    assert "idle" not in set(two.reasons["player"])
    assert two.reasons["code"].isna().all()


def test_copies_are_rows_of_their_own(two: Any) -> None:
    found = two.reasons
    copies = found.groupby("example_id")["row"].nunique()
    assert sorted(copies) == [1] * (len(copies) - 1) + [2]
    name = copies.idxmax()
    one, other = (rows.drop(columns="row") for _, rows in found[found["example_id"] == name].groupby("row"))
    pd.testing.assert_frame_equal(one.reset_index(drop=True), other.reset_index(drop=True))
    assert found["row"].is_monotonic_increasing


CITY_LOGITS = {b"x": (0.5, 0.0, -1.0), b"y": (-0.5, 0.7, 0.4)}
CLASS_CODES = {name: {"code": f"C{place}", "text": f"{name}!"} for place, name in enumerate(["a", "b", "city"])}


def class_probabilities(a: float, b: float, city: bytes) -> np.ndarray:
    """Of three classes, each moved by all three features at once."""
    logits = np.array([a - 0.8 * b, 1.2 * b - 0.5 * a, 0.8 * a * b]) + CITY_LOGITS[city]
    return np.exp(logits) / np.exp(logits).sum()


@pytest.fixture(scope="module")
def classes(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A softmax of three classes, explained in probability, of which the second has no adverse side."""
    root = tmp_path_factory.mktemp("classes")
    rng = np.random.default_rng(5)

    def score(features: dict[str, Any]) -> Any:
        a, b = (tf.cast(features[name], tf.float64) for name in ("a", "b"))
        x, y = (tf.constant(CITY_LOGITS[city], tf.float64) for city in (b"x", b"y"))
        logits = tf.stack([a - 0.8 * b, 1.2 * b - 0.5 * a, 0.8 * a * b], axis=1)
        return tf.nn.softmax(logits + tf.where((features["city"] == b"x")[:, None], x, y))

    spec = {name: tf.io.FixedLenFeature([], tf.float32) for name in "ab"} | {
        "city": tf.io.FixedLenFeature([], tf.string)
    }
    model = worlds.save_serving_model(root / "model", score, spec)
    for split, n in (("train", 6), ("eval", 20)):
        numbers = rng.normal(size=(n, 2)).astype(np.float32)
        rows = [
            {"a": float(a), "b": float(b), "city": b"xy"[i % 2 : i % 2 + 1], "name": f"{split}{i}".encode()}
            for i, (a, b) in enumerate(numbers)
        ]
        worlds.write_records(root / "examples" / f"Split-{split}", [worlds.to_example(row) for row in rows], 2)
    config = {
        "id_key": "name",
        "model": {"output_space": "probability"},
        "reasons": {"adverse": {"score[2]": "high", "score[0]": "low"}, "k": 2, "codes": CLASS_CODES},
    }
    return tfx_explain.explain(
        model=model, examples=str(root / "examples"), output_dir=str(root / "out"), config=config
    )


def enumerated(row: dict[str, Any], background: list[dict[str, Any]]) -> dict[str, np.ndarray]:
    """Feature -> its Shapley values for the three classes: the mean of what it adds over all orders and background."""
    found = {name: np.zeros(3) for name in CLASS_CODES}
    orders = list(itertools.permutations(CLASS_CODES))
    for other, order in itertools.product(background, orders):
        mixed, before = dict(other), class_probabilities(**other)
        for name in order:
            mixed[name] = row[name]
            after = class_probabilities(**mixed)
            found[name] += (after - before) / (len(orders) * len(background))
            before = after
    return found


def test_reasons_of_a_class_are_those_that_enumeration_finds(classes: Any) -> None:
    def plain(frame: pd.DataFrame) -> list[dict[str, Any]]:
        cells = frame[list(CLASS_CODES)].apply(lambda column: column.map(lambda cell: np.ravel(cell)[0]))
        rows = cells.to_dict("records")
        return [{**row, "city": row["city"].encode() if isinstance(row["city"], str) else row["city"]} for row in rows]

    assert classes.background[tables.BACKGROUND_WEIGHT].map(lambda cell: float(np.ravel(cell)[0])).nunique() == 1
    background, rows = plain(classes.background), classes.attributions(output="score[2]")
    by_row = dict(zip(rows["example_id"], plain(rows), strict=True))
    assert set(classes.reasons["output"]) == {"score[0]", "score[2]"}
    n_reasons = 0
    for name, row in by_row.items():
        values = enumerated(row, background)
        for place, sign in ((0, -1.0), (2, 1.0)):
            adverse = {feature: sign * value[place] for feature, value in values.items() if sign * value[place] > 0}
            order = sorted(adverse, key=lambda feature: -adverse[feature])
            sizes = [*(adverse[feature] for feature in order), 0.0]
            reasons = classes.reasons
            found = reasons[(reasons["example_id"] == name) & (reasons["output"] == f"score[{place}]")]
            assert found["player"].tolist() == order[:2], (name, place)
            assert found["code"].tolist() == [CLASS_CODES[feature]["code"] for feature in order[:2]]
            # Probabilities are of 32 bits at most.
            np.testing.assert_allclose(found["attribution"], [sign * size for size in sizes[: len(found)]], atol=1e-6)
            np.testing.assert_allclose(found["margin"], -np.diff(sizes)[: len(found)], atol=1e-6)
            n_reasons += len(found)
    assert n_reasons == len(classes.reasons) > 40


def test_an_explanation_without_reasons_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    old = Path(__file__).parents[1] / "fixtures/explanation_format_2/explanation"
    assert main(["reasons", str(old)]) == 2
    assert "has no reasons.parquet; set `reasons: {adverse: low}`" in capsys.readouterr().err


def test_a_changed_reason_is_seen(explained: Any) -> None:
    table = records.read_table(str(Path(explained.uri) / tables.REASONS.file))
    check_reasons(table, "x", explained.manifest)
    second = table["row"].duplicated()
    for change, said in (
        (table.assign(attribution=-table["attribution"]), "not to the adverse side"),
        (table.assign(attribution=table["attribution"].where(~second, -9.0)), "not in the order"),
        (table.assign(player=table["player"].replace("debt", "age")), "may not be reasons"),
        (table.assign(code="R9"), "codes are not the manifest's"),
        (table.assign(row=table["row"] + 500), "more rows than were explained"),
        (table.assign(margin=-1.0), "margin is below 0"),
        (table.assign(rank=7), "ranks that are not possible"),
        (pd.concat([table, table.head(1)]), "there twice"),
        (table.assign(row=0), "there twice"),
    ):
        with pytest.raises(InputError, match=said):
            check_reasons(change, "x", explained.manifest)
    manifest = {**explained.manifest, "reasons": {}}
    with pytest.raises(InputError, match="does not say what may be a reason"):
        check_reasons(table, "x", manifest)
