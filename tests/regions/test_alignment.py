"""Which bytes the tokens of made-up tokenisers come from, none of which says so itself."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from tfx_explain.regions.alignment import NOTHING_BUT_PARTS, OUTSIDE, UNCERTAIN, Aligner, Alignment, find_markers
from tfx_explain.regions.spans import Splitter
from tokenising import (
    SLOTS,
    SOME,
    begun,
    blanks,
    characters,
    counted,
    last_ones,
    numbered,
    once,
    pairs,
    pieces,
    reader,
    with_first,
    with_next,
    with_signs,
    words,
)


def aligned(
    read: Callable[..., list[np.ndarray]], text: bytes, unit: str = "word", absent: bytes = b""
) -> Alignment | str:
    markers = find_markers(read, SOME)
    assert markers is not None
    (found,) = Aligner(read, markers, absent).align([text], [Splitter(unit).split(text)])
    return found


def told(found: Alignment | str, text: bytes) -> list[tuple[bytes, list[int]]]:
    assert isinstance(found, Alignment), found
    return [
        (text[start:stop], np.flatnonzero(found.owners == part).tolist())
        for part, (start, stop) in enumerate(found.spans)
    ]


@pytest.mark.parametrize("known", [None, [b"good", b"bad"], [b"", b"good", b"bad"]])
def test_words_have_the_slots_of_their_tokens(known):
    text = b"good xyz xyz, good good bad"
    found = told(aligned(reader(words, known=known), text), text)
    assert found == [(b"good ", [0]), (b"xyz ", [1]), (b"xyz, ", [2]), (b"good ", [3]), (b"good ", [4]), (b"bad", [5])]


def test_words_behind_the_last_slot_are_not_seen():
    text = b" ".join([b"good"] * 7 + [b"bad", b"film", b"a"])
    found = aligned(reader(words), text)
    assert told(found, text)[7:] == [(b"bad ", [7]), (b"film ", []), (b"a", [])]
    assert found.seen.tolist() == [True] * 8 + [False] * 2


def test_a_word_without_tokens_is_seen():
    text = "good \U0001f468‍\U0001f469‍\U0001f467 bad \U0001f44d".encode()
    found = aligned(reader(words), text)
    assert [slots for _, slots in told(found, text)] == [[0], [], [1], []]
    assert found.seen.all()


def test_pieces_of_a_word_are_its_own():
    text = "wonderful, a שלום film".encode()
    assert [slots for _, slots in told(aligned(reader(pieces), text), text)][:2] == [[0, 1, 2], [3]]
    text = "a, b, c, d, many很".encode()
    assert told(aligned(reader(pieces), text), text)[4:] == [("many很".encode(), [4, 5, 6])]


def test_characters_are_told_apart():
    text = "a很-好 b".encode()
    found = told(aligned(reader(characters, slots=12), text), text)
    assert found == [(b"a", [0]), ("很-".encode(), [1, 2]), ("好 ".encode(), [3, 4]), (b"b", [5])]


def test_words_that_share_a_token_are_one_part():
    text = b"good-film bad 1.5x"
    assert told(aligned(reader(blanks), text), text) == [(b"good-film ", [0]), (b"bad ", [1]), (b"1.5x", [2])]


def test_a_sign_before_a_word_is_of_the_words_token():
    text = 'say "good" (bad) \u201cfilm\u201d, well'.encode()
    found = [span.decode() for span, _ in told(aligned(reader(blanks), text), text)]
    assert found == ["say ", '"good" ', "(bad) ", "\u201cfilm\u201d, ", "well"]
    assert [span for span, _ in told(aligned(reader(words), text), text)][:2] == [b'say "', b'good" (']


def test_sentences():
    text = b"A good film. Not bad! Not good."
    assert told(aligned(reader(words), text, "sentence"), text) == [
        (b"A good film. ", [0, 1, 2]),
        (b"Not bad! ", [3, 4]),
        (b"Not good.", [5, 6]),
    ]


@pytest.mark.parametrize("way", [numbered, with_first, with_next, lambda text: with_next(text)[::-1]])
def test_tokens_of_several_words_are_refused(way):
    assert aligned(reader(way), b"a good film, not bad") in (UNCERTAIN, NOTHING_BUT_PARTS)


def test_tokens_that_what_follows_changes_are_refused():
    """Behind a marker, the end of the text is the same as behind its one first word; the beginning is not."""
    assert aligned(reader(counted), b"a good film") == UNCERTAIN


def test_words_and_pairs_together_are_refused():
    assert aligned(reader(words, with_next), b"a good film, not bad") in (UNCERTAIN, NOTHING_BUT_PARTS)
    both = aligned(reader(lambda text: words(text) + pairs(text)), b"a good film")
    assert both in (UNCERTAIN, NOTHING_BUT_PARTS)


def test_what_stands_at_the_end_is_of_no_part():
    assert aligned(reader(with_signs), b"a good film") == NOTHING_BUT_PARTS
    text = b"a good film"
    assert [slots for _, slots in told(aligned(reader(begun), text), text)] == [[1], [2], [3]]


def test_what_is_read_from_the_end_is_refused():
    text = b" ".join([b"a good film, not bad"] * 3)
    assert isinstance(aligned(reader(last_ones), text), str)


def test_words_that_count_once_are_no_parts_of_their_own():
    """The second one shows nothing of its own, and without the first one it would."""
    text = b"good film good"
    found = aligned(reader(once), text)
    assert isinstance(found, str) or not any(part == b"good " for part, _ in told(found, text))


def test_two_ways_to_cut_a_text():
    text = b"good film"
    found = aligned(reader(words, pieces), text)
    assert told(found, text) == [(b"good ", [0, 8, 9]), (b"film", [1, 10, 11])]
    assert (found.owners == OUTSIDE).sum() == 2 * SLOTS - 6


def test_a_token_in_the_place_of_nothing():
    text = b"good film"
    assert told(aligned(reader(words), text, absent=b"unknown"), text) == [(b"good ", [0]), (b"film", [1])]


def test_no_two_words():
    assert find_markers(reader(words, known=[b"good"]), SOME) is not None
    assert find_markers(reader(words, known=[b"", b"good"]), SOME) is None
    assert find_markers(reader(lambda text: [b"%d" % len(text)]), [b"bad", b"the"]) is None
    assert find_markers(reader(words), [b"", b"one"]) is None


def test_many_texts_are_cut_as_each_alone():
    read = reader(words)
    markers = find_markers(read, SOME)
    texts = [b"a good film", b"bad", b"not a good, good film"]
    spans = [Splitter().split(text) for text in texts]
    together = Aligner(read, markers, b"").align(texts, spans)
    for text, of_text, found in zip(texts, spans, together, strict=True):
        (alone,) = Aligner(read, markers, b"").align([text], [of_text])
        assert told(found, text) == told(alone, text)
    assert Aligner(read, markers, b"").align([], []) == []
