"""How much of a text a model sees: what lies behind the place where it cuts texts off is no player."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tfx_explain.methods.shapley.parts.calls import PartCalls
from tfx_explain.methods.shapley.parts.contexts import Contexts
from tfx_explain.models.call_bytes import MAX_CALL_BYTES
from tfx_explain.rows import column_or_nulls

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

_BEGINNINGS = 2
_UNITS = 4.0
_PROBE_TEXTS = 16
_PROBE_BYTES = 200
# ASCII without letters and digits: what stands between words, of most scripts.
_NO_LETTERS = re.compile(rb"[\x00-/:-@\[-`{-\x7f]+")


def probe_of(rows: pa.RecordBatch, feature: str) -> bytes:
    """Other words than a text has, to put in the place of its end: the beginnings of some texts."""
    texts = [values[0][:_PROBE_BYTES] for values in column_or_nulls(rows, feature).to_pylist() if values and values[0]]
    return b" ".join(texts[:_PROBE_TEXTS])


class Trial(NamedTuple):
    """Texts that tell whether the end of one is seen.

    Attributes:
      texts: t of them, the text itself first.
      against: (t,) which of them each must give the same outputs as.
    """

    texts: list[bytes]
    against: list[int]

    def with_texts(self, texts: Sequence[bytes]) -> Trial:
        """With others, which must give the same outputs as the first of them."""
        return Trial([*self.texts, *texts], [*self.against, *[len(self.texts)] * len(texts)])


def without_end(text: bytes, spans: IntArray, n_kept: int, probe: bytes) -> Trial:
    """The text, its end deleted, and other words in the place of its end.

    Args:
      text: of k spans.
      spans: (k, 2) of them.
      n_kept: all but so many are its end.
      probe: other words.
    """
    start = text[: spans[n_kept, 0]]
    return Trial([], []).with_texts([text, start, start + probe])


def without_parts_of_end(text: bytes, spans: IntArray, n_kept: int, probe: bytes) -> Trial:
    """The same, with parts of the end deleted, so that words that cancel are seen, and with three other beginnings.

    These have as many words, so that words are seen that also stand before, and that a model takes once: two of a
    single word, and the text's own without the words of the end, as the model may take them only beside the others.
    Long words stand in, as a model that cuts texts off would look at the end with shorter ones before it.
    """
    trial = without_end(text, spans, n_kept, probe)
    words = np.array([text[start:stop] for start, stop in spans.tolist()], object)
    end = words[n_kept:]
    # Any two words differ in a digit of their numbers: one of them is deleted where that is 1.
    digits = np.arange(len(end)) >> np.arange((len(end) - 1).bit_length())[:, None] & 1
    parts = [b"".join([*words[:n_kept], *end[of_digit == 0]]) for of_digit in digits]
    trial = Trial([*trial.texts, *parts], [*trial.against, *[0] * len(parts)])
    longest = 4 * len(text) / len(words)
    # Without a space after each, as behind the last word or a hyphen, they would be one to the model.
    space = b" " if any(word[-1:].isspace() for word in words[:-1]) else b""
    spaced = {word if word[-1:].isspace() else word + space for word in words.tolist()}
    candidates = sorted((word for word in spaced if len(word) <= longest), key=lambda word: (-len(word), word))
    beginnings = [word * n_kept for word in candidates[:_BEGINNINGS]]
    beginnings += _without_words_of_end(words, n_kept, candidates)
    for start in beginnings:
        trial = trial.with_texts([start + b"".join(end), start, start + probe])
    return trial


def _without_words_of_end(words: npt.NDArray[np.object_], n_kept: int, candidates: Sequence[bytes]) -> list[bytes]:
    """The beginning with another word in the place of those that stand in the end, too; none where there are none."""
    bare = np.array([_NO_LETTERS.sub(b"", word).lower() for word in words.tolist()], object)
    of_end = set(bare[n_kept:].tolist())
    other = next((word for word in candidates if _NO_LETTERS.sub(b"", word).lower() not in of_end), None)
    again = [word in of_end for word in bare[:n_kept].tolist()]
    if other is None or not any(again):
        return []
    return [b"".join(other if is_again else word for word, is_again in zip(words.tolist(), again, strict=False))]


MakeTrial = Callable[[bytes, IntArray, int, bytes], Trial]


@dataclass(frozen=True, eq=False)
class Sight:
    """Texts that a model is asked about with other endings.

    Attributes:
      calls: of the model.
      outputs: (n, c) which outputs each row asks for.
      floor: (n, c) their rounding.
      probe: what endings are replaced by.
    """

    calls: PartCalls
    outputs: IntArray
    floor: FloatArray
    probe: bytes

    def n_seen(
        self, rows: IntArray, texts: Sequence[bytes], spans: Sequence[IntArray], contexts: Sequence[Contexts]
    ) -> tuple[IntArray, int]:
        """How many spans of each text the model sees, 1 or more, and the model rows that it took to find that.

        The others change no output in any context, whether all or some of them are deleted or other words stand in
        their place, and behind other beginnings neither.

        Args:
          rows: (r,) which they are.
          texts: r of them.
          spans: (k, 2) of each; k is at least 2.
          contexts: of each, as many for all.
        """
        most = np.array([len(of_row) for of_row in spans], np.int64)
        if not self.probe or not len(rows):
            return most, 0
        given = [_Text(*of_row) for of_row in zip(rows.tolist(), texts, spans, contexts, strict=True)]
        seen, n_model_rows = self._search(given, np.ones_like(most), most, without_end)
        doubtful = np.flatnonzero(seen < most)
        some = [given[one] for one in doubtful.tolist()]
        is_unseen, n_asked = self._change_nothing(some, seen[doubtful], without_parts_of_end)
        again = doubtful[~is_unseen]
        some = [given[one] for one in again.tolist()]
        seen[again], n_asked_again = self._search(some, seen[again] + 1, most[again], without_parts_of_end)
        return seen, n_model_rows + n_asked + n_asked_again

    def _search(self, given: Sequence[_Text], low: IntArray, high: IntArray, make: MakeTrial) -> tuple[IntArray, int]:
        """The least number of spans (r,) from `low` to `high` behind which no span is seen, and model rows."""
        low, high, tried, n_model_rows = low.copy(), high.copy(), high - 1, 0
        while len(active := np.flatnonzero(low < high)):
            some = [given[one] for one in active.tolist()]
            is_unseen, n_asked = self._change_nothing(some, tried[active], make)
            n_model_rows += n_asked
            high[active[is_unseen]] = tried[active[is_unseen]]
            low[active[~is_unseen]] = tried[active[~is_unseen]] + 1
            tried = (low + high) // 2
        return high, n_model_rows

    def _change_nothing(self, given: Sequence[_Text], n_kept: IntArray, make: MakeTrial) -> tuple[BoolArray, int]:
        """(r,) whether no trial of the spans behind the first (r,) changes an output, and model rows."""
        if not given:
            return np.zeros(0, np.bool_), 0
        trials = [make(of.text, of.spans, int(n), self.probe) for of, n in zip(given, n_kept, strict=True)]
        sizes = np.array([len(trial.texts) for trial in trials], np.int64)
        owners, firsts = np.repeat(np.arange(len(given)), sizes), np.cumsum(sizes) - sizes
        found = self._outputs(given, owners, [text for trial in trials for text in trial.texts])
        against = np.concatenate([trial.against for trial in trials]) + firsts[owners]
        floor = self.floor[[of.row for of in given]][owners]
        off = (np.abs(found - found[against]) <= _UNITS * floor[:, None]).all(axis=(1, 2))
        return np.logical_and.reduceat(off, firsts), found.shape[0] * found.shape[1]

    def _outputs(self, given: Sequence[_Text], owners: IntArray, texts: Sequence[bytes]) -> FloatArray:
        """(t, C, c) outputs of t texts, each in the C contexts of its row's."""
        n_contexts, flat = len(given[0].contexts), np.array(texts, object)
        rows = np.array([of.row for of in given], np.int64)[owners]
        found = []
        for some in _in_calls(np.array([len(text) for text in texts], np.int64) * n_contexts):
            each = Contexts.joined([given[owner].contexts for owner in owners[some].tolist()])
            asked = np.repeat(rows[some], n_contexts)
            predicted = self.calls.predict(asked, np.repeat(flat[some], n_contexts), each)
            found.append(np.take_along_axis(predicted, self.outputs[asked], axis=1))
        return np.concatenate(found).reshape(len(texts), n_contexts, -1)


class _Text(NamedTuple):
    row: int
    text: bytes
    spans: IntArray
    contexts: Contexts


def _in_calls(sizes: IntArray) -> Iterator[IntArray]:
    """Places (n,) of texts, as many at a time as there is room for."""
    call = np.cumsum(sizes) // MAX_CALL_BYTES
    yield from np.split(np.arange(len(sizes)), np.flatnonzero(np.diff(call)) + 1)
