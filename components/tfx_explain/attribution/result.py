"""What solving a design gives: attributions with their errors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import stdtrit

from tfx_explain.attribution.maps import FloatArray
from tfx_explain.errors import EstimationError


@dataclass(frozen=True, eq=False)
class Attributions:
    """Attributions of n examples over d players for K outputs, with two standard errors.

    `design_std_error` says how far the attributions may be from those of all 2^d coalitions, for THIS background.
    `background_std_error` says how far those may be from the ones of the population that the background rows were drawn
    from; for rows that were chosen and not drawn (medoids), it is the error of as many drawn rows with these weights.
    Both are nan where they cannot be known: from fewer than 4 independent estimates.

    Attributes:
      values: (n, d, K) attributions in the unit of the output.
      design_std_error: (n, d, K) error from evaluating some coalitions only; 0 for exact designs.
      background_std_error: (n, d, K) error of the background sample.
      base_value: (K,) weighted mean output over the background.
      completeness_gap: (n, K) sum of attributions - (prediction - base value); rounding only.
      design_dof: degrees of freedom of `design_std_error`; infinite for exact designs.
      background_dof: degrees of freedom of the spread between blocks that `background_std_error` comes from.
      errors_separated: False for one permutation pair per background row, whose spread holds both errors at once. Then
        `design_std_error` is that spread, an upper bound, and `background_std_error` is 0, so that their combination is
        right and nothing counts twice.
      interactions: (n, n_interactions, K) or None.
      interaction_std_error: (n, n_interactions, K) design and background error together, or None.
      interaction_pairs: (n_interactions, 2) int32 players of each interaction.
      interaction_index: "SII", "Faith-SHAP" or "".
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
    errors_separated: bool
    interactions: FloatArray | None
    interaction_std_error: FloatArray | None
    interaction_pairs: npt.NDArray[np.int32]
    interaction_index: str
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

        Source: Satterthwaite 1946 for the degrees of freedom of the combination.
        """
        if not 0 < confidence < 1 or of not in ("population", "background"):
            raise EstimationError(
                f"an interval needs a confidence between 0 and 1 and of='population' or 'background', got {confidence} "
                f"and {of!r}."
            )
        if of == "background":
            std_error, dof = self.design_std_error, np.full_like(self.values, self.design_dof)
        else:
            std_error, dof = self.std_error, self._combined_dof()
        half_width = std_error * stdtrit(np.clip(dof, 1.0, 1e6), 0.5 + confidence / 2)
        return self.values - half_width, self.values + half_width

    def _combined_dof(self) -> FloatArray:
        design, background = self.design_std_error**2, self.background_std_error**2
        spread = design**2 / max(self.design_dof, 1.0) + background**2 / max(self.background_dof, 1.0)
        combined = (design + background) ** 2
        return np.divide(combined, spread, out=np.full_like(combined, 1e6), where=spread > 0)
