"""Texts of more spans than there may be parts, from the top down: sentences first, then what is inside the heaviest.

Where they are cut follows from what the first model that reads them gives; other models are asked about the same parts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from tfx_explain.config.parts import TextPartsConfig
from tfx_explain.methods.attribution_rows import AttributionRows
from tfx_explain.methods.shapley.parts.budgets import RowBudget
from tfx_explain.methods.shapley.parts.feature import NOT_FINITE, FeatureParts, PartBatch
from tfx_explain.methods.shapley.parts.games import PartsGame
from tfx_explain.methods.shapley.parts.opening import OpenText
from tfx_explain.methods.shapley.parts.rows import Asked
from tfx_explain.methods.shapley.parts.texts import TextRows, TextValues
from tfx_explain.methods.shapley.parts.unions import Union
from tfx_explain.part_records import PartRows
from tfx_explain.regions.outlines import Outline
from tfx_explain.regions.spans import most_parts, together
from tfx_explain.regions.texts import SpanTexts

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

_Found = tuple[int, PartRows, dict[int, str], int]


@dataclass(frozen=True, eq=False)
class _Side:
    """Rows of which some have long texts, as one model sees them.

    Attributes:
      model: what the parts add by it.
      of: the rows.
      rows: attributions of their features.
      asked: what those with long texts ask the model for.
    """

    model: FeatureParts
    of: PartBatch
    rows: AttributionRows
    asked: Asked

    def figures(self, row: int) -> tuple[FloatArray, FloatArray, FloatArray]:
        """(c,) attributions of the text, their standard errors, and their rounding."""
        place = self.model.of_model.place
        return self.rows.attributions[row, place], self.rows.std_error[row, place], self.of.floor[row]

    def open(self, texts: Mapping[int, OpenText], cut: TextRows) -> tuple[dict[int, str], int]:
        """Opens texts as far as they go; row -> what is wrong with it, and the model rows that were asked about."""
        reasons: dict[int, str] = {}
        n_model_rows = 0
        while waiting := [(row, union) for row, text in texts.items() if row not in reasons for union in text.next()]:
            games = (self._game(row, texts[row], union, cut) for row, union in waiting)
            for (row, union), (game, answers) in zip(waiting, self.of.calls.answers(games, self.of.asked), strict=True):
                n_model_rows += game.n_model_rows
                if not np.isfinite(answers).all():
                    reasons[row] = NOT_FINITE.format(self.model.of_model.feature)
                elif row not in reasons:
                    found = game.attributions(answers, *texts[row].of_part(union))
                    texts[row].put(union, *found, game.n_model_rows)
        return reasons, n_model_rows

    def _game(self, row: int, text: OpenText, union: Union, cut: TextRows) -> PartsGame:
        bounds, _ = union.pieces()
        values = TextValues(SpanTexts.of(cut.texts[row], text.outline.between(bounds), cut.absent))
        contexts, around, n_players = self.asked.contexts[row], None, len(union.bounds) - 1
        row_hash, weights = int(self.of.batch.hashes[row]), self.of.background.weights
        budget = text.budget.outer(n_players)
        if union.above is not None:
            n, n_others = text.budget.n_inner, len(self.model.of_model.others)
            contexts, around = union.around(self.model.seed, row_hash, n_others, weights, n)
            budget = text.budget.inner(n_players)
        design = self.model.designs.design(n_players, len(contexts), row_hash, budget)
        return PartsGame(row, values, contexts, design, around=around)


class LongTexts:
    """The insides of a text by all models, where some rows have more spans than there may be parts.

    Args:
      models: what the parts of the text add, by each of them.
      settings: how texts are cut.
    """

    def __init__(self, models: Sequence[FeatureParts], settings: TextPartsConfig) -> None:
        self._models, self._settings = models, settings

    def explain(self, cut: TextRows, of: Sequence[PartBatch], rows: Sequence[AttributionRows]) -> Iterator[_Found]:
        """Of each model its place, the parts of n rows, what is wrong with some, and the model rows asked about.

        Args:
          cut: the rows, in all spans that there are.
          of: the same as each model sees them.
          rows: by each model, attributions of the features of the same rows.
        """
        lengths = [(row, n, most_parts(len(cut.texts[row]))) for row, n in enumerate(cut.lengths.tolist())]
        long = {row: min(most, self._settings.max_parts) for row, n, most in lengths}
        long = {row: most for row, most in long.items() if cut.lengths[row] > most}
        spans = [together(of_row, long.get(row, len(of_row))) for row, of_row in enumerate(cut.spans)]
        first: dict[int, OpenText] = {}
        # Of a model that does not read the text nothing can be learned of where to cut it.
        for index in sorted(range(len(of)), key=lambda place: not self._models[place].of_model.is_read):
            model, texts, reasons, n_model_rows = self._models[index], dict[int, OpenText](), dict[int, str](), 0
            if long and model.of_model.is_read:
                side = _Side(model, of[index], rows[index], model.asked(of[index], list(long)))
                texts, n_model_rows = self._texts(side, cut, spans, first)
                reasons, n = side.open(texts, cut)
                first, n_model_rows = first or texts, n_model_rows + n
            for row, text in first.items():
                spans[row] = text.outline.between(text.bounds)
            given = {row: text.given for row, text in texts.items()}
            cut_alike = replace(of[index], parts=replace(cut, spans=spans))
            parts, errors, n = model.explain(cut_alike, rows[index], given)
            yield index, parts, {**errors, **reasons}, n + n_model_rows

    def _texts(
        self, side: _Side, cut: TextRows, spans: Sequence[IntArray], first: Mapping[int, OpenText]
    ) -> tuple[dict[int, OpenText], int]:
        """The long texts as one model sees them, cut as for the first one if it is another; and model rows asked about.

        Args:
          side: of the model.
          cut: the rows, in all spans.
          spans: that the first model has made of them.
          first: texts as the first model sees them; none where it is this one.
        """
        seen, n_model_rows = replace(cut, spans=spans if first else cut.spans).seen(side.asked)
        texts = {}
        for row, contexts in side.asked.contexts.items():
            n_seen, n_spans = int(seen[row]), len(cut.spans[row])
            if first:
                outline, cuts, n_seen = first[row].outline, first[row].cuts, int(first[row].bounds[n_seen])
            else:
                outline = Outline.of(cut.texts[row], cut.spans[row], self._settings.unit)
            # What is not seen is one more part.
            n_parts, n_bytes = n_seen + (n_seen < n_spans), int(outline.spans[n_seen - 1, 1])
            budget = RowBudget.of(self._settings, n_parts, n_bytes, len(contexts))
            if not first:
                bounds = np.arange(n_seen + 1) if budget.is_flat else outline.first(n_seen, budget.most_outer)
                cuts = [[bounds if n_seen == n_spans else np.append(bounds, n_spans)]]
            texts[row] = OpenText(outline, n_seen, cuts, side.figures(row), budget, chooses=not first)
        return texts, n_model_rows
