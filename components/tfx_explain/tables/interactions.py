"""The table of interactions."""

from __future__ import annotations

from tfx_explain.tables.columns import (
    NUM_EXAMPLES,
    OF_OUTPUT,
    OF_PAIR,
    PAIR_KEY,
    PART,
    UNKNOWN,
    number,
    text,
)
from tfx_explain.tables.schema import Table

_OF_ROWS = ("index", ("SII", "Faith-SHAP"))

INTERACTIONS = Table(
    file="interactions.parquet",
    about="How much pairs of features move the output together beyond what each does alone.",
    when="if `interactions: 2` of `shapley`, or `interaction_strength`, was asked for",
    row="slice, output, method and pair of players; `interaction_strength` has the slice `overall` only",
    key=PAIR_KEY,
    columns=(
        *OF_PAIR,
        text("index", "What was measured: `SII` or `Faith-SHAP` (by `shapley`), `H` (by `interaction_strength`)."),
        number(
            "value",
            "`SII` and `Faith-SHAP`: mean |interaction| of single rows; `H`: standard deviation over rows of the joint "
            "partial dependence less those of the players alone, without the bias of noise, not below 0.",
            OF_OUTPUT,
            empty="of `H` where too few rows could be varied",
        ),
        NUM_EXAMPLES,
        number("std_error", "Standard error of `value` over examples.", OF_OUTPUT, empty=UNKNOWN),
        number("ci_low", "Lower end of the 95 % interval of `value`, not below 0.", OF_OUTPUT, empty=UNKNOWN),
        number("ci_high", "Upper end of that interval.", OF_OUTPUT, empty=UNKNOWN),
        number("mean_signed", "Mean interaction, which may be negative.", OF_OUTPUT, of=_OF_ROWS),
        number("mean_signed_std_error", "Standard error of `mean_signed`.", OF_OUTPUT, empty=UNKNOWN, of=_OF_ROWS),
        *(
            number(
                name,
                about,
                PART,
                empty="where the joint partial dependence varies too little to divide by",
                of=("index", ("H",)),
            )
            for name, about in (
                ("h", "`value` as a part of the standard deviation of the joint partial dependence (Friedman's H)."),
                ("h_ci_low", "Lower end of the 95 % interval of `h`."),
                ("h_ci_high", "Upper end of that interval."),
            )
        ),
    ),
)
