"""Tables of importance: of the model, of the baseline model, of slices, and how their errors go together."""

from __future__ import annotations

import dataclasses

from tfx_explain.tables.columns import (
    CUT_OFF,
    NUM_EXAMPLES,
    OF_METRIC,
    OF_OUTPUT,
    OF_OUTPUT_SQUARED,
    OF_PAIR,
    OF_PLAYER,
    PAIR_KEY,
    PART,
    PLAYER_KEY,
    UNKNOWN,
    number,
    of_attributions,
    text,
    whole,
)
from tfx_explain.tables.schema import Table

_NO_SHARE = f"{UNKNOWN}, and where all importance is 0"
_TOO_FEW = "where slice or rest have fewer than 10 effective examples, and where it is not known"
_WHOLE_DATA = "where the slice is the whole data, so that there is no rest"

IMPORTANCE = Table(
    file="importance.parquet",
    about="How much the model relies on each feature, by each method that says so. With `example_weight_key` every "
    "mean is weighted. Where `metric` is not `mean_abs_attribution`, the output's name is without a class, since "
    "all outputs are judged together.",
    when="always",
    row="slice, output, method and player",
    key=PLAYER_KEY,
    columns=(
        *OF_PLAYER,
        number(
            "value",
            "The importance: mean |attribution| without the bias that the noise of sampled coalitions gives it, not "
            "below 0; or what `metric` says.",
            OF_METRIC,
        ),
        of_attributions(
            CUT_OFF,
            "That mean where it is below 0 by chance, so that `value` is 0; else 0. Rules, drift and the report take "
            "shares of the sum of `value` and `cut_off` over all players, since noise that is cut off in many players "
            "makes the sum of `value` alone too large.",
            OF_OUTPUT,
            since="2026-11-28",
        ),
        of_attributions("mean_signed", "Mean attribution, which may be negative.", OF_OUTPUT),
        of_attributions("mean_signed_std_error", "Standard error of `mean_signed`.", OF_OUTPUT, empty=UNKNOWN),
        of_attributions(
            "rms", "Root of the mean squared attribution, with the noise of sampled coalitions in it.", OF_OUTPUT
        ),
        of_attributions("rms_debiased", "The same without that noise, not below 0.", OF_OUTPUT, empty=UNKNOWN),
        number(
            "std_error",
            "Standard error of `value`: the spread over examples, the noise, also as far as examples share it, and "
            "what bias may be left. Of the methods that need labels: over clusters of rows that share donors and "
            "permutations, given the background.",
            OF_METRIC,
            empty=UNKNOWN,
        ),
        of_attributions(
            "skewness",
            "Skewness of the sizes of attributions over examples, by which rules widen their bounds.",
            "",
            empty="below three examples, and for players of less than a millionth of all importance",
            since="2026-11-24",
        ),
        of_attributions(
            "signed_skewness",
            "Skewness of the attributions over examples, likewise.",
            "",
            empty="below three examples, and for players of less than a millionth of all importance",
            since="2026-11-24",
        ),
        number("ci_low", "Lower end of the 95 % interval of `value` (Student's t).", OF_METRIC, empty=UNKNOWN),
        number("ci_high", "Upper end of that interval.", OF_METRIC, empty=UNKNOWN),
        whole("rank", "1 is most important in its slice, output and method; equal values share the best rank."),
        of_attributions(
            "share",
            "`value` as a part of the sum over all players; 0 where that is 0. Too small for players that matter where "
            "much was cut off.",
            PART,
        ),
        of_attributions("share_std_error", "Standard error of `share`.", PART, empty=_NO_SHARE),
        of_attributions(
            "share_ci_low",
            "Lower end of the 95 % interval (Fieller's) of `value` as a part of the sum of `value` and `cut_off` over "
            "all players; not above `share`.",
            PART,
            empty=_NO_SHARE,
        ),
        of_attributions("share_ci_high", "Upper end of that interval; not below `share`.", PART, empty=_NO_SHARE),
        of_attributions(
            "mean_design_std_error",
            "Mean over examples of the error of their attributions from sampling coalitions; 0 if all were evaluated.",
            OF_OUTPUT,
            empty="where that error is not known",
        ),
        of_attributions(
            "mean_background_std_error",
            "Mean over examples of the error of their attributions from sampling the background.",
            OF_OUTPUT,
            empty="where that error is not known",
        ),
        NUM_EXAMPLES,
        number(
            "num_effective_examples",
            "(sum of weights)² / sum of squared weights: as many rows of equal weight would tell as much.",
            "rows",
        ),
        text(
            "metric",
            "What `value` is and is measured in: `mean_abs_attribution` in units of the output; for "
            "`permutation_importance` by how much the loss grows when the features come from other rows (`log_loss` in "
            "nats, `mse`, `mae`), or the AUC falls (`auc`); for `sage` the Shapley value of minus the loss.",
            since="2026-11-23",
        ),
    ),
)

_DIFFERENCES = (
    number("difference", "`value` of the model less that of the baseline model.", OF_METRIC),
    number("difference_std_error", "Standard error of `difference`, paired by row.", OF_METRIC, empty=UNKNOWN),
    number("difference_ci_low", "Lower end of the 95 % interval of `difference`.", OF_METRIC, empty=UNKNOWN),
    number("difference_ci_high", "Upper end of that interval.", OF_METRIC, empty=UNKNOWN),
)

BASELINE_IMPORTANCE = dataclasses.replace(
    IMPORTANCE,
    file="baseline_importance.parquet",
    about=f"As `{IMPORTANCE.file}`, of the baseline model on the same rows, coalitions, donors and permutations, and "
    "how far both models are apart.",
    when="if there was a baseline model",
    columns=(*IMPORTANCE.columns, *_DIFFERENCES),
)

_COVARIANCE = number(
    "covariance",
    "Covariance of the errors of both players' `value`; of a player with itself the square of its `std_error`.",
    OF_OUTPUT_SQUARED,
    empty=UNKNOWN,
)

IMPORTANCE_COVARIANCE = Table(
    file="importance_covariance.parquet",
    about="How the errors of importance go together, from which rules bound shares and compare ranks; of the "
    "methods that give attributions. `player_a` is not after `player_b` in the order of the manifest's `players`.",
    when="always",
    row="slice, output, method and pair of players, each with itself too",
    key=PAIR_KEY,
    columns=(*OF_PAIR, _COVARIANCE),
)

BASELINE_IMPORTANCE_COVARIANCE = dataclasses.replace(
    IMPORTANCE_COVARIANCE,
    file="baseline_importance_covariance.parquet",
    about=f"As `{IMPORTANCE_COVARIANCE.file}`, of `{BASELINE_IMPORTANCE.file}`.",
    when="if there was a baseline model",
    columns=(
        *IMPORTANCE_COVARIANCE.columns,
        number(
            "difference_covariance",
            "Covariance of the errors of both players' `difference`.",
            OF_OUTPUT_SQUARED,
            empty=UNKNOWN,
        ),
    ),
)

SLICE_DIFFERENCES = Table(
    file="slice_differences.parquet",
    about="The importance of each slice against that of all rows outside it, with tests; of the methods that "
    "give attributions.",
    when="if there are slices",
    row="slice other than `overall`, output, method and player",
    key=PLAYER_KEY,
    columns=(
        *OF_PLAYER,
        number("value", "Mean |attribution| in the slice.", OF_OUTPUT),
        number("rest_value", "The same over all rows outside it.", OF_OUTPUT, empty=_WHOLE_DATA),
        number("difference", "`value` less `rest_value`.", OF_OUTPUT, empty=_WHOLE_DATA),
        number(
            "std_error", "Standard error of `difference`, both variances added (Welch's).", OF_OUTPUT, empty=UNKNOWN
        ),
        number(
            "pooled_std_error",
            "The same where slice and rest are taken to spread alike (Student's).",
            OF_OUTPUT,
            empty=_TOO_FEW,
            since="2026-11-23",
        ),
        number("statistic", "Welch's t: `difference` / `std_error`; infinite where the error is 0.", empty=UNKNOWN),
        number(
            "p_value",
            "Of no difference, two-sided: the larger one of Welch's and Student's tests.",
            PART,
            empty=_TOO_FEW,
        ),
        number(
            "q_value",
            "Benjamini and Hochberg's, over the whole table: of all rows below 0.05 about 5 % are no differences.",
            PART,
            empty=_TOO_FEW,
        ),
        number(
            "degrees_of_freedom",
            "Of the smaller one of slice and rest: its effective number of examples less 1.",
            empty=_WHOLE_DATA,
            since="2026-11-23",
        ),
        whole("num_examples", "Explained rows of positive weight in the slice.", "rows"),
        whole("num_rest_examples", "The same outside it.", "rows"),
    ),
)
