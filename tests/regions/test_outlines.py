"""Texts from the top down: units above the spans, and what is inside of them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfx_explain.regions.outlines import Outline
from tfx_explain.regions.spans import Splitter, evenly, together

TEXT = b'One two. "Three four!" Five six seven? Eight\n\n Nine.'


def outline(text: bytes, unit: str = "word") -> Outline:
    return Outline.of(text, Splitter(unit).spans(text), unit)


def pieces(text: bytes, of: Outline, bounds: np.ndarray) -> list[bytes]:
    return [text[start:stop] for start, stop in of.between(bounds)]


def test_sentences_are_above_words() -> None:
    of = outline(TEXT)
    whole = of.first(len(of.spans), 9)
    assert pieces(TEXT, of, whole) == [b'One two. "', b'Three four!" ', b"Five six seven? ", b"Eight\n\n ", b"Nine."]
    assert pieces(TEXT, of, of.inside(whole[2], whole[3], 9)) == [b"Five ", b"six ", b"seven? "]
    assert pieces(TEXT, of, of.inside(whole[1], whole[3], 9)) == [b'Three four!" ', b"Five six seven? "]


def test_paragraphs_are_above_sentences_and_nothing_is_above_paragraphs() -> None:
    of = outline(TEXT, "sentence")
    assert pieces(TEXT, of, of.first(len(of.spans), 9))[1:] == [b"Nine."]
    of = outline(TEXT, "paragraph")
    assert of.first(2, 9).tolist() == [0, 1, 2]


def test_neighbours_are_together_where_there_is_no_room() -> None:
    of = outline(b"word " * 100)
    assert np.diff(of.first(100, 8)).tolist() == [12, 13, 12, 13, 12, 13, 12, 13]
    assert of.inside(10, 34, 24).tolist() == list(range(10, 35))
    assert np.diff(of.inside(10, 35, 24)).tolist() == [5] * 5
    assert np.diff(of.inside(10, 20, 9)).tolist() == [2, 3, 2, 3]
    assert of.inside(10, 20, 3) is None


@pytest.mark.parametrize("unit", ["word", "sentence", "paragraph"])
@given(text=st.lists(st.sampled_from([b"a", b". ", b"\n\n", b"\xff", "好。".encode(), b"! ", b" "]), min_size=1))
def test_nothing_is_lost_and_all_gets_finer(unit: str, text: list[bytes]) -> None:
    joined = b"".join(text)
    of = outline(joined, unit)
    n = len(of.spans)
    whole = of.first(n, 5)
    assert (whole[0], whole[-1]) == (0, n)
    assert len(whole) <= 6
    for start, stop in zip(whole[:-1].tolist(), whole[1:].tolist(), strict=True):
        assert start < stop
        if stop - start > 1:
            inside = of.inside(start, stop, stop - start)
            assert (inside[0], inside[-1]) == (start, stop)
            assert (np.diff(inside) > 0).all()
            assert len(inside) > 2
    assert b"".join(pieces(joined, of, whole)) == joined


def test_spans_are_joined_as_bounds_are() -> None:
    spans = Splitter("word").spans(b"a b c d e f g ")
    bounds = evenly(np.arange(8), 3)
    assert together(spans, 3).tolist() == Outline(spans, np.zeros(1, np.int64)).between(bounds).tolist()
    assert together(spans[:0], 3).tolist() == []
