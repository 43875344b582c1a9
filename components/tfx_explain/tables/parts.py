"""Tables of what is inside features, over the whole data: words, windows, regions, and where in pictures they lie."""

from __future__ import annotations

import dataclasses

from tfx_explain.tables.columns import METHOD, NUM_EXAMPLES, OF_OUTPUT, SLICED, UNKNOWN, number, text, whole
from tfx_explain.tables.schema import Column, Table

_OF = (*SLICED, text("feature", "The feature that the method looks inside."), METHOD)
_KEY = tuple(column.name for column in _OF)
_UNKNOWN_OF_BASELINE = "where the baseline model has none of it"


def _of_baseline(name: str, about: str, unit: str) -> Column:
    return dataclasses.replace(number(name, about, unit, empty=_UNKNOWN_OF_BASELINE), of_baseline=True)


def _means(what: str, size: str, unit: str = OF_OUTPUT) -> tuple[Column, ...]:
    """Columns of means; `size` is about that of sizes, empty where there is none."""
    sizes = (
        number("mean_abs", size, unit),
        number("mean_abs_std_error", "Standard error of `mean_abs` over rows.", unit, empty=UNKNOWN),
    )
    of_baseline = (
        _of_baseline("baseline_mean_abs", "The same as `mean_abs`, for the baseline model.", unit),
        _of_baseline("baseline_mean_abs_std_error", "Its standard error.", unit),
    )
    return (
        number("mean", what, unit),
        number("std_error", "Standard error of `mean` over rows.", unit, empty=UNKNOWN),
        *(sizes if size else ()),
        _of_baseline("baseline_mean", "The same as `mean`, for the baseline model.", unit),
        _of_baseline("baseline_std_error", "Its standard error.", unit),
        *(of_baseline if size else ()),
        _of_baseline("difference", "`mean` less `baseline_mean`, of the rows that have both.", unit),
        _of_baseline("difference_std_error", "Standard error of that, paired by row.", unit),
    )


_SIZE = "Mean |attribution|, less what noise alone is expected to make of it, so that it may be below 0 by chance."

WORDS = Table(
    file="words.parquet",
    about="What words of texts add on average, over the rows that have them. A word is a span that was explained, "
    "without punctuation around it and in small letters; spans that the model does not see are left out. Of each slice "
    "there are the words of at least `min_word_examples` rows, and of these the 2,000 that the most rows have.",
    when="if a method looks inside a text",
    row="slice, output, feature, method and word",
    key=(*_KEY, "word"),
    columns=(
        *_OF,
        text("word", "The word."),
        *_means("Mean attribution of the word, over all times that it stands in a row.", _SIZE),
        NUM_EXAMPLES,
        whole(
            "num_left_out",
            "Different words of the slice that have no row here. Where memory did not hold all, those of the fewest "
            "rows were given up on the way, with all their figures, and this is nearly how many there are.",
            "words",
        ),
    ),
)

SERIES = Table(
    file="series.parquet",
    about="What windows and channels of series add on average, over the rows that have just this window. Windows of a "
    "fixed length, or of rows of one length, are the same in many rows; a window of all steps is the same whatever "
    "their number. Of each slice there are the 2,000 windows that the most rows have.",
    when="if a method looks inside a series",
    row="slice, output, feature, method and window",
    key=(*_KEY, "start", "stop", "channel"),
    columns=(
        *_OF,
        whole("start", "First step of the window, from 0; -1 where the part is the number of steps."),
        whole("stop", "Step behind its last one; -1 where it has all steps of the row, or is their number."),
        whole("channel", "Which channel; -1 for all."),
        *_means("Mean attribution of the window.", _SIZE),
        NUM_EXAMPLES,
        whole("num_left_out", "Different windows of the slice that have no row here; counted as words are.", "windows"),
    ),
)

_MEASURES = (
    "`share`: of the image's sum of |attribution| that its region of the largest (`rank` 1), second largest, ... "
    "|attribution| has; `area`: of the image that this region covers; `half_area`: of the image, the least area that "
    "holds half of that sum, 0.5 where the attribution is even; `num_regions`: how many there are; `noise`: what "
    "standard errors alone would make of the sum, as part of it."
)

REGIONS = Table(
    file="regions.parquet",
    about="How unevenly the attribution of images lies on them: means over images of shares, all from 0 to 1 but for "
    "`num_regions`. Sizes are as they were estimated: where `noise` is large, regions of the first ranks are partly "
    "chosen by it.",
    when="if a method finds regions of an image",
    row="slice, output, feature, method, measure and rank",
    key=(*_KEY, "measure", "rank"),
    columns=(
        *_OF,
        text("measure", _MEASURES),
        whole("rank", "Of the region in its image, from 1 to 10, by |attribution|; 0 where it is of all regions."),
        number(
            "mean", "Mean over images; of `share` and `area` with 0 where an image has fewer regions.", empty=UNKNOWN
        ),
        *(column for column in _means("", "", "") if column.name != "mean"),
        NUM_EXAMPLES,
        whole(
            "num_left_out",
            "Rows without an image, or whose image has no attribution at all, so that there are no shares of it.",
            "rows",
        ),
    ),
)

IMAGE_MAPS = Table(
    file="image_maps.parquet",
    about="Where in the picture attributions lie: means over images, by cell. A picture as the model gets it has a "
    "cell for each pixel, or 32 equal ones along a side that is longer; the attribution of a region is spread evenly "
    "over its area. Means of all cells add up to the mean of what all regions add.",
    when="if a method finds regions of an image",
    row="slice, output, feature, method and cell",
    key=(*_KEY, "row", "column"),
    columns=(
        *_OF,
        whole("row", "Of the cell, from 0 at the top."),
        whole("column", "Of the cell, from 0 at the left."),
        *_means("Mean of what the cell adds.", "Mean size of what the cell adds, as it was estimated."),
        NUM_EXAMPLES,
        whole(
            "num_left_out",
            "Rows whose picture has another number of cells, since it is smaller; the number that most rows have is "
            "taken.",
            "rows",
        ),
    ),
)

ROW_IMAGES = Table(
    file="images.parquet",
    about="The pictures in `images/`: of the rows that the report shows, those that can be drawn, as many as there is "
    "room for.",
    when="if a method finds regions of an image",
    row="picture",
    key=("overlay",),
    columns=(
        text("example_id", "Which row: as in the attribution records."),
        text("feature", "The image."),
        METHOD,
        text("output", "The output that is shown: the one of the row's largest prediction."),
        text("overlay", "File of the picture with its attributions, beneath the explanation's directory."),
        text("label_map", "File of the label map of its regions."),
        whole("height", "Of the overlay.", "pixels"),
        whole("width", "Of the overlay.", "pixels"),
        whole("num_bytes", "Of both files.", "bytes"),
        number("limit", "The attribution of a pixel that has the strongest colour.", OF_OUTPUT),
    ),
)
