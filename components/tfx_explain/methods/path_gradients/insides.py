"""The insides of features that paths are cut inside of, by all models; and what stands in the way of that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tfx_explain.config.parts import SlotParts, SpansConfig, WindowsConfig
from tfx_explain.errors import ModelError
from tfx_explain.methods.attribution_rows import AttributionRows
from tfx_explain.methods.path_gradients.references import References
from tfx_explain.methods.path_gradients.slot_rows import SlotRows, series_slots, text_slots
from tfx_explain.methods.series import SeriesForm
from tfx_explain.models import Model
from tfx_explain.models.path_gradients import Paths, Points
from tfx_explain.part_records import PartRows
from tfx_explain.regions.alignment import Aligner, find_markers
from tfx_explain.rows import column_or_nulls

FloatArray = npt.NDArray[np.float64]

_MARKER_TEXTS = 256
# Rows that are tried before a job; fewer, or shorter ones, may be odd by chance.
_TRIED = 32
_ENOUGH_ROWS = 4
_ENOUGH_WORDS = 3


class PathInsides:
    """Looks into features of rows along the paths of one model.

    Args:
      paths: of the model, cut inside of these features.
      parts: features that are looked into -> how.
      players: names of all players.
      forms: series -> how it lies in rows.
      references: that paths start from.
      index: which of the models it is.
    """

    def __init__(
        self,
        paths: Paths,
        parts: Mapping[str, SlotParts],
        players: Sequence[str],
        forms: Mapping[str, SeriesForm],
        references: References,
        index: int,
    ) -> None:
        self._paths, self._parts, self._forms, self._absent = paths, parts, forms, references.absent
        self.places = {feature: list(players).index(feature) for feature in parts}
        firsts = np.cumsum([0, *(slots.n_slots for slots in paths.slots.values())]).tolist()
        self.slices = {
            player: slice(first, first + slots.n_slots)
            for first, (player, slots) in zip(firsts, paths.slots.items(), strict=False)
        }
        self._aligners: dict[str, Aligner] = {}
        for feature, pair in references.markers[index].items():
            settings = parts[feature]
            if self.places[feature] in paths.slots and isinstance(settings, SpansConfig):
                read = paths.tokens(self.places[feature])
                self._aligners[feature] = Aligner(read, pair, settings.absent_text)

    @property
    def n_slots(self) -> int:
        """Of all features."""
        return sum(slots.n_slots for slots in self._paths.slots.values())

    def cut(self, rows: pa.RecordBatch, ends: Points) -> dict[str, SlotRows]:
        """Feature -> its parts and their slots.

        Args:
          rows: n of them.
          ends: the same at the cut.
        """
        found = {}
        for feature, settings in self._parts.items():
            player = self.places[feature]
            slots = self._paths.slots.get(player)
            if isinstance(settings, SpansConfig):
                n_slots = slots.n_slots if slots else 0
                found[feature] = text_slots(rows, feature, settings, self._aligners.get(feature), n_slots)
            else:
                at_cut = ends.moving[:, self._paths.columns(player)] if slots else None
                form, absent = self._forms[feature], self._absent[feature]
                found[feature] = series_slots(rows, feature, settings, form, absent, at_cut)
        return found

    def parts(self, cut: Mapping[str, SlotRows], values: FloatArray, errors: FloatArray) -> dict[str, PartRows]:
        """Feature -> the attributions of its parts.

        Args:
          cut: of n rows.
          values: (n, n_slots, c) what each slot adds.
          errors: (n, n_slots, c) standard errors.
        """
        made = {}
        for feature, of_rows in cut.items():
            own = self.slices.get(self.places[feature], slice(0, 0))
            made[feature] = of_rows.parts(values[:, own], errors[:, own])
        return made


def markers_of(
    paths: Paths, parts: Mapping[str, SlotParts], players: Sequence[str], rows: pa.RecordBatch
) -> dict[str, tuple[bytes, bytes]]:
    """Text that is looked into -> two words of some rows that the model tells apart; not where there are none.

    Raises:
      ModelError: in no row can it be told which tokens are of which word.
    """
    found = {}
    for feature, settings in parts.items():
        player = list(players).index(feature)
        if isinstance(settings, SpansConfig) and player in paths.slots:
            column = column_or_nulls(rows.slice(0, _MARKER_TEXTS), feature)
            texts = [values[0] for values in column.to_pylist() if values]
            pair = find_markers(paths.tokens(player), texts)
            if pair is not None:
                found[feature] = pair
                aligner = Aligner(paths.tokens(player), pair, settings.absent_text)
                tried = rows.slice(0, _TRIED)
                _check_words(text_slots(tried, feature, settings, aligner, paths.slots[player].n_slots))
    return found


def _check_words(tried: SlotRows) -> None:
    """Refuses a model whose tokens are of no single word in all rows of enough words, where there are enough rows."""
    several = np.flatnonzero(tried.lengths >= _ENOUGH_WORDS).tolist()
    if len(several) >= _ENOUGH_ROWS and set(several) <= set(tried.reasons):
        raise ModelError(
            f"In each of the first {len(several)} rows of {_ENOUGH_WORDS} words or more, {tried.reasons[several[0]]}."
        )


def forms_of(parts: Mapping[str, SlotParts], models: Sequence[Model]) -> dict[str, SeriesForm]:
    """Series -> how it lies in rows, as the models say."""
    series = {feature: settings for feature, settings in parts.items() if isinstance(settings, WindowsConfig)}
    return {feature: SeriesForm.of(feature, settings, models) for feature, settings in series.items()}


def balanced(parts: Mapping[str, PartRows], rows: AttributionRows, places: Mapping[str, int]) -> dict[str, PartRows]:
    """The parts with what rounding left of their features' attributions: spread over them by their sizes.

    Args:
      parts: feature -> its parts.
      rows: n of them.
      places: feature -> which player it is.
    """
    return {
        feature: of_feature.adding_up_to(rows.attributions[:, places[feature]]) for feature, of_feature in parts.items()
    }
