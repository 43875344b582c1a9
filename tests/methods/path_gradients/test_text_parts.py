"""Integrated gradients of the words of a text, where what each adds is known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from attributing import Attributing, model_of
from tfx_explain.errors import ConfigError, ModelError
from tfx_explain.models import load_model

VOCABULARY = ["good", "bad", "film", "not", "fine", "שלום", "很", "好"]
MOST = 8
UNKNOWN = 1
SPECS = {"review": tf.TensorSpec([None], tf.string), "stars": tf.TensorSpec([None], tf.float32)}
TEXTS = [
    b"good film",
    b"Good, good! bad film",
    b"",
    b"bad",
    b"   ",
    b"!!! fine ... not",
    "很好 good \U0001f468‍\U0001f469‍\U0001f467 שלום bad".encode(),
    b"\xff\xfe good \x80 bad",
    b"fine " * 12 + b"bad",
    b"one good two three bad four five six seven good",
    b"good-film bad",
]


def table(seed: int, n_dims: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(len(VOCABULARY) + 2, n_dims)).astype(np.float32)


def numbers_of(texts: Any, most: int = MOST) -> Any:
    """(n, most) numbers of words, split at what is no letter; 0 behind the last one."""
    valid = tf.strings.unicode_transcode(texts, "UTF-8", "UTF-8")
    words = tf.strings.split(tf.strings.lower(tf.strings.regex_replace(valid, r"[^\p{L}]+", " "), "utf-8"))
    places = tf.argmax(tf.equal(words.values[:, None], tf.constant(VOCABULARY)), axis=1)
    known = tf.reduce_any(tf.equal(words.values[:, None], tf.constant(VOCABULARY)), axis=1)
    hashed = tf.strings.to_hash_bucket_fast(words.values, 1)
    numbers = hashed + tf.where(known, places + UNKNOWN + 1, UNKNOWN)
    return words.with_values(numbers).to_tensor(shape=[None, most])


def bag(review: Any, stars: Any) -> Any:
    """The sum of embeddings, with a linear head."""
    return tf.reduce_sum(tf.gather(table(0, 3), numbers_of(review)), axis=1) @ tf.ones([3, 1]) + 0.5 * stars[:, None]


def rows_of(texts: list[bytes]) -> dict[str, Any]:
    return {"review": texts, "stars": np.linspace(-1, 1, len(texts)).astype(np.float32)}


def at_work(directory: Path, score: Any = bag, texts: list[bytes] = TEXTS, **settings: Any) -> Attributing:
    parts = {"review": {"unit": "word", **settings.pop("parts", {})}}
    model = model_of(directory, score, SPECS)
    return Attributing([model], rows_of(texts), {"integrated_gradients": {"parts": parts, **settings}})


def spans_of(rows: Any, texts: list[bytes] = TEXTS) -> list[tuple[bytes, int, float]]:
    parts = rows.parts["review"]
    row = np.repeat(np.arange(len(parts.lengths)), parts.lengths)
    return [
        (texts[i][start:stop], seen, value)
        for i, (start, stop, seen), value in zip(row, parts.where, parts.attributions[:, 0], strict=True)
    ]


def added(word: bytes) -> float:
    """What a word adds to `bag`: its embedding less that of the padding."""
    effects = table(0, 3).astype(np.float64).sum(axis=1)
    text = word.decode("utf-8", "ignore").strip(" ,.!").lower()
    if not any(letter.isalpha() for letter in text):
        return 0.0
    return sum(
        effects[VOCABULARY.index(one) + UNKNOWN + 1 if one in VOCABULARY else UNKNOWN] - effects[0]
        for one in text.replace("-", " ").split()
    )


def test_words_of_a_bag_have_what_their_embeddings_add(tmp_path):
    result = at_work(tmp_path).explain(rows_of(TEXTS))
    assert not result.errors
    (rows,) = result.sides
    seen_words: dict[int, int] = {}
    parts = rows.parts["review"]
    row = np.repeat(np.arange(len(parts.lengths)), parts.lengths)
    for number, (text, seen, value) in zip(row.tolist(), spans_of(rows), strict=True):
        seen_words[number] = seen_words.get(number, 0) + 1
        is_read = seen_words[number] <= MOST or number not in (8, 9)
        assert seen == is_read
        # Sums of eight 32-bit floats of size up to 10.
        assert value == pytest.approx(added(text) if is_read else 0.0, abs=1e-5), text
    np.testing.assert_allclose(parts.sums(), rows.attributions[:, 0], atol=1e-6)
    assert parts.lengths.tolist()[:5] == [2, 4, 0, 1, 1]


def test_of_a_long_text_the_words_that_are_read_are_told_apart(tmp_path):
    text = b"good bad film, not " * 25_000
    result = at_work(tmp_path, parts={"max_parts": 12}).explain(rows_of([text, *TEXTS]))
    spans = spans_of(result.sides[0], [text, *TEXTS])[:9]
    assert [word for word, _, _ in spans] == [b"good ", b"bad ", b"film, ", b"not "] * 2 + [text[38:]]
    assert [seen for _, seen, _ in spans] == [1] * 8 + [0]
    np.testing.assert_allclose(
        [value for _, _, value in spans[:8]], [added(word) for word, _, _ in spans[:8]], atol=1e-5
    )


def network(review: Any, stars: Any) -> Any:
    """Where words and another feature act together."""
    words = tf.gather(table(1, 4), numbers_of(review))
    hidden = tf.tanh(tf.reduce_sum(words, axis=1) @ table(2, 6)[:4] / 3)
    return tf.stack([tf.reduce_sum(hidden, 1) * (2 + stars), tf.reduce_sum(hidden[:, :2], 1) - stars], axis=1)


def test_words_of_a_network_have_the_integrals_of_their_slots(tmp_path):
    texts = [b"good film", b"Good, good! bad film", b"not bad, \xff fine", b"good bad not fine film film film not good"]
    result = at_work(tmp_path, network, texts, max_completeness_gap=1e-5).explain(rows_of(texts))
    (rows,) = result.sides
    assert result.counts["above_max_completeness_gap"] == 0
    ends, stars = tf.gather(table(1, 4), numbers_of(tf.constant(texts))), rows_of(texts)["stars"]
    # The reference is an empty text with the typical row's number.
    start = rows.base_value[0, 1]
    slots = np.zeros((len(texts), MOST, 2))
    empty = tf.tile(tf.gather(table(1, 4), [[0]]), [len(texts), MOST, 1])
    nothing = tf.reduce_sum(tf.tanh(tf.reduce_sum(empty, axis=1) @ table(2, 6)[:4] / 3)[:, :2], 1)
    reference = float(nothing[0]) - start
    for alpha in (np.arange(400) + 0.5) / 400:
        words = tf.Variable(empty + alpha * (ends - empty))
        with tf.GradientTape(persistent=True) as tape:
            hidden = tf.tanh(tf.reduce_sum(words, axis=1) @ table(2, 6)[:4] / 3)
            at = reference + alpha * (stars - reference)
            outputs = [tf.reduce_sum(hidden, 1) * (2 + at), tf.reduce_sum(hidden[:, :2], 1)]
        for k in range(2):
            slots[:, :, k] += np.sum((ends - empty) * tape.gradient(outputs[k], words), axis=2) / 400
    parts = rows.parts["review"]
    # "Good," and "good!" are words of their own; what is no UTF-8 belongs to a word, and the ninth word is not seen.
    assert parts.lengths.tolist() == [2, 4, 4, 9]
    assert parts.where[:, 2].tolist() == [1] * 18 + [0]
    expected = [slots[0, :2], slots[1, :4], np.stack([*slots[2, :2], [0, 0], slots[2, 2]]), slots[3], np.zeros((1, 2))]
    np.testing.assert_allclose(parts.attributions, np.concatenate(expected), atol=2e-4)
    np.testing.assert_allclose(parts.sums(), rows.attributions[:, list("rs").index("r")], atol=1e-6)


def masked_mean(review: Any, stars: Any) -> Any:
    """Of known words and others; the numbers are embedded, and say what is none."""
    numbers = numbers_of(review)
    mask = tf.cast(numbers != 0, tf.float32)[:, :, None]
    mean = tf.reduce_sum(tf.gather(table(3, 3), numbers) * mask, axis=1) / (tf.reduce_sum(mask, axis=1) + 0.1)
    return tf.tanh(mean) @ tf.ones([3, 1]) * stars[:, None]


def indicators(review: Any, stars: Any) -> Any:
    return tf.reduce_sum(tf.one_hot(numbers_of(review), 10) @ table(4, 1), axis=1) + stars[:, None]


@pytest.mark.parametrize("score", [masked_mean, indicators])
@pytest.mark.parametrize("absent", ["delete", "[UNK]"])
def test_masks_and_indicators_move_with_their_words(tmp_path, score, absent):
    texts = [text for text in TEXTS if text.strip()]
    result = at_work(tmp_path, score, texts, parts={"absent": absent}).explain(rows_of(texts))
    (rows,) = result.sides
    assert not result.errors
    assert result.counts["above_max_completeness_gap"] == 0
    parts = rows.parts["review"]
    assert (parts.lengths > 1).sum() > 5
    np.testing.assert_allclose(parts.sums(), rows.attributions[:, 0], atol=1e-6)


class MaskedMean(keras.layers.Layer):
    """The mean of what is not masked: multiplied with the mask, or, as pooling in later versions of Keras, selected."""

    supports_masking = True

    def __init__(self, *, selects):
        super().__init__()
        self.selects = selects

    def call(self, x, mask=None):
        weights = keras.ops.cast(mask, x.dtype)[..., None]
        kept = keras.ops.where(mask[..., None], x, 0.0) if self.selects else x * weights
        return keras.ops.sum(kept, 1) / keras.ops.sum(weights, 1)


def save_layers_of_keras(directory, *, selects):
    """Text to numbers, embedding with a mask, and the mean of what is not masked."""
    network = keras.Sequential(
        [
            keras.Input((), dtype="string"),
            keras.layers.TextVectorization(output_sequence_length=MOST, vocabulary=["good", "bad", "film"]),
            keras.layers.Embedding(5, 3, mask_zero=True),
            MaskedMean(selects=selects),
            keras.layers.Dense(4, activation="tanh"),
            keras.layers.Dense(1),
        ]
    )
    archive = keras.export.ExportArchive()
    archive.track(network)
    signature = [tf.TensorSpec([None], tf.string, name="review")]
    archive.add_endpoint("serving_default", lambda review: {"y": network(review)}, input_signature=signature)
    archive.write_out(str(directory), verbose=False)


def test_a_mask_that_selects_is_no_path(tmp_path):
    """Whether a word is there reaches the output without a gradient, so words would not add up."""
    save_layers_of_keras(tmp_path, selects=True)
    settings = {"integrated_gradients": {"parts": {"review": {"absent": "[UNK]"}}}}
    with pytest.raises(ModelError, match=r"The text 'review' also reaches the output .* use `parts` of `shapley`"):
        Attributing([load_model(str(tmp_path), output_space="raw")], {"review": [b"a good film", b"bad"]}, settings)


def test_layers_of_keras(tmp_path):
    save_layers_of_keras(tmp_path, selects=False)
    texts = [b"a good film", b"bad", b"good good bad film", b"Good film, not bad but not good " * 3]
    settings = {"integrated_gradients": {"parts": {"review": {"absent": "[UNK]"}}}}
    work = Attributing([load_model(str(tmp_path), output_space="raw")], {"review": texts}, settings)
    result = work.explain({"review": texts})
    assert not result.errors
    (rows,) = result.sides
    assert result.counts["above_max_completeness_gap"] == 0
    assert rows.parts["review"].lengths.tolist() == [3, 1, 4, 21]
    assert rows.parts["review"].where[:, 2].tolist() == [1] * 16 + [0] * 13
    np.testing.assert_allclose(rows.parts["review"].sums(), rows.attributions[:, 0], atol=1e-6)


def test_rows_are_the_same_in_any_batch(tmp_path):
    work = at_work(tmp_path, network)
    (whole,), (some,) = (work.explain(rows_of(TEXTS), kept).sides for kept in (None, [9, 7, 1]))
    for number, row in enumerate((9, 7, 1)):
        own, other = whole.parts["review"].take(np.array([row])), some.parts["review"].take(np.array([number]))
        np.testing.assert_array_equal(own.attributions, other.attributions)
        np.testing.assert_array_equal(own.std_errors, other.std_errors)
        np.testing.assert_array_equal(own.where, other.where)


def test_references_have_no_text_and_what_they_have_of_others_counts(tmp_path):
    work = at_work(tmp_path, network, num_references=4)
    references = work.plan.per_method["integrated_gradients"].rows.rows
    assert references.column("review").to_pylist() == [[b""]] * 4
    assert work.described()["parts"]["review"]["unit"] == "word"
    (rows,) = work.explain(rows_of(TEXTS)).sides
    parts = rows.parts["review"]
    np.testing.assert_allclose(parts.sums(), rows.attributions[:, 0], atol=1e-6)
    # Words act with the number, which references differ in.
    assert (parts.std_errors[:, 0] > 1e-3).any()


def by_pairs(review: Any, stars: Any) -> Any:
    words = tf.strings.split(tf.strings.regex_replace(review, r"[^\pL]+", " "))
    pairs = tf.strings.ngrams(tf.concat([words, tf.fill([tf.shape(review)[0], 1], "end")], axis=1), 2)
    numbers = tf.ragged.map_flat_values(lambda flat: 1 + tf.strings.to_hash_bucket_fast(flat, 9), pairs)
    return tf.reduce_sum(tf.gather(table(0, 3), numbers.to_tensor(shape=[None, MOST])), [1, 2])[:, None]


def as_long_as_it_is(review: Any, stars: Any) -> Any:
    numbers = numbers_of(review, None)
    is_word = tf.cast(numbers != 0, tf.float32)[:, :, None]
    return tf.reduce_sum(tf.gather(table(0, 3), numbers) * is_word, [1, 2])[:, None] + stars[:, None]


def with_its_length(review: Any, stars: Any) -> Any:
    return bag(review, stars) + tf.cast(tf.strings.length(review), tf.float32)[:, None]


def as_a_whole(review: Any, stars: Any) -> Any:
    return tf.gather(table(0, 1), tf.strings.to_hash_bucket_fast(review, 9)) + stars[:, None]


def along_another_axis(review: Any, stars: Any) -> Any:
    """As many indicators as there are slots, and these behind them."""
    indicators = tf.one_hot(numbers_of(review), MOST, axis=1)
    return tf.reduce_sum(indicators * np.arange(1.0, MOST + 1, dtype=np.float32)[:, None], axis=[1, 2])[:, None]


@pytest.mark.parametrize(
    ("score", "message"),
    [
        (along_another_axis, "no tensor of the text 'review' that has one row per token"),
        (as_long_as_it_is, "no tensor of the text 'review' that has one row per token"),
        (as_a_whole, "no tensor of the text 'review' that has one row per token"),
        (with_its_length, "The text 'review' also reaches the output .* which is of no single token"),
    ],
)
def test_models_whose_words_cannot_be_told_apart_are_refused(tmp_path, score, message):
    with pytest.raises(ModelError, match=message) as caught:
        at_work(tmp_path, score)
    assert "use `parts` of `shapley`" in str(caught.value)


def test_a_model_whose_tokens_are_of_several_words_is_refused_before_the_run(tmp_path):
    texts = [b"good bad film", b"not good at all", b"bad film not fine", b"fine film, good film"]
    message = r"In each of the first 4 rows of 3 words or more, the model .* use `parts` of `shapley`\.$"
    with pytest.raises(ModelError, match=message):
        at_work(tmp_path, by_pairs, texts)


def test_rows_whose_tokens_are_of_several_words_are_refused(tmp_path):
    """Where the first rows are too short to say so of the model."""
    result = at_work(tmp_path, by_pairs, [b"good", b"bad", b"film bad"]).explain(rows_of(TEXTS))
    assert {1, 9} <= set(result.errors)
    assert all("which part of the text `review` adds what cannot be told" in why for why in result.errors.values())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"references": {"review": "a"}}, "`references` sets `review`, which `parts` looks inside"),
        ({"parts": {"model_rows": 100}}, "unknown key `model_rows`"),
        ({"parts": {"unit": "tokens"}}, "`methods.0.integrated_gradients.parts.review.unit`"),
    ],
)
def test_settings_that_do_not_fit(tmp_path, settings, message):
    with pytest.raises(ConfigError, match=message):
        at_work(tmp_path, **settings)


def test_a_number_is_no_text(tmp_path):
    model = model_of(tmp_path, bag, SPECS)
    with pytest.raises(ConfigError, match=r"`parts` looks inside `stars`, which .* not as one text"):
        Attributing([model], rows_of(TEXTS), {"integrated_gradients": {"parts": {"stars": {"unit": "word"}}}})
