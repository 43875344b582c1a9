"""What is summed up: a method and a feature that it looks inside; and what a batch of rows has of it."""

from __future__ import annotations

import abc
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from typing_extensions import Self

from tfx_explain.methods.method import Contributed, SliceRows
from tfx_explain.part_records import PartRows
from tfx_explain.summary.sizes import debiased_sizes

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


class Target(NamedTuple):
    """Whose parts are summed up.

    Attributes:
      method: its name.
      feature: that it looks inside.
    """

    method: str
    feature: str

    def key(self, table: str) -> str:
        """What accumulators of it are called."""
        return f"{table} {self.method} {self.feature}"

    @classmethod
    def of(cls, key: str) -> tuple[str, Self]:
        """The name of the table, and whose parts."""
        table, method, feature = key.split(" ", 2)
        return table, cls(method, feature)


class TargetRows(abc.ABC):
    """What n rows of one model have inside a feature."""

    @abc.abstractmethod
    def take(self, rows: IntArray) -> Self:
        """The given rows, (k,) integers."""

    @abc.abstractmethod
    def minus(self, other: Self) -> Self | None:
        """The same less what another model has, row by row; None where they cannot be compared."""

    @abc.abstractmethod
    def contributions(self, target: Target, outputs: Sequence[str], part: SliceRows) -> Iterator[Contributed]:
        """As of a method."""


def values_and_sizes(parts: PartRows) -> FloatArray:
    """(N, 2K) attributions of parts, and their sizes without the bias of their noise."""
    sizes, _ = debiased_sizes(parts.attributions, parts.std_errors)
    return np.concatenate([parts.attributions, sizes], axis=1)
