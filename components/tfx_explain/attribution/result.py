"""What solving a design gives: attributions with their errors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import stdtrit

from tfx_explain.attribution.maps import FloatArray
from tfx_explain.errors import EstimationError

_MOST_DOF = 1e6


@dataclass(frozen=True, eq=False)
class Attributions:
    """Attributions of n examples over d players for K outputs, with two standard errors.

    `design_std_error` says how far the attributions may be from those of all 2^d coalitions, for THIS background.
    `background_std_error` says how far those may be from the ones of the population that the background rows were drawn
    from; for rows that were chosen and not drawn (medoids), it is the error of as many drawn rows with these weights.
    Both are nan where they cannot be known: from fewer than 4 independent estimates.

    Attributes:
      values: (n, d, K) attributions in the unit of the output.
      design_std_error: (n, d, K) error from evaluating some coalitions only; 0 for exact designs. With one permutation
        pair per background row the spread between rows holds both errors at once: it is this, an upper bound, and
        `background_std_error` is 0, so that their combination is right and nothing counts twice.
      background_std_error: (n, d, K) error of the background sample.
      base_value: (K,) weighted mean output over the background.
      completeness_gap: (n, K) sum of attributions - (prediction - base value); rounding only.
      design_dof: degrees of freedom of `design_std_error`; infinite for exact designs.
      background_dof: degrees of freedom of the spread between blocks that `background_std_error` comes from.
      interactions: (n, n_interactions, K) of the design's `interaction_pairs`, or None.
      noise_ratio: of the actual error of sampled coalitions, as near as can be, to `design_std_error`, which may be on
        the safe side.
    """

    values: FloatArray
    design_std_error: FloatArray
    background_std_error: FloatArray
    base_value: FloatArray
    completeness_gap: FloatArray
    design_dof: float
    background_dof: float
    interactions: FloatArray | None
    noise_ratio: float = 1.0

    @property
    def std_error(self) -> FloatArray:
        """(n, d, K) error of both kinds against the population: the root of the sum of squares."""
        return np.hypot(self.design_std_error, self.background_std_error)

    def interval(self, confidence: float = 0.95, *, of: str = "population") -> tuple[FloatArray, FloatArray]:
        """Confidence limits by Student's t, whose degrees of freedom few blocks or permutations need.

        Args:
          confidence: coverage between 0 and 1.
          of: "population" for attributions against the population of the background, "background" for attributions
            against exactly these background rows.

        Returns:
          Lower and upper limits, (n, d, K) each; nan where the error is not known.

        Raises:
          EstimationError: `confidence` or `of` is none of these.
        """
        if not 0 < confidence < 1 or of not in ("population", "background"):
            raise EstimationError(
                f"an interval needs a confidence between 0 and 1 and of='population' or 'background', got {confidence} "
                f"and {of!r}."
            )
        if of == "background":
            return student_limits(self.values, self.design_std_error, np.asarray(self.design_dof), confidence)
        dof = population_dof(self.background_std_error, self.design_dof, self.background_dof)
        return student_limits(self.values, self.std_error, dof, confidence)


def population_dof(
    background_std_error: FloatArray, design_dof: npt.ArrayLike, background_dof: npt.ArrayLike
) -> FloatArray:
    """Degrees of freedom of the root of the sum of squares of both errors.

    Where the background adds to the error, that root is the spread between blocks itself, of which the design's part is
    no independent estimate: Satterthwaite's formula, which takes it for one, gives intervals that are too short (91 %
    instead of 95 % from four blocks). Where it adds nothing, the root is the design's error.

    Args:
      background_std_error: of any shape.
      design_dof: of a shape that goes with it; infinite where there is no such error.
      background_dof: likewise.

    Returns:
      At least 1, and at most 1e6, which is infinite for all purposes.
    """
    dof = np.where(background_std_error > 0, np.minimum(design_dof, background_dof), design_dof)
    return np.asarray(np.clip(dof, 1.0, _MOST_DOF))


def student_limits(
    values: FloatArray, std_error: FloatArray, dof: FloatArray, confidence: float
) -> tuple[FloatArray, FloatArray]:
    """Values -/+ as many standard errors as Student's t asks for; nan where the error is not known.

    Args:
      values: of any shape.
      std_error: of the same.
      dof: degrees of freedom of the errors, of a shape that goes with it.
      confidence: between 0 and 1.
    """
    half_width = std_error * stdtrit(np.clip(dof, 1.0, _MOST_DOF), 0.5 + confidence / 2)
    return values - half_width, values + half_width
