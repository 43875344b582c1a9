"""The inside of one feature, by one model, of the rows of a batch."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from tfx_explain.config import ExplainConfig
from tfx_explain.config.parts import BACKGROUND, AnyPartsConfig
from tfx_explain.methods.attribution_rows import AttributionRows
from tfx_explain.methods.background import SideBackground
from tfx_explain.methods.batch import Batch, BatchSide
from tfx_explain.methods.rounding import rounding_floor
from tfx_explain.methods.shapley.parts.calls import PartCalls
from tfx_explain.methods.shapley.parts.contexts import Contexts
from tfx_explain.methods.shapley.parts.designs import PartDesigns
from tfx_explain.methods.shapley.parts.games import PartsGame
from tfx_explain.methods.shapley.parts.model_feature import ModelFeature
from tfx_explain.methods.shapley.parts.rows import Asked, RowParts
from tfx_explain.models import Model
from tfx_explain.part_records import PartRows

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

NOT_FINITE = "the model's output is NaN or infinite where some parts of `{}` are absent from this row"


@dataclasses.dataclass(frozen=True, eq=False)
class PartBatch:
    """n rows with a feature in parts, as one model sees them.

    Attributes:
      batch: the rows.
      side: what the model is fed for them.
      background: as the model sees it.
      parts: of the rows.
      calls: of the model, which is fed these rows.
    """

    batch: Batch
    side: BatchSide
    background: SideBackground
    parts: RowParts
    calls: PartCalls

    @property
    def asked(self) -> IntArray:
        """(n, c) the outputs of the model that each row asks for."""
        return self.background.outputs[np.maximum(self.batch.chosen, 0)]

    @functools.cached_property
    def floor(self) -> FloatArray:
        """(n, c) rounding of these outputs."""
        background = self.background
        floor = rounding_floor(background.asked(self.side.prediction), background.asked(background.predictions))
        return np.take_along_axis(floor, np.maximum(self.batch.chosen, 0), axis=1)


@dataclasses.dataclass(frozen=True, eq=False)
class Given:
    """What is known of a row before.

    Attributes:
      n_seen: how many of its parts, from the first on, count.
      attributions: (n_seen, c) of these.
      std_errors: (n_seen, c).
    """

    n_seen: int
    attributions: FloatArray
    std_errors: FloatArray


class FeatureParts:
    """What the parts of a feature add to a model's output.

    Args:
      model: that is explained.
      feature: a player of its own.
      players: name -> features, of all players.
      config: says how many model rows this may take.
    """

    def __init__(self, model: Model, feature: str, players: Mapping[str, Sequence[str]], config: ExplainConfig) -> None:
        self.of_model = ModelFeature.of(model, feature, players)
        self.settings: AnyPartsConfig = config.shapley.parts[feature]
        self.seed = config.seed
        self.designs = PartDesigns(self.settings, config.seed)

    def explain(
        self, of: PartBatch, rows: AttributionRows, given: Mapping[int, Given] | None = None
    ) -> tuple[PartRows, dict[int, str], int]:
        """The parts of n rows, row -> what is wrong with it, and the model rows that were asked about.

        Args:
          of: the rows.
          rows: attributions of the features of the same rows.
          given: rows that the model need not be asked about.
        """
        given = given or {}
        rest = int(of.parts.has_rest)
        lengths = of.parts.lengths + rest
        firsts = np.cumsum(lengths) - lengths
        place, is_read = self.of_model.place, self.of_model.is_read
        several = np.setdiff1d(np.flatnonzero(lengths > 1), list(given))
        asked = self.asked(of, several.tolist()) if is_read else None
        seen, n_model_rows = of.parts.seen(asked)
        for row, known in given.items():
            seen[row] = known.n_seen
        feature, feature_error = rows.attributions[:, place], rows.std_error[:, place]
        # A single part is the feature; and a model that does not read it sees no difference between its parts.
        values, errors = shared_evenly((feature, feature_error), lengths, seen + rest, at_most=1 if is_read else None)
        for row, known in given.items():
            here = slice(firsts[row], firsts[row] + known.n_seen)
            values[here], errors[here] = known.attributions, known.std_errors
        reasons: dict[int, str] = {}
        for game, answers in [] if asked is None else of.calls.answers(self._games(of, asked, seen), of.asked):
            n_model_rows += game.n_model_rows
            if not np.isfinite(answers).all():
                reasons[game.row] = NOT_FINITE.format(self.of_model.feature)
                continue
            here = slice(firsts[game.row], firsts[game.row] + seen[game.row] + rest)
            of_row = feature[game.row], feature_error[game.row], of.floor[game.row]
            values[here], errors[here] = game.attributions(answers, *of_row)
        return PartRows(lengths, of.parts.where(seen), values, errors), reasons, n_model_rows

    def asked(self, of: PartBatch, rows: Sequence[int]) -> Asked:
        """What some rows of several parts ask the model for."""
        return Asked(of.calls, of.asked, of.floor, {row: self._contexts(of, row) for row in rows})

    def _contexts(self, of: PartBatch, row: int) -> Contexts:
        row_hash, weights = int(of.batch.hashes[row]), of.background.weights
        n, is_needed = self.settings.num_contexts, self.settings.absent == BACKGROUND
        return Contexts.draw(self.seed, row_hash, len(self.of_model.others), weights, n, is_needed=is_needed)

    def _games(self, of: PartBatch, asked: Asked, seen: IntArray) -> Iterator[PartsGame]:
        """The game of each row with several parts."""
        has_rest, own = of.parts.has_rest, asked.calls.rows.columns[self.of_model.feature]
        for row, contexts in asked.contexts.items():
            n_parts = int(seen[row])
            if n_parts and n_parts + has_rest > 1:
                design = self.designs.design(n_parts, len(contexts), int(of.batch.hashes[row]))
                yield PartsGame(row, of.parts.values(row, n_parts, own), contexts, design, has_rest)


def shared_evenly(
    totals: tuple[FloatArray, FloatArray], lengths: IntArray, n_given: IntArray, at_most: int | None
) -> tuple[FloatArray, FloatArray]:
    """Two totals (n, K) of rows, each shared out alike among the first parts (n,) of a row; all others get 0.

    Args:
      totals: attributions and errors.
      lengths: (n,) how many parts rows have.
      n_given: (n,) how many of them share.
      at_most: only rows of so many, if not None.
    """
    rows = np.repeat(np.arange(len(lengths)), lengths)
    places = np.arange(len(rows)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    given = places < n_given[rows]
    if at_most is not None:
        given &= n_given[rows] <= at_most
    n_sharing = np.maximum(n_given[rows], 1)[:, None]
    values, errors = (np.where(given[:, None], total[rows] / n_sharing, 0.0) for total in totals)
    return values, errors
