"""Spans of a text that are a model's own tokens, found by trying where it can be cut."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from tfx_explain.regions.alignment import OUTSIDE, Aligner, Alignment, n_parts
from tfx_explain.regions.spans import Splitter, together

IntArray = npt.NDArray[np.int64]

_COARSE = 256
_LONG = 2**15
_ALL = 2**20
_N_ROUNDS = 3
# Of all texts that are read to cut one more finely: 32 MiB.
_MOST_BYTES = 2**25
_TEXTS_PER_CUT = 4


def spans_read(aligner: Aligner, text: bytes, split: Callable[[bytes], IntArray]) -> IntArray:
    """(k, 2) spans of what a model reads of a long text, and one of the rest.

    Args:
      aligner: of the model.
      text: that would have more spans than there may be.
      split: cuts texts into spans, one less than there may be.
    """
    (stop,) = aligner.n_read([text])
    rest = [[stop, len(text)]] if stop < len(text) else []
    return np.concatenate([split(text[:stop]), np.array(rest, np.int64).reshape(-1, 2)])


def token_spans(aligner: Aligner, texts: Sequence[bytes], max_parts: int) -> list[IntArray | str]:
    """Per text, (k, 2) bytes of its tokens, or why they cannot be told apart.

    What stands between two tokens belongs to the one before, and what stands before all of them to the first; what the
    model does not see is one span, the last. Words are tried first, then characters within words of several tokens.
    Pieces of a word that are others where they stand alone stay together.

    Args:
      aligner: of the model.
      texts: n of them, none of which is empty.
      max_parts: neighbours of a text of more tokens are taken together.
    """
    words = [Splitter("word", None, _COARSE).split(text) for text in texts]
    coarse = Splitter("word", None, _COARSE - 1).split
    for place, spans in enumerate(words):
        if len(spans) == _COARSE or len(texts[place]) > _LONG:
            words[place] = spans_read(aligner, texts[place], coarse)
    found = aligner.align(texts, words)
    asked = list(range(len(texts)))
    for _ in range(_N_ROUNDS):
        finer = {place: _finer(texts[place], found[place], aligner.n_ways) for place in asked}
        cuts = {place: spans for place, spans in finer.items() if spans is not None}
        made = aligner.align([texts[place] for place in cuts], list(cuts.values()))
        asked = []
        for place, of_text in zip(cuts, made, strict=True):
            before = found[place]
            if n_parts(of_text) > n_parts(before):
                found[place] = of_text
                asked.append(place)
    return [of_text if isinstance(of_text, str) else _of_tokens(of_text, max_parts) for of_text in found]


def _slots(of_text: Alignment) -> IntArray:
    """(k,) how many slots each part has."""
    return np.bincount(of_text.owners[of_text.owners != OUTSIDE], minlength=len(of_text.spans))


def _finer(text: bytes, of_text: Alignment | str, n_ways: int) -> IntArray | None:
    """(k, 2) the parts, those of several tokens cut at words, or else at characters; None where that is no finer."""
    if isinstance(of_text, str):
        return None
    several = _slots(of_text) > n_ways
    starts: list[int] = []
    for (start, stop), is_cut in zip(of_text.spans.tolist(), several.tolist(), strict=True):
        own = text[start:stop]
        if is_cut:
            words = Splitter("word", None, _ALL).split(own)[:, 0]
            inner = words if len(words) > 1 else Splitter("pattern", r"(?s).", _ALL).split(own)[:, 0]
            starts.extend((start + inner).tolist())
        else:
            starts.append(start)
    if len(starts) == len(several) or len(starts) * _TEXTS_PER_CUT * len(text) > _MOST_BYTES:
        return None
    bounds = np.array([*starts, len(text)], np.int64)
    return np.column_stack([bounds[:-1], bounds[1:]])


def _of_tokens(of_text: Alignment, max_parts: int) -> IntArray:
    """(k, 2) spans that each start with a token, or with what is not seen."""
    is_token = _slots(of_text) > 0
    is_first_unseen = ~of_text.seen & np.append(True, of_text.seen[:-1])
    starts = of_text.spans[is_token | is_first_unseen, 0]
    starts = starts if len(starts) else of_text.spans[:1, 0]
    bounds = np.append(starts, of_text.spans[-1, 1])
    bounds[0] = 0
    return together(np.column_stack([bounds[:-1], bounds[1:]]), max_parts)
