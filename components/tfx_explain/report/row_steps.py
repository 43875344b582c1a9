"""Single rows as people read them: what each feature adds to the output, the largest first."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from tfx_explain.explained_row import NOT_STORED
from tfx_explain.report.probabilities import PROBABILITY
from tfx_explain.report.text import cell
from tfx_explain.tables import ATTRIBUTION_PREFIX, BASE_VALUE, EXAMPLE_ID, PREDICTION, STD_ERROR_PREFIX

FloatArray = npt.NDArray[np.float64]

MAX_STEPS = 8
_MEMBER_LETTERS = 16
_ID_LETTERS = 200


@dataclasses.dataclass(frozen=True)
class Step:
    """One player's part of a prediction.

    Attributes:
      label: its name; of the others together how many they are.
      value: its feature's value, or those of a group by name; empty of the others together.
      attribution: what it adds, in units of the output.
      std_error: standard error of that; NaN where unknown, and of the others together.
    """

    label: str
    value: str
    attribution: float
    std_error: float


@dataclasses.dataclass(frozen=True)
class RowSteps:
    """One row: where the output starts, and what leads to where it ends.

    Attributes:
      example_id: which it is; empty where unknown.
      base_value, prediction: in units of the output.
      base_probability, probability: of them, where they are log-odds; else NaN.
      steps: largest first, the others together last.
    """

    example_id: str
    base_value: float
    prediction: float
    base_probability: float
    probability: float
    steps: tuple[Step, ...]


def row_steps(rows: pd.DataFrame, players: Sequence[str], features: Mapping[str, Sequence[str]]) -> list[RowSteps]:
    """The rows of a sample, in its order.

    Args:
      rows: explained rows with `prediction`, `base_value` and `attribution_<player>` of each player.
      players: their names.
      features: player -> its features; a player that is absent here is a feature.
    """
    phi = columns_of(rows, ATTRIBUTION_PREFIX, players)
    errors = columns_of(rows, STD_ERROR_PREFIX, players)
    order = np.argsort(-np.abs(phi), axis=1, kind="stable")
    n_shown = len(players) if len(players) <= MAX_STEPS + 1 else MAX_STEPS
    rest = np.take_along_axis(phi, order[:, n_shown:], axis=1).sum(axis=1)
    ends = [_column(rows, name) for name in (BASE_VALUE, PREDICTION, PROBABILITY[BASE_VALUE], PROBABILITY[PREDICTION])]
    made = []
    for at, values in enumerate(rows.to_dict("records")):
        steps = [
            Step(players[k], shown_value(values, features.get(players[k], (players[k],))), phi[at, k], errors[at, k])
            for k in order[at, :n_shown]
        ]
        if n_shown < len(players):
            steps.append(Step(f"{len(players) - n_shown} other features", "", float(rest[at]), float("nan")))
        identity = identity_of(values[EXAMPLE_ID]) if EXAMPLE_ID in values else ""
        base, prediction, base_probability, probability = (float(end[at]) for end in ends)
        made.append(RowSteps(identity, base, prediction, base_probability, probability, tuple(steps)))
    return made


def identity_of(example_id: Any) -> str:
    """The name of a row, as a page has it."""
    return cell(example_id, _ID_LETTERS)


def columns_of(rows: pd.DataFrame, prefix: str, players: Sequence[str]) -> FloatArray:
    """(n, p) figures of players; NaN where the rows lack them."""
    return np.stack([_column(rows, prefix + player) for player in players], axis=1)


def _column(rows: pd.DataFrame, name: str) -> FloatArray:
    return rows[name].to_numpy(np.float64) if name in rows else np.full(len(rows), np.nan)


def shown_value(row: Mapping[str, Any], features: Sequence[str]) -> str:
    """A feature's value, or those of a group's features by name; says so where there are none that files may hold."""
    if not features:
        return NOT_STORED
    if len(features) == 1:
        return cell(row.get(features[0]))
    return ", ".join(f"{name} {cell(row[name], _MEMBER_LETTERS)}" for name in features if name in row) or "missing"
