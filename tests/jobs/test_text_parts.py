"""Shapley values of the words of a text, through the whole job, where the truth is known."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

import tfx_explain
import worlds
from tfx_explain import errors
from tfx_explain.regions import spans

pytestmark = pytest.mark.usefixtures("without_statistics")

EFFECTS = {b"good": 2.0, b"bad": -1.5, b"fine": 0.25}
TEXTS = [
    b"a good film",
    b"good good bad, fine",
    b"",
    b"bad",
    b"   ",
    "很好 good \U0001f468‍\U0001f469‍\U0001f467 שלום bad".encode(),
    b"\xff\xfe good \x80",
    b"fine " * 200,
    b"one two three four five six seven eight nine ten eleven good bad",
]
METHODS = [{"shapley": {"parts": {"review": {}}}}, "integrated_gradients"]
FEATURES = {"review": tf.io.FixedLenFeature([], tf.string), "stars": tf.io.FixedLenFeature([], tf.float32)}


def word_score(texts: Any) -> Any:
    """Adds up the effects of known words, as often as they stand there."""
    words = tf.strings.split(tf.strings.regex_replace(texts, r"[,\s]+", " "))
    effects = tf.zeros_like(words.values, tf.float32)
    for word, effect in EFFECTS.items():
        effects += tf.where(words.values == word, effect, 0.0)
    return tf.reduce_sum(words.with_values(effects), axis=1)


def additive(features: dict[str, Any]) -> Any:
    return word_score(features["review"]) + 0.5 * features["stars"]


def crossed(features: dict[str, Any]) -> Any:
    return word_score(features["review"]) * (1.0 + features["stars"])


def alone(features: dict[str, Any]) -> Any:
    return word_score(features["review"])


def rows_of(n: int, seed: int) -> list[dict[str, Any]]:
    stars = np.random.default_rng(seed).normal(size=n).astype(np.float32)
    return [{"review": TEXTS[i % len(TEXTS)], "stars": float(stars[i]), "id": i} for i in range(n)]


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> str:
    return worlds.write_splits(tmp_path_factory.mktemp("texts"), rows_of, 20, 18, num_shards=2)


def explained(
    directory: Path,
    examples: str,
    score: Any,
    parts: dict[str, Any] | None = None,
    baseline: str | None = None,
    **config: Any,
) -> Any:
    spec = {name: FEATURES[name] for name in (["review"] if score is alone else FEATURES)}
    model = worlds.save_serving_model(directory / "model", score, spec)
    of_text = {"unit": "word", "absent": "delete", **(parts or {})}
    settings = {
        "background": {"num_rows": 8},
        "id_key": "id",
        "min_word_examples": 2,
        "methods": [{"shapley": {"parts": {"review": of_text}}}],
        **config,
    }
    output = str(directory / "out")
    return tfx_explain.explain(
        model=model, examples=examples, output_dir=output, config=settings, baseline_model=baseline
    )


def words_of(explanation: Any, output: str | None = None) -> Any:
    """The parts, with the text that each is of."""
    table = explanation.parts("review", output=output)
    texts = dict(enumerate(TEXTS))
    table["text"] = [
        texts[int(row) % len(TEXTS)][start:stop]
        for row, start, stop in zip(table["example_id"], table["start"], table["stop"], strict=True)
    ]
    return table


def known(text: bytes) -> float:
    return sum(EFFECTS.get(word.strip(b", \x80"), 0.0) for word in text.split())


@pytest.mark.parametrize("score", [alone, additive])
def test_words_have_the_effects_that_the_model_gives_them(examples: str, tmp_path: Path, score: Any) -> None:
    explanation = explained(tmp_path, examples, score)
    table = words_of(explanation)
    expected = np.array([known(text) for text in table["text"]])
    np.testing.assert_allclose(table["attribution"], expected, atol=1e-5)
    assert (table["std_error"] <= 1e-5).all()
    assert set(explanation.background["review"].map(lambda cell: cell[0])) == {b""}
    means = explanation.words_for("review", min_examples=2).set_index("word")["mean"]
    for word, effect in EFFECTS.items():
        assert means[word.decode()] == pytest.approx(effect, abs=1e-5)
    assert means["film"] == pytest.approx(0.0, abs=1e-5)
    assert not {"", "..."} & set(means.index)


@pytest.mark.parametrize("parts", [{"absent": "[MASK]"}, {"unit": "sentence"}])
def test_parts_add_up_to_the_text(examples: str, tmp_path: Path, parts: dict[str, Any]) -> None:
    explanation = explained(tmp_path, examples, crossed, parts)
    sums = words_of(explanation).groupby("example_id")["attribution"].sum()
    rows = explanation.attributions().set_index("example_id")["attribution_review"]
    for row, value in rows.items():
        assert sums.get(row, 0.0) == pytest.approx(value, abs=1e-5)
    absent = parts.get("absent", "").encode()
    assert set(explanation.background["review"].map(lambda cell: cell[0])) == {absent}


def test_shards_change_nothing_and_slices_and_a_baseline_model_are_no_hindrance(examples: str, tmp_path: Path) -> None:
    first = explained(tmp_path / "first", examples, crossed)
    other = worlds.write_splits(tmp_path / "texts", rows_of, 20, 18, num_shards=5)
    baseline = worlds.save_serving_model(tmp_path / "baseline", alone, {"review": FEATURES["review"]})
    second = explained(
        tmp_path / "second", other, crossed, baseline=baseline, slicing_specs=[{}, {"feature_keys": ["id"]}]
    )
    keys = ["example_id", "part"]
    tables = [one.parts("review").sort_values(keys, ignore_index=True) for one in (first, second)]
    pd.testing.assert_frame_equal(*tables)


def test_each_output_has_parts_of_its_own(examples: str, tmp_path: Path) -> None:
    def two(features: dict[str, Any]) -> Any:
        return tf.stack([word_score(features["review"]), 0.5 * features["stars"] - word_score(features["review"])], 1)

    explanation = explained(tmp_path, examples, two)
    first, second = (words_of(explanation, output) for output in explanation.outputs)
    np.testing.assert_allclose(first["attribution"], [known(text) for text in first["text"]], atol=1e-5)
    np.testing.assert_allclose(second["attribution"], -first["attribution"], atol=1e-5)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"methods": [{"shapley": {"parts": {"stars": {}}}}]}, "`stars`, which .* reads as 1 float32 values"),
        ({"methods": [{"shapley": {"parts": {"title": {}}}}]}, "`title`, which is no player"),
        ({"features": {"groups": {"all": ["review", "stars"]}}}, "`review`, which is in group `all`"),
        ({"features": {"exclude": ["review"]}}, "`review`, which is left out"),
    ],
)
def test_what_cannot_be_looked_into_is_refused(
    examples: str, tmp_path: Path, config: dict[str, Any], message: str
) -> None:
    with pytest.raises(errors.ConfigError, match=message):
        explained(tmp_path, examples, crossed, **config)


def test_spans_behind_the_place_where_the_model_cuts_are_unseen(examples: str, tmp_path: Path) -> None:
    """Of at most four words a row; with stars of 0 or less nothing of the text shows in the row itself."""

    def cut(features: dict[str, Any]) -> Any:
        starts = tf.strings.regex_replace(features["review"], r"^((?:\S+\s+){3}\S+)[\s\S]*", r"\1")
        return word_score(starts) * tf.nn.relu(features["stars"])

    table = words_of(explained(tmp_path, examples, cut))
    before = [
        len(TEXTS[int(row) % len(TEXTS)][:start].split())
        for row, start in zip(table["example_id"], table["start"], strict=True)
    ]
    is_seen = np.array(before) < 4
    np.testing.assert_array_equal(table["seen"], is_seen)
    assert (table.loc[~is_seen, ["attribution", "std_error"]] == 0).all(axis=None)
    assert (table.loc[is_seen, "attribution"] != 0).any()


def test_a_text_of_a_hundred_thousand_words_has_fewer_longer_spans(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spans, "_MOST_BYTES", 2**24)
    long = b"well " * 60_000 + b"good " + b"bad, " * 40_000

    def rows(n: int, seed: int) -> list[dict[str, Any]]:
        return [*rows_of(n - 1, seed), {"review": long, "stars": 0.0, "id": n - 1}]

    examples = worlds.write_splits(tmp_path / "examples", rows, 9, 9)
    made = explained(tmp_path / "made", examples, alone)
    parts = made.parts("review")
    of_long = parts[parts["example_id"].astype(int) == 8]
    assert len(made.attributions()) == 9
    assert of_long["stop"].max() == len(long)
    assert 3 <= len(of_long) <= 5
    assert of_long["attribution"].sum() == pytest.approx(known(long), rel=1e-6)


# What stands in the review -> of which words the truth is known, or the reason among the dead letters.
STRANGE: dict[str, tuple[Any, list[bytes] | str]] = {
    "no spaces": (b"goodbad" * 500, []),
    "a megabyte": (b"x" * 2**20, []),
    "right to left": ("שלום good עולם bad مرحبا".encode(), [b"good", b"bad"]),
    "marks of direction": ("\u202ebad\u202c good \u200f".encode(), [b"good"]),
    "emoji": ("\U0001f468\u200d\U0001f469 good \U0001f1e9\U0001f1ea ❤️".encode(), [b"good"]),
    "accents of their own": (("e\u0301" * 50 + " good").encode(), [b"good"]),
    "half a character": (b"good \xed\xa0\x80 bad \xc3", [b"good", b"bad"]),
    "nothing but bytes": (b"\xff\xfe\x80", []),
    "points": (b"...!!!", []),
    "no text": (None, "is missing and the model has no default"),
    "two texts": ([b"good", b"bad"], "has 2 values where the model takes 1"),
    "a number": (3.0, "holds floats where the model takes strings"),
}


def test_strange_texts_are_explained_or_dead_letters(tmp_path: Path) -> None:
    def rows(n: int, seed: int) -> list[dict[str, Any]]:
        strange = [{"review": text, "stars": 0.5, "id": 100 + i} for i, (text, _) in enumerate(STRANGE.values())]
        return [*(strange if seed else []), *rows_of(n, seed)]

    examples = worlds.write_splits(tmp_path / "examples", rows, 9, 9)
    made = explained(tmp_path / "made", examples, crossed, methods=METHODS, max_failed_fraction=0.9)
    parts, found = made.parts("review"), made.attributions().set_index("example_id")
    letters = [
        (tf.train.Example.FromString(record).features.feature["id"].int64_list.value[0], reason)
        for record, reason in made.dead_letters()[["record", "reason"]].itertuples(index=False)
    ]
    assert len(found) + len(letters) == 9 + len(STRANGE)
    for i, (name, (text, expected)) in enumerate(STRANGE.items()):
        if isinstance(expected, str):
            assert expected in dict(letters)[100 + i], name
            continue
        row, own = found.loc[str(100 + i)], parts[parts["example_id"] == str(100 + i)]
        words = [text[start:stop] for start, stop in zip(own["start"], own["stop"], strict=True)]
        assert b"".join(words) == text, name
        assert row["prediction"] == pytest.approx(1.5 * sum(EFFECTS[word] for word in text.split() if word in EFFECTS))
        assert own["attribution"].sum() == pytest.approx(row["attribution_review"], abs=1e-5)
        moves = np.abs(own["attribution"].to_numpy()) > 1e-5
        moving = [spans.spoken(word).encode() for word, is_moving in zip(words, moves, strict=True) if is_moving]
        assert moving == expected, name
        for method in made.methods:
            one = made.attributions(method=method).set_index("example_id").loc[str(100 + i)]
            total = one["attribution_review"] + one["attribution_stars"]
            assert total == pytest.approx(
                one["prediction"] - one["base_value"], abs=1e-2 * (1 + abs(one["prediction"]))
            )
