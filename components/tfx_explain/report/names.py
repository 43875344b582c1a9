"""Names for readers in place of those of features and outputs, in everything that a report shows."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TypeVar

import pandas as pd

from tfx_explain.judgement import Finding
from tfx_explain.report.data import ReportData
from tfx_explain.report.gradients import at
from tfx_explain.report.inside import InsideSection
from tfx_explain.tables import ATTRIBUTION_PREFIX, STD_ERROR_PREFIX
from tfx_explain.tables.manifest import STORED_FEATURES, Manifest

_OF_FEATURES = ("player", "player_a", "player_b", "feature", "feature_b")
Names = Mapping[str, str]
_Value = TypeVar("_Value")


def with_names(data: ReportData) -> ReportData:
    """The data with names for readers, as the manifest tells: `config.feature_names`, `class_names`.

    Names that would make two features or outputs look the same are left out.
    """
    manifest = data.manifest
    players: Mapping[str, Sequence[str]] = at(manifest, "players") or {}
    known = {*players, *(name for names in players.values() for name in names), *_there(data)}
    features = _apart(at(manifest, "config", "feature_names") or {}, known)
    outputs = _apart(at(manifest, "class_names") or {}, set(data.outputs))
    if not features and not outputs:
        return data
    frames = {
        field.name: _renamed(table, features, outputs)
        for field in dataclasses.fields(data)
        if isinstance(table := getattr(data, field.name), pd.DataFrame)
    }
    return dataclasses.replace(
        data,
        **frames,
        manifest=_manifest(manifest, features, outputs),
        parts={name: _renamed(table, features, outputs) for name, table in data.parts.items()},
        examples={_of(outputs, output): _columns(rows, features) for output, rows in data.examples.items()},
        inside=[_inside(section, features, outputs) for section in data.inside],
        findings=[_finding(finding, features, outputs) for finding in data.findings],
    )


def _there(data: ReportData) -> set[str]:
    """Columns of the rows themselves."""
    return {str(name) for rows in data.examples.values() for name in rows}


def _apart(told: Names, known: set[str]) -> dict[str, str]:
    """Those of the names that nothing else has."""
    wanted = {name: shown for name, shown in told.items() if name in known and shown != name}
    shown = list(wanted.values())
    return {name: one for name, one in wanted.items() if shown.count(one) == 1 and one not in known}


def _of(names: Names, name: str) -> str:
    return names.get(name, name)


def _renamed(table: pd.DataFrame, features: Names, outputs: Names) -> pd.DataFrame:
    """A table with other values in its columns of names."""
    columns = {name: features for name in _OF_FEATURES if name in table}
    columns |= {"output": outputs} if "output" in table else {}
    return table.assign(
        **{name: table[name].map(lambda value, of=of: of.get(value, value)) for name, of in columns.items()}
    )


def _columns(rows: pd.DataFrame, features: Names) -> pd.DataFrame:
    """Rows with other names of their columns."""
    prefixes = ("", ATTRIBUTION_PREFIX, STD_ERROR_PREFIX)
    return rows.rename(
        columns={prefix + name: prefix + shown for prefix in prefixes for name, shown in features.items()}
    )


def _keys(entries: Mapping[str, _Value], names: Names) -> dict[str, _Value]:
    return {_of(names, name): entry for name, entry in entries.items()}


def _manifest(manifest: Manifest, features: Names, outputs: Names) -> Manifest:
    """What the report reads of it by name; the whole manifest is shown as it is."""
    players: Mapping[str, Sequence[str]] = at(manifest, "players") or {}
    named: dict[str, object] = {
        "players": {_of(features, name): [_of(features, one) for one in members] for name, members in players.items()},
        "outputs": [_of(outputs, name) for name in at(manifest, "outputs") or ()],
        "unused_features": [_of(features, name) for name in at(manifest, "unused_features") or ()],
    }
    if at(manifest, STORED_FEATURES) is not None:
        named[STORED_FEATURES] = [_of(features, name) for name in manifest[STORED_FEATURES]]
    values = at(manifest, "base_values")
    if isinstance(values, Mapping):
        named["base_values"] = _keys(values, outputs)
    reasons = at(manifest, "reasons")
    if isinstance(reasons, Mapping) and isinstance(reasons.get("adverse"), Mapping):
        named["reasons"] = {**reasons, "adverse": _keys(reasons["adverse"], outputs)}
    return {**manifest, **named}


def _inside(section: InsideSection, features: Names, outputs: Names) -> InsideSection:
    rows = tuple(dataclasses.replace(row, output=_of(outputs, row.output)) for row in section.rows)
    return dataclasses.replace(section, feature=_of(features, section.feature), rows=rows)


def _finding(finding: Finding, features: Names, outputs: Names) -> Finding:
    about = tuple(_of(features, name) for name in finding.about)
    return dataclasses.replace(finding, about=about, output=_of(outputs, finding.output))
