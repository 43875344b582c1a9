"""Reasons of whole jobs, on linear models whose reasons are known by hand."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

import formats
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
