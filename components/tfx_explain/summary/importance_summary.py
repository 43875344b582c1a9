"""What a set of attributions says about each player."""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt

from tfx_explain.summary.ratio import Array


@dataclasses.dataclass(frozen=True)
class ImportanceSummary:
    """What a set of attributions says about each player; d players, all in units of the model's output.

    Intervals use Student's t with n - 1 degrees of freedom (n_effective - 1 for weighted examples) and say how far the
    figures may be from those of exact attributions of all examples of the same kind, given this background: they count
    the spread over examples and the noise of sampled coalitions, also as far as examples share it (see `sizes`). The
    background's own error does not shrink with more examples; `mean_background_std_error` bounds what it adds.

    Attributes:
      n_examples: examples of positive weight.
      n_effective: (sum w)^2 / sum w^2; equals n_examples without weights.
      mean_abs: (d,) mean |attribution| without the bias that noise of the attributions gives it, not below 0.
      cut_off: (d,) that mean where it is below 0 by chance, and was cut off there; else 0. Sums over players are of
        `uncut`, since what is cut off in many players would make them too large.
      mean_abs_covariance: (d, d) covariance of the errors of those means; NaN below two examples, and where the noise
        of an attribution is unknown.
      mean_signed: (d,) mean attribution.
      mean_signed_std_error: (d,) its standard error.
      rms: (d,) root mean square attribution.
      rms_debiased: (d,) sqrt(mean(attribution^2 - std_error^2)), clipped at 0: noise in the attributions makes
        `rms` too large, not this. NaN where a standard error of an attribution is unknown.
      std_error: (d,) standard error of `mean_abs`.
      skewness: (d,) of sizes of attributions over examples; NaN below three, and for players of less than a millionth
        of all importance, whose attributions may be nothing but rounding.
      signed_skewness: (d,) of attributions, likewise.
      ci_low: (d,) lower end of the interval of `mean_abs`, not below 0.
      ci_high: (d,) upper end.
      rank: (d,) 1 = most important; equal importances share the best rank.
      share: (d,) mean_abs / sum of mean_abs; 0 where everything is 0. Too small where much was cut off.
      share_std_error: (d,) its standard error (delta method).
      share_ci_low: (d,) lower end of Fieller's interval of the part of the sum of `uncut`; not above `share`.
      share_ci_high: (d,) upper end; not below `share`.
      mean_design_std_error: (d,) mean over examples of the error from sampling coalitions.
      mean_background_std_error: (d,) mean over examples of the error from sampling background rows.
      max_completeness_gap: largest |completeness gap| of any example.
      max_relative_completeness_gap: largest |completeness gap| / (1 + |prediction|) of any example.
    """

    n_examples: int
    n_effective: float
    mean_abs: Array
    cut_off: Array
    mean_abs_covariance: Array
    mean_signed: Array
    mean_signed_std_error: Array
    rms: Array
    rms_debiased: Array
    std_error: Array
    skewness: Array
    signed_skewness: Array
    ci_low: Array
    ci_high: Array
    rank: npt.NDArray[np.int64]
    share: Array
    share_std_error: Array
    share_ci_low: Array
    share_ci_high: Array
    mean_design_std_error: Array
    mean_background_std_error: Array
    max_completeness_gap: float
    max_relative_completeness_gap: float

    @property
    def uncut(self) -> Array:
        """(d,) the means before they were cut off at 0."""
        return self.mean_abs + self.cut_off

    def columns(self) -> dict[str, npt.NDArray[np.generic]]:
        """The per-player figures as table columns, (d,) each; `mean_abs` is called `value`."""
        skipped = {"n_examples", "n_effective", "mean_abs_covariance", "mean_abs"}
        skipped |= {"max_completeness_gap", "max_relative_completeness_gap"}
        names = [field.name for field in dataclasses.fields(self) if field.name not in skipped]
        return {"value": self.mean_abs, **{name: getattr(self, name) for name in names}}
