"""A background near a cut-off is what attributions are counted from."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import formats
import tfx_explain
import worlds
from tfx_explain.card import make_card, to_markdown, to_model_card
from tfx_explain.errors import InputError

CUT_OFF, WITHIN = 1.0, 0.75
NEAR = {"output": CUT_OFF, "within": WITHIN}
CONFIG: dict[str, Any] = {"id_key": "application_id", "max_examples": 30}


def train() -> list[dict[str, Any]]:
    """Rows of the background split; some near the cut-off are there three times."""
    rows = worlds.make_rows(300, seed=1)
    return rows + [row for row in rows if is_near(row)][:10] * 2


def is_near(row: dict[str, Any]) -> bool:
    return abs(worlds.linear_output(row) - CUT_OFF) <= WITHIN


def write(root: Path, rows: list[dict[str, Any]], num_shards: int) -> str:
    for split, of_split in (("train", rows), ("eval", worlds.make_rows(60, seed=2))):
        worlds.write_records(root / f"Split-{split}", [worlds.to_example(row) for row in of_split], num_shards)
    return str(root)


def explain(model: str, examples: str, output: Path, **background: Any) -> tfx_explain.ExplanationReader:
    config = {**CONFIG, "background": background}
    return tfx_explain.explain(model=model, examples=examples, output_dir=str(output), config=config)


@pytest.fixture(scope="module")
def near(linear_model: str, tmp_path_factory: pytest.TempPathFactory) -> Any:
    root = tmp_path_factory.mktemp("near")
    return explain(linear_model, write(root / "rows", train(), 1), root / "out", num_rows=24, near=NEAR)


def test_the_base_value_is_near_and_the_manifest_counts_rows(near: Any) -> None:
    (base,) = near.manifest["base_values"].values()
    assert abs(base - CUT_OFF) <= WITHIN
    there = [row for row in train() if is_near(row)]
    expected = {"num_rows": len(there), "of": len(train()), "output": "score", "unit": "raw"}
    assert near.manifest["background"]["near"] == expected
    assert near.manifest["background"]["num_rows"] == 24
    assert near.manifest["background"]["model_rows"]["near"] == len(train())
    formats.check_files(near)


def test_report_and_card_say_which_rows_the_background_is_drawn_from(near: Any) -> None:
    (n_rows, n_all) = (near.manifest["background"]["near"][name] for name in ("num_rows", "of"))
    said = f"24 rows of split train, of the {n_rows} of {n_all} whose output score is within 0.75 of 1 (raw), chosen as"
    assert said in near.report()
    card, (*_, data) = to_markdown(made := make_card(near)), to_model_card(made, near)["model_parameters"]["data"]
    assert f"24 rows, of the {n_rows} of {n_all} whose output score is within 0.75 of 1 (raw) by" in data["description"]
    assert "| Background: only rows with an output near | 1 | `/config/background/near/output` |" in card
    assert "| Background: near is as far as | 0.75 | `/config/background/near/within` |" in card
    assert f"| Background: rows near | {n_rows} | `/background/near/num_rows` |" in card


def test_all_is_as_of_a_split_that_has_these_rows_alone(near: Any, linear_model: str, tmp_path: Path) -> None:
    """In another order and in other files, copies among them."""
    rows = [row for row in train() if is_near(row)][::-1]
    alone = explain(linear_model, write(tmp_path / "rows", rows, 3), tmp_path / "out", num_rows=24)
    assert alone.manifest["background"]["digest"] == near.manifest["background"]["digest"]
    found, expected = (one.attributions().sort_values("example_id") for one in (near, alone))
    for name in (name for name in expected if name.startswith(("attribution_", "std_error_", "base_"))):
        np.testing.assert_array_equal(found[name], expected[name])


def test_too_few_near_rows_end_the_run_in_a_sentence(linear_model: str, linear_examples: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^0 of 300 rows of split `train` have an output `score` within 1 of 1e\+06"):
        explain(linear_model, linear_examples, tmp_path / "out", near={"output": 1e6, "within": 1.0})
