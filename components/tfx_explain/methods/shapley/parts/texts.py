"""Texts in parts: their spans."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tfx_explain.config.parts import SpansConfig
from tfx_explain.errors import ConfigError, InputError
from tfx_explain.methods.context import FirstRows
from tfx_explain.methods.shapley.parts.rows import Asked
from tfx_explain.methods.shapley.parts.seen import Sight
from tfx_explain.models import Model
from tfx_explain.models.features import Column
from tfx_explain.part_records import PartsOf
from tfx_explain.regions.alignment import NO_WORDS, Aligner
from tfx_explain.regions.spans import Splitter
from tfx_explain.regions.texts import SpanTexts
from tfx_explain.regions.tokens import token_spans
from tfx_explain.rows import column_or_nulls, has_type, list_lengths

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

TEXT_PARTS = PartsOf("spans", ("start", "stop", "seen"))


@dataclass(frozen=True, eq=False)
class TextValues:
    """A text with some of its spans absent."""

    texts: SpanTexts

    @property
    def n_parts(self) -> int:
        """Spans."""
        return len(self.texts.has_space)

    @property
    def size(self) -> int:
        """Bytes of the text, roughly."""
        return self.texts.size

    @property
    def sizes(self) -> npt.NDArray[np.float64]:
        """(k,) ones."""
        return np.ones(self.n_parts)

    def column(self, coalitions: BoolArray, background: IntArray | None = None) -> Column:
        """(n,) texts of coalitions (n, k), whatever the background."""
        return self.texts.texts(coalitions)


@dataclass(frozen=True, eq=False)
class TextRows:
    """n rows with a text each.

    Attributes:
      texts: n of them.
      spans: (k, 2) of each.
      absent: what a text is where all its spans are absent.
      probe: other words to put in the place of the end of a text.
    """

    texts: Sequence[bytes]
    spans: Sequence[IntArray]
    absent: bytes
    probe: bytes
    has_rest: bool = False

    @property
    def lengths(self) -> IntArray:
        """(n,) number of spans."""
        return np.array([len(spans) for spans in self.spans], np.int64)

    def seen(self, asked: Asked | None) -> tuple[IntArray, int]:
        """(n,) how many spans of each text the model sees, and the model rows that it took to find that."""
        if asked is None:
            return np.zeros_like(self.lengths), 0
        seen, several = self.lengths, np.array(list(asked.contexts), np.int64)
        sight = Sight(asked.calls, asked.outputs, asked.floor, self.probe)
        texts, spans = [self.texts[row] for row in asked.contexts], [self.spans[row] for row in asked.contexts]
        seen[several], n_model_rows = sight.n_seen(several, texts, spans, list(asked.contexts.values()))
        return seen, n_model_rows

    def where(self, seen: IntArray) -> IntArray:
        """(N, 3) bytes where spans start and stop, and whether the model sees them."""
        lengths = self.lengths
        places = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        spans = np.concatenate([np.zeros((0, 2), np.int64), *self.spans])
        return np.column_stack([spans, places < np.repeat(seen, lengths)])

    def values(self, row: int, n_parts: int, own: Column) -> TextValues:
        """What the first spans of a text can make."""
        return TextValues(SpanTexts.of(self.texts[row], self.spans[row][:n_parts], self.absent))


def text_rows(
    rows: pa.RecordBatch,
    feature: str,
    settings: SpansConfig,
    probe: bytes = b"",
    aligner: Aligner | None = None,
    *,
    are_all: bool = False,
) -> tuple[TextRows, dict[int, str]]:
    """The text of each row in spans, and row -> why it cannot be cut, where its spans are none.

    An empty text has no spans where absent means empty, as nothing comes of its absence; else, and where a row has no
    text, one that holds nothing.

    Args:
      rows: n of them.
      feature: the text.
      settings: how it is cut.
      probe: other words to put in the place of the end of a text.
      aligner: of the model, where spans are its own tokens; None where it tells no two words apart.
      are_all: whether there are as many spans as the text has, and not `max_parts` at most.
    """
    column = column_or_nulls(rows, feature)
    counts = list_lengths(column)
    reasons = {row: f"the text `{feature}` has {counts[row]} values" for row in np.flatnonzero(counts > 1).tolist()}
    cells = column.to_pylist()
    found = [np.zeros((0 if values == [settings.absent_text] else 1, 2), np.int64) for values in cells]
    asked = {row: values[0] for row, values in enumerate(cells) if values and values[0] and row not in reasons}
    settings = settings.model_copy(update={"max_parts": sys.maxsize}) if are_all else settings
    for row, spans in zip(asked, _cut(list(asked.values()), feature, settings, aligner, are_all), strict=True):
        if isinstance(spans, str):
            reasons[row] = spans
        else:
            found[row] = spans
    return TextRows([values[0] if values else b"" for values in cells], found, settings.absent_text, probe), reasons


def _cut(
    texts: Sequence[bytes], feature: str, settings: SpansConfig, aligner: Aligner | None, are_all: bool
) -> list[IntArray | str]:
    """Per text, its spans, or why there are none."""
    if settings.unit == "token":
        if aligner is None:
            return [f"the model {NO_WORDS}, so the tokens of the text `{feature}` are not known"] * len(texts)
        made = token_spans(aligner, texts, settings.max_parts)
        why = f"so its own tokens of the text `{feature}` cannot be told apart; use `unit: word`"
        return [f"the model {spans}, {why}" if isinstance(spans, str) else spans for spans in made]
    splitter, found = Splitter(settings.unit, settings.pattern, settings.max_parts), list[IntArray | str]()
    for text in texts:
        try:
            found.append(splitter.spans(text) if are_all else splitter.split(text))
        except InputError as error:
            found.append(str(error).rstrip("."))
    return found


def check_text(feature: str, rows: FirstRows, models: Sequence[Model]) -> None:
    """Refuses to look for spans in what is no text.

    Raises:
      ConfigError: names the feature, and what to do.
    """
    for model in models:
        for spec in model.features:
            if spec.name == feature and (spec.dtype != "string" or spec.size != 1):
                raise ConfigError(
                    f"`parts` looks inside `{feature}`, which {model.what} reads as "
                    f"{spec.size} {spec.dtype} values and not as one text; set `windows` if it is a series, or take it "
                    "out of `parts`."
                )
    for split, of_split in rows.splits.items():
        _check_rows(of_split, feature, split)


def _check_rows(rows: pa.RecordBatch, feature: str, split: str) -> None:
    column = column_or_nulls(rows, feature)
    if has_type(rows, feature) and not pa.types.is_large_binary(column.type.value_type):
        raise ConfigError(
            f"`parts` looks inside `{feature}`, which is no text in split `{split}`; take it out of `parts`."
        )
    counts = list_lengths(column)
    # A row among others that has several is that row's fault, and is set aside as it is anywhere else.
    if counts.any() and counts[counts > 0].min() > 1:
        raise ConfigError(
            f"`parts` looks inside `{feature}`, which has {counts.max()} values in a row of split "
            f"`{split}`, and nowhere a single one; a text is one value."
        )
