"""What is inside features over all rows: words, windows of series, regions, and where in pictures they lie."""

from __future__ import annotations

import base64
import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from tfx_explain import tables
from tfx_explain.errors import ConfigError
from tfx_explain.regions import heat
from tfx_explain.regions.cells import summed
from tfx_explain.report.heat import HeatCell, HeatTable, level_of, share_cell
from tfx_explain.report.text import count, number, percent, signed
from tfx_explain.slicing import OVERALL
from tfx_explain.summary.ratio import t_quantile

MAX_WORDS = 12
"""Of those that raise an output, and of those that lower it."""
MAX_WINDOWS = 16
MAX_CHANNELS = 8
MAX_RANKS = 5
_THIRDS = {1: ("whole",), 2: ("{0}", "{1}"), 3: ("{0}", "middle", "{1}")}
_MUCH_NOISE = 0.1

FloatArray = npt.NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class WordRow:
    """A word: what it adds on average, half of its 95 % interval, and how many rows have it."""

    word: str
    mean: float
    half_width: float
    num_examples: int


@dataclasses.dataclass(frozen=True)
class Overview:
    """What is inside one feature over all rows, by one method, for one output.

    Attributes:
      feature, method, output: which.
      kind: `words`, `series` or `images`.
      sentences: what there is to say.
      words: those that raise the output, then those that lower it; those alone whose intervals are clear of 0.
      tables: windows of series, parts of the picture, regions by rank.
      pictures: what they are -> data URI.
    """

    feature: str
    method: str
    output: str
    kind: str
    sentences: tuple[str, ...] = ()
    words: tuple[tuple[str, tuple[WordRow, ...]], ...] = ()
    tables: tuple[HeatTable, ...] = ()
    pictures: Mapping[str, str] = dataclasses.field(default_factory=dict)


def make_overviews(frames: Mapping[str, pd.DataFrame | None], outputs: Sequence[str]) -> list[Overview]:
    """All that there are, by feature, method and output.

    Args:
      frames: `words`, `series`, `regions` and `image_maps` -> as in their files; None or nothing where there is none.
      outputs: of the explanation.
    """
    made = list(_each(frames.get(tables.WORDS.name), outputs, _of_words))
    made += _each(frames.get(tables.SERIES.name), outputs, _of_series)
    regions = _whole(frames.get(tables.REGIONS.name))
    for place, cells in _groups(frames.get(tables.IMAGE_MAPS.name), outputs):
        made.append(_of_images(place, cells, _at(regions, place)))
    return made


Place = tuple[str, str, str]


def _whole(table: pd.DataFrame | None) -> pd.DataFrame:
    if table is None:
        return pd.DataFrame(columns=["slice", "feature", "method", "output"])
    return table[table["slice"] == OVERALL]


def _at(table: pd.DataFrame, place: Place) -> pd.DataFrame:
    return table[(table[["feature", "method", "output"]] == list(place)).all(axis=1)]


def _groups(table: pd.DataFrame | None, outputs: Sequence[str]) -> Iterator[tuple[Place, pd.DataFrame]]:
    """(feature, method, output) and its rows, outputs in their order."""
    whole = _whole(table)
    for feature, method in dict.fromkeys(zip(whole["feature"], whole["method"], strict=True)):
        for output in outputs:
            rows = _at(whole, (feature, method, output))
            if len(rows):
                yield (feature, method, output), rows


def _each(
    table: pd.DataFrame | None, outputs: Sequence[str], make: Callable[[Place, pd.DataFrame], Overview]
) -> Iterator[Overview]:
    return (make(place, rows) for place, rows in _groups(table, outputs))


def _half_widths(rows: pd.DataFrame) -> FloatArray:
    """Half of the 95 % intervals of `mean`; NaN where not known."""
    quantiles = [t_quantile(0.975, n - 1.0) for n in rows["num_examples"]]
    return np.asarray(rows["std_error"].to_numpy(np.float64) * quantiles, np.float64)


def _of_words(place: Place, rows: pd.DataFrame) -> Overview:
    """Words in the order of what is clear of 0: the largest means alone may be those of few rows."""
    half = _half_widths(rows)
    clear = rows["mean"].abs().to_numpy() - half
    order = [int(at) for at in np.argsort(-clear, kind="stable") if clear[at] > 0]
    sides = {"Raise the output": 1.0, "Lower the output": -1.0}
    named = {
        heading: tuple(
            WordRow(str(rows["word"].iloc[at]), float(rows["mean"].iloc[at]), float(half[at]), int(n))
            for at in order
            if sign * rows["mean"].iloc[at] > 0
            for n in [rows["num_examples"].iloc[at]]
        )[:MAX_WORDS]
        for heading, sign in sides.items()
    }
    left_out = int(rows["num_left_out"].iloc[0])
    said = f"Of {count(len(rows))} words {count(len(order))} have means that are clear of 0, each taken by itself."
    if left_out:
        said += f" {count(left_out)} more are rarer, and in no table."
    return Overview(*place, "words", (said,), tuple((name, found) for name, found in named.items() if found))


def _of_series(place: Place, rows: pd.DataFrame) -> Overview:
    """Windows down, channels across."""
    windows = rows.assign(half=_half_widths(rows), window=[*zip(rows["start"], rows["stop"], strict=True)])
    sizes = windows.groupby("window", sort=False)["mean_abs"].max().sort_values(ascending=False, kind="stable")
    kept = sorted(sizes.index[:MAX_WINDOWS], key=lambda window: (window[0] < 0, window))
    of_channels = windows.groupby("channel")["mean_abs"].max().sort_values(ascending=False, kind="stable")
    channels = sorted(of_channels.index[:MAX_CHANNELS])
    largest = float(windows["mean"].abs().max())
    at = {
        (window, channel): row
        for row, (window, channel) in enumerate(zip(windows["window"], windows["channel"], strict=True))
    }
    lines = []
    for window in kept:
        found = [at.get((window, channel)) for channel in channels]
        cells = [HeatCell("", 0) if row is None else _mean_cell(windows.iloc[row], largest) for row in found]
        lines.append((_window_name(*window), tuple(cells)))
    headings = tuple("all channels" if channel < 0 else f"channel {channel}" for channel in channels)
    n_more = len(sizes) - len(kept) + int(rows["num_left_out"].iloc[0])
    more = f"Not shown: {count(n_more)} more windows, of smaller attributions or fewer rows." if n_more else ""
    return Overview(*place, "series", tables=(HeatTable("Mean attribution by window", headings, tuple(lines), more),))


def _mean_cell(row: pd.Series, largest: float) -> HeatCell:
    mean = float(row["mean"])
    note = f"± {number(float(row['half']), 2)}, {count(int(row['num_examples']))} rows"
    return HeatCell(signed(mean), level_of(mean, largest), "plus" if mean > 0 else "minus", note)


def _window_name(start: int, stop: int) -> str:
    if start < 0:
        return "number of steps"
    return "all steps" if stop < 0 else f"step {start}" if stop == start + 1 else f"steps {start}–{stop - 1}"


def _of_images(place: Place, cells: pd.DataFrame, regions: pd.DataFrame) -> Overview:
    mean, size = (_map(cells, name) for name in ("mean", "mean_abs"))
    pictures = {
        "raises and lowers the output": _picture(mean, is_signed=True),
        "size, whatever its sign": _picture(size, is_signed=False),
    }
    found = [_thirds(size), *_ranks(regions)]
    drawn = {name: uri for name, uri in pictures.items() if uri}
    sentences = _said(cells, regions)
    return Overview(*place, "images", sentences, tables=tuple(found), pictures=drawn)


def _map(cells: pd.DataFrame, name: str) -> FloatArray:
    made = np.zeros((int(cells["row"].max()) + 1, int(cells["column"].max()) + 1))
    made[cells["row"], cells["column"]] = cells[name]
    return made


def _picture(values: FloatArray, *, is_signed: bool) -> str:
    """A data URI; empty where Pillow is missing."""
    try:
        return f"data:image/png;base64,{base64.b64encode(heat(values, signed=is_signed)).decode()}"
    except ConfigError:
        return ""


def _thirds(sizes: FloatArray) -> HeatTable:
    """Where importance lies, by thirds of the picture."""
    parts = summed(sizes, min(3, sizes.shape[0]), min(3, sizes.shape[1]))
    shares = parts / (parts.sum() or 1.0)
    down, across = (_THIRDS[n] for n in shares.shape)
    rows = tuple(
        (name.format("top", "bottom"), tuple(share_cell(float(share), float(shares.max())) for share in of_row))
        for name, of_row in zip(down, shares, strict=True)
    )
    columns = tuple(name.format("left", "right") for name in across)
    return HeatTable("Where importance lies in the picture", columns, rows)


def _ranks(regions: pd.DataFrame) -> list[HeatTable]:
    """Shares of the largest regions."""
    named = regions.set_index(["measure", "rank"])["mean"]
    ranks = [rank for rank in range(1, MAX_RANKS + 1) if ("share", rank) in named.index]
    if not ranks:
        return []
    shares, areas = ([float(named[what, rank]) for rank in ranks] for what in ("share", "area"))
    rows = (
        ("of the attribution", tuple(share_cell(share, max(shares)) for share in shares)),
        ("of the area", tuple(share_cell(area, max(shares)) for area in areas)),
    )
    return [HeatTable("The largest regions of an image", tuple(f"region {rank}" for rank in ranks), rows)]


def _said(cells: pd.DataFrame, regions: pd.DataFrame) -> tuple[str, ...]:
    named = regions.set_index(["measure", "rank"])
    said = [f"Over {count(int(cells['num_examples'].iloc[0]))} images."]
    left_out = int(cells["num_left_out"].iloc[0])
    if left_out:
        said.append(f"{count(left_out)} images of other sizes, smaller than the maps, are left out of these.")
    if ("half_area", 0) in named.index:
        half = named.loc[("half_area", 0)]
        error = t_quantile(0.975, float(half["num_examples"]) - 1) * float(half["std_error"])
        said.append(
            f"Half of the attribution lies on {percent(float(half['mean']))} of an image's area (± {percent(error)}); "
            "an even one on 50 %."
        )
        noise = float(named.loc[("noise", 0), "mean"])
        if noise > _MUCH_NOISE:
            said.append(f"Errors alone would make {percent(noise)} of the attribution's size, and make it more even.")
    return tuple(said)
