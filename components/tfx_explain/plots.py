"""Pictures of a written explanation by matplotlib, for notebooks and papers: `explanation.plot`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from tfx_explain import tables
from tfx_explain.errors import InputError
from tfx_explain.explained_row import ExplainedRow, shown_value
from tfx_explain.optional import optional
from tfx_explain.printable import printable, shortened, there_is
from tfx_explain.tables.manifest import is_stored

if TYPE_CHECKING:
    from tfx_explain.reader import ExplanationReader

FloatArray = npt.NDArray[np.float64]

Axes = Any
"""`matplotlib.axes.Axes`."""

_MAX_NAME = 40
_RAISES, _LOWERS, _ERROR = "#9a3412", "#1d4ed8", "#444444"
_LOW_TO_HIGH = "coolwarm"
_UNKNOWN = "#888888"
_LANE = 0.8
"""Height of the dots of a player, of a lane of 1."""
_BINS = 120
_FULL = 16
"""Dots of nearly equal attributions that fill the height of a lane."""
_MAX_LEVELS = 50


class Plots:
    """Each method draws one picture and returns its axes.

    Args:
      explanation: what is drawn.
    """

    def __init__(self, explanation: ExplanationReader) -> None:
        self._explanation = explanation

    def importance(
        self,
        *,
        slice: str = "overall",
        output: str | None = None,
        method: str | None = None,
        max_features: int = 12,
        ax: Axes = None,
    ) -> Axes:
        """The most important features as bars, with their 95 % intervals.

        Args:
          slice: its name.
          output: one of `outputs`; may be left out when there is one.
          method: that has importance; None = the first one.
          max_features: how many are drawn.
          ax: axes to draw on; None = new ones.

        Raises:
          ConfigError: matplotlib is not installed.
          InputError: there is no such slice, output or method.
        """
        found = self._explanation.importance_for(slice=slice, output=output, method=method).head(max_features)
        ax = _axes(ax, len(found))
        places = np.arange(len(found))
        reach = np.abs(found[["ci_low", "ci_high"]].to_numpy(np.float64).T - found["value"].to_numpy(np.float64))
        ax.barh(places, found["value"], color=_LOWERS, xerr=np.nan_to_num(reach), ecolor=_ERROR, capsize=2)
        unit = f" ({self._unit})" if found["method"].iloc[0] in self._explanation.methods else ""
        _label_lanes(ax, found["player"], f"importance by {found['method'].iloc[0]}{unit}, 95 % interval")
        ax.set_title(_told(slice))
        return ax

    def beeswarm(
        self,
        *,
        split: str | None = None,
        output: str | None = None,
        method: str | None = None,
        max_features: int = 12,
        max_rows: int = 2_000,
        ax: Axes = None,
    ) -> Axes:
        """A dot for each row and feature: how much it moved the output, coloured by the value from low to high.

        Args:
          split: one of the explained splits; all of them when None.
          output: one of `outputs`; may be left out when there is one.
          method: one of `methods`; None = the first one.
          max_features: how many are drawn, those with the largest mean |attribution|.
          max_rows: how many rows are drawn: those whose names come first.
          ax: axes to draw on; None = new ones.

        Raises:
          ConfigError: matplotlib is not installed.
          InputError: there is no such split, output or method.
        """
        frame = self._attributions(split, output, method)
        sizes = frame[[tables.ATTRIBUTION_PREFIX + player for player in self._explanation.players]].abs().mean()
        order = np.argsort(-sizes.to_numpy(np.float64), kind="stable")[:max_features]
        players = [self._explanation.players[place] for place in order]
        rows = frame.sort_values(tables.EXAMPLE_ID, kind="stable").head(max_rows)
        ax = _axes(ax, len(players))
        ax.axvline(0, color=_ERROR, linewidth=0.8)
        for lane, player in enumerate(players):
            attributions = rows[tables.ATTRIBUTION_PREFIX + player].to_numpy(np.float64)
            colours = _ranks(self._numbers(rows, player))
            known = ~np.isnan(colours)
            y = lane + _spread(attributions)
            ax.scatter(attributions[~known], y[~known], s=6, color=_UNKNOWN, linewidths=0)
            ax.scatter(
                attributions[known], y[known], s=6, c=colours[known], cmap=_LOW_TO_HIGH, vmin=0, vmax=1, linewidths=0
            )
        _label_lanes(ax, players, f"attribution ({self._unit}); blue: low values, red: high, grey: no number")
        return ax

    def waterfall(
        self,
        row: str | ExplainedRow,
        *,
        split: str | None = None,
        output: str | None = None,
        method: str | None = None,
        max_features: int = 10,
        ax: Axes = None,
    ) -> Axes:
        """How the features of one row lead from the base value to its prediction, with standard errors.

        Args:
          row: its name, or what `row` gave.
          split: one of the explained splits; all of them when None.
          output: one of `outputs`; may be left out when there is one.
          method: one of `methods`; None = the first one.
          max_features: how many have a bar of their own; the others share one.
          ax: axes to draw on; None = new ones.

        Raises:
          ConfigError: matplotlib is not installed.
          InputError: there is no such row, split, output or method.
        """
        if not isinstance(row, ExplainedRow):
            row = self._explanation.row(row, split=split, output=output, method=method)
        steps = row.contributions
        labels = [f"{name} = {shown_value(value)}" for name, value in zip(steps["player"], steps["value"], strict=True)]
        sizes, errors = steps["attribution"].to_numpy(np.float64), steps["std_error"].to_numpy(np.float64)
        if len(sizes) > max_features:
            n_shown = max(max_features - 1, 0)
            labels = [*labels[:n_shown], f"{len(sizes) - n_shown} other features"]
            # Errors of the features of one row are not independent, so those of their sum are not known.
            sizes, errors = np.append(sizes[:n_shown], sizes[n_shown:].sum()), np.append(errors[:n_shown], np.nan)
        starts = row.base_value + np.concatenate([[0.0], np.cumsum(sizes)[:-1]])
        ax = _axes(ax, len(sizes))
        colours = [_RAISES if size >= 0 else _LOWERS for size in sizes]
        ax.barh(np.arange(len(sizes)), sizes, left=starts, color=colours, xerr=np.nan_to_num(errors), ecolor=_ERROR)
        ax.axvline(row.base_value, color=_ERROR, linewidth=0.8, linestyle=":")
        ax.axvline(row.prediction, color=_ERROR, linewidth=0.8)
        _label_lanes(ax, labels, f"{_told(row.output)} ({row.unit}): base value dotted, prediction solid")
        ax.set_title(f"{_told(row.example_id)}: {row.base_value:.4g} to {row.prediction:.4g}")
        return ax

    def dependence(
        self,
        feature: str,
        *,
        color_by: str | None = None,
        split: str | None = None,
        output: str | None = None,
        method: str | None = None,
        ax: Axes = None,
    ) -> Axes:
        """The value of one feature against its attribution, a dot for each row.

        Args:
          feature: one of `players`.
          color_by: another one, whose values colour the dots from low to high.
          split: one of the explained splits; all of them when None.
          output: one of `outputs`; may be left out when there is one.
          method: one of `methods`; None = the first one.
          ax: axes to draw on; None = new ones.

        Raises:
          ConfigError: matplotlib is not installed.
          InputError: there is no such player, split, output or method.
        """
        for player in (feature, color_by):
            if player is not None and player not in self._explanation.players:
                players = there_is(self._explanation.players)
                raise InputError(f"there is no player `{player}` in {self._explanation.uri}; {players}.")
            hidden = [name for name in self._features(player) if not is_stored(self._explanation.manifest, name)]
            if hidden:
                raise InputError(
                    f"{self._explanation.uri} holds no values of `{hidden[0]}` (`store_features`), which this picture "
                    "shows; explain the model again with `store_features: all`."
                )
        frame = self._attributions(split, output, method)
        ax = _axes(ax, 8)
        numbers = self._numbers(frame, feature)
        if np.isnan(numbers).all():
            levels, numbers = self._levels(frame, feature)
            ax.set_xticks(np.arange(len(levels)), [_told(level) for level in levels], rotation=30, ha="right")
        colours = np.full(len(frame), np.nan) if color_by is None else _ranks(self._numbers(frame, color_by))
        known, attributions = ~np.isnan(colours), frame[tables.ATTRIBUTION_PREFIX + feature].to_numpy(np.float64)
        ax.axhline(0, color=_ERROR, linewidth=0.8)
        plain = _LOWERS if color_by is None else _UNKNOWN
        ax.scatter(numbers[~known], attributions[~known], s=8, color=plain, linewidths=0)
        ax.scatter(
            numbers[known], attributions[known], s=8, c=colours[known], cmap=_LOW_TO_HIGH, vmin=0, vmax=1, linewidths=0
        )
        ax.set_xlabel(_told(feature))
        ax.set_ylabel(f"attribution ({self._unit})")
        if color_by is not None:
            ax.set_title(f"blue: low {_told(color_by)}, red: high")
        return ax

    def profile(
        self,
        feature: str,
        *,
        slice: str = "overall",
        output: str | None = None,
        method: str | None = None,
        ax: Axes = None,
    ) -> Axes:
        """The mean output as one feature varies, with its 95 % interval.

        Args:
          feature: that `partial_dependence` or `accumulated_local_effects` varied.
          slice: its name.
          output: one of `outputs`; may be left out when there is one.
          method: one of these two; None = the first one that varied it.
          ax: axes to draw on; None = new ones.

        Raises:
          ConfigError: matplotlib is not installed.
          InputError: there is no such curve.
        """
        found = self._curve(feature, slice, output, method)
        ax = _axes(ax, 8)
        is_level = found["level"].notna()
        line, levels = found[~is_level], found[is_level]
        if line.empty:
            value = levels["value"].to_numpy(np.float64)
            reach = np.abs(levels[["ci_low", "ci_high"]].to_numpy(np.float64).T - value)
            names = levels["level"].map(_told)
            ax.errorbar(names, value, yerr=np.nan_to_num(reach), fmt="o", color=_LOWERS, capsize=2)
        else:
            x, low, high = (line[name].to_numpy(np.float64) for name in ("grid_value", "ci_low", "ci_high"))
            ax.plot(x, line["value"], color=_LOWERS)
            ax.fill_between(x, low, high, color=_LOWERS, alpha=0.2, linewidth=0)
            for level, value in zip(levels["level"], levels["value"], strict=True):
                ax.axhline(value, color=_ERROR, linestyle=":", label=_told(level))
        if len(levels) and len(line):
            ax.legend()
        ax.set_xlabel(_told(feature))
        ax.set_ylabel(f"mean output ({self._unit}), 95 % interval")
        ax.set_title(f"{found['method'].iloc[0]}, {_told(slice)}")
        return ax

    @property
    def _unit(self) -> str:
        return str(self._explanation.manifest["model"]["output_space"])

    def _attributions(self, split: str | None, output: str | None, method: str | None) -> pd.DataFrame:
        if not self._explanation.methods:
            raise InputError(f"{self._explanation.uri} has no attributions; list a method that attributes.")
        return self._explanation.attributions(split=split, output=output, method=method)

    def _features(self, player: str | None) -> Sequence[str]:
        return () if player is None else tuple(self._explanation.manifest["players"][player])

    def _numbers(self, frame: pd.DataFrame, player: str) -> FloatArray:
        """(n,) values of a player; NaN where it is a group or no number."""
        features = self._features(player)
        if len(features) > 1 or features[0] not in frame or not pd.api.types.is_numeric_dtype(frame[features[0]]):
            return np.full(len(frame), np.nan)
        return np.asarray(frame[features[0]].to_numpy(np.float64, na_value=np.nan))

    def _levels(self, frame: pd.DataFrame, player: str) -> tuple[list[str], FloatArray]:
        """The different values of a player that is no number, and (n,) which of them each row has."""
        features = [name for name in self._features(player) if name in frame]
        cells = zip(*(frame[name] for name in features), strict=True) if features else [()] * len(frame)
        told = pd.Series([", ".join(map(shown_value, cell)) or "missing" for cell in cells])
        codes, levels = pd.factorize(told, sort=True)
        if len(levels) > _MAX_LEVELS:
            raise InputError(
                f"`{player}` has {len(levels):,} different values that are no numbers, and at most {_MAX_LEVELS} can "
                "be told apart; choose another feature."
            )
        return list(levels), codes.astype(np.float64)

    def _curve(self, feature: str, slice_name: str, output: str | None, method: str | None) -> pd.DataFrame:
        table = self._explanation.profiles
        curves = table[(table["kind"] == "curve") & (table["feature"] == feature)]
        asked = {"slice": slice_name, "output": output or next(iter(self._explanation.outputs)), "method": method}
        if output is None and len(self._explanation.outputs) > 1:
            raise InputError(f"name one of the outputs {list(self._explanation.outputs)} of {self._explanation.uri}.")
        for column, value in asked.items():
            known = list(dict.fromkeys(curves[column]))
            value = known[0] if value is None and known else value
            curves = curves[curves[column] == value]
            if curves.empty:
                what = f"{column} `{value}`" if known else f"feature `{feature}`"
                others = there_is(known or list(dict.fromkeys(table["feature"])))
                raise InputError(f"{self._explanation.uri} has no curve of {what}; {others}.")
        return curves.sort_values("position", kind="stable")


def _axes(ax: Axes, n_lanes: int) -> Axes:
    if ax is not None:
        return ax
    pyplot = optional("matplotlib.pyplot", "Plots need", "tfx-explain[plot]")
    return pyplot.subplots(figsize=(8, 1.2 + 0.4 * max(n_lanes, 2)), layout="constrained")[1]


def _label_lanes(ax: Axes, names: Sequence[str], unit: str) -> None:
    ax.set_yticks(np.arange(len(names)), [_told(name) for name in names])
    ax.set_ylim(len(names) - 0.5, -0.5)
    ax.set_xlabel(unit)


def _told(name: str) -> str:
    """A name of a stranger; matplotlib takes text between dollars for formulas."""
    return printable(shortened(name, _MAX_NAME)).replace("$", r"\$")


def _ranks(values: FloatArray) -> FloatArray:
    """(n,) places of values from 0, the lowest, to 1, the same for equal ones; NaN where there is none."""
    ranks = pd.Series(values).rank(method="average").to_numpy(np.float64)
    known = ranks[~np.isnan(ranks)]
    spread = float(known.max() - known.min()) if len(known) else 0.0
    return np.where(np.isnan(ranks), np.nan, (ranks - known.min()) / spread if spread else 0.5)


def _spread(attributions: FloatArray) -> FloatArray:
    """(n,) heights that keep dots of nearly equal attributions apart, within a lane: 0, up, down, further up, ..."""
    low, high = float(attributions.min(initial=0.0)), float(attributions.max(initial=0.0))
    bins = np.floor((attributions - low) / ((high - low) or 1.0) * _BINS).astype(np.int64)
    order = np.argsort(bins, kind="stable")
    _, first, counts = np.unique(bins[order], return_index=True, return_counts=True)
    within = np.empty(len(bins), np.int64)
    within[order] = np.arange(len(bins)) - np.repeat(first, counts)
    heights = np.where(within % 2 == 1, 1, -1) * ((within + 1) // 2)
    return np.asarray(heights * _LANE / max(counts.max(initial=1), _FULL))
