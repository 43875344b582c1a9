"""Single examples: how their attributions lead from the base value to the prediction."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from tfx_explain.report.row_steps import RowSteps, Step, columns_of, row_steps
from tfx_explain.tables import ATTRIBUTION_PREFIX, BASE_VALUE, PREDICTION


@dataclasses.dataclass(frozen=True)
class Bar:
    """A step of the way; positions are percent of the width."""

    step: Step
    left: float
    width: float


@dataclasses.dataclass(frozen=True)
class Waterfall:
    """One example.

    Attributes:
      heading: why it is shown.
      row: its figures.
      base_at: position of the start, percent of the width.
      prediction_at: position of the end.
      scale: size of the figures.
      bars: of the steps.
    """

    heading: str
    row: RowSteps
    base_at: float
    prediction_at: float
    scale: float
    bars: tuple[Bar, ...]


def make_waterfalls(
    examples: pd.DataFrame, players: Sequence[str], features: Mapping[str, Sequence[str]]
) -> list[Waterfall]:
    """The most typical example of a sample, and those of the highest and the lowest prediction.

    Args:
      examples: a sample of explained rows.
      players: their names.
      features: player -> its features; a player that is absent here is a feature.
    """
    known = known_players(examples, players)
    if not known:
        return []
    rows = examples.reset_index(drop=True)
    prediction = rows[PREDICTION].to_numpy(dtype=np.float64)
    chosen = {
        "Most typical row": typical(columns_of(rows, ATTRIBUTION_PREFIX, known)),
        "Highest prediction": int(np.argmax(prediction)),
        "Lowest prediction": int(np.argmin(prediction)),
    }
    first = {row: heading for heading, row in reversed(chosen.items())}
    drawn = {heading: row for heading, row in chosen.items() if first[row] == heading}
    steps = row_steps(rows.iloc[list(drawn.values())], known, features)
    return [place_steps(heading, row) for heading, row in zip(drawn, steps, strict=True)]


def known_players(examples: pd.DataFrame, players: Sequence[str]) -> list[str]:
    """The players whose attributions lead from base values to predictions; none where they are no shares of these."""
    known = [player for player in players if ATTRIBUTION_PREFIX + player in examples]
    if examples.empty or not {PREDICTION, BASE_VALUE} <= set(examples.columns):
        return []
    return known if np.isfinite(examples[BASE_VALUE].to_numpy(dtype=np.float64)).all() else []


def typical(phi: npt.NDArray[np.float64]) -> int:
    """The row of (n, d) attributions with the smallest sum of absolute differences to all others (the medoid)."""
    return int(np.argmin([np.abs(phi - row).sum() for row in phi]))


def place_steps(heading: str, row: RowSteps) -> Waterfall:
    """Where the steps of a row are drawn, under a heading."""
    corners = row.base_value + np.cumsum([0.0, *(step.attribution for step in row.steps)])
    low, high = min(corners.min(), row.prediction), max(corners.max(), row.prediction)
    scale = 100.0 / ((high - low) or 1.0)
    bars = tuple(
        Bar(step, (min(start, end) - low) * scale, abs(end - start) * scale)
        for step, start, end in zip(row.steps, corners[:-1], corners[1:], strict=True)
    )
    base_at, prediction_at = ((end - low) * scale for end in (row.base_value, row.prediction))
    return Waterfall(heading, row, base_at, prediction_at, float(high - low), bars)
