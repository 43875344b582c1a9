"""Where the labels of rows come from, and the numbers that methods compare outputs with."""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tfx_explain.errors import InputError
from tfx_explain.models.transform.handle import TransformHandle
from tfx_explain.rows import column_or_nulls, list_lengths, numbers_of

FloatArray = npt.NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class Labels:
    """The labels of a job's rows.

    Attributes:
      key: the column that holds them.
      class_names: what the classes are called, in the order of the model's outputs; of labels that are text.
      transform: makes the column of raw rows; None where the rows have it.
    """

    key: str
    class_names: tuple[bytes, ...] = ()
    transform: TransformHandle | None = None

    def column(self, rows: pa.RecordBatch) -> pa.Array:
        """A list of labels for each row, which has one value where the row has a label."""
        if self.transform is not None:
            return self.transform.column(self.key).of(rows)
        return column_or_nulls(rows, self.key)

    def of(self, rows: pa.RecordBatch) -> FloatArray:
        """(n,) the label of each row, of text the index of its class; NaN where there is not exactly one."""
        return self.numbers(self.column(rows))

    def numbers(self, column: pa.Array) -> FloatArray:
        """(n,) the same of the labels themselves."""
        if not pa.types.is_large_binary(column.type.value_type):
            return numbers_of(column)
        classes = pc.index_in(pc.list_flatten(column), value_set=pa.array(self.class_names, pa.large_binary()))
        return numbers_of(pa.LargeListArray.from_arrays(_offsets(column), classes.cast(pa.float64()).fill_null(np.nan)))

    def check(self, rows: pa.RecordBatch, why: str, split: str) -> None:
        """Refuses labels that are lists, and text where nothing says which class each is.

        Args:
          rows: the first ones of a split.
          why: what needs labels.
          split: its name.

        Raises:
          InputError: they are.
        """
        lengths = list_lengths(self.column(rows))
        if lengths.any() and not (lengths == 1).any():
            raise InputError(
                f"{why} needs one label for each row, but `{self.key}` of split `{split}` has {lengths.max()} values; "
                "give the index of the class."
            )
        if not self.class_names and len(self._unknown(rows)):
            raise InputError(
                f"{why} needs labels that are numbers, but `{self.key}` of split `{split}` is text; give the index of "
                "the class, or say what the classes are called in `class_names`."
            )

    def check_known(self, rows: pa.RecordBatch, split: str) -> None:
        """Refuses labels that are text and none of `class_names`, by the first rows of a split.

        Raises:
          InputError: there is one.
        """
        unknown = self._unknown(rows)
        if len(unknown):
            text = unknown[0].as_py().decode("utf-8", "replace")
            raise InputError(
                f"the label `{self.key}` is `{text}` in split `{split}`, which is none of the {len(self.class_names)} "
                "`class_names`; add it there in the place of its output, or correct the label."
            )

    def _unknown(self, rows: pa.RecordBatch) -> pa.Array:
        """Labels that are text and the name of no class."""
        column = self.column(rows)
        if not pa.types.is_large_binary(column.type.value_type):
            return pa.array([], pa.large_binary())
        values = pc.list_flatten(column)
        return values.filter(pc.invert(pc.is_in(values, value_set=pa.array(self.class_names, pa.large_binary()))))


def _offsets(column: pa.Array) -> pa.Array:
    return pa.array(np.concatenate([[0], np.cumsum(list_lengths(column))]), pa.int64())
