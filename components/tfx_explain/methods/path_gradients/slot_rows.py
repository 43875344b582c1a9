"""What paths add slot by slot, as parts of features: spans of texts, windows of series."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from scipy import sparse

from tfx_explain.config.parts import SpansConfig, WindowsConfig
from tfx_explain.methods.series import SeriesForm
from tfx_explain.methods.shapley.parts.series import series_rows
from tfx_explain.methods.shapley.parts.texts import text_rows
from tfx_explain.part_records import PartRows
from tfx_explain.regions.alignment import NO_WORDS, OUTSIDE, Aligner, Alignment
from tfx_explain.regions.spans import Splitter, most_parts
from tfx_explain.regions.tokens import spans_read

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class SlotRows:
    """A feature of n rows in parts, and which of them each slot of a path is of.

    Attributes:
      lengths: (n,) how many parts each row has.
      where: (N, w) where each part is, as records have it.
      owners: (n, S) place of a part among those of its row, or `OUTSIDE`, where nothing moves.
      reasons: row -> why it cannot be told which slots its parts have.
    """

    lengths: IntArray
    where: IntArray
    owners: IntArray
    reasons: Mapping[int, str]

    def parts(self, values: FloatArray, errors: FloatArray) -> PartRows:
        """The parts: sums over their slots; errors of a part's slots are taken to go together.

        Args:
          values: (n, S, c) what each slot adds.
          errors: (n, S, c) standard errors.
        """
        lengths, owners = self.lengths, self.owners
        firsts = np.cumsum(lengths) - lengths
        row, slot = np.nonzero(owners != OUTSIDE)
        part, flat = firsts[row] + owners[row, slot], row * owners.shape[1] + slot
        shape = int(lengths.sum()), owners.size
        adds = sparse.csr_matrix((np.ones(len(part)), (part, flat)), shape=shape)
        sums = [np.asarray(adds @ table.reshape(owners.size, table.shape[2])) for table in (values, errors)]
        return PartRows(lengths, self.where, sums[0], sums[1])


def text_slots(
    rows: pa.RecordBatch, feature: str, settings: SpansConfig, aligner: Aligner | None, n_slots: int
) -> SlotRows:
    """Texts in spans.

    A text of a single span has no slots but its own.

    Args:
      rows: n of them.
      feature: the text.
      settings: how it is cut.
      aligner: tells which slots are whose; None where the model tells no two words apart.
      n_slots: S; 0 where the model does not read the text.
    """
    cut, reasons = text_rows(rows, feature, settings, aligner=aligner)
    spans = list(cut.spans)
    seen = [np.full(len(of_row), n_slots > 0) for of_row in spans]
    owners = np.zeros((len(spans), n_slots), np.int64)
    several = [row for row, of_row in enumerate(spans) if len(of_row) > 1 and n_slots and row not in reasons]
    found: Sequence[Alignment | str] = [NO_WORDS] * len(several)
    if aligner is not None:
        for row in several:
            if settings.unit != "token" and len(spans[row]) >= min(settings.max_parts, most_parts(len(cut.texts[row]))):
                # So that the words that are read are not taken together with those that are not.
                fewer = Splitter(settings.unit, settings.pattern, max(settings.max_parts - 1, 1))
                spans[row] = spans_read(aligner, cut.texts[row], fewer.split)
        found = aligner.align([cut.texts[row] for row in several], [spans[row] for row in several])
    for row, of_row in zip(several, found, strict=True):
        if isinstance(of_row, str):
            reasons[row] = (
                f"the model {of_row}, so which part of the text `{feature}` adds what cannot be told; {_CURE}"
            )
        else:
            spans[row], seen[row], owners[row] = of_row.spans, of_row.seen, of_row.owners
    owners[[row for row, of_row in enumerate(spans) if not len(of_row)]] = OUTSIDE
    lengths = np.array([len(of_row) for of_row in spans], np.int64)
    where = np.column_stack([np.concatenate([np.zeros((0, 2), np.int64), *spans]), np.concatenate([_NONE, *seen])])
    return SlotRows(lengths, where, owners, reasons)


def series_slots(
    rows: pa.RecordBatch,
    feature: str,
    settings: WindowsConfig,
    form: SeriesForm,
    absent: Sequence[float],
    at_cut: npt.NDArray[np.float32] | FloatArray | None,
) -> SlotRows:
    """Series in windows; what is behind a row's last step is the rest, where rows may differ in length.

    Args:
      rows: n of them.
      feature: the series.
      settings: how it is cut.
      form: how it lies in rows.
      absent: (n_channels,) what absent values are.
      at_cut: (n, S) the slots as the model has them; None where it does not read the series.
    """
    cut, reasons = series_rows(rows, feature, settings, form, absent)
    series, n_channels, rest = form.series(rows, feature), form.n_channels, int(cut.has_rest)
    n_slots = 0 if at_cut is None else at_cut.shape[1]
    lengths = cut.lengths
    owners = np.repeat((lengths if rest else np.full(len(lengths), OUTSIDE))[:, None], n_slots, axis=1)
    made = {steps: cut.windows.owners(steps, n_channels) for steps in np.unique(cut.steps).tolist()}
    for row, steps in enumerate(cut.steps.tolist()):
        if at_cut is None:
            break
        own, of_row = series.values[series.row_splits[row] : series.row_splits[row + 1]][:n_slots], made[steps]
        if row not in reasons and not np.array_equal(at_cut[row, : len(own)], own.astype(at_cut.dtype), equal_nan=True):
            reasons[row] = f"the model does not take the values of the series `{feature}` one by one; {_CURE}"
        owners[row, : len(of_row)] = of_row[:n_slots]
    return SlotRows(lengths + rest, cut.where(cut.lengths), owners, reasons)


_NONE = np.zeros(0, np.int64)
_CURE = "use `parts` of `shapley`"
