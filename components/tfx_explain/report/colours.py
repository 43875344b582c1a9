"""Colours of rows by a feature's value: shades of numbers from low to high, hues of the most common categories."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import rankdata

from tfx_explain.report.text import cell, shortened

N_SHADES = 7
N_HUES = 4
OTHER = "x"
_LEGEND_LETTERS = 8


@dataclasses.dataclass(frozen=True)
class Colouring:
    """How rows are coloured.

    Attributes:
      classes: of each row: `0` to `N_SHADES - 1` from low to high, `h0` to `h<N_HUES - 1>` of categories, most common
        first, `x` of what has neither.
      legend: (class, category) of those that have a hue.
      by: the feature whose values they are.
    """

    classes: tuple[str, ...]
    legend: tuple[tuple[str, str], ...]
    by: str


def colouring(rows: pd.DataFrame, features: Sequence[str], attributions: npt.NDArray[np.float64]) -> Colouring:
    """The colours of rows by a feature, or by that of a group whose numbers go most with its attributions.

    Args:
      rows: examples, with their own features.
      features: of one player; those that the rows lack are left out.
      attributions: (n,) of the player.
    """
    present = [feature for feature in features if feature in rows]
    if not present:
        return Colouring((OTHER,) * len(rows), (), "")
    by = max(present, key=lambda feature: _goes_with(rows[feature], attributions)) if len(present) > 1 else present[0]
    values = list(rows[by])
    shades = shade(values)
    if (shades >= 0).any():
        return Colouring(tuple(OTHER if one < 0 else str(one) for one in shades.tolist()), (), by)
    hues = _hues(values)
    legend = tuple((of, shortened(category, _LEGEND_LETTERS)) for category, of in hues.items())
    return Colouring(tuple(hues.get(cell(value), OTHER) for value in values), legend, by)


def shade(values: Sequence[Any]) -> npt.NDArray[np.int64]:
    """The place of each value among the others, 0..N_SHADES-1; -1 where a value is missing or no number."""
    shades = np.full(len(values), -1, dtype=np.int64)
    numeric = pd.to_numeric(pd.Series([v if np.isscalar(v) and not isinstance(v, str) else None for v in values]))
    known = numeric.notna().to_numpy()
    if known.any():
        place = numeric[known].rank(method="average")
        spread = float(place.max() - place.min())
        relative = (place - place.min()) / spread if spread else place * 0 + 0.5
        shades[known] = np.minimum((relative * N_SHADES).astype(int), N_SHADES - 1)
    return shades


def _goes_with(values: pd.Series, attributions: npt.NDArray[np.float64]) -> float:
    """Size of the rank correlation of values with attributions; 0 where values are no numbers, or all alike."""
    if not pd.api.types.is_numeric_dtype(values):
        return 0.0
    pairs = np.stack([values.to_numpy(np.float64, na_value=np.nan), attributions])
    pairs = pairs[:, ~np.isnan(pairs).any(axis=0)]
    if pairs.shape[1] < 2 or (pairs == pairs[:, :1]).all(axis=1).any():
        return 0.0
    return float(abs(np.corrcoef(rankdata(pairs, axis=1))[0, 1]))


def _hues(values: Sequence[Any]) -> Mapping[str, str]:
    """Category -> its class, of the most common texts; the first of equally common ones by name."""
    counted = Counter(cell(value) for value in values if isinstance(value, str))
    common = sorted(counted, key=lambda category: (-counted[category], category))[:N_HUES]
    return {category: f"h{place}" for place, category in enumerate(common)}
