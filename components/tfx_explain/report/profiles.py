"""Small multiples: how the output changes as one feature does, all features of a method on one scale."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from tfx_explain.report.swarm import axis_ticks
from tfx_explain.report.text import number, shortened

Array = npt.NDArray[np.float64]

MAX_PICTURES = 9
WIDTH = 300
HEIGHT = 190
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 12, 10, 26
_MISSING_WIDTH = 44
_MAX_LABELS = 6
_LABEL_LETTERS = 9
_ICE_QUANTILES = (0.05, 0.95)

_HEADINGS = {
    "partial_dependence": (
        "Partial dependence",
        "The mean output when all rows are given the same value of the feature, less the mean over its values; "
        "the band is a 95 % interval over rows, and the faint lines are single rows.",
    ),
    "accumulated_local_effects": (
        "Accumulated local effects",
        "The change of the output along the feature among rows that are near each value, added up; unlike partial "
        "dependence it does not ask about rows that correlated features make unlikely. The band is a 95 % interval.",
    ),
}


@dataclasses.dataclass(frozen=True)
class Dot:
    """A level, or the missing value; `low` and `high` are the ends of its interval, the lower one further down.

    `baseline` is where the baseline model has it; None where there is none.
    """

    x: float
    y: float
    low: float
    high: float
    label: str
    shown_label: str
    title: str
    baseline: float | None = None


@dataclasses.dataclass(frozen=True)
class Picture:
    """One feature's profile, in SVG units.

    Attributes:
      feature: its name.
      line: corners of the curve, as SVG writes them; empty where all points are levels.
      band: outline of its interval; empty where it is unknown.
      ice: corners of single curves, each cut off at the frame.
      rug: x of each point of the curve: quantiles, so they are dense where rows are.
      dots: levels, and the missing value.
      x_ticks, y_ticks: (place, text).
      zero: y of the mean.
      summary: the picture in words.
      baseline: corners of the baseline model's curve; empty where there is none.
    """

    feature: str
    line: str
    band: str
    ice: tuple[str, ...]
    rug: tuple[float, ...]
    dots: tuple[Dot, ...]
    x_ticks: tuple[tuple[float, str], ...]
    y_ticks: tuple[tuple[float, str], ...]
    zero: float
    summary: str
    baseline: str = ""


@dataclasses.dataclass(frozen=True)
class ProfileSection:
    """The pictures of one method, the features that there is no room for, and whether a baseline model is beside."""

    heading: str
    note: str
    pictures: tuple[Picture, ...]
    more: tuple[str, ...]
    has_baseline: bool = False


def make_profiles(
    profiles: pd.DataFrame, features: Sequence[str], baseline: pd.DataFrame | None = None
) -> list[ProfileSection]:
    """Lays out the profiles of one (slice, output), a section per method.

    Args:
      profiles: its part of `profiles.parquet`.
      features: most important first; those that have a profile but are not named follow.
      baseline: its part of `baseline_profiles.parquet`.
    """
    if baseline is not None:
        keys = ["method", "kind", "feature", "position"]
        baseline_curves = baseline.loc[baseline["kind"] == "curve", [*keys, "centred_value"]]
        profiles = profiles.merge(baseline_curves.rename(columns={"centred_value": "baseline"}), "left", on=keys)
    else:
        profiles = profiles.assign(baseline=np.nan)
    sections = []
    for method in dict.fromkeys(profiles["method"]):
        rows = profiles[profiles["method"] == method]
        curves = rows[(rows["kind"] == "curve") & np.isfinite(rows["centred_value"])]
        there = list(dict.fromkeys(curves["feature"]))
        names = [name for name in dict.fromkeys(features) if name in there]
        names += [name for name in there if name not in names]
        if names:
            shown = curves[curves["feature"].isin(names[:MAX_PICTURES])]
            ice = rows[(rows["kind"] == "ice") & rows["feature"].isin(names[:MAX_PICTURES])]
            low, high = _range(shown, ice)
            has_baseline = bool(np.isfinite(shown["baseline"]).any())
            pictures = tuple(
                _picture(name, shown[shown["feature"] == name], ice[ice["feature"] == name], low, high)
                for name in names[:MAX_PICTURES]
            )
            sections.append(ProfileSection(*_HEADINGS[method], pictures, tuple(names[MAX_PICTURES:]), has_baseline))
    return sections


def _range(curves: pd.DataFrame, ice: pd.DataFrame) -> tuple[float, float]:
    """What the vertical axis spans: all curves and intervals, and most of the single curves."""
    ends = curves[["centred_value", "centred_ci_low", "centred_ci_high", "baseline"]].to_numpy(np.float64)
    values = [0.0, *ends[np.isfinite(ends)]]
    if len(ice):
        values += np.quantile(ice["centred_value"].to_numpy(np.float64), _ICE_QUANTILES).tolist()
    low, high = float(min(values)), float(max(values))
    return (low, high) if high > low else (low - 1.0, high + 1.0)


def _picture(feature: str, curve: pd.DataFrame, ice: pd.DataFrame, low: float, high: float) -> Picture:
    curve = curve.sort_values("position")
    on_line = (curve["level"].isna() & np.isfinite(curve["grid_value"])).to_numpy()
    line, levels = curve[on_line], curve[~on_line]

    def place_y(values: Array) -> Array:
        inside = np.clip((values - low) / (high - low), 0.0, 1.0)
        return np.asarray(HEIGHT - _BOTTOM - inside * (HEIGHT - _TOP - _BOTTOM))

    right = WIDTH - _RIGHT - (_MISSING_WIDTH if len(line) and len(levels) else 0)
    x = line["grid_value"].to_numpy(np.float64)
    first, last = (float(x.min()), float(x.max())) if len(x) else (0.0, 1.0)

    def place_x(values: Array) -> Array:
        return np.asarray(_LEFT + (values - first) / ((last - first) or 1.0) * (right - _LEFT))

    columns = [line[name].to_numpy(np.float64) for name in ("centred_value", "centred_ci_low", "centred_ci_high")]
    middle, bottom, top = (place_y(values) for values in columns)
    baseline = line["baseline"].to_numpy(np.float64)
    known = bool(len(line)) and bool(np.isfinite(columns[1] + columns[2]).all())
    ticks = [tick for tick in axis_ticks(first, last, 4) if first <= tick <= last] if len(x) else []
    return Picture(
        feature=feature,
        line=corners(place_x(x), middle),
        band=corners(np.concatenate([place_x(x), place_x(x)[::-1]]), np.concatenate([top, bottom[::-1]]))
        if known
        else "",
        ice=tuple(
            corners(place_x(one["grid_value"].to_numpy()), place_y(one["centred_value"].to_numpy()))
            for _, one in ice[ice["level"].isna()].sort_values("position").groupby("example_id", sort=True)
        ),
        rug=tuple(round(float(at), 1) for at in place_x(x)),
        dots=_dots(levels, place_y, right if len(line) else _LEFT, alone=not len(line)),
        x_ticks=tuple((round(float(place_x(np.array(tick))), 1), number(tick, 3)) for tick in ticks),
        y_ticks=tuple((round(float(place_y(np.array(tick))), 1), number(tick, 3)) for tick in axis_ticks(low, high, 4)),
        zero=round(float(place_y(np.array(0.0))), 1),
        baseline=corners(place_x(x), place_y(baseline)) if len(baseline) and np.isfinite(baseline).all() else "",
        summary=_summary(feature, line, levels),
    )


def _dots(levels: pd.DataFrame, place_y: Callable[[Array], Array], left: float, *, alone: bool) -> tuple[Dot, ...]:
    """Levels side by side from `left` to the edge; `alone` where there is no curve beside them."""
    step = (WIDTH - _RIGHT - left) / max(len(levels), 1)
    every = -(-len(levels) // _MAX_LABELS) if alone else 1
    dots = []
    for index, row in enumerate(levels.to_dict("records")):
        value, ends = row["centred_value"], np.array([row["centred_ci_low"], row["centred_ci_high"]])
        ends = np.where(np.isfinite(ends), ends, value)
        label = str(row["level"])
        baseline = place_y(np.array(row["baseline"]))
        y, low, high = (round(float(at), 1) for at in place_y(np.array([value, *ends])))
        dots.append(
            Dot(
                x=round(left + (index + 0.5) * step, 1),
                y=y,
                low=low,
                high=high,
                label=label,
                shown_label=shortened(label, _LABEL_LETTERS) if index % every == 0 else "",
                title=f"{label}: {number(value)} ({number(ends[0], 3)} to {number(ends[1], 3)})",
                baseline=round(float(baseline), 1) if np.isfinite(baseline) else None,
            )
        )
    return tuple(dots)


def corners(x: Array, y: Array) -> str:
    """As SVG writes them, one decimal each."""
    return " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True))


def _summary(feature: str, line: pd.DataFrame, levels: pd.DataFrame) -> str:
    """The picture in words, for those who do not see it."""
    ends = [f"at {number(row.grid_value, 3)} {number(row.centred_value, 3)}" for row in line.itertuples()]
    parts = [ends[0], ends[-1]] if ends else []
    parts += [f"at {row.level} {number(row.centred_value, 3)}" for row in levels.itertuples()]
    return f"{feature}: {', '.join(parts)}."
