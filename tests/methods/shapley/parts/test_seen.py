"""How much of a text a model sees is found by changing its end."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest

from tfx_explain.methods.shapley.parts.calls import PartCalls
from tfx_explain.methods.shapley.parts.contexts import Contexts
from tfx_explain.methods.shapley.parts.seen import Sight, probe_of
from tfx_explain.models import Inputs
from tfx_explain.regions.spans import Splitter

Score = Callable[[list[bytes], bool], float]
TEXT = b"good " + b"word " * 30 + b"end"


class Scored:
    """A model that has a score for words, in a context where another feature is present or not."""

    def __init__(self, score: Score) -> None:
        self.score = score

    def predict(self, inputs: Inputs) -> npt.NDArray[np.float64]:
        texts, others = inputs.columns["text"], inputs.columns["other"]
        scores = [self.score(text.split(), bool(other)) for text, other in zip(texts, others, strict=True)]
        return np.array(scores, np.float64)[:, None]


def n_seen(score: Score, text: bytes = TEXT) -> int:
    both = {"text": np.array([text, b""], object), "other": np.array([1, 0])}
    calls = PartCalls(Scored(score), "text", [["other"]], Inputs(2, both), 1)
    sight = Sight(calls, np.zeros((1, 1), np.int64), np.full((1, 1), 1e-9), b"bad new")
    contexts = Contexts(np.array([[True], [False]]), np.zeros(2, np.int64))
    spans = Splitter("word").split(text)
    found, _ = sight.n_seen(np.array([0]), [text], [spans], [contexts])
    return int(found[0])


def effect(words: list[bytes]) -> float:
    return words.count(b"good") - words.count(b"bad")


@pytest.mark.parametrize(
    ("score", "expected"),
    [
        (lambda words, other: effect(words[:12]), 12),
        (lambda words, other: effect(words[:1]), 1),
        (lambda words, other: effect(words), 32),
        (lambda words, other: effect(words[:12]) if other else effect(words[:20]), 20),
        (lambda words, other: 0.0 if other else effect(words), 32),
        (lambda words, other: float(b"good" in words and b"new" not in words), 32),
        (lambda words, other: 0.0, 1),
    ],
)
def test_spans_are_unseen_where_nothing_behind_them_matters(score: Score, expected: int) -> None:
    assert n_seen(score) == expected


def has_all(words: list[bytes]) -> bool:
    bare = [word.strip(b",.").lower() for word in words]
    return b"fine" in bare and b"poor" in bare and b"longest" in bare


@pytest.mark.parametrize(
    ("text", "score", "expected"),
    [
        # Words of the end cancel, and so do those that are put in their place.
        (b"word " * 9 + b"fine poor fine poor word", lambda words: words.count(b"fine") - words.count(b"poor"), 13),
        (b"word " * 9 + b"fine word word poor", lambda words: words.count(b"fine") - words.count(b"poor"), 13),
        # A word that stands before, of a model that takes each once.
        (b"poor word longer longest " + b"word " * 9 + b"poor", lambda words: float(b"poor" in words), 14),
        (b"poor word longer longest " + b"word " * 9 + b"poor", lambda words: float(b"poor" in words[:9]), 1),
        # Of one that takes each once, and only beside others.
        (b"fine poor longest " + b"word " * 9 + b"Poor, fine.", lambda words: float(has_all(words)), 14),
        (b"fine poor longest " + b"word " * 9 + b"Poor, fine.", lambda words: float(has_all(words[:9])), 3),
        # The same, cut off before it.
        (b"word " * 9 + b"fine word word poor", lambda words: effect(words[:9]), 9),
        # Words without a space after them, which are one to the model where they stand together.
        (b"word " * 9 + b"fine poor longest", lambda words: float(len(b"".join(words[:9]))), 9),
        (b"word " * 9 + b"fine longest-poor word", lambda words: float(len(b"".join(words[:9]))), 9),
    ],
)
def test_what_cancels_or_comes_again_is_seen(text: bytes, score: Callable[[list[bytes]], float], expected: int) -> None:
    assert n_seen(lambda words, other: score(words), text) == expected


def test_a_probe_is_of_other_texts() -> None:
    rows = pa.RecordBatch.from_arrays(
        [pa.array([[b"a b"], None, [b""], [b"c" * 500]], pa.large_list(pa.large_binary()))], ["text"]
    )
    assert probe_of(rows, "text") == b"a b " + b"c" * 200
    assert probe_of(rows, "absent") == b""
