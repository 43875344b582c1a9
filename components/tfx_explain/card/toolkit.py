"""A card as the JSON of the Model Card Toolkit, whose published schema v0.0.2 it keeps to.

The schema has room for metrics, data and limitations, but for no sources: the `type` of a metric says where its figure
is.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from typing import Any

from tfx_explain import tables
from tfx_explain.card.blocks import Card, Cell, Facts, Name, Points, Section
from tfx_explain.card.details import OwnerDetails
from tfx_explain.card.markdown import ACT
from tfx_explain.reader import ExplanationReader
from tfx_explain.report.story import near_cut_off
from tfx_explain.tables.manifest import Manifest

SCHEMA_VERSION = "0.0.2"
JSON_START = f'{{\n "schema_version": "{SCHEMA_VERSION}"'
"""How `as_text` begins."""
_OF_TABLES = (tables.IMPORTANCE.file, tables.BASELINE_IMPORTANCE.file)
_UNKNOWN = "unknown"
_VALUES = {tables.IMPORTANCE.file: ("value", "ci_low", "ci_high")}
_VALUES[tables.BASELINE_IMPORTANCE.file] = ("difference", "difference_ci_low", "difference_ci_high")
_VALUES[tables.FINDINGS] = ("value", "ci_low", "ci_high")

Json = dict[str, Any]


def to_model_card(card: Card, explanation: ExplanationReader, details: OwnerDetails | None = None) -> Json:
    """The card as plain data for JSON.

    Args:
      card: what `make_card` made of the other two.
      explanation: of the model.
      details: what the owner says.
    """
    details = details or OwnerDetails()
    return {
        "schema_version": SCHEMA_VERSION,
        "model_details": _model_details(card, explanation.manifest, details),
        "model_parameters": _parameters(explanation.manifest, details),
        "quantitative_analysis": {"performance_metrics": list(_metrics(card))},
        "considerations": _considerations(card, details),
    }


def _model_details(card: Card, manifest: Manifest, details: OwnerDetails) -> Json:
    missing = [one.what for one in details.asked if not details.told(one.key)]
    told = [f"{one.what}: {details.told(one.key)}" for one in details.asked if details.told(one.key)]
    verdict = _paragraphs(card, "Tests and verdict")[0]
    documentation = [verdict, *told]
    documentation += [f"To be filled in by the owner: {'; '.join(missing)}."] if missing else []
    found: Json = {
        "name": card.name,
        "overview": details.overview or f"Explanation and tests of a model, for {ACT}, 2(b), 2(e) and 2(g).",
        "documentation": "\n".join(documentation),
        "path": manifest["model"]["uri"],
    }
    owners = [{"name": one.name, **({"contact": one.contact} if one.contact else {})} for one in details.owners]
    optional = {
        "owners": owners,
        "version": {"name": details.version} if details.version else None,
        "licenses": [{"identifier": name} for name in details.licenses],
        "references": [{"reference": uri} for uri in details.references],
    }
    return {**found, **{key: value for key, value in optional.items() if value}}


def _parameters(manifest: Manifest, details: OwnerDetails) -> Json:
    background = manifest["background"]
    data = [
        {
            "name": f"explained examples, split {split}",
            "description": f"{manifest['examples']['patterns'].get(split, '')}; {counts.get('explained')} of "
            f"{counts.get('read')} rows explained; digest {manifest['examples']['digests'].get(split)}",
        }
        for split, counts in manifest["counts"].items()
    ]
    data.append(
        {
            "name": f"background, split {background['split']}",
            "description": f"{background['pattern']}; {background['num_rows']} rows{near_cut_off(manifest)} by "
            f"{background['strategy']}; digest {background['digest']}",
        }
    )
    if details.training_data:
        data.append({"name": "training data, as the owner says", "description": details.training_data})
    return {
        "data": data,
        "input_format_map": [
            {"key": name, "value": ", ".join(features)} for name, features in manifest["players"].items()
        ],
        "output_format_map": [
            {"key": name, "value": manifest["model"]["output_space"]} for name in manifest["outputs"]
        ],
    }


def _metrics(card: Card) -> Iterator[Json]:
    """A metric for each row of the tables of importance and of findings."""
    for file in (*_OF_TABLES, tables.FINDINGS):
        for table in card.tables(file):
            for row in table.rows:
                figures = {**table.where, **dict(zip([c.source for c in table.columns], row, strict=True))}
                yield _metric(file, {name: _plain(value) for name, value in figures.items()})


def _metric(file: str, figures: Json) -> Json:
    value, low, high = _VALUES[file]
    if file == tables.FINDINGS:
        kind = f"{figures['rule']} {figures['settings']}, output {figures['output']}: {figures['outcome']}, limit "
        kind += f"{figures['threshold']} ({file}, /findings/{figures['findings']}/value)"
    else:
        what = "importance" if value == "value" else "change of the importance against the baseline model"
        kind = f"{what} of {figures['player']} to output {figures['output']} by {figures['method']} ({file}, {value})"
    metric: Json = {"type": kind, "value": figures[value], "slice": figures["slice"]}
    if _known(figures.get(low)) and _known(figures.get(high)):
        metric["confidence_interval"] = {"lower_bound": figures[low], "upper_bound": figures[high]}
    return metric


def _known(figure: str | None) -> bool:
    return figure not in (None, "", _UNKNOWN)


def _plain(cell: Cell) -> str:
    """All digits of a figure, or the text."""
    if isinstance(cell, Name):
        return cell.text
    if isinstance(cell, float) and not math.isfinite(cell):
        return _UNKNOWN
    return "" if cell is None else cell if isinstance(cell, str) else repr(cell)


def _considerations(card: Card, details: OwnerDetails) -> Json:
    limits = [sentence for block in _section(card, "Limits").blocks for sentence in _sentences(block)]
    found = {
        "limitations": [{"description": text} for text in limits],
        "users": [{"description": text} for text in details.users],
        "use_cases": [{"description": text} for text in details.use_cases],
        "tradeoffs": [{"description": text} for text in details.trade_offs],
        "ethical_considerations": [
            {"name": risk.name, **({"mitigation_strategy": risk.mitigation} if risk.mitigation else {})}
            for risk in details.risks
        ],
    }
    return {key: value for key, value in found.items() if value}


def _sentences(block: object) -> Sequence[str]:
    if isinstance(block, Points):
        return block.sentences
    if isinstance(block, Facts):
        return [f"{_plain(fact.label)}: {_plain(fact.value)} ({block.file}, {fact.pointer})" for fact in block.facts]
    return ()


def _section(card: Card, title: str) -> Section:
    return next(section for section in card.sections if section.title == title)


def _paragraphs(card: Card, title: str) -> list[str]:
    return [block for block in _section(card, title).blocks if isinstance(block, str)]


def as_text(model_card: Json) -> str:
    """The JSON as it is written: ASCII, `schema_version` first."""
    return json.dumps(model_card, indent=1, allow_nan=False) + "\n"
