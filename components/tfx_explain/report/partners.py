"""Which other feature an effect of a feature depends on most: what a scatter of values is coloured by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import rankdata

from tfx_explain.report.row_steps import columns_of
from tfx_explain.tables import ATTRIBUTION_PREFIX

FloatArray = npt.NDArray[np.float64]

_MIN_IN_BIN = 10
_MOST_BINS = 10
_ROUNDING = 1e-6  # float32 attributions have no more
_CLEAR = 0.4  # about 0.2 is chance, of 20 rows in a bin


def partners(
    rows: pd.DataFrame,
    players: Sequence[str],
    features: Mapping[str, Sequence[str]],
    interactions: pd.DataFrame | None,
) -> dict[str, str]:
    """Player -> the one it interacts with most; those without any are left out.

    By the table of interactions where it has the player. Else by the sample: among rows of about the same value, the
    feature whose numbers go most with the attribution, if they clearly do. Groups and texts take no part in the latter.

    Args:
      rows: explained rows with their features and `attribution_<player>`.
      players: whose partners are wanted, and who may be one.
      features: player -> its features; a player that is absent here is a feature.
      interactions: of the same output, as `interactions.parquet` has it.
    """
    found = _of_sample(rows, players, features)
    if interactions is not None and len(interactions):
        of_one = interactions[interactions["index"] == interactions["index"].iloc[0]]
        known = of_one[of_one["player_a"].isin(players) & of_one["player_b"].isin(players)]
        weakest_first = known.sort_values("value", kind="stable")
        for first, second in zip(weakest_first["player_a"], weakest_first["player_b"], strict=True):
            found[str(first)], found[str(second)] = str(second), str(first)
    return found


def _of_sample(rows: pd.DataFrame, players: Sequence[str], features: Mapping[str, Sequence[str]]) -> dict[str, str]:
    own = {player: features.get(player, (player,)) for player in players}
    numeric = [
        player
        for player, names in own.items()
        if len(names) == 1 and names[0] in rows and pd.api.types.is_numeric_dtype(rows[names[0]])
    ]
    if len(numeric) < 2 or len(rows) < 2 * _MIN_IN_BIN:
        return {}
    values = np.stack([rows[own[player][0]].to_numpy(np.float64, na_value=np.nan) for player in numeric], axis=1)
    # Ranks are not moved by outliers; a missing value is like the middle one.
    ranks = np.nan_to_num(rankdata(values, axis=0, nan_policy="omit"), nan=(len(rows) + 1) / 2)
    phi = columns_of(rows, ATTRIBUTION_PREFIX, numeric)
    found = {}
    for place, player in enumerate(numeric):
        strength = _strength(ranks[:, place], phi[:, place], ranks)
        strength[place] = 0.0
        if strength.max() > _CLEAR:
            found[player] = numeric[int(strength.argmax())]
    return found


def _strength(own: FloatArray, phi: FloatArray, others: FloatArray) -> FloatArray:
    """(d,) mean size of the correlation of others with attributions among rows of about the same own value."""
    n_bins = min(len(own) // _MIN_IN_BIN, _MOST_BINS)
    total = np.zeros(others.shape[1])
    for rows in np.array_split(np.argsort(own, kind="stable"), n_bins):
        # What is left of the own effect within a bin is nearly a straight line.
        line = np.stack([np.ones(len(rows)), own[rows]], axis=1)
        both = np.concatenate([phi[rows, None], others[rows]], axis=1)
        left = both - line @ np.linalg.lstsq(line, both, rcond=None)[0]
        size, noise = np.linalg.norm(left, axis=0), _ROUNDING * np.linalg.norm(both, axis=0)
        is_known = (size > noise) & (size[0] > noise[0])
        shares = left[:, 0] @ left / np.where(is_known, size[0] * size, 1.0)
        total += np.abs(np.where(is_known, shares, 0.0))[1:]
    return np.asarray(total / n_bins)
