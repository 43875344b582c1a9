"""The parts of one feature, each absent alone, by one model, of the rows of a batch."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from tfx_explain.config.occlusion import OccludedImageConfig
from tfx_explain.config.parts import BACKGROUND, RegionsConfig, SomeParts
from tfx_explain.methods.occlusion.games import EachPart, OcclusionGame, Windows
from tfx_explain.methods.shapley.parts.contexts import Contexts
from tfx_explain.methods.shapley.parts.feature import NOT_FINITE, PartBatch
from tfx_explain.methods.shapley.parts.model_feature import ModelFeature
from tfx_explain.methods.shapley.parts.pictures import PictureValues
from tfx_explain.methods.shapley.parts.rows import Asked
from tfx_explain.methods.shapley.parts.values import PartValues
from tfx_explain.part_records import PartRows

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

_NO_IMAGE = (
    "this row has no image `{}`, so nothing of it can be absent for which images of the background would stand in"
)


@dataclasses.dataclass(frozen=True)
class Occluded:
    """What the outputs of n rows have more than without parts of a feature.

    Attributes:
      parts: each alone.
      values: (n, c) all together.
      std_errors: (n, c) of these.
      reasons: row -> what is wrong with it.
      n_model_rows: what it took.
    """

    parts: PartRows
    values: FloatArray
    std_errors: FloatArray
    reasons: dict[int, str]
    n_model_rows: int

    @classmethod
    def nothing(cls, n_outputs: int) -> Occluded:
        """Of no rows with images."""
        none = np.zeros((0, n_outputs))
        no_parts = PartRows(np.zeros(0, np.int64), np.zeros((0, 1), np.int64), none, none, np.zeros(0, object))
        return cls(no_parts, none, none, {}, 0)

    @classmethod
    def joined(cls, found: Sequence[Occluded]) -> Occluded:
        """Rows one after the other, of one or more; reasons name rows of all."""
        reasons: dict[int, str] = {}
        for one in found:
            reasons |= one.reasons
        return cls(
            PartRows.joined([one.parts for one in found]),
            np.concatenate([one.values for one in found]),
            np.concatenate([one.std_errors for one in found]),
            reasons,
            sum(one.n_model_rows for one in found),
        )

    def without_effect(self) -> Occluded:
        """Of a model that does not read the feature: the same parts, whose absence changes nothing."""
        none = np.zeros_like(self.parts.attributions)
        parts = dataclasses.replace(self.parts, attributions=none, std_errors=none)
        return Occluded(parts, np.zeros_like(self.values), np.zeros_like(self.std_errors), {}, 0)


class OccludedFeature:
    """A feature that is looked into.

    Args:
      of_model: the feature, as the model reads it.
      settings: what is hidden, and what absent means.
      seed: of the job.
    """

    def __init__(self, of_model: ModelFeature, settings: SomeParts, seed: int) -> None:
        self.of_model, self.settings, self._seed = of_model, settings, seed

    def explain(self, of: PartBatch) -> Occluded:
        """Of n rows; whatever is not read has no effect."""
        lengths = of.parts.lengths
        firsts = np.cumsum(lengths) - lengths
        several = np.flatnonzero(lengths > 1).tolist()
        contexts = dict.fromkeys(several, Contexts.all_present(1, len(self.of_model.others)))
        asked = Asked(of.calls, of.asked, of.floor, contexts) if self.of_model.is_read else None
        seen, n_model_rows = of.parts.seen(asked)
        values, errors = (np.zeros((lengths.sum(), of.asked.shape[1])) for _ in range(2))
        whole, whole_errors = np.zeros(of.asked.shape), np.zeros(of.asked.shape)
        prediction = np.take_along_axis(of.side.prediction, of.asked, axis=1)
        games = self._games(of, seen) if self.of_model.is_read else iter(())
        reasons = self._without_image(of)
        for game, answers in of.calls.answers(games, of.asked):
            row, n_model_rows = game.row, n_model_rows + game.n_model_rows
            if not np.isfinite(answers).all():
                reasons[row] = NOT_FINITE.format(self.of_model.feature)
                continue
            here = slice(firsts[row], firsts[row] + seen[row])
            of_parts, of_whole = game.effects(answers, prediction[row], of.floor[row])
            values[here], errors[here] = _over_contexts(of_parts)
            whole[row], whole_errors[row] = _over_contexts(of_whole)
        parts = PartRows(lengths, of.parts.where(seen), values, errors)
        return Occluded(parts, whole, whole_errors, reasons, n_model_rows)

    def _without_image(self, of: PartBatch) -> dict[int, str]:
        """Row -> that it has no image, where one of the background stood in for it; elsewhere nothing is absent."""
        if not self.of_model.is_read or n_references(self.settings, len(of.background.weights)) == 1:
            return {}
        reason = _NO_IMAGE.format(self.of_model.feature)
        return dict.fromkeys(np.flatnonzero(of.parts.lengths == 0).tolist(), reason)

    def _games(self, of: PartBatch, seen: IntArray) -> Iterator[OcclusionGame]:
        """The game of each row with any parts."""
        own = of.calls.rows.columns[self.of_model.feature]
        lengths = of.parts.lengths.tolist()
        for row in np.flatnonzero(seen).tolist():
            # All of them: where one is deleted, what the model did not see behind it may come into sight.
            values = of.parts.values(row, lengths[row], own)
            # Images are fed as pixels, or written anew, but predicted as they are.
            is_image = isinstance(self.settings, RegionsConfig)
            yield OcclusionGame(row, values, self._contexts(of, row), self._windows(values, int(seen[row])), is_image)

    def _contexts(self, of: PartBatch, row: int) -> Contexts:
        """The row's own other features, with each image of the background that stands in."""
        n_others = len(self.of_model.others)
        n = n_references(self.settings, len(of.background.weights))
        if n == 1:
            return Contexts.all_present(1, n_others)
        weights, row_hash = of.background.weights, int(of.batch.hashes[row])
        drawn = Contexts.draw(self._seed, row_hash, 0, weights, n, is_needed=True)
        return Contexts(np.ones((n, n_others), np.bool_), drawn.background)

    def _windows(self, values: PartValues, n_seen: int) -> Windows:
        patches = self.settings.patches if isinstance(self.settings, RegionsConfig) else None
        if patches is None or not isinstance(values, PictureValues):
            return EachPart(values.n_parts, n_seen)
        height, width = values.labels.shape
        return patches.grid(height, width)


def n_references(settings: SomeParts, n_background: int) -> int:
    """How many rows of the background stand in for each row; 1 where what is absent is no matter of chance."""
    if settings.absent != BACKGROUND or not isinstance(settings, OccludedImageConfig):
        return 1
    return min(settings.num_references, n_background)


def _over_contexts(effects: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Means over contexts, of (C, ...), and their standard errors: 0 where there is a single one, without chance."""
    n = len(effects)
    return effects.mean(axis=0), effects.std(axis=0, ddof=1) / np.sqrt(n) if n > 1 else np.zeros(effects.shape[1:])
