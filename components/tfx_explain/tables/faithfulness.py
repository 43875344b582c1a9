"""Tables of whether attributions tell what the model does."""

from __future__ import annotations

from tfx_explain.tables.columns import METHOD, NUM_EXAMPLES, OF_OUTPUT, PART, SLICED, UNKNOWN, number, text, whole
from tfx_explain.tables.schema import Table

_CURVES = ("measure", ("deletion", "insertion"))
_FEATURE = text("feature", "The feature whose parts are taken away; empty where these are the players of the row.")
_OF_METHOD = (*SLICED, METHOD, _FEATURE)
_WHEN = "if `faithfulness` was asked for"

FAITHFULNESS = Table(
    file="faithfulness.parquet",
    about="Whether attributions tell what the model does, by what it says as what they name is taken away: players "
    "whose values then come from background rows, or parts of a feature, which are then absent as for the method "
    "itself. `method` is whose attributions are checked. Rows with fewer than two parts, or outputs that are not "
    "finite, are left out.",
    when=_WHEN,
    row="slice, output, method, feature and measure",
    key=(*(column.name for column in _OF_METHOD), "measure"),
    columns=(
        *_OF_METHOD,
        text(
            "measure",
            "`deletion`, `insertion`: the area between the curve by attributions and that in random orders of the same "
            "parts, above 0 where attributions do better. `mu_fidelity`: correlation over random fifths of the parts "
            "of what they are said to add and what the output loses. `randomisation`: size of the correlation with "
            "the attributions of the same model with random weights, near 0 where attributions tell what was learned. "
            "`random_logit`: correlation with the attributions of another output, drawn at random for each row. "
            "`pointing_game`: share of the rows whose strongest region lies in a box, by a pixel drawn from it.",
        ),
        number(
            "value",
            "The mean over rows; of curves as a part of `change`, so that 0 is chance.",
            empty="of curves, where nothing changes the output",
        ),
        number(
            "std_error",
            "Standard error of `value`: over rows; of `randomisation` over models; of `pointing_game` that of a share.",
            empty=UNKNOWN,
        ),
        number("degrees_of_freedom", "Of `std_error`."),
        number(
            "ci_low",
            "Lower end of the 95 % interval of `value` (Student's t; of `pointing_game` Wilson's).",
            empty=UNKNOWN,
        ),
        number("ci_high", "Upper end of that interval.", empty=UNKNOWN),
        number("area", "Mean area under the curve by attributions.", OF_OUTPUT, empty="of other measures", of=_CURVES),
        number("random_area", "Mean area in random order.", OF_OUTPUT, empty="of other measures", of=_CURVES),
        number(
            "change",
            "Mean size of what the output changes by when everything is taken away.",
            OF_OUTPUT,
            empty="of other measures",
            of=_CURVES,
        ),
        number(
            "chance",
            "What `value` is where maps know nothing of the boxes: the mean part of the image in them.",
            PART,
            empty="of other measures",
            of=("measure", ("pointing_game",)),
            since="2026-11-29",
        ),
        NUM_EXAMPLES,
        whole(
            "num_left_out",
            "Rows that were to be checked and have two parts or more, but no curves: an output was not finite, or "
            "refused. Of `pointing_game`: those without a box.",
            "rows",
        ),
    ),
)

FAITHFULNESS_CURVES = Table(
    file="faithfulness_curves.parquet",
    about="The mean curves behind `deletion` and `insertion`.",
    when=_WHEN,
    row="slice, output, method, feature, curve and share",
    key=(*(column.name for column in _OF_METHOD), "curve", "share"),
    columns=(
        *_OF_METHOD,
        text("curve", "`deletion` or `insertion`."),
        number("share", "How much of the row is taken away, or put back: of its pixels, spans or players.", PART),
        number("value", "Mean output by attributions, what adds most first.", OF_OUTPUT),
        number("std_error", "Standard error of `value` over rows.", OF_OUTPUT, empty=UNKNOWN),
        number("random_value", "Mean output in random order.", OF_OUTPUT),
        number("random_std_error", "Standard error of `random_value` over rows.", OF_OUTPUT, empty=UNKNOWN),
    ),
)
