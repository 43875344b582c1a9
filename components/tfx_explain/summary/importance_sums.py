"""What importance is made of: some examples, or what they add up to."""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt

from tfx_explain.summary.binned_sums import OF_ONE_SIGN, BinnedSums
from tfx_explain.summary.ratio import Array
from tfx_explain.summary.sizes import DesignMoments, NoisyMoments, debiased_sizes


@dataclasses.dataclass(frozen=True)
class FewExamples:
    """Some examples.

    Attributes:
      figures: (4, n, d) attributions, design SE, background SE, standard deviations of the noise.
      weights: (n,) above 0.
      design_ids: (n,).
    """

    figures: Array
    weights: Array
    design_ids: npt.NDArray[np.int64]

    @classmethod
    def none(cls, n_players: int) -> FewExamples:
        """No examples."""
        return cls(np.zeros((4, 0, n_players)), np.zeros(0), np.zeros(0, np.int64))

    def followed_by(self, others: FewExamples) -> FewExamples:
        """These, then others."""
        return FewExamples(
            np.concatenate([self.figures, others.figures], axis=1),
            np.concatenate([self.weights, others.weights]),
            np.concatenate([self.design_ids, others.design_ids]),
        )


class ImportanceSums:
    """What examples add up to.

    Attributes:
      absolute: moments of sizes of attributions, with covariances.
      of_players: (1, 4 d) attribution^2, design SE^2 + background SE^2, design SE, background SE; all times the
        example's weight.
    """

    def __init__(self, n_players: int) -> None:
        self.absolute = NoisyMoments.empty(n_players, full=True, third=True)
        self._signed = DesignMoments.empty(n_players, full=False, third=True)
        self.of_players = BinnedSums(1, 4 * n_players, OF_ONE_SIGN)

    def add(self, examples: FewExamples) -> None:
        """Adds examples."""
        phi, design_error, background_error, errors = examples.figures
        w, shared = examples.weights, examples.design_ids
        sizes, doubt = debiased_sizes(phi, errors)
        self.absolute.add(sizes, w, errors**2, doubt, shared)
        self._signed.add(phi, w, shared)
        figures = [phi**2, design_error**2 + background_error**2, design_error, background_error]
        self.of_players.add(np.concatenate(figures, axis=1) * w[:, None])

    def merge(self, other: ImportanceSums) -> None:
        """Adds what others have added up to."""
        self.absolute.merge(other.absolute)
        self._signed.merge(other._signed)
        self.of_players.merge(other.of_players)

    @property
    def signed(self) -> NoisyMoments:
        """Moments of attributions, without covariances; not to be added to."""
        return self.absolute.of_unbiased(self._signed)
