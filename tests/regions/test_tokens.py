"""Tokens of made-up tokenisers as spans of texts."""

from __future__ import annotations

import numpy as np
import pytest

from tfx_explain.regions.alignment import Aligner, find_markers
from tfx_explain.regions.tokens import token_spans
from tokenising import SOME, Tokenise, blanks, characters, pieces, reader, with_first, words


def told(tokenise: Tokenise, text: bytes, max_parts: int = 128, slots: int = 32) -> list[bytes] | str:
    read = reader(tokenise, slots=slots)
    markers = find_markers(read, SOME)
    assert markers is not None
    (spans,) = token_spans(Aligner(read, markers, b""), [text], max_parts)
    if isinstance(spans, str):
        return spans
    np.testing.assert_array_equal(spans[1:, 0], spans[:-1, 1])
    assert (spans[0, 0], spans[-1, 1]) == (0, len(text))
    return [text[start:stop] for start, stop in spans]


TEXT = "... wonderful, 1.5-times שלום \U0001f468‍\U0001f469 好film!".encode()


@pytest.mark.parametrize(
    ("tokenise", "expected"),
    [
        (words, ["... wonderful, ", "1.", "5-", "times ", "שלום \U0001f468‍\U0001f469 ", "好film!"]),
        (blanks, ["... ", "wonderful, ", "1.5-times ", "שלום ", "\U0001f468‍\U0001f469 ", "好film!"]),
        (lambda text: text.replace(b",", b" , ").split(), ["... ", "wonderful", ", ", "1.5-times ", "שלום "]),
    ],
)
def test_spans_start_with_tokens(tokenise, expected):
    found = told(tokenise, TEXT)
    assert found[: len(expected)] == [span.encode() for span in expected]


def test_words_of_several_tokens_are_cut():
    assert told(pieces, b"a wonderful film") == [b"a ", b"won", b"der", b"ful ", b"fil", b"m"]
    assert told(characters, b"a fi", slots=64) == [b"a", b" ", b"f", b"i"]


def marked(text: bytes) -> list[bytes]:
    """Pieces that say whether they begin a word, so that they are others where they stand alone."""
    return [(b"" if at == 0 else b"##") + word[at : at + 3] for word in words(text) for at in range(0, len(word), 3)]


def test_pieces_that_are_others_alone_stay_together():
    assert told(marked, b"a wonderful film") == [b"a ", b"wonderful ", b"film"]


def test_what_is_not_seen_is_one_span():
    assert told(words, b"good bad film a b c", slots=3) == [b"good ", b"bad ", b"film ", b"a b c"]


@pytest.mark.parametrize("text", [b"good bad film " * 40_000, b"good bad film " * 90])
def test_of_a_long_text_what_is_read_is_cut_finely(text):
    assert told(words, text, slots=4) == [b"good ", b"bad ", b"film ", b"good ", text[19:]]


def test_what_is_read_of_a_text_without_spaces():
    read = reader(characters, slots=5)
    markers = find_markers(read, SOME)
    aligner = Aligner(read, markers, b"")
    assert aligner.n_read(["很很a很很很很".encode(), b"", b"abcde", b"abcdef", b"ab"]) == [13, 0, 5, 5, 2]
    assert aligner.n_read([]) == []


def test_many_tokens_are_taken_together():
    found = told(words, b"well " * 12, max_parts=4)
    assert found == [b"well " * 3] * 4
    assert len(told(words, b"well " * 1_000, slots=2_000, max_parts=500)) == 500


def test_tokens_that_depend_on_each_other_are_refused():
    assert isinstance(told(with_first, b"a good film, not bad"), str)
