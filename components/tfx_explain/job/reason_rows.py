"""The reasons of rows, batch by batch, and the table of all."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tfx_explain import records
from tfx_explain.attribution.adverse import most_adverse
from tfx_explain.attribution.result import student_limits
from tfx_explain.job.explained import ExplainedExamples
from tfx_explain.job.reasons import Reasons
from tfx_explain.methods.attribution_rows import AttributionRows
from tfx_explain.methods.background import JobPlan
from tfx_explain.methods.rounding import rounding_floor
from tfx_explain.rows import HashArray
from tfx_explain.tables import REASONS


@dataclasses.dataclass(frozen=True)
class ReasonRows:
    """Reasons of rows of one split, n of them.

    Attributes:
      split: the rows' split.
      ids: (n_rows,) names of the rows that have reasons.
      draws: (n_rows,) random numbers, which tell copies apart.
      columns: name -> (n,) figures; `place` is that of the row, `output` and `player` those among all that may be.
    """

    split: str
    ids: Sequence[bytes]
    draws: HashArray
    columns: dict[str, npt.NDArray[np.generic]]


def find_reasons(explained: ExplainedExamples, plan: JobPlan, reasons: Reasons) -> ReasonRows:
    """The reasons of a batch: the strongest players on the adverse side of each output, by the model itself."""
    found: AttributionRows = explained.found[reasons.method][0]
    side = plan.side(0)
    floors = rounding_floor(explained.predictions[0], side.asked(side.predictions))

    def flat(array: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """(n_examples * n_outputs, n_players) of what may be."""
        chosen = array[:, reasons.players][..., reasons.outputs]
        return chosen.transpose(0, 2, 1).reshape(-1, len(reasons.players))

    signs = np.tile(reasons.signs, len(floors))[:, None]
    values, errors = signs * flat(found.attributions), flat(found.std_error)
    low, high = student_limits(values, errors, flat(found.degrees_of_freedom), reasons.confidence)
    chosen = most_adverse(values, low, high, floors[:, reasons.outputs].reshape(-1), reasons.k)
    places, outputs = np.divmod(chosen.rows, len(reasons.outputs))
    kept, of_kept = np.unique(places, return_inverse=True)
    columns: dict[str, npt.NDArray[np.generic]] = {
        "place": of_kept,
        "output": outputs,
        "rank": chosen.ranks,
        "player": chosen.players,
        "attribution": (signs * values)[chosen.rows, chosen.players],
        "std_error": errors[chosen.rows, chosen.players],
        "margin": chosen.margins,
        "tied": chosen.is_tied,
        "rank_uncertain": chosen.is_uncertain,
    }
    return ReasonRows(explained.split, [explained.ids[row] for row in kept.tolist()], explained.draws[kept], columns)


def reasons_table(found: Iterable[ReasonRows], reasons: Reasons, splits: Sequence[str]) -> pa.Table:
    """The table of all reasons: rows by split and name, whatever the batches that they came in.

    Args:
      found: of all batches.
      reasons: what may be one.
      splits: in their order.
    """
    batches = list(found)
    ids = np.array([name for batch in batches for name in batch.ids], object)
    draws = np.concatenate([np.zeros(0, np.uint64), *(batch.draws for batch in batches)])
    lengths = np.array([len(batch.ids) for batch in batches], np.int64)
    split_of = np.repeat(np.array([splits.index(batch.split) for batch in batches], np.int64), lengths)
    number = np.empty(len(ids), np.int64)
    number[np.lexsort([draws, np.unique(ids, return_inverse=True)[1], split_of])] = np.arange(len(ids))
    columns = _joined(batches)
    n_reasons = np.array([len(batch.columns["place"]) for batch in batches], np.int64)
    place = columns.pop("place") + np.repeat(np.cumsum(lengths) - lengths, n_reasons)
    by_row = np.argsort(number[place], kind="stable")
    place, columns = place[by_row], {name: values[by_row] for name, values in columns.items()}

    def named(names: Sequence[str | None], places: npt.NDArray[np.generic]) -> pa.Array:
        return pa.array(names, pa.string()).take(pa.array(places))

    player = columns.pop("player")
    own = {
        "row": pa.array(number[place]),
        "split": named(splits, split_of[place]),
        "example_id": named([records.text(name) for name in ids.tolist()], place),
        "output": named(list(reasons.adverse), columns.pop("output")),
        "player": named(reasons.names, player),
        "code": named([code or None for code in reasons.codes], player),
        "text": named(reasons.texts, player),
    }
    figures = {name: pa.array(values, from_pandas=True) for name, values in columns.items()}
    return pa.table(own | figures).select(REASONS.names())


def _joined(batches: Sequence[ReasonRows]) -> dict[str, npt.NDArray[np.generic]]:
    """The figures of all batches, one after the other."""
    return {
        name: np.concatenate([np.zeros(0, dtype), *(batch.columns[name] for batch in batches)])
        for name, dtype in _TYPES.items()
    }


_TYPES: dict[str, type[np.generic]] = {
    **dict.fromkeys(("place", "output", "rank", "player"), np.int64),
    **dict.fromkeys(("attribution", "std_error", "margin"), np.float64),
    **dict.fromkeys(("tied", "rank_uncertain"), np.bool_),
}
