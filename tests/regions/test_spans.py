"""Spans of texts cover them, whatever the bytes are."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfx_explain.errors import InputError
from tfx_explain.regions import spans
from tfx_explain.regions.spans import Splitter, most_parts, spoken

SPLITTERS = [
    Splitter("word"),
    Splitter("sentence"),
    Splitter("paragraph"),
    Splitter("pattern", r"\S+"),
    Splitter("word", max_parts=3),
]


def pieces(text: bytes, splitter: Splitter) -> list[bytes]:
    return [text[start:stop] for start, stop in splitter.split(text)]


HOSTILE = st.one_of(
    st.binary(max_size=40),
    st.text(max_size=40).map(lambda text: text.encode("utf-8", "surrogatepass")),
    st.lists(st.sampled_from(["a", ". ", "\n", "\r\n", "好", "\u200d", "👍🏽", "é", "!", "שלום", "e.g."])).map(
        lambda parts: "".join(parts).encode()
    ),
)


@pytest.mark.parametrize("splitter", SPLITTERS)
@given(text=HOSTILE)
def test_nothing_is_lost(splitter: Splitter, text: bytes) -> None:
    found = splitter.split(text)
    assert len(found) <= splitter.max_parts
    assert (found[:, 0] < found[:, 1]).all()
    assert b"".join(pieces(text, splitter)) == text
    np.testing.assert_array_equal(found[1:, 0], found[:-1, 1])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("one", ["one"]),
        (" \n", [" \n"]),
        ("...", ["..."]),
        ("\"Can't, won't\" 3.5", ["\"Can't, ", "won't\" ", "3.5"]),
        ("我喜欢。好", ["我", "喜", "欢。", "好"]),
        ("שלום, עולם", ["שלום, ", "עולם"]),
        ("👨\u200d👩\u200d👧 ok 🇩🇪🇫🇷 👍🏽", ["👨\u200d👩\u200d👧 ", "ok ", "🇩🇪", "🇫🇷 ", "👍🏽"]),
    ],
)
def test_words_are_those_of_unicode(text: str, expected: list[str]) -> None:
    assert [piece.decode() for piece in pieces(text.encode(), Splitter("word"))] == expected


def test_bytes_that_are_no_utf8_are_words() -> None:
    assert pieces(b"a \xff\xfe\x80 b\xc3", Splitter("word")) == [b"a ", b"\xff\xfe\x80 ", b"b", b"\xc3"]


def test_sentences_and_paragraphs() -> None:
    text = b'He said "no." e.g. this is 3.5 ok! Yes?  \n\n Next one.\nLast'
    assert pieces(text, Splitter("sentence")) == [
        b'He said "no." e.g. this is 3.5 ok! ',
        b"Yes?  \n\n ",
        b"Next one.\n",
        b"Last",
    ]
    assert pieces(text, Splitter("paragraph")) == [text[: -len(b"Next one.\nLast")], b"Next one.\nLast"]


def test_neighbours_are_taken_together_where_there_are_too_many() -> None:
    text = b"word " * 6_000
    lengths = np.diff(Splitter("word", max_parts=128).split(text), axis=1)
    assert len(lengths) == 128
    assert lengths.sum() == len(text)
    assert lengths.max() - lengths.min() <= len(b"word ")


@pytest.mark.parametrize("character", [b" ", b".", b"!", b"\n", b"\xff", b"a", b"\r\n ", "好".encode()])
def test_long_runs_are_cut_in_one_go(character: bytes) -> None:
    """A pattern that is tried anew from each place of a run takes hours for these."""
    text = character * 200_000
    assert all(b"".join(pieces(text, splitter)) == text for splitter in SPLITTERS)


def test_a_pattern_that_takes_too_long_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spans, "_SECONDS_PER_PATTERN", 0.01)
    with pytest.raises(InputError, match=r"takes more than 0.01 s for a text of 61 characters"):
        Splitter("pattern", r"(a|aa)+$").split(b"a" * 60 + b"b")


@pytest.mark.parametrize(
    ("span", "expected"),
    [(b"'Good', ", "good"), (b"Can't ", "can't"), (b"... ", ""), (b"", ""), ("ЖУК!".encode(), "жук")],
)
def test_what_a_span_says(span: bytes, expected: str) -> None:
    assert spoken(span) == expected


@pytest.mark.parametrize("n_bytes", [1, 1_000, 2**15, 2**17, 2**17 + 1, 600_000, 20_000_000, 2**31])
def test_what_is_read_of_a_text_stays_bounded(n_bytes: int) -> None:
    n_parts = most_parts(n_bytes)
    assert n_parts >= 2
    n_texts = min(max(32 * n_parts, 1_024), 2**n_parts)
    assert n_texts * n_bytes <= max(2**27, 4 * n_bytes)
    assert n_bytes > 2**15 or n_parts >= 128


def test_long_texts_are_covered_by_fewer_spans() -> None:
    text = b"word " * 100_000
    spans = Splitter().split(text)
    assert len(spans) == most_parts(len(text))
    assert spans[0, 0] == 0
    assert spans[-1, 1] == len(text)
    assert (spans[1:, 0] == spans[:-1, 1]).all()
