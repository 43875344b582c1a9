"""Sections of the card on what the model relies on, over all rows and in slices."""

from __future__ import annotations

import pandas as pd

from tfx_explain import tables
from tfx_explain.card.blocks import Block, Column, Fact, Facts, Name, Section, Table, pointer, table_of
from tfx_explain.reader import ExplanationReader
from tfx_explain.report.comparison import METHOD_NAMES
from tfx_explain.report.gradients import at
from tfx_explain.report.slices import FALSE_DISCOVERY_RATE
from tfx_explain.report.text import count
from tfx_explain.slicing import OVERALL

MAX_PLAYERS = 20
MAX_OUTPUTS = 5
MAX_SLICES = 20
MAX_DIFFERENCES = 20
MAX_CHECKS = 50
_PER_SLICE = 3
_INTERVAL = (Column("from", "ci_low"), Column("to", "ci_high"))
_IMPORTANCE = (
    *(Column("Rank", "rank"), Column("Feature", "player"), Column("Importance", "value"), *_INTERVAL),
    *(Column("Share", "share"), Column("from", "share_ci_low"), Column("to", "share_ci_high")),
    *(Column("Mean attribution", "mean_signed"), Column("Rows", "num_examples")),
)
_OF_LOSS = (*_IMPORTANCE[:5], _IMPORTANCE[-1])
_CHANGE = (
    *(Column("Feature", "player"), Column("Baseline model", "value"), Column("Difference", "difference")),
    *(Column("from", "difference_ci_low"), Column("to", "difference_ci_high")),
)
_IN_SLICES = (Column("Slice", "slice"), *_IMPORTANCE[:5], Column("Rows", "num_examples"))
_DIFFERENCES = (
    *(Column("Slice", "slice"), Column("Feature", "player"), Column("In it", "value"), Column("Outside", "rest_value")),
    *(Column("Difference", "difference"), Column("Standard error", "std_error"), Column("q", "q_value")),
)
_CHECKS = (
    *(Column("Method", "method"), Column("Output", "output"), Column("Feature", "feature")),
    *(Column("Measure", "measure"), Column("Figure", "value"), *_INTERVAL, Column("Rows", "num_examples")),
)
_SHARES = (
    "A share here is value over the sum of value and cut_off of all features, 1 at most; its interval is of the same "
    "figure."
)
_INTERVALS = "Each from and to is a 95 % interval about the examples, with the same background."


def importance_section(explanation: ExplanationReader) -> Section:
    """What matters to each output, by each method, and what changed against the baseline model."""
    methods = explanation.importance_methods
    blocks: list[Block] = ["No method of this explanation gives importance."] if not methods else [_INTERVALS]
    for method in methods:
        of_method = explanation.importance[explanation.importance["method"] == method]
        overall = of_method[of_method["slice"] == OVERALL]
        outputs = list(dict.fromkeys(overall["output"]))
        for output in outputs[:MAX_OUTPUTS]:
            blocks += [
                _heading(explanation, overall, method),
                _importance(overall[overall["output"] == output], method, output),
            ]
        if len(outputs) > MAX_OUTPUTS:
            blocks.append(f"{count(len(outputs) - MAX_OUTPUTS)} more outputs are in {tables.IMPORTANCE.file}.")
    if methods and explanation.has(tables.BASELINE_IMPORTANCE.file):
        blocks += _changes(explanation, methods[0])
    return Section("What the model relies on", ("2(b)",), blocks)


def _heading(explanation: ExplanationReader, rows: pd.DataFrame, method: str) -> str:
    metric = str(rows["metric"].iloc[0]) if "metric" in rows else tables.MEAN_ABS_ATTRIBUTION
    slopes = at(explanation.manifest, "method", method, "gradients") == "smooth_grad"
    unit = "units of the output per unit of a pixel's value" if slopes else "units of the output"
    what = {
        tables.MEAN_ABS_ATTRIBUTION: f"mean size of attributions, in {unit}",
        "auc": "by how much the AUC falls",
    }.get(metric, f"in units of the loss ({metric})")
    return f"{METHOD_NAMES.get(method, method)}: {what}."


def _importance(rows: pd.DataFrame, method: str, output: str) -> Table:
    is_share = "share" in rows and rows["share"].notna().any()
    rows = rows.sort_values(["rank", "player"], kind="stable")
    if is_share:
        rows = rows.assign(share=tables.shares_of_total(rows))
    where = {"slice": OVERALL, "output": output, "method": method}
    note = " ".join(filter(None, [_SHARES if is_share else "", _left_out(len(rows), MAX_PLAYERS, "features")]))
    columns = _IMPORTANCE if is_share else _OF_LOSS
    return table_of(tables.IMPORTANCE.file, rows.head(MAX_PLAYERS), columns, where, note)


def _changes(explanation: ExplanationReader, method: str) -> list[Block]:
    rows = explanation.baseline_importance
    rows = rows[(rows["slice"] == OVERALL) & (rows["method"] == method)]
    blocks: list[Block] = ["The model less the baseline model, on the same rows; the largest changes first."]
    outputs = list(dict.fromkeys(rows["output"]))
    for output in outputs[:MAX_OUTPUTS]:
        chosen = rows[rows["output"] == output].sort_values("difference", key=abs, ascending=False, kind="stable")
        note = _left_out(len(chosen), MAX_PLAYERS, "features")
        where = {"slice": OVERALL, "output": output, "method": method}
        file = tables.BASELINE_IMPORTANCE.file
        blocks.append(table_of(file, chosen.head(MAX_PLAYERS), _CHANGE, where, note))
    return blocks if outputs else []


def slice_section(explanation: ExplanationReader) -> Section:
    """Which slices there are, what matters in each, and where they differ from the rows outside."""
    serves = ("2(b)", "2(g)", "3")
    included = [one for one in explanation.manifest["slices"]["included"] if one["slice"] != OVERALL]
    if not included:
        return Section("Slices", serves, ["No slices were explained, so nothing is known here of parts of the data."])
    blocks: list[Block] = [_sizes(explanation, len(included))]
    for method in explanation.importance_methods[:1]:
        blocks += _in_slices(explanation, method)
        if method in explanation.methods and explanation.has(tables.SLICE_DIFFERENCES.file):
            blocks += _differences(explanation.slice_differences, method)
    return Section("Slices", serves, blocks)


def _sizes(explanation: ExplanationReader, n_slices: int) -> Facts:
    listed = enumerate(explanation.manifest["slices"]["included"])
    facts = [
        Fact(Name(one["slice"]), one["num_examples"], pointer("slices", "included", place, "num_examples"))
        for place, one in listed
        if one["slice"] != OVERALL
    ]
    return Facts(tables.MANIFEST, facts[: min(MAX_SLICES, n_slices)])


def _in_slices(explanation: ExplanationReader, method: str) -> list[Block]:
    rows = explanation.importance
    rows = rows[(rows["method"] == method) & (rows["slice"] != OVERALL)]
    if rows.empty:
        return []
    output = str(rows["output"].iloc[0])
    rows = rows[(rows["output"] == output)].sort_values(["slice", "rank", "player"], kind="stable")
    chosen = list(dict.fromkeys(rows["slice"]))
    first = rows[rows["slice"].isin(chosen[:MAX_SLICES])].groupby("slice", sort=False).head(_PER_SLICE)
    note = _left_out(len(chosen), MAX_SLICES, "slices")
    where = {"output": output, "method": method}
    return [
        f"The {_PER_SLICE} most important features of each slice.",
        table_of(tables.IMPORTANCE.file, first, _IN_SLICES, where, note),
    ]


def _differences(rows: pd.DataFrame, method: str) -> list[Block]:
    """Those that are no chance, the smallest q first."""
    rows = rows[rows["method"] == method] if "method" in rows else rows
    found = rows[rows["q_value"] < FALSE_DISCOVERY_RATE].sort_values("q_value", kind="stable")
    said = f"Slices were compared with the rows outside them at a false discovery rate of {FALSE_DISCOVERY_RATE:g}."
    if found.empty:
        return [f"{said} No difference was found, which does not show that there is none."]
    note = _left_out(len(found), MAX_DIFFERENCES, "differences")
    columns = (_DIFFERENCES[0], Column("Output", "output"), *_DIFFERENCES[1:])
    where = {"method": method} if "method" in rows else {}
    table = table_of(tables.SLICE_DIFFERENCES.file, found.head(MAX_DIFFERENCES), columns, where, note)
    return [f"{said} These differ:", table]


def faithfulness_sections(explanation: ExplanationReader) -> list[Section]:
    """Whether attributions tell what the model does, if that was tested."""
    if not explanation.has(tables.FAITHFULNESS.file):
        return []
    rows = explanation.faithfulness
    rows = rows[rows["slice"] == OVERALL]
    note = _left_out(len(rows), MAX_CHECKS, "checks")
    table = table_of(tables.FAITHFULNESS.file, rows.head(MAX_CHECKS), _CHECKS, {"slice": OVERALL}, note)
    said = "The description of the format says what each measure is; an empty feature stands for all of a row."
    return [Section("Do attributions tell what the model does", ("2(e)", "2(g)"), [said, table])]


def _left_out(n_rows: int, most: int, what: str) -> str:
    return f"{count(n_rows - most)} more {what} are in the file." if n_rows > most else ""
