"""Texts of coalitions, against building each of them by itself."""

import numpy as np
import pytest

from tfx_explain.regions.spans import Splitter
from tfx_explain.regions.texts import SpanTexts


def made(text: str, absent: bytes, present: str) -> bytes:
    spans = Splitter("word").split(text.encode())
    coalition = np.array([[character == "1" for character in present]])
    return bytes(SpanTexts.of(text.encode(), spans, absent).texts(coalition)[0])


@pytest.mark.parametrize(
    ("present", "deleted", "replaced"),
    [
        ("111", b"a b, c", b"a b, c"),
        ("000", b"", b"..."),
        ("011", b"b, c", b"... b, c"),
        ("101", b"a c", b"a ... c"),
        ("110", b"a b, ", b"a b, ..."),
        ("001", b"c", b"... c"),
        ("100", b"a ", b"a ..."),
    ],
)
def test_absent_spans_are_deleted_or_become_one_token(present: str, deleted: bytes, replaced: bytes) -> None:
    assert made("a b, c", b"", present) == deleted
    assert made("a b, c", b"...", present) == replaced


def test_words_are_not_glued_together() -> None:
    assert made("well-known 好 good", b"", "1011") == b"well- \xe5\xa5\xbd good"
    assert made("很好 good", b"", "101") == "很 good".encode()
    assert made("很好 good", b"", "011") == "好 good".encode()


def test_many_coalitions_are_those_of_each_alone() -> None:
    rng = np.random.default_rng(0)
    text = " ".join(f"w{i}" for i in range(30)).encode() + b"\xff"
    spans = Splitter("word").split(text)
    coalitions = rng.random((200, len(spans))) < 0.5
    for absent in (b"", b"[MASK]"):
        texts = SpanTexts.of(text, spans, absent)
        together = texts.texts(coalitions)
        assert together.tolist() == [texts.texts(coalition[None])[0] for coalition in coalitions]
        assert texts.texts(np.ones((1, len(spans)), bool)).tolist() == [text]
        assert texts.texts(np.zeros((1, len(spans)), bool)).tolist() == [absent]
