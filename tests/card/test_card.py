"""Every figure of a card is found again where the card says it is, from the rendered card alone."""

import json
import math
import re
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from markdown_it import MarkdownIt
from markdown_it.tree import SyntaxTreeNode

import sealing
import tfx_explain
from tfx_explain import InputError
from tfx_explain.card import OwnerDetails, Validation, make_card, to_markdown

KEYS = ("slice", "output", "method", "player", "feature", "measure")


@pytest.fixture(params=["today", "earlier"])
def made(request: pytest.FixtureRequest) -> Any:
    return request.getfixturevalue(request.param)


def text_of(node: SyntaxTreeNode) -> str:
    return "".join(leaf.content for leaf in node.walk() if leaf.type in ("text", "code_inline"))


def tables_of(markdown: str) -> list[tuple[list[str], list[list[str]], SyntaxTreeNode | None]]:
    """Headings, rows, and the paragraph beneath, of each table as a reader of Markdown sees it."""
    nodes = SyntaxTreeNode(MarkdownIt("commonmark").enable("table").parse(markdown)).children
    found = []
    for node, beneath in zip(nodes, [*nodes[1:], None], strict=True):
        if node.type == "table":
            rows = [[text_of(cell) for cell in row.children] for part in node.children for row in part.children]
            found.append((rows[0], rows[1:], beneath))
    return found


def figure(shown: str) -> float:
    return float(shown.replace("−", "-").replace(",", ""))


def same(shown: str, value: Any) -> bool:
    """Whether a cell shows a value, to the digits that it has."""
    if isinstance(value, str):
        return shown == value
    if value is None or not math.isfinite(value):
        return shown in ("–", "")
    return math.isclose(figure(shown), value, rel_tol=5e-4, abs_tol=0)  # four significant digits


def entry_at(document: Any, pointer: str) -> Any:
    for part in pointer.split("/")[1:]:
        part = part.replace("~1", "/").replace("~0", "~")
        document = document[int(part)] if isinstance(document, list) else document[part]
    return document


def test_entries_are_where_the_card_says(made: Any) -> None:
    documents = {
        "manifest.json": json.loads((Path(made.explanation.uri) / "manifest.json").read_text()),
        "findings.json": json.loads((Path(made.validation.uri) / "findings.json").read_text()),
    }
    n = 0
    for headings, rows, _ in tables_of(to_markdown(make_card(made.explanation, made.validation))):
        file = headings[-1].removeprefix("Where in ")
        for _, shown, pointer in rows if headings[0] == "What" else ():
            value = entry_at(documents[file], pointer)
            if isinstance(value, bool):
                value = "yes" if value else "no"
            if isinstance(value, dict | list):
                value = ", ".join(value)
            assert same(shown, value), (pointer, shown, value)
            n += 1
    assert n > 40
    assert "| Evaluator's metrics | `/Evaluator/evaluation/9` | `/evaluation_uri` |" in to_markdown(
        make_card(made.explanation, made.validation)
    )


def test_figures_are_recomputed_from_the_tables_that_the_card_names(made: Any) -> None:
    seen = set()
    for headings, rows, beneath in tables_of(to_markdown(make_card(made.explanation, made.validation))):
        if headings[0] == "What":
            continue
        codes = [leaf.content for leaf in beneath.walk() if leaf.type == "code_inline"]
        columns = [re.fullmatch(r".* \((\w+)\)", heading)[1] for heading in headings]
        if codes[0] == "findings.json":
            continue
        seen.add(codes[0])
        table = pd.read_parquet(Path(made.explanation.uri) / codes[0])
        for column, value in zip(codes[1::2], codes[2::2], strict=True):
            table = table[table[column] == value]
        assert rows
        for row in rows:
            shown = dict(zip(columns, row, strict=True))
            keys = [key for key in KEYS if key in shown]
            (there,) = table[(table[keys] == [shown[key] for key in keys]).all(axis=1)].to_dict("records")
            if "share" in shown:
                whole = table["value"].sum() + (table["cut_off"].sum() if "cut_off" in table else 0.0)
                there["share"] = min(there["value"] / whole, 1.0)
            assert all(same(shown[name], there[name]) for name in columns), (shown, there)
    of_today = {"slice_differences.parquet", "faithfulness.parquet"}
    extra = of_today if made.explanation.has("faithfulness.parquet") else {"baseline_importance.parquet"}
    assert seen == {"importance.parquet", *extra}


def test_findings_are_those_of_the_verdict(made: Any) -> None:
    written = json.loads((Path(made.validation.uri) / "findings.json").read_text())["findings"]
    tables = tables_of(to_markdown(make_card(made.explanation, made.validation)))
    (rows,) = [rows for headings, rows, _ in tables if headings[0].startswith("No.")]
    assert sorted(int(row[0]) for row in rows) == list(range(len(written)))
    for row in rows:
        finding = written[int(row[0])]
        assert row[1:3] == [finding["outcome"], finding["rule"]]
        assert json.loads(row[3]) == finding["settings"]
        assert row[4:6] == [finding["slice"], finding["output"]]
        for shown, name in zip(row[6:], ("value", "ci_low", "ci_high", "threshold"), strict=True):
            assert same(shown, finding[name]), (row, finding)


def test_it_says_what_was_set_aside_and_what_was_not_tested(today: Any) -> None:
    card = to_markdown(make_card(today.explanation, today.validation))
    assert "Rows that were set aside, by reason:" in card
    assert "Every row that was chosen was explained" not in card
    assert "Nothing was compared with an earlier model" in card
    assert "The rule drift was skipped in" in card
    assert "1 slices without any row: race=nobody" in card
    assert "No method compared the model's outputs with labels" not in card
    assert "Whether attributions tell what the model does was not tested" not in card
    assert "No rule of a policy was tested." in to_markdown(make_card(today.explanation))


def test_what_nobody_said_is_to_be_filled_in_and_nothing_is_invented(today: Any) -> None:
    def section(card: str, title: str) -> str:
        return card.partition(f"## {title}\n")[2].partition("\n## ")[0]

    alone = to_markdown(make_card(today.explanation))
    assert section(alone, "To be filled in by the owner").count("\n- ") == len(OwnerDetails.asked)
    assert "What the owner says" not in alone
    details = OwnerDetails(intended_purpose="Advises a clerk.\nNever alone.", owners=[{"name": "Credit models"}])
    told = to_markdown(make_card(today.explanation, details=details))
    assert "- Intended purpose (1(a)): Advises a clerk. Never alone.\n" in told
    assert section(told, "To be filled in by the owner").count("\n- ") == len(OwnerDetails.asked) - 2


def test_a_verdict_on_another_explanation_is_refused(today: Any, earlier: Any) -> None:
    with pytest.raises(InputError, match="is not on the explanation in"):
        Validation.read(today.validation.uri, earlier.explanation)


def test_a_verdict_that_was_changed_is_refused(today: Any, tmp_path: Path) -> None:
    changed = shutil.copytree(today.validation.uri, tmp_path / "changed")
    (changed / "NOT_BLESSED").rename(changed / "BLESSED")
    with pytest.raises(InputError, match="disagree on the verdict"):
        Validation.read(str(changed), today.explanation)
    (changed / "findings.json").write_text('{"blessed": true}')
    with pytest.raises(InputError, match="is no verdict"):
        Validation.read(str(changed), today.explanation)


def test_an_explanation_that_was_changed_has_no_card(today: Any, tmp_path: Path) -> None:
    changed = shutil.copytree(today.explanation.uri, tmp_path / "changed")
    table = pd.read_parquet(changed / "importance.parquet")
    table.assign(value=2 * table["value"]).to_parquet(changed / "importance.parquet")
    with pytest.raises(InputError, match=r"importance\.parquet"):
        make_card(tfx_explain.load(str(changed)))


@pytest.mark.parametrize(
    ("gradients", "unit"),
    [("smooth_grad", "units of the output per unit of a pixel's value"), ("blur_ig", "units of the output")],
)
def test_slopes_have_another_unit_than_shares_of_the_output(
    gradients: str, unit: str, earlier: Any, tmp_path: Path
) -> None:
    copy = shutil.copytree(earlier.explanation.uri, tmp_path / "copy")
    sealing.reseal(copy, lambda manifest: manifest["method"]["shapley"].update(gradients=gradients))
    nodes = SyntaxTreeNode(
        MarkdownIt("commonmark").enable("table").parse(to_markdown(make_card(tfx_explain.load(str(copy)))))
    )
    told = [text_of(node) for node in nodes.walk() if node.type == "paragraph"]
    assert told.count(f"Shapley values: mean size of attributions, in {unit}.") == 1
    assert not [text for text in told if "per unit of a pixel" in text and gradients != "smooth_grad"]
