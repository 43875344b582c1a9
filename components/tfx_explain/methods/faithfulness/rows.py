"""What was found of rows: curves, and how attributions go together with other figures."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]


class Target(NamedTuple):
    """Whose attributions are checked.

    Attributes:
      method: its name.
      feature: whose parts they are about; empty: all players.
    """

    method: str
    feature: str = ""


@dataclasses.dataclass(frozen=True)
class CheckedRows:
    """The attributions of n rows by one method, of the whole row or of the parts of one feature.

    What is NaN is not known.

    Attributes:
      curves: (n, 3, s + 1, c) outputs where 0, 1/s, ..., all of the row is taken away by the attributions, put back by
        them, and taken away in random orders, mean over these.
      areas: (n, 3, c) under these curves.
      ends: (n, 2, c) outputs with everything there, and with nothing.
      mu_fidelity: (n, c) correlation of what parts are said to add and what the output loses without them.
      similarity: (n, m, c) correlation with the attributions of each of m models with random weights.
      other_output: (n, c) correlation with the attributions of another output of the same model.
      hits: (n, c) 1 where a pixel of the strongest region lies in a box, 0 where none does.
      box_areas: (n,) part of the image in boxes.
      has_no_box: (n,) which rows have regions, and no box.
      is_looked_at: (n,) which rows were drawn, to be checked or to be explained with these models.
      has_parts: (n,) which of those to be checked have two parts or more.
    """

    curves: FloatArray
    areas: FloatArray
    ends: FloatArray
    mu_fidelity: FloatArray
    similarity: FloatArray
    other_output: FloatArray
    hits: FloatArray
    box_areas: FloatArray
    has_no_box: BoolArray
    is_looked_at: BoolArray
    has_parts: BoolArray

    @classmethod
    def empty(cls, n: int, n_steps: int, n_outputs: int, n_models: int) -> CheckedRows:
        """Nothing known of n rows."""
        return cls(
            curves=np.full((n, 3, n_steps + 1, n_outputs), np.nan),
            areas=np.full((n, 3, n_outputs), np.nan),
            ends=np.full((n, 2, n_outputs), np.nan),
            mu_fidelity=np.full((n, n_outputs), np.nan),
            similarity=np.full((n, n_models, n_outputs), np.nan),
            other_output=np.full((n, n_outputs), np.nan),
            hits=np.full((n, n_outputs), np.nan),
            box_areas=np.full(n, np.nan),
            has_no_box=np.zeros(n, np.bool_),
            is_looked_at=np.zeros(n, np.bool_),
            has_parts=np.zeros(n, np.bool_),
        )

    def take(self, rows: IntArray) -> CheckedRows:
        """The given rows, (k,) integers."""
        return CheckedRows(**{name: array[rows] for name, array in vars(self).items()})

    def spread(self, places: IntArray, n: int) -> CheckedRows:
        """The same among n rows, at the places (k,); nothing is known of the others."""
        n_models = self.similarity.shape[1]
        made = CheckedRows.empty(n, self.curves.shape[2] - 1, self.curves.shape[3], n_models)
        for name, array in vars(self).items():
            getattr(made, name)[places] = array
        return made


@dataclasses.dataclass(frozen=True)
class FaithfulnessRows:
    """The same of all that is checked.

    Attributes:
      of: target -> its rows.
    """

    of: Mapping[Target, CheckedRows]

    def take(self, rows: IntArray) -> FaithfulnessRows:
        """The given rows, (k,) integers."""
        return FaithfulnessRows({target: found.take(rows) for target, found in self.of.items()})
