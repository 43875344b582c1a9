"""The table of reasons."""

from __future__ import annotations

from tfx_explain.tables.columns import OF_OUTPUT, number, text, whole
from tfx_explain.tables.schema import Column, Kind, Table


def _flag(name: str, about: str) -> Column:
    return Column(name, Kind.FLAG, about)


REASONS = Table(
    file="reasons.parquet",
    about="The players that moved each explained row most to the adverse side of an output, by more than rounding, "
    "`reasons.k` at most; the manifest's `reasons` says who may be one. Rows that nothing moved there are missing.",
    when="with `reasons`",
    row="reason of a row",
    key=("row", "output", "player"),
    columns=(
        whole("row", "Number of the row, from 0 on by split and `example_id`, which tells copies apart."),
        text("split", "Its split."),
        text("example_id", "Its name, as in the attribution records: the value of `id_key`, else a hash."),
        text("output", "Name of the output; one of those under `reasons.adverse`."),
        whole("rank", "Place of the reason, from 1 on; ties share the place of the first of them."),
        text("player", "Name of the feature, or of the group of features."),
        text("code", "Its code.", empty="without `reasons.codes`"),
        text("text", "Its text: that of the code, else of `feature_names`, else the player's name."),
        number("attribution", "How much the player moved the output of this row.", OF_OUTPUT),
        number("std_error", "Standard error of that attribution.", OF_OUTPUT, empty="where it is not known"),
        number(
            "margin",
            "How much further it moved the row than the next that may be a reason, listed or not; than 0 where none is "
            "left.",
            OF_OUTPUT,
        ),
        _flag("tied", "Whether another player that may be a reason moved the row as far, but for rounding."),
        _flag(
            "rank_uncertain",
            "Whether its interval of `reasons.confidence` meets that of another player that may be a reason, or 0, or "
            "is not known.",
        ),
    ),
)
