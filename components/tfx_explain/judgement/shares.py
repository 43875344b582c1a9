"""The test behind the rules about shares of importance."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
from typing_extensions import Self

from tfx_explain.judgement.bounds import Bounds
from tfx_explain.judgement.evidence import Evidence
from tfx_explain.judgement.skewness import of_share, widened
from tfx_explain.judgement.wording import count, joined, percent, percents, roughly, sure
from tfx_explain.summary.ratio import share_interval, t_quantile


@dataclasses.dataclass(frozen=True)
class ShareTest:
    """How the share of some players compares with one value.

    Attributes:
      share: sum of their mean |attribution| / the sum of all, 0 where that is 0 / 0; each bound is right with the
        confidence, NaN where unknown. Both sums are of means that are not cut off at 0.
      difference: mean over examples of u = sum_S |phi| - value * sum_all |phi|; its bounds are infinite where the total
        cannot be told from zero.
    """

    share: Bounds
    difference: Bounds

    @classmethod
    def of(cls, evidence: Evidence, players: Sequence[str], value: float, confidence: float) -> Self:
        """Tests the share of `players` against `value`, both bounds with `confidence`.

        Raises:
          ConfigError: a player is unknown.
        """
        chosen = np.zeros(len(evidence.players))
        chosen[evidence.index(players)] = 1.0
        covariance = np.asarray(evidence.mean_abs_covariance, dtype=np.float64)
        # What noise makes negative is no less than nothing, but only once it is summed.
        of_players, total = float(chosen @ evidence.uncut), evidence.total
        part = max(of_players, 0.0)
        if not total > 0:
            value = 0.0 if evidence.has_no_effect.all() else math.nan
            return cls(Bounds(value, math.nan, math.nan), Bounds(value, -math.inf, math.inf))
        total_variance = float(covariance.sum())
        figures = (part, total, chosen @ covariance @ chosen, chosen @ covariance.sum(1), total_variance)
        quantile = t_quantile(confidence, evidence.degrees_of_freedom)
        quantiles = [widened(quantile, skewness) for skewness in of_share(*figures, evidence.weighed_examples)]
        low, high = share_interval(*figures, quantiles[0])[0], share_interval(*figures, quantiles[1])[1]
        contrast = chosen - value
        difference = float(contrast @ evidence.uncut) - min(of_players, 0.0)
        std_error = math.sqrt(max(float(contrast @ covariance @ contrast), 0.0))
        # Where Fieller's interval is everything, no comparison may be called certain.
        total_std_error = math.sqrt(max(total_variance, 0.0))
        margins = [float(q[0]) * std_error if total > float(q[0]) * total_std_error else math.inf for q in quantiles]
        return cls(
            Bounds(min(part / total, 1.0), float(low[0]), float(high[0])),
            Bounds(difference, difference - margins[0], difference + margins[1]),
        )

    def sentence(self, players: Sequence[str], value: float, confidence: float, limit: str) -> str:
        """The comparison in words, up to what it means: `limit` is `allowed` or `required`."""
        share, low, high = percents(self.share.value, self.share.low, self.share.high, threshold=value)
        carry = f"{joined(players)} {'carries' if len(players) == 1 else 'together carry'}"
        if self.share.high == 0:
            return f"{carry} none of the importance"
        who = f"{carry} {share} of the importance"
        with_confidence = sure(confidence)
        if self.difference.high <= 0 or self.difference.low >= 0:
            over = self.difference.value > 0 or (self.difference.value == 0 and limit == "required")
            return f"{who} ({f'at least {low}' if over else f'at most {high}'} {with_confidence})"
        return f"{who} (between {low} and {high}), too close to the {percent(value)} {limit} to tell {with_confidence}"

    def forecast(self, n_examples: int) -> str:
        """What it would take to tell, in words."""
        difference = self.difference.value
        bound = self.difference.low if difference > 0 else self.difference.high
        n_needed = n_examples * (1 - bound / difference) ** 2 if difference else math.inf
        more = f", at least about {roughly(n_needed)}" if n_examples < n_needed < 1e9 else ""
        return f"from {count(n_examples)} examples: explain more{more}"
