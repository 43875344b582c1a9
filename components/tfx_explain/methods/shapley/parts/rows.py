"""What the parts of a feature are, row by row, before a model is asked about them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from tfx_explain.methods.shapley.parts.calls import PartCalls
from tfx_explain.methods.shapley.parts.contexts import Contexts
from tfx_explain.methods.shapley.parts.values import PartValues
from tfx_explain.models.features import Column

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Asked:
    """A model that reads the feature, and what n rows ask it for.

    Attributes:
      calls: of the model.
      outputs: (n, c) which outputs each row asks for.
      floor: (n, c) their rounding.
      contexts: row -> what the others are while its parts come and go, for rows of several parts.
    """

    calls: PartCalls
    outputs: IntArray
    floor: FloatArray
    contexts: Mapping[int, Contexts]


class RowParts(Protocol):
    """A feature of n rows in parts."""

    @property
    def lengths(self) -> IntArray:
        """(n,) how many parts of each row are players, 0 or more."""

    @property
    def has_rest(self) -> bool:
        """Whether something of the row's own is left where all these are absent, as the length of a series is.

        Where the feature is absent that is the background's. It is one more part, behind the others; it comes first.
        """

    def seen(self, asked: Asked | None) -> tuple[IntArray, int]:
        """(n,) how many of its parts, from the first on, count in each row, and the model rows it took to find that.

        Args:
          asked: the model; None where it does not read the feature.
        """

    def where(self, seen: IntArray) -> IntArray:
        """(N, w) where each part is, the rest among them, as records have it."""

    def values(self, row: int, n_parts: int, own: Column) -> PartValues:
        """Of the first parts of a row; `own` is what the model is fed for the n rows."""
