"""Single examples: how their attributions lead from the base value to the prediction."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from tfx_explain.report.swarm import player_values
from tfx_explain.report.text import cell
from tfx_explain.tables import ATTRIBUTION_PREFIX

MAX_STEPS = 8


@dataclasses.dataclass(frozen=True)
class Step:
    """One player's part of the way; positions are percent of the width."""

    label: str
    value: str
    attribution: float
    left: float
    width: float


@dataclasses.dataclass(frozen=True)
class Waterfall:
    """One example.

    Attributes:
      heading: why it is shown.
      example_id: which it is; empty where unknown.
      base_value: where the way starts.
      prediction: where it ends.
      base_at: position of the start, percent of the width.
      prediction_at: position of the end.
      steps: largest first; the rest together last.
    """

    heading: str
    example_id: str
    base_value: float
    prediction: float
    base_at: float
    prediction_at: float
    steps: tuple[Step, ...]


def make_waterfalls(
    examples: pd.DataFrame, players: Sequence[str], features: Mapping[str, Sequence[str]]
) -> list[Waterfall]:
    """The most typical example of a sample, and those of the highest and the lowest prediction.

    Args:
      examples: a sample of explained rows.
      players: their names.
      features: player -> its features; a player that is absent here is a feature.
    """
    known = [player for player in players if ATTRIBUTION_PREFIX + player in examples]
    rows = examples.reset_index(drop=True)
    if not known or rows.empty or not {"prediction", "base_value"} <= set(rows.columns):
        return []
    if not np.isfinite(rows["base_value"].to_numpy(dtype=np.float64)).all():
        # What is no share of the output leads from nowhere to it.
        return []
    phi = rows[[ATTRIBUTION_PREFIX + player for player in known]].to_numpy(dtype=np.float64)
    prediction = rows["prediction"].to_numpy(dtype=np.float64)
    chosen = {
        "Most typical row": typical(phi),
        "Highest prediction": int(np.argmax(prediction)),
        "Lowest prediction": int(np.argmin(prediction)),
    }
    first = {row: heading for heading, row in reversed(chosen.items())}
    return [
        _waterfall(heading, rows.iloc[[row]], phi[row], known, features)
        for heading, row in chosen.items()
        if first[row] == heading
    ]


def typical(phi: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> int:
    """The row of (n, d) attributions with the smallest sum of absolute differences to all others (the medoid)."""
    return int(np.argmin([np.abs(phi - row).sum() for row in phi]))


def _waterfall(
    heading: str,
    row: pd.DataFrame,
    phi: np.ndarray[tuple[int, ...], np.dtype[np.float64]],
    players: Sequence[str],
    features: Mapping[str, Sequence[str]],
) -> Waterfall:
    order = np.argsort(-np.abs(phi), kind="stable")
    n_shown = len(order) if len(order) <= MAX_STEPS + 1 else MAX_STEPS
    parts = [
        (players[k], cell(player_values(row, features.get(players[k], (players[k],)))[0]), float(phi[k]))
        for k in order[:n_shown]
    ]
    if n_shown < len(order):
        parts.append((f"{len(order) - n_shown} other players", "", float(phi[order[n_shown:]].sum())))
    base, prediction = float(row["base_value"].iloc[0]), float(row["prediction"].iloc[0])
    corners = base + np.concatenate([[0.0], np.cumsum([part[2] for part in parts])])
    low, high = min(corners.min(), prediction), max(corners.max(), prediction)
    scale = 100.0 / ((high - low) or 1.0)
    steps = tuple(
        Step(label, value, attribution, (min(start, end) - low) * scale, abs(end - start) * scale)
        for (label, value, attribution), start, end in zip(parts, corners[:-1], corners[1:], strict=True)
    )
    identity = cell(row["example_id"].iloc[0]) if "example_id" in row else ""
    return Waterfall(heading, identity, base, prediction, (base - low) * scale, (prediction - low) * scale, steps)
