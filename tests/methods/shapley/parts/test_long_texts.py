"""Long texts from the top down, against Owen values by enumeration and against planted words."""

import itertools
import re
from collections.abc import Callable, Sequence
from math import comb
from types import SimpleNamespace

import numpy as np
import numpy.typing as npt
import pytest

from tfx_explain.config import ExplainConfig
from tfx_explain.methods.shapley.parts.calls import PartCalls
from tfx_explain.methods.shapley.parts.feature import FeatureParts, PartBatch
from tfx_explain.methods.shapley.parts.long_texts import LongTexts
from tfx_explain.methods.shapley.parts.texts import TextRows
from tfx_explain.models import Inputs
from tfx_explain.models.features import FeatureSpec
from tfx_explain.part_records import PartRows
from tfx_explain.regions.spans import Splitter

Has = Callable[[str], npt.NDArray[np.float64]]
Score = Callable[[Has, npt.NDArray[np.float64]], npt.NDArray[np.float64]]
Found = list[tuple[PartRows, int]]


class Scored:
    """A model that scores which words a text has, and another feature."""

    def __init__(self, score: Score, *, reads_other: bool) -> None:
        names = ["text", "other"] if reads_other else ["text"]
        self.features = [FeatureSpec(name, "string" if name == "text" else "float32", "dense") for name in names]
        self.score, self.n_rows = score, 0

    def predict(self, inputs: Inputs) -> npt.NDArray[np.float64]:
        self.n_rows += len(inputs)
        texts, other = inputs.columns["text"], inputs.columns["other"]
        return self.score(lambda word: np.array([word.encode() in text for text in texts], np.float64), other)[:, None]


def explained(
    texts: Sequence[bytes],
    scores: Sequence[Score],
    parts: dict[str, object],
    *,
    phi: float | Sequence[float] = 0.0,
    reads_other: bool = False,
    hashes: Sequence[int] = (),
) -> Found:
    """Per model the parts of texts whose attribution is `phi`, and how many model rows it was asked about.

    The row's own value of the other feature is 1, the background's 0.
    """
    config = ExplainConfig.from_dict({"methods": [{"shapley": {"parts": {"text": parts}}}]})
    models = [Scored(score, reads_other=reads_other) for score in scores]
    players = {"text": ["text"], "other": ["other"]} if reads_other else {"text": ["text"]}
    features = [FeatureParts(model, "text", players, config) for model in models]
    n, settings = len(texts), config.shapley.parts["text"]
    splitter = Splitter(settings.unit)
    cut = TextRows(texts, [splitter.spans(text) for text in texts], settings.absent_text, b"other words, W1003 ")
    inputs = Inputs(n, {"text": np.array([*texts, None], object)[:-1], "other": np.ones(n)})
    background = Inputs(1, {"text": np.array([settings.absent_text], object), "other": np.zeros(1)})
    batch = SimpleNamespace(hashes=np.array(hashes or range(n), np.uint64), chosen=np.zeros((n, 1), np.int64))
    of, rows = [], []
    for model, total in zip(features, np.broadcast_to(phi, len(scores)).tolist(), strict=True):
        predicted, base = model.of_model.model.predict(inputs), model.of_model.model.predict(background)
        seen = SimpleNamespace(
            weights=np.ones(1), outputs=np.zeros(1, np.int64), predictions=base, asked=lambda values: values
        )
        calls = PartCalls.of(model.of_model.model, "text", model.of_model.others, inputs, background)
        of.append(PartBatch(batch, SimpleNamespace(prediction=predicted), seen, cut, calls))
        nothing = np.zeros((n, len(players), 1))
        rows.append(SimpleNamespace(attributions=nothing + total, std_error=nothing))
        model.of_model.model.n_rows = 0
    found = dict[int, PartRows]()
    for index, made, errors, n_model_rows in LongTexts(features, settings).explain(cut, of, rows):
        assert not errors
        assert n_model_rows == models[index].n_rows
        found[index] = made
    return [(found[index], model.n_rows) for index, model in enumerate(models)]


def owen(value: Callable[[frozenset[int]], float], unions: Sequence[Sequence[int]]) -> npt.NDArray[np.float64]:
    """Owen values of players in unions, by their definition."""
    found = np.zeros(sum(map(len, unions)))
    for place, union in enumerate(unions):
        others = [one for other, one in enumerate(unions) if other != place]
        for there in itertools.product([False, True], repeat=len(others)):
            around = [player for one, is_there in zip(others, there, strict=True) if is_there for player in one]
            weight = 1 / (len(unions) * comb(len(others), sum(there)))
            for player in union:
                rest = [one for one in union if one != player]
                for inner in itertools.product([False, True], repeat=len(rest)):
                    members = frozenset([*around, *itertools.compress(rest, inner)])
                    step = value(members | {player}) - value(members)
                    found[player] += weight * step / (len(union) * comb(len(rest), sum(inner)))
    return found


THREE = b"aa bb cc. Dd ee ff. Gg hh ii."
# With eight parts there is room for all words of two sentences, and two runs of the third.
UNIONS = [[0, 1, 2], [3, 4, 5], [6, 7]]
PARTS = [["aa"], ["bb"], ["cc"], ["Dd"], ["ee"], ["ff"], ["Gg"], ["hh", "ii"]]


def in_pairs(has: Has, other: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Interactions of no more than two: contexts in complementary pairs leave no error."""
    pairs = 2 * has("aa") * has("bb") - 3 * has("bb") * has("ee") + has("hh") * has("cc")
    return pairs + 5 * has("aa") + 4 * has("Dd") + 0.5 * has("ii")


def in_threes(has: Has, other: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Interactions of three within, and between, sentences, and with another feature."""
    inner = (
        5 * has("aa") * has("bb")
        + 3 * has("Dd")
        + 4 * has("Dd") * has("Gg") * has("aa")
        - 2 * has("ee") * has("hh") * other
    )
    return (inner + 0.5 * has("ii")) * (1 + 0.5 * other)


def value_of(score: Score, other: float) -> Callable[[frozenset[int]], float]:
    def value(members: frozenset[int]) -> float:
        words = {word for part in members for word in PARTS[part]}
        return float(score(lambda word: np.array([float(word in words)]), np.array([other]))[0])

    return value


def test_values_are_those_of_owen() -> None:
    truth = owen(value_of(in_pairs, 1.0), UNIONS)
    parts, n_model_rows = explained([THREE], [in_pairs], {"max_parts": 8}, phi=truth.sum())[0]
    spans = [THREE[start:stop].split() for start, stop in parts.where[:, :2].tolist()]
    assert [[word.decode().strip(".") for word in span] for span in spans] == PARTS
    np.testing.assert_allclose(parts.attributions[:, 0], truth, atol=1e-9)
    assert (parts.where[:, 2] == 1).all()
    assert n_model_rows <= 1_024


def test_estimates_are_right_on_average_and_their_errors_cover_them() -> None:
    """Beside another feature: the mean over it being the row's, in all orders before and after the text."""
    truth = (owen(value_of(in_threes, 0.0), UNIONS) + owen(value_of(in_threes, 1.0), UNIONS)) / 2
    n = 200
    parts, _ = explained([THREE] * n, [in_threes], {"max_parts": 8}, phi=truth.sum(), reads_other=True)[0]
    assert set(parts.lengths.tolist()) == {len(PARTS)}
    values, errors = (table.reshape(n, len(PARTS)) for table in (parts.attributions, parts.std_errors))
    np.testing.assert_allclose(values.sum(axis=1), truth.sum(), rtol=1e-9)
    # Five standard errors of a mean over 200 rows.
    off = np.abs(values.mean(axis=0) - truth)
    assert (off <= 5 * values.std(axis=0) / np.sqrt(n) + 1e-9).all()
    # Even strata make the spread between pairs an upper bound.
    assert (values.std(axis=0) <= 1.1 * np.sqrt(np.square(errors).mean(axis=0)) + 1e-9).all()
    assert (values.std(axis=0) > 1e-3).any()


FILLER = " ".join(f"W{number}" + "." * (number % 15 == 14) for number in range(2_000))
# Where nothing of the last words matters, halving finds how much the model sees.
FOR_SEEING = 1 + 2 * 11
PLANTED = {"W307": 4.0, "W1003": -3.0, "W1811": 2.0}


def planted(has: Has, other: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Each planted word has half of what it has together with another, in another sentence."""
    first, second, third = (has(f"{word} ") for word in PLANTED)
    return 3.0 * first - 4.0 * second + 2.0 * third + 2.0 * first * second


def at_words(parts: PartRows, text: str) -> dict[str, tuple[float, float]]:
    """Of the parts that are one word, what it adds and the error of that."""
    spans = [text[start:stop].split() for start, stop in parts.where[:, :2].tolist()]
    figures = zip(parts.attributions[:, 0].tolist(), parts.std_errors[:, 0].tolist(), strict=True)
    return {span[0].strip("."): figure for span, figure in zip(spans, figures, strict=True) if len(span) == 1}


@pytest.mark.parametrize("max_parts", [128, 256])
def test_planted_words_of_a_long_text_are_found_within_the_budget(max_parts: int) -> None:
    settings = {"max_parts": max_parts}
    parts, n_model_rows = explained([FILLER.encode()], [planted], settings, phi=sum(PLANTED.values()))[0]
    assert len(parts.where) <= max_parts
    assert n_model_rows <= 32 * max_parts + FOR_SEEING
    words = at_words(parts, FILLER)
    for word, truth in PLANTED.items():
        value, error = words[word]
        assert abs(value - truth) <= 4 * error + 1e-9
        assert error < 0.5
    assert all(value == 0 for word, (value, _) in words.items() if word not in PLANTED)


def test_words_of_one_enormous_sentence_are_found() -> None:
    text = FILLER.replace(".", "")
    parts, n_model_rows = explained([text.encode()], [planted], {}, phi=sum(PLANTED.values()))[0]
    assert n_model_rows <= 4_096 + FOR_SEEING
    words = at_words(parts, text)
    assert all(abs(words[word][0] - truth) <= 4 * words[word][1] + 1e-9 for word, truth in PLANTED.items())


def rising(has: Has, other: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """One word of each of 40 sentences counts, in each later one more."""
    return sum((1.0 + place) * has(f"W{15 * place + 3} ") for place in range(40))


@pytest.mark.parametrize(
    ("settings", "most_rows"), [({}, 4_096), ({"model_rows": 2_048}, 2_048), ({"max_parts": 100}, 3_200)]
)
def test_the_heaviest_are_opened_as_long_as_there_is_room(settings: dict[str, object], most_rows: int) -> None:
    text = " ".join(FILLER.split()[:600])
    parts, n_model_rows = explained([text.encode()], [rising], settings, phi=820.0)[0]
    assert len(parts.where) <= settings.get("max_parts", 128)
    assert most_rows / 2 < n_model_rows <= most_rows + FOR_SEEING
    opened = sorted({int(word[1:]) // 15 for word in at_words(parts, text)})
    assert len(opened) > 1
    assert opened == list(range(40 - len(opened), 40))


@pytest.mark.parametrize("max_parts", range(4, 20))
def test_there_are_no_more_parts_than_asked_for(max_parts: int) -> None:
    def score(has: Has, other: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        return sum((1.0 + number) * has(f"W{number:02}") for number in range(20))

    text = " ".join(f"W{number:02}" + "." * (number % 5 == 4) for number in range(20))
    parts, _ = explained([text.encode()], [score], {"max_parts": max_parts}, phi=210.0)[0]
    words = [re.findall(r"W(\d+)", text[start:stop]) for start, stop in parts.where[:, :2].tolist()]
    assert len(parts.where) <= max_parts
    np.testing.assert_allclose(parts.attributions[:, 0], [sum(1.0 + int(word) for word in span) for span in words])


def tangled(has: Has, other: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """No estimate of this is exact: what one word of two in a sentence does depends on others, and on a feature."""
    first, second, third = (has(f"{word} ") for word in PLANTED)
    return 3.0 * first - has("W308 ") * (second + third * other) + has("aa") * has("bb") * has("Gg") * other


def test_a_row_has_the_same_bits_whatever_stands_beside_it() -> None:
    texts = [FILLER.encode(), b"short W307 one", b" ".join(reversed(FILLER.encode().split())), THREE * 40]
    settings = {"model_rows": 2_048}
    together = explained(texts, [tangled], settings, reads_other=True, hashes=[5, 6, 7, 8])[0][0]
    for row, text in enumerate(texts):
        alone = explained([text], [tangled], settings, reads_other=True, hashes=[5 + row])[0][0]
        kept = together.take(np.array([row]))
        assert np.array_equal(kept.where, alone.where)
        assert np.array_equal(kept.attributions, alone.attributions)
        assert np.array_equal(kept.std_errors, alone.std_errors)


@pytest.mark.parametrize("n_words", [115, 400])
def test_words_that_are_cut_off_are_one_part_and_take_none_from_the_others(n_words: int) -> None:
    """A baseline model that sees fewer words, or more, has the same parts."""

    def start_of(n: int) -> Score:
        def score(has: Has, other: npt.NDArray[np.float64]) -> np.ndarray:
            return sum(has(f"W{number}.") for number in range(14, n, 15)) + 0.01 * has(f"W{n - 2} ")

        return score

    scores = [start_of(n_words), start_of(n_words - 30), start_of(n_words + 60)]
    totals = [0.01 + len(range(14, n, 15)) for n in (n_words, n_words - 30, n_words + 60)]
    found = [parts for parts, _ in explained([FILLER.encode()], scores, {"max_parts": 115}, phi=totals)]
    for parts, total in zip(found, totals, strict=True):
        assert np.array_equal(parts.where[:, :2], found[0].where[:, :2])
        assert parts.attributions.sum() == pytest.approx(total, rel=1e-9)
        assert (parts.attributions[parts.where[:, 2] == 0] == 0).all()
    seen = found[0].where[:, 2]
    assert seen.sum() == len(seen) - 1
    assert found[0].where[-1, 1] == len(FILLER)
    assert len(FILLER[: found[0].where[-1, 0]].split()) == n_words - 1
    if n_words == 115:
        assert len(seen) == n_words
    assert found[1].where[:, 2].sum() < len(seen) - 1
    assert found[2].where[-1, 2] == 1


def test_what_changes_nothing_is_not_opened_and_costs_nothing() -> None:
    def none(has: Has, other: npt.NDArray[np.float64]) -> np.ndarray:
        return 0.0 * other + has("W1999")

    parts, n_model_rows = explained([FILLER.encode()], [none], {}, phi=1.0)[0]
    assert np.count_nonzero(parts.attributions) == 1
    assert parts.attributions.sum() == pytest.approx(1.0)
    # Half of the budget for the text as a whole, and a row of sentences and a sentence of 15 words or fewer.
    assert n_model_rows <= 2_048 + FOR_SEEING + 32 * (2 + 15)
