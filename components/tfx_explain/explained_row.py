"""One explained row."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd

from tfx_explain.notebook_html import waterfall_html


@dataclasses.dataclass(frozen=True)
class ExplainedRow:
    """One row, and how its features lead from the base value to its prediction. Shows as a waterfall in notebooks.

    Attributes:
      example_id: its name.
      output: which output of the model.
      unit: of all figures: `logit`, `probability` or `raw`.
      prediction: of the model.
      base_value: the mean prediction of the background.
      contributions: a row per player, the largest first: `player`, `value` (what the row has there; of a group a
        mapping), `attribution`, `std_error`. Attributions add up to `prediction` - `base_value` wherever the method's
        do.
    """

    example_id: str
    output: str
    unit: str
    prediction: float
    base_value: float
    contributions: pd.DataFrame

    def _repr_html_(self) -> str:
        steps = self.contributions[["player", "value", "attribution", "std_error"]].itertuples(index=False, name=None)
        shown = [(name, shown_value(value), attribution, error) for name, value, attribution, error in steps]
        caption = f"Row {self.example_id}, output {self.output}"
        return waterfall_html(caption, (self.base_value, self.prediction), shown, self.unit)


NOT_STORED = "not stored"
"""What stands for values that `store_features` keeps out of all files."""


def shown_value(value: object) -> str:
    """What a row has of a player, for people."""
    if isinstance(value, dict):
        return ", ".join(f"{name} = {shown_value(one)}" for name, one in value.items())
    if isinstance(value, list):
        return ", ".join(map(shown_value, value))
    if value is None or value is pd.NA or value != value:
        return "missing"
    return f"{value:.6g}" if isinstance(value, float | np.floating) else str(value)
