"""Texts and series of rows cut into parts; no model has a part in that but for its own tokens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

from tfx_explain.config.parts import SomeParts, SpansConfig, TextPartsConfig, WindowsConfig
from tfx_explain.methods.absent import Absent
from tfx_explain.methods.batch import Batch
from tfx_explain.methods.series import SeriesForm
from tfx_explain.methods.shapley.background import ShapleyBackground
from tfx_explain.methods.shapley.parts.series import SeriesRows, series_rows
from tfx_explain.methods.shapley.parts.texts import TextRows, text_rows
from tfx_explain.methods.shapley.parts.tokens import aligners_of
from tfx_explain.models import Model
from tfx_explain.regions.alignment import Aligner


class Cutting:
    """Cuts texts and series; what finds tokens is made once.

    Args:
      models: what is explained first, and the baseline model if there is one.
      settings: features that are looked into -> how.
    """

    def __init__(self, models: Sequence[Model], settings: Mapping[str, SomeParts]) -> None:
        self._first, self._settings = models[0], settings
        self._aligners: dict[str, Aligner] | None = None
        self._forms = {
            feature: SeriesForm.of(feature, of, models)
            for feature, of in settings.items()
            if isinstance(of, WindowsConfig)
        }

    def cut(
        self, batch: Batch, feature: str, background: ShapleyBackground, absent: Absent
    ) -> tuple[TextRows | SeriesRows, dict[int, str]]:
        """A text or series of n rows in parts, and row -> why it cannot be cut."""
        settings = self._settings[feature]
        if isinstance(settings, SpansConfig):
            if self._aligners is None:
                self._aligners = aligners_of(self._first, self._settings, background.markers, background)
            probe, aligner = background.probes[feature], self._aligners.get(feature)
            are_all = isinstance(settings, TextPartsConfig) and settings.opens
            return text_rows(batch.rows, feature, settings, probe, aligner, are_all=are_all)
        return series_rows(batch.rows, feature, cast(WindowsConfig, settings), self._forms[feature], absent[feature])
