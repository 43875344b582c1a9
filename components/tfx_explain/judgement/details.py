"""What only some rules need to know of one (slice, output), beside the importance of the players."""

from __future__ import annotations

import dataclasses
import math
from typing import NamedTuple

from tfx_explain.errors import ConfigError
from tfx_explain.summary.ratio import Array


@dataclasses.dataclass(frozen=True)
class SignedMeans:
    """The direction of d players' attributions, all (d,), in units of the output.

    Attributes:
      mean: mean attribution.
      std_error: its standard error over examples.
      design_std_error: mean over examples of the error from sampled coalitions. Examples share coalitions, so it may
        not average out; NaN where it is unknown.
      skewness: of the attributions over examples; NaN, or None for all players, where it is unknown.
    """

    mean: Array
    std_error: Array
    design_std_error: Array
    skewness: Array | None = None


@dataclasses.dataclass(frozen=True)
class Interactions:
    """Pairwise interactions, in units of the output.

    Attributes:
      pairs: (n_pairs,) names of two players each.
      mean_abs: (n_pairs,) mean |interaction|.
      std_error: (n_pairs,) its standard error over examples.
    """

    pairs: tuple[tuple[str, str], ...]
    mean_abs: Array
    std_error: Array


@dataclasses.dataclass(frozen=True)
class Steps:
    """A profile's changes from each point to the next, for a feature whose points have an order.

    Attributes:
      points: (n_steps + 1,) the values of the feature, ascending.
      step: (n_steps,) change of the output, in its units.
      std_error: (n_steps,) its standard error over examples; NaN where unknown.
      degrees_of_freedom: (n_steps,) of that error.
      skewness: (n_steps,) of the examples' own steps; NaN, or None for all steps, where it is unknown.
    """

    points: Array
    step: Array
    std_error: Array
    degrees_of_freedom: Array
    skewness: Array | None = None


@dataclasses.dataclass(frozen=True)
class SliceContrast:
    """A slice's importance less that of all other rows; d players, in units of the output.

    Attributes:
      difference: (d,) mean |attribution| in the slice less that outside it.
      std_error: (d,) its standard error over examples; NaN where slice or rest are too small to be compared.
      degrees_of_freedom: of that error.
      total: importance of all players together, over all rows.
      total_std_error: its standard error over examples.
    """

    difference: Array
    std_error: Array
    degrees_of_freedom: float
    total: float
    total_std_error: float


@dataclasses.dataclass(frozen=True)
class Check:
    """One measure of how faithful attributions are.

    Attributes:
      measure: its name.
      feature: whose parts it is about; empty: the players.
      value, std_error, degrees_of_freedom: the estimate and its error; NaN where they are not known.
      n_examples: rows that it is made of.
      n_left_out: rows with parts that could not be measured.
      chance: what the pointing game gives where maps know nothing; NaN of other measures.
    """

    measure: str
    feature: str
    value: float
    std_error: float
    degrees_of_freedom: float
    n_examples: int
    n_left_out: int = 0
    chance: float = math.nan

    @property
    def is_known(self) -> bool:
        """Whether there are an estimate and its error."""
        return math.isfinite(self.value) and math.isfinite(self.std_error)

    @property
    def is_mostly_left_out(self) -> bool:
        """Whether more than a tenth of the rows that have parts could not be measured."""
        return self.measure in ("deletion", "insertion") and self.n_left_out * 9 > self.n_examples

    @property
    def parts(self) -> str:
        """What it is about, in words."""
        return f"parts of {self.feature}" if self.feature else "features"


@dataclasses.dataclass(frozen=True)
class Faithfulness:
    """What was measured of the attributions of one method.

    Attributes:
      checks: of this slice and output.
      measures: those that were asked for.
      features: those that the method looks into.
      images: those of them that it finds regions of.
    """

    checks: tuple[Check, ...]
    measures: tuple[str, ...]
    features: tuple[str, ...]
    images: tuple[str, ...] = ()


class PartPlace(NamedTuple):
    """A place inside a feature.

    Attributes:
      feature: an image or a text.
      words: of a text, whatever their case and the punctuation around them; None of an image.
      area: (left, top, right, bottom) of an image, as parts of its width and height; None of a text.
    """

    feature: str
    words: tuple[str, ...] | None = None
    area: tuple[float, float, float, float] | None = None

    def check(self, kind: str) -> None:
        """Refuses places that such parts do not have.

        Raises:
          ConfigError: `words` of what is no text, or `area` of what is no image.
        """
        wanted, right = ("words", "spans") if self.words is not None else ("area", "regions")
        if kind != right:
            has = {"spans": "`words`", "regions": "`area`"}.get(kind, "no such place")
            raise ConfigError(
                f"rule `max_part_share` names `{wanted}` of `{self.feature}`, whose parts are {kind}; these have {has}."
            )


@dataclasses.dataclass(frozen=True)
class PartShare:
    """How much of what is inside a feature lies in one place, over the rows of one (slice, output).

    Attributes:
      n_examples: rows.
      n_effective: what they are worth, where they are weighted.
      means: (2,) mean size of the attributions in the place, and of all parts, in units of the output.
      covariance: (2, 2) of these means over examples.
      n_showing: rows that have something in the place.
    """

    n_examples: int
    n_effective: float
    means: Array
    covariance: Array
    n_showing: int
