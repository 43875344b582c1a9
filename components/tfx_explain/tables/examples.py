"""Tables of examples: the background, and the explained rows with what is added to them."""

from __future__ import annotations

import dataclasses

from tfx_explain.tables.columns import (
    OF_OUTPUT,
    PART,
)
from tfx_explain.tables.files import ATTRIBUTIONS
from tfx_explain.tables.schema import FEATURE, PLAYER, Column, Kind, Table

ATTRIBUTION_PREFIX = "attribution_"
STD_ERROR_PREFIX = "std_error_"
BASELINE_PREFIX = "baseline_"
EXAMPLE_ID = "example_id"
PREDICTION = "prediction"
BASE_VALUE = "base_value"
COMPLETENESS_GAP = "completeness_gap"
REST = "__rest__"
"""What float32 leaves of the figures of a row, so that readers have them as they were computed; see `rests`."""
DEGREES_OF_FREEDOM = "__degrees_of_freedom__"
"""Of the standard errors of a row: one for each player and output, or one for all of them."""
BACKGROUND_WEIGHT = "__weight__"
PARTS_SUFFIX = "/parts"
WHERE_PREFIX = "where_"
MAP_PREFIX = "map_"
PIXELS_PREFIX = "pixels_"

BACKGROUND = Table(
    file="background.parquet",
    about="The rows that stand for absent features.",
    when="always",
    row="background row",
    key=(),
    columns=(Column(BACKGROUND_WEIGHT, Kind.NUMBER, "How much the row counts; all weights sum to 1.", PART),),
    own="The row's own features as they were in the examples: lists of values, empty cells where a feature is missing.",
)


def _of_output(name: str, about: str, *, of_baseline: bool = False) -> Column:
    return Column(name, Kind.NUMBERS, about, OF_OUTPUT, of_baseline=of_baseline)


def _of_method(name: str, about: str, *, of_baseline: bool = False) -> Column:
    return dataclasses.replace(_of_output(name, about, of_baseline=of_baseline), of_attributions=True, per_method=True)


def _of_part(prefix: str, kind: Kind, about: str, when: str = "the insides of the feature are explained") -> Column:
    name = prefix + FEATURE + PARTS_SUFFIX
    return Column(name, kind, about, of_attributions=True, per_method=True, when=when, since="2026-11-29")


ATTRIBUTION_RECORDS = Table(
    file=f"{ATTRIBUTIONS}/Split-<split>/*.gz",
    about="The explained rows as gzipped TFRecords of tf.Examples, a standard Examples artifact; they lie where the "
    "manifest's `attributions_uri` says. Figures are lists of 32-bit floats, one for each of the manifest's `outputs`. "
    "Where several methods attribute, columns are of the first of the manifest's `attribution_methods`; those of the "
    "others have the name of the method and `_` before theirs.",
    when="always",
    row="explained row",
    key=(),
    columns=(
        Column(
            EXAMPLE_ID, Kind.BYTES, "The value of `id_key`, else the hash of the row's content, the same of copies."
        ),
        _of_output(PREDICTION, "The model's output."),
        dataclasses.replace(
            _of_output(BASE_VALUE, "The mean output over the background, or over the references of the method."),
            per_method=True,
        ),
        _of_method(
            COMPLETENESS_GAP,
            "Sum of the row's attributions less (`prediction` - `base_value`); NaN, as `base_value`, of "
            "`occlusion`, and of `xrai` with `smooth_grad`, whose figures are no shares of the output.",
        ),
        _of_output(BASELINE_PREFIX + PREDICTION, "The baseline model's output.", of_baseline=True),
        _of_method(ATTRIBUTION_PREFIX + PLAYER, "How much the player moved the output of this row."),
        _of_method(
            STD_ERROR_PREFIX + PLAYER,
            "Standard error of that attribution, from what the method samples and from the background; NaN where it is "
            "not known.",
        ),
        _of_method(
            BASELINE_PREFIX + ATTRIBUTION_PREFIX + PLAYER,
            "The same attribution for the baseline model.",
            of_baseline=True,
        ),
        Column(
            REST,
            Kind.WHOLES,
            "What 32-bit floats leave of the figures. In the order `prediction`, `base_value`, `baseline_prediction` "
            "(of further methods `base_value` alone), all `attribution_`, all `baseline_attribution_`, all "
            "`std_error_`, each with its outputs: d, the bits of the 64-bit float that was computed less those of the "
            "32-bit float as 64 bits, both read as whole numbers, written as 2d, or as -2d - 1 where d is negative. "
            "Zeros at the end are left out.",
            per_method=True,
            when="a figure is no 32-bit float",
            since="2026-11-25",
        ),
        Column(
            DEGREES_OF_FREEDOM,
            Kind.NUMBERS,
            "Degrees of freedom of the standard errors (Student's t): one for each player and output, in this order, "
            "or one for all.",
            of_attributions=True,
            per_method=True,
            since="2026-11-25",
        ),
        _of_part(
            ATTRIBUTION_PREFIX,
            Kind.NUMBERS,
            "What each part of the feature (region of an image, span of a text, window of a series) adds to "
            "`attribution_<feature>`, one part after the other, each with its outputs; the manifest's `parts` says "
            "what parts are.",
        ),
        _of_part(STD_ERROR_PREFIX, Kind.NUMBERS, "Standard errors of these, in the same order."),
        _of_part(
            WHERE_PREFIX, Kind.WHOLES, "Where each part is, one part after the other: the manifest's `parts.columns`."
        ),
        _of_part(
            MAP_PREFIX,
            Kind.BYTES,
            "Which pixels are of which region: a PNG file of 16-bit grey, whose values are places among the regions.",
            when="regions have label maps",
        ),
        _of_part(
            PIXELS_PREFIX,
            Kind.BYTES,
            "What each pixel, as the model gets the image, adds: of each output a PNG file of 16-bit grey, in which "
            "32,768 is 0 and the text `scale` says how much a step is. Empty in rows that were not drawn.",
            when="`pixel_maps` of `xrai` was asked for",
        ),
    ),
    own="The row's own features.",
)

REPORT_EXAMPLES = dataclasses.replace(
    ATTRIBUTION_RECORDS,
    file="report_examples.parquet",
    about="A few of the explained rows, chosen at random, for the report.",
    row="row that was chosen",
)
