"""What two calls of a model may differ by, if nothing but rounding is between them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

# Sums of n terms in another order differ by about sqrt(n) roundings of the result, unless terms cancel: 32 stand for
# layers of a thousand terms. Where they cancel, the error grows relative to the result, but hardly ever to a part in
# 10,000 of what the outputs vary by from row to row, which attributions do not show either.
_ROUNDINGS = 32
_SHARE = 1e-4
_SHARE_COMPILED = 1e-3
_LEAST_SHARE_OF_STD = 1e-2


@dataclass(frozen=True)
class Closeness:
    """Tells rounding from other differences.

    Attributes:
      spread: (n_outputs,) what the outputs of most rows lie within.
      rounding: relative rounding error of the model's floats.
      share: of the spread, which a difference must exceed.
    """

    spread: FloatArray
    rounding: float
    share: float = _SHARE

    @classmethod
    def of(cls, outputs: FloatArray, rounding: float) -> Closeness:
        """From plain outputs of rows, (n, n_outputs)."""
        return cls(np.array([_spread(column[np.isfinite(column)]) for column in outputs.T]), rounding)

    @property
    def of_compiled(self) -> Closeness:
        """The same for calls that are compiled in another way, so that every layer may round otherwise."""
        return Closeness(self.spread, self.rounding, _SHARE_COMPILED)

    def differing(self, first: FloatArray, second: FloatArray) -> npt.NDArray[np.bool_]:
        """(n,) the rows in which outputs (n, n_outputs) differ by more than rounding."""
        with np.errstate(invalid="ignore", over="ignore"):
            same = (first == second) | (np.isnan(first) & np.isnan(second))
            larger = np.maximum(np.abs(first), np.abs(second))
            allowed = _ROUNDINGS * self.rounding * larger + self.share * self.spread
            close = np.isfinite(larger) & (np.abs(first - second) <= allowed)
        return np.asarray(~(same | close).all(axis=-1))

    def describe(self, first: FloatArray, second: FloatArray) -> str:
        """By how much outputs differ, against what they vary by anyway."""
        with np.errstate(invalid="ignore", over="ignore"):
            difference = np.abs(first - second)
        finite = np.isfinite(difference)
        if not finite.any():
            return "by being finite or not"
        column = int(np.unravel_index(np.argmax(np.where(finite, difference, -1)), difference.shape)[-1])
        largest = difference[..., column][finite[..., column]].max()
        if not largest:
            return "by being finite or not"
        return f"by up to {largest:.2g}, where half of the rows lie within {self.spread[column]:.2g}"


def _spread(values: FloatArray) -> float:
    """The shortest interval that holds more than half of the values: fillers such as -1e9 do not count.

    Where that is a point, a hundredth of the standard deviation. Values from 0 to 1 have no fillers among them, and may
    be next to 0 in most rows, as the probability of one of ten classes is: the standard deviation where it is larger.
    """
    if len(values) < 2:
        return 0.0
    ordered = np.sort(values)
    half = len(values) // 2
    shortest = float((ordered[half:] - ordered[: len(ordered) - half]).min())
    if ordered[0] >= 0 and ordered[-1] <= 1:
        return max(shortest, float(values.std()))
    return shortest or float(_LEAST_SHARE_OF_STD * values.std())
