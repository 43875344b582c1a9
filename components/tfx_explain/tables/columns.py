"""Columns that several tables have, and how columns are written down."""

from __future__ import annotations

from tfx_explain.tables.schema import Column, Kind

SHAPLEY = "shapley"
INTEGRATED_GRADIENTS = "integrated_gradients"
EXPECTED_GRADIENTS = "expected_gradients"
XRAI = "xrai"
OCCLUSION = "occlusion"
"""Methods of attributions, and of the importance that they give."""
MEAN_ABS_ATTRIBUTION = "mean_abs_attribution"
"""The metric of methods that give attributions: importance is the mean of their sizes."""
CUT_OFF = "cut_off"
"""Of tables of importance: what was cut off where a mean was below 0."""
FAITHFULNESS_METHOD = "faithfulness"
"""The method that checks the attributions of others."""
PROFILE_METHODS = ("partial_dependence", "accumulated_local_effects")

OF_OUTPUT = "output"
OF_OUTPUT_SQUARED = "output²"
OF_METRIC = "as `metric` says"
PART = "0 to 1"
UNKNOWN = "where it is not known"


def text(name: str, about: str, *, empty: str = "", since: str = "") -> Column:
    """A column of names."""
    return Column(name, Kind.TEXT, about, empty=empty, since=since)


def number(
    name: str,
    about: str,
    unit: str = "",
    *,
    empty: str = "",
    of: tuple[str, tuple[str, ...]] | None = None,
    since: str = "",
) -> Column:
    """A column of numbers."""
    return Column(name, Kind.NUMBER, about, unit, empty, of, since=since)


def whole(name: str, about: str, unit: str = "", *, since: str = "") -> Column:
    """A column of whole numbers."""
    return Column(name, Kind.WHOLE, about, unit, since=since)


def of_attributions(name: str, about: str, unit: str, *, empty: str = "", since: str = "") -> Column:
    """A column of numbers that only methods which give attributions have."""
    return number(name, about, unit, empty=empty, of=("metric", (MEAN_ABS_ATTRIBUTION,)), since=since)


_SLICE = text("slice", "Name of the slice: `overall`, or its values with the features in alphabetical order.")
SLICED = (_SLICE, text("output", "Name of the output that was explained; one of the manifest's `outputs`."))
METHOD = text("method", "Name of the method, as in the configuration.")
OF_PLAYER = (*SLICED, METHOD, text("player", "Name of the feature, or of the group of features."))
OF_PAIR = (
    *SLICED,
    METHOD,
    text("player_a", "Name of the first feature or group of the pair."),
    text("player_b", "Name of the second one."),
)
PLAYER_KEY = tuple(column.name for column in OF_PLAYER)
PAIR_KEY = tuple(column.name for column in OF_PAIR)
NUM_EXAMPLES = whole("num_examples", "How many explained rows of positive weight the figure is made of.", "rows")
