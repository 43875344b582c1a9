"""How many steps each path of expected gradients has, and how well their errors are known."""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

LEAST_STRATA = 3
"""Second differences over the steps of a path, which its error is told by, take three."""


@dataclasses.dataclass(frozen=True)
class Strata:
    """Which references serve, and how many steps the path from each has.

    Attributes:
      references: (B,) their numbers among those that there are, ascending.
      weights: (B,) of sum 1.
      n_strata: equal parts of each path with one step in each, at a place drawn at random.
    """

    references: IntArray
    weights: FloatArray
    n_strata: int


def choose_strata(n_samples: int, weights: FloatArray) -> Strata:
    """Every reference, with as many steps as there are samples for; of more references than a third, the heaviest.

    Those of equal weights count in their order.

    Args:
      n_samples: gradients per row aimed at, at least 3.
      weights: of the references.
    """
    n = min(len(weights), n_samples // LEAST_STRATA)
    kept = np.sort(np.argsort(-weights, kind="stable")[:n])
    return Strata(kept, weights[kept] / weights[kept].sum(), max(LEAST_STRATA, n_samples // n))


def second_difference_dof(n_references: float, n_strata: int) -> float:
    """Degrees of freedom of the mean square of second differences over the steps of paths.

    Neighbouring differences of noise share terms: they have correlations of -2/3 and 1/6.

    Args:
      n_references: as many as paths of equal weights would be.
      n_strata: steps of each.
    """
    n = n_strata - 2
    overlap = sum(2 * (n - lag) / n * correlation**2 for lag, correlation in ((1, 2 / 3), (2, 1 / 6)) if n > lag)
    return n_references * n / (1 + overlap)


def satterthwaite_dof(total: npt.ArrayLike, squares: npt.ArrayLike) -> FloatArray:
    """Degrees of freedom of a sum of variances of one each: total^2 / sum of squares; infinite for variances of 0.

    Source: F. E. Satterthwaite, "An approximate distribution of estimates of variance components", Biometrics
    Bulletin 2 (1946) 110-114.
    """
    total, squares = np.asarray(total, np.float64), np.asarray(squares, np.float64)
    return np.divide(np.square(total), squares, out=np.full(total.shape, np.inf), where=squares > 0)
