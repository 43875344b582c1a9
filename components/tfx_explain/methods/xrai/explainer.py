"""Gradients of pixels and regions ranked by them, of the rows of a batch."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import numpy.typing as npt

from tfx_explain import tables
from tfx_explain.config.xrai import XraiConfig
from tfx_explain.content_sample import are_among, stream_of
from tfx_explain.methods.attribution_rows import AttributionRows
from tfx_explain.methods.background import JobPlan
from tfx_explain.methods.context import JobContext
from tfx_explain.methods.path_gradients.base import PathExplainer, PathSide
from tfx_explain.methods.path_gradients.references import References
from tfx_explain.methods.path_gradients.rows import PathEstimates
from tfx_explain.methods.xrai.crooked import guided, through_blurs
from tfx_explain.methods.xrai.expected import MOST_GROUPS, over_background
from tfx_explain.methods.xrai.masks import Masks
from tfx_explain.methods.xrai.noisy import around
from tfx_explain.methods.xrai.pixels import Pictures, PixelRows, combined, straight, weighted
from tfx_explain.methods.xrai.regions_of_rows import region_rows, segments_of
from tfx_explain.models import Model
from tfx_explain.models.path_gradients import Points
from tfx_explain.part_records import PartRows
from tfx_explain.regions import Segments
from tfx_explain.rows import HashArray, take_rows

KEY = tables.XRAI

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

_ALONG = {"integrated_gradients": straight, "guided_ig": guided, "blur_ig": through_blurs}
# What pixels add, as 64-bit floats that are held at a time: 32 MiB of rows whose gradients are taken, and as many of
# the rows before.
_FIGURES = 2**22
# Guided ones that are followed together at least: what the smallest calls take.
_PATHS = 16


class XraiExplainer(PathExplainer["XraiRows"]):
    """At work with all models.

    Args:
      models: what is explained, and the baseline model if there is one.
      context: of the job.
      settings: what the user asked for.
      player: which of the players the image is.
    """

    def __init__(self, models: Sequence[Model], context: JobContext, settings: XraiConfig, player: int) -> None:
        super().__init__(models, context, KEY)
        self._settings, self._player, self._seed = settings, player, context.config.seed
        self._masks: dict[int, Masks] = {}
        # One for all batches: regions are found in Python while TensorFlow takes gradients.
        self._thread = ThreadPoolExecutor(1)

    def _cut(self, side: PathSide, rows: IntArray, ends: Points) -> tuple[list[Segments | None], dict[int, str]]:
        """What the images of some rows can be cut into, and row -> why it cannot: own regions, or found by colours."""
        if self._settings.masks is None:
            return segments_of(side.paths.pictures(ends, self._player)), {}
        if side.index not in self._masks:
            spec = next(
                spec for model in self._models for spec in model.features if spec.name == self._settings.feature
            )
            names = self._settings.feature, self._settings.masks
            self._masks[side.index] = Masks(*names, spec, side.paths, self._player)
        found, reasons = self._masks[side.index].segments(take_rows(side.rows, rows), side.inputs.take(rows))
        return found, {int(rows[row]): reason for row, reason in reasons.items()}

    def _explain_side(self, side: PathSide, plan: JobPlan) -> XraiRows:
        n, n_outputs = side.asked.outputs.shape
        estimates = PathEstimates.empty((n, side.paths.n_players, n_outputs), side.weights)
        made = XraiRows(estimates, np.ones(n, np.bool_), side.asked.base_value.copy(), [], {})
        is_sampled = self._settings.gradients == "expected_gradients"
        n_held = MOST_GROUPS if is_sampled else 2 * len(side.weights)
        at_once = _FIGURES // max(n_held * side.starts.moving.shape[1] * n_outputs, 1)
        if self._settings.gradients == "guided_ig":
            # Each step is a call of its own.
            at_once = max(at_once, _PATHS // (n_outputs * len(side.weights)))
        # A power of two: calls of the model are then filled.
        at_once = 1 << (max(at_once, 1).bit_length() - 1)
        before: tuple[IntArray, PixelRows, Future[Ranked]] | None = None
        for rows in np.split(np.arange(n), range(at_once, n, at_once)) if n else []:
            asked, ends = side.asked.take(rows), side.paths.enter(side.inputs.take(rows))
            cut = self._thread.submit(self._cut, side, rows, ends)
            hashes = side.hashes[rows]
            references: References = plan.per_method[KEY]
            pictures = Pictures(side.paths, side.starts, ends, side.weights, asked, hashes, self._player)
            found = self._pixels(pictures, references.numbers)
            kept = self._kept(side.draws[rows], references) if self._settings.pixel_maps else None
            ranked = self._thread.submit(_ranked, cut, found, asked.prediction, kept)
            if before is not None:
                made.add(*before, self._player)
            before = rows, found, ranked
        if before is not None:
            made.add(*before, self._player)
        return made

    def _kept(self, draws: HashArray, references: References) -> npt.NDArray[np.bool_]:
        """(n,) of which rows the map of pixels is kept."""
        return are_among(draws, references.fraction_of_maps, stream_of(self._seed, "xrai pixel maps"))

    def _pixels(self, pictures: Pictures, numbers: IntArray) -> PixelRows:
        """What each pixel adds, from references of these numbers, or how much the output depends on it."""
        if self._settings.gradients == "expected_gradients":
            return over_background(pictures, self._settings, numbers, self._seed)
        if self._settings.gradients == "smooth_grad":
            return around(pictures, self._settings, self._seed)
        return _ALONG[self._settings.gradients](pictures, self._settings)

    def _rows(self, side: PathSide, found: XraiRows, kept: npt.NDArray[np.bool_]) -> AttributionRows:
        side = dataclasses.replace(side, asked=dataclasses.replace(side.asked, base_value=found.base_value))
        parts = PartRows.joined(found.parts).take(np.flatnonzero(kept))
        return dataclasses.replace(super()._rows(side, found, kept), parts={self._settings.feature: parts})

    def _counts(self, found: Sequence[XraiRows], finite: npt.NDArray[np.bool_]) -> Mapping[str, int]:
        n_steps = sum(one.n_steps for one in found)
        return {
            f"{KEY}_model_rows": n_steps,
            f"{KEY}_gradient_rows": n_steps,
            f"{KEY}_above_max_completeness_gap": sum(int((~one.is_complete & finite).sum()) for one in found),
        }


@dataclasses.dataclass
class XraiRows:
    """What is found of n rows by one model, some rows after the other.

    Attributes:
      estimates: their attributions.
      is_complete: (n,) whether they add up as accurately as asked for.
      base_value: (n, c) what they are counted from.
      parts: regions of the rows so far.
      reasons: row -> why it has none, where its own cannot be used.
      n_steps: points that gradients were taken at.
    """

    estimates: PathEstimates
    is_complete: npt.NDArray[np.bool_]
    base_value: FloatArray
    parts: list[PartRows]
    reasons: dict[int, str]
    n_steps: int = 0

    def errors(self) -> dict[int, str]:
        """Row -> what is wrong with its attributions, or with its regions."""
        return {**self.estimates.errors(), **self.reasons}

    def add(self, rows: IntArray, found: PixelRows, ranked: Future[Ranked], player: int) -> None:
        """Takes over what some rows come to; those without regions have no attributions."""
        regions, reasons = ranked.result()
        self.reasons.update(reasons)
        values, errors = combined(found.of_players.swapaxes(0, 1), found.shares)
        # The image adds what its pixels add, to the last digit.
        values[:, player] = weighted(found.pixels.swapaxes(0, 1), found.shares).sum(axis=1)
        values[regions.lengths == 0] = np.nan
        of_steps, of_references = found.variances or (np.square(errors), np.zeros_like(errors))
        self.estimates.values[rows] = values
        self.estimates.design_variance[rows], self.estimates.background_variance[rows] = of_steps, of_references
        self.estimates.design_dof[rows] = found.design_dof
        self.is_complete[rows], self.base_value[rows] = found.is_complete, found.base_value
        self.n_steps += found.n_steps
        self.parts.append(regions)


Ranked = tuple[PartRows, dict[int, str]]
"""Regions of rows, and row -> why it has none."""


def _ranked(
    cut: Future[tuple[list[Segments | None], dict[int, str]]],
    found: PixelRows,
    prediction: FloatArray,
    kept: npt.NDArray[np.bool_] | None,
) -> Ranked:
    """Regions of rows whose segments the same thread was asked for before."""
    segments, reasons = cut.result()
    return region_rows(segments, found.pixels, prediction, kept, found.shares), reasons
