"""XRAI: which regions of an image an attribution of its pixels is about.

Regions are taken greedily, the one with the highest mean attribution over pixels that no other has taken yet first, so
that they become a partition of the image. Sums and numbers of these pixels are kept for each region, and only those
that had a pixel in common with one that is taken change: each pixel is looked at once for each region it is in. What is
compared in the end are means computed anew, of the few regions whose sums cannot tell which is higher, so that rounding
decides no more than it does where all means are computed anew each time.

Source: A. Kapishnikov et al., "XRAI: better attributions through regions", ICCV 2019; ranks and values are those of
PAIR `saliency`.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt
from scipy import sparse

from tfx_explain.errors import InputError
from tfx_explain.regions.segments import FloatArray, IntArray, LabelMap, Segments


@dataclasses.dataclass(frozen=True)
class RankedRegions:
    """A partition of an image into R regions, the one with the highest mean attribution first.

    What no region took is one region more, the last whatever its attribution.

    Attributes:
      labels: (H, W) which region each pixel is in, from 0 without gaps.
      sums: (R,) of the attributions that the regions were ranked by, over each one's pixels; all of them together are
        the attribution of the image.
      pixels: (R,) numbers of pixels.
    """

    labels: LabelMap
    sums: FloatArray
    pixels: IntArray

    @property
    def densities(self) -> FloatArray:
        """(R,) mean attribution of a pixel of each: XRAI's gain."""
        return self.sums / self.pixels

    @property
    def heat_map(self) -> FloatArray:
        """(H, W) for each pixel the mean attribution of its region."""
        return self.densities[self.labels]

    def sums_of(self, attributions: npt.ArrayLike) -> FloatArray:
        """(R, ...) sums over each region's pixels of other attributions (H, W, ...), as of other outputs."""
        given = np.asarray(attributions, np.float64)
        if given.shape[:2] != self.labels.shape:
            raise InputError(f"Regions of {self.labels.shape} pixels cannot sum attributions of {given.shape}.")
        n_regions, n_pixels = len(self.pixels), self.labels.size
        member = sparse.csc_matrix(
            (np.ones(n_pixels), self.labels.ravel(), np.arange(n_pixels + 1)), (n_regions, n_pixels)
        )
        sums = np.asarray(member @ given.reshape(n_pixels, -1), np.float64)
        return sums.reshape(n_regions, *given.shape[2:])


def rank_regions(base: npt.ArrayLike, segments: Segments, *, fast: bool = False) -> RankedRegions:
    """The partition of an image that its attribution chooses among overlapping regions.

    Args:
      base: (H, W) attribution of each pixel. PAIR takes the highest of the channels; sums over channels make the
        regions add up to what the image is attributed.
      segments: of this image, from `find_segments` or `own_segments`.
      fast: regions are ordered once, by their own means, whatever they have in common.

    Raises:
      InputError: the attribution is of another shape, or not finite.

    Example:
      >>> import numpy as np
      >>> from tfx_explain.regions import own_segments, rank_regions
      >>> found = rank_regions([[1.0, 2.0], [5.0, 4.0]], own_segments([[3, 3], [7, 7]]))
      >>> found.labels.tolist(), found.sums.tolist(), found.densities.tolist()
      ([[1, 1], [0, 0]], [9.0, 3.0], [4.5, 1.5])
    """
    values = np.asarray(base, np.float64)
    if values.shape != segments.shape:
        raise InputError(f"Regions of {segments.shape} pixels cannot be ranked by attributions of {values.shape}.")
    with np.errstate(over="ignore"):
        total = np.abs(values).sum()
    if not np.isfinite(total):
        raise InputError("The attributions of an image's pixels, or their sum, are not finite: regions have no ranks.")
    cover = _Cover(values.ravel(), *segments.members)
    # Where nothing overlaps, means never change.
    choose = _by_own_mean if fast or segments.is_disjoint else _by_new_mean
    choose(cover, segments.min_new_pixels)
    return cover.partition(segments.shape)


class _Cover:
    """What was taken so far, in order.

    Args:
      values: (N,) attributions of the pixels.
      starts, pixels: of n regions, as in `Segments.members`.
    """

    def __init__(self, values: FloatArray, starts: IntArray, pixels: IntArray) -> None:
        self.values, self.starts, self.pixels = values, starts, pixels
        self._is_free = np.ones(len(values), bool)
        self._taken: list[IntArray] = []

    def new_pixels(self, region: int) -> IntArray:
        """Those of a region that are still free."""
        pixels = self.pixels[self.starts[region] : self.starts[region + 1]]
        return pixels[self._is_free[pixels]]

    def take(self, pixels: IntArray) -> None:
        """Takes free pixels as the next region."""
        self._is_free[pixels] = False
        self._taken.append(pixels)

    def partition(self, shape: tuple[int, int]) -> RankedRegions:
        """The regions by their means, those that were taken earlier first where these are equal; then the rest."""
        means = np.array([self.values[pixels].mean() for pixels in self._taken], np.float64)
        regions = [self._taken[place] for place in np.argsort(-means, kind="stable")]
        rest = np.flatnonzero(self._is_free)
        if len(rest):
            regions.append(rest)
        labels = np.empty(len(self.values), np.int32)
        for rank, pixels in enumerate(regions):
            labels[pixels] = rank
        sums = np.array([self.values[pixels].sum() for pixels in regions], np.float64)
        return RankedRegions(labels.reshape(shape), sums, np.array([len(pixels) for pixels in regions], np.int64))


def _by_own_mean(cover: _Cover, min_new_pixels: int) -> None:
    """Takes regions in the order of the means of all their pixels."""
    ends = zip(cover.starts[:-1], cover.starts[1:], strict=True)
    means = np.array([cover.values[cover.pixels[start:end]].mean() for start, end in ends], np.float64)
    for region in np.argsort(-means, kind="stable"):
        pixels = cover.new_pixels(region)
        if len(pixels) >= min_new_pixels:
            cover.take(pixels)


def _by_new_mean(cover: _Cover, min_new_pixels: int) -> None:
    """Takes the region with the highest mean of its new pixels, again and again."""
    remaining = _Remaining(cover)
    means: dict[int, tuple[int, float]] = {}
    while len(near := remaining.highest(min_new_pixels)):
        for region in near:
            count = int(remaining.counts[region])
            # As many new pixels as before are the same ones.
            if means.get(region, (0, 0.0))[0] != count:
                means[region] = count, float(cover.values[cover.new_pixels(region)].mean())
        best = max(near, key=lambda region: means[region][1])
        pixels = cover.new_pixels(best)
        cover.take(pixels)
        remaining.without(pixels)


class _Remaining:
    """Sums and numbers of the new pixels of each region.

    Attributes:
      counts: (n,) new pixels.
    """

    def __init__(self, cover: _Cover) -> None:
        self._values, self.counts = cover.values, np.diff(cover.starts)
        shape = (len(self.counts), len(cover.values))
        member = sparse.csr_matrix((np.ones(len(cover.pixels), bool), cover.pixels, cover.starts), shape).tocsc()
        # Of each pixel, which regions it is in.
        self._starts, self._regions = np.asarray(member.indptr, np.int64), np.asarray(member.indices, np.int64)
        everything = self._regions_of(np.arange(len(cover.values)))
        self._sums = self._over(*everything, self._values)
        sizes = self._over(*everything, np.abs(self._values))
        # What sums of n numbers may be off by: the first ones, as many subtractions, and the mean they stand for.
        self._slack = 4 * np.finfo(np.float64).eps * self.counts * sizes

    def highest(self, min_new_pixels: int) -> list[int]:
        """Regions one of which has the highest mean, in their order; none where none has enough new pixels."""
        regions = np.flatnonzero(self.counts >= min_new_pixels)
        if not len(regions):
            return []
        counts = self.counts[regions]
        means, off = self._sums[regions] / counts, self._slack[regions] / counts
        near: list[int] = regions[means + off >= (means - off).max()].tolist()
        return near

    def without(self, pixels: IntArray) -> None:
        """Some pixels are no longer new."""
        regions, times = self._regions_of(pixels)
        self.counts = self.counts - np.bincount(regions, minlength=len(self.counts))
        self._sums -= self._over(regions, times, self._values[pixels])

    def _regions_of(self, pixels: IntArray) -> tuple[IntArray, IntArray]:
        """(s,) regions that some pixels (q,) are in, pixel after pixel, and (q,) how many each of these is in."""
        times = self._starts[pixels + 1] - self._starts[pixels]
        before = np.cumsum(times) - times
        return self._regions[np.repeat(self._starts[pixels] - before, times) + np.arange(times.sum())], times

    def _over(self, regions: IntArray, times: IntArray, values: FloatArray) -> FloatArray:
        """(n,) sums over each region of values (q,) of pixels that `_regions_of` was asked for."""
        return np.bincount(regions, np.repeat(values, times), minlength=len(self.counts)).astype(np.float64, copy=False)
