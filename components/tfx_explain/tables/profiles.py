"""Tables of curves and surfaces: the output as features vary."""

from __future__ import annotations

import dataclasses

from tfx_explain.tables.columns import (
    METHOD,
    OF_OUTPUT,
    SLICED,
    UNKNOWN,
    number,
    text,
    whole,
)
from tfx_explain.tables.schema import Column, Kind, Table

_NO_VALUES = "where every example of the slice lacks the feature (accumulated local effects)"
_NO_ERROR = "of single curves, and where it is not known"
_NO_LINE = "at the first point, of levels, of the missing value, of single curves and surfaces"


def _levels(prefix: str, level: str) -> tuple[Column, ...]:
    """`value` of a curve, its error and its interval; with `centred_` before them those of the shape alone."""
    name = f"{prefix}value"
    return (
        number(name, level, OF_OUTPUT, empty=_NO_VALUES),
        number(f"{prefix}std_error", f"Standard error of `{name}` over examples.", OF_OUTPUT, empty=_NO_ERROR),
        number(f"{prefix}ci_low", "Lower end of its 95 % interval (Student's t).", OF_OUTPUT, empty=_NO_ERROR),
        number(f"{prefix}ci_high", "Upper end of that interval.", OF_OUTPUT, empty=_NO_ERROR),
    )


PROFILES = Table(
    file="profiles.parquet",
    about="The model's output as one feature varies, or two together: partial dependence, accumulated local effects, "
    "and curves of single examples. Features that were left out and why, and how many rare levels, are in the "
    "manifest's `method`.",
    when="if `partial_dependence` or `accumulated_local_effects` was asked for",
    row="point of a curve or surface; single curves of copies of a row have one `example_id` and are told apart by "
    "their order only",
    key=("slice", "output", "method", "feature", "kind", "example_id", "position", "feature_b", "position_b"),
    columns=(
        *SLICED,
        METHOD,
        text("feature", "The feature that varies."),
        text("kind", "`curve`, the mean over examples; `ice`, one example's; `surface`, of two features together."),
        text("example_id", "Which example a single curve is of.", empty="unless `kind` is `ice`"),
        whole("position", "Counts the points of a feature from 0."),
        number("grid_value", "What the feature is set to, where it is a number.", empty="where it is no number"),
        text(
            "level",
            "What the feature is set to, where it is a level of its own; the missing value is `(missing)`.",
            empty="where it is a number on a line",
        ),
        Column("is_missing", Kind.FLAG, "Whether the feature is missing at this point."),
        *_levels("", "Mean output; of accumulated local effects, which know no level, the same as `centred_value`."),
        *_levels("centred_", "`value` less its mean over the feature's distribution: 0 is average."),
        whole("num_examples", "How many explained rows of positive weight the curve is made of.", "rows"),
        whole(
            "num_examples_of_point",
            "The same of the bin below an edge (0 at the first edge) for accumulated local effects, else of the curve.",
            "rows",
        ),
        number("step", "`value` less that of the point before.", OF_OUTPUT, empty=_NO_LINE, since="2026-11-23"),
        number(
            "step_std_error",
            "Standard error of `step`, paired by example.",
            OF_OUTPUT,
            empty=_NO_LINE,
            since="2026-11-23",
        ),
        number(
            "step_skewness",
            "Skewness of the examples' own steps, by which rules widen their bounds.",
            empty=f"{_NO_LINE}, and below three examples",
            since="2026-11-24",
        ),
        text("feature_b", "The second feature of a surface.", empty="unless `kind` is `surface`", since="2026-11-23"),
        whole("position_b", "Counts its points from 0; -1 unless `kind` is `surface`.", since="2026-11-23"),
        number(
            "grid_value_b",
            "What it is set to, where it is a number.",
            empty="where there is no number",
            since="2026-11-23",
        ),
        text("level_b", "What it is set to, where it is a level.", empty="where there is no level", since="2026-11-23"),
        Column("is_missing_b", Kind.FLAG, "Whether it is missing at this point.", since="2026-11-23"),
    ),
)

_CURVE_DIFFERENCES = tuple(
    number(f"{prefix}difference{suffix}", about.format(prefix), OF_OUTPUT, empty=UNKNOWN if suffix else _NO_VALUES)
    for prefix in ("", "centred_")
    for suffix, about in (
        ("", "`{0}value` of the model less that of the baseline model."),
        ("_std_error", "Standard error of `{0}difference`, paired by row."),
        ("_ci_low", "Lower end of the 95 % interval of `{0}difference`."),
        ("_ci_high", "Upper end of that interval."),
    )
)

BASELINE_PROFILES = dataclasses.replace(
    PROFILES,
    file="baseline_profiles.parquet",
    about=f"As `{PROFILES.file}`, of the baseline model at the same points for the same rows, without single curves, "
    "and how far both models' curves are apart.",
    when=f"if there was a baseline model and there is a `{PROFILES.file}`",
    row="point of a curve or surface",
    columns=(*PROFILES.columns, *_CURVE_DIFFERENCES),
)
