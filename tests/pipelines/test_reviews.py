"""The pipeline of reviews: what it reads, how the graph finds words, and a model that the policy blesses."""

from collections import Counter

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
import yaml

import tf_examples
import tfx_explain
import worlds
from reviews import data, local_runner, module
from tfx_explain import ValidationConfig


@pytest.fixture(scope="module")
def rows():
    return data.reviews()


@pytest.fixture(scope="module")
def words():
    return module.Words(["good", "don't", "naïve", "東京"])


def numbers(words, text):
    """The numbers of a text's words, without the padding."""
    (found,) = words(tf.constant([text if isinstance(text, bytes) else text.encode()])).numpy()
    assert found.shape == (module.MAX_WORDS,)
    n_words = int(np.count_nonzero(found))
    assert not found[n_words:].any()
    return found[:n_words].tolist()


def test_every_review_is_there_once_with_its_verdict(rows):
    assert Counter(row[data.LABEL] for row in rows) == {1: 7403, 0: 5405}
    assert len({row[data.ID] for row in rows}) == len(rows)
    assert all(row[data.REVIEW].decode("utf-8").strip() for row in rows)


def test_what_is_written_is_what_was_read_and_is_left_alone_when_it_is_there(tmp_path, rows):
    assert data.write_examples(tmp_path, limit=5) == 5
    path = tmp_path / "reviews.tfrecord"
    written = [tf.train.Example.FromString(record.numpy()) for record in tf.data.TFRecordDataset(str(path))]
    assert written == [tf_examples.example(row) for row in rows[:5]]
    before = path.stat().st_mtime_ns
    data.write_examples(tmp_path, limit=5)
    assert path.stat().st_mtime_ns == before
    assert data.write_examples(tmp_path, limit=4) == 4
    assert len(list(tf.data.TFRecordDataset(str(path)))) == 4
    assert [file.name for file in tmp_path.iterdir()] == ["reviews.tfrecord"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        (" ... !", []),
        ("GOOD, bad; good.", [2, 1, 2]),
        ("Don't", [3]),
        ("NAÏVE 東京 😀", [4, 5]),
        (b"\xff\xfegood\x00good", [2, 2]),
        ("good " * 100, [2] * module.MAX_WORDS),
    ],
)
def test_words_of_any_text_have_numbers(words, text, expected):
    assert numbers(words, text) == expected


def test_the_vocabulary_is_the_frequent_words_in_a_fixed_order():
    texts = np.array([b"b a c"] * module.MIN_COUNT + [b"c rare"], dtype=object)
    assert module.find_vocabulary(texts) == ["c", "a", "b"]


def test_data_and_module_agree():
    assert (data.REVIEW, data.LABEL) == (module.REVIEW, module.LABEL)


@pytest.fixture(scope="module")
def examples(rows, tmp_path_factory):
    """A directory with the examples of two splits, and the rows of training and evaluation."""
    root = tmp_path_factory.mktemp("reviews")
    order = np.random.default_rng(0).permutation(len(rows))
    splits = {"eval": order[: len(rows) // 3], "train": order[len(rows) // 3 :]}
    for split, of_split in splits.items():
        records = [tf_examples.example(rows[row]).SerializeToString() for row in of_split]
        worlds.write_records(root / f"Split-{split}", records)
    return root, [rows[row] for row in splits["train"]], [rows[row] for row in splits["eval"]]


def train(examples, directory, permute=False):
    """A model trained as the pipeline does it, or on labels of other reviews."""
    rows = examples[1]
    labels = np.array([row[data.LABEL] for row in rows])
    texts = np.array([row[data.REVIEW] for row in rows], dtype=object)
    model, words = module.train_model(texts, np.random.default_rng(0).permutation(labels) if permute else labels)
    module.export(model, words, str(directory))
    return str(directory)


@pytest.fixture(scope="module")
def model(examples, tmp_path_factory):
    return train(examples, tmp_path_factory.mktemp("trained") / "model")


def explain(model, examples, directory, **changes):
    """As the pipeline explains, but fewer rows."""
    config = yaml.safe_load((local_runner.HERE / "explain.yaml").read_text("utf-8"))
    return tfx_explain.explain(
        model=model,
        examples=str(examples[0]),
        output_dir=str(directory),
        config={**config, "max_examples": 400, **changes},
    )


@pytest.fixture(scope="module")
def explanation(model, examples, tmp_path_factory):
    return explain(model, examples, tmp_path_factory.mktemp("explained"))


def test_the_exported_graph_judges_texts_as_the_network_judges_their_words(model, rows):
    examples = [tf_examples.example(row).SerializeToString() for row in rows[:2000]]
    serve = tf.saved_model.load(model).signatures["serving_default"]
    together = serve(examples=tf.constant(examples))["fresh_probability"].numpy()
    alone = serve(examples=tf.constant(examples[:1]))["fresh_probability"].numpy()
    np.testing.assert_allclose(together[:1], alone, rtol=1e-5)
    said = together[:, 0] > 0.5
    assert np.mean(said == [row[data.LABEL] for row in rows[:2000]]) > 0.7


def test_padding_adds_nothing():
    model, words = module.train_model(np.array([b"good film", b"bad film"] * 3, dtype=object), np.array([1, 0] * 3))
    padding, unknown, *_ = model.get_layer("words").get_weights()[0]
    assert not padding.any()
    assert unknown.any()
    assert len(model.get_layer("words").get_weights()[0]) == 2 + words.table.size()


def test_the_policy_blesses_the_model(explanation):
    judged = tfx_explain.judge(explanation, ValidationConfig.from_file(local_runner.HERE / "policy.yaml"))
    assert judged.blessed, judged.findings


def test_words_add_up_to_their_reviews_and_mean_what_they_say(explanation):
    reviews = explanation.attributions().set_index("example_id")
    parts = explanation.parts("review")
    sums = parts.groupby("example_id")["attribution"].sum()
    np.testing.assert_allclose(sums, reviews["attribution_review"].loc[sums.index], rtol=1e-6, atol=1e-6)
    texts = reviews["review"].loc[parts["example_id"]].str.encode("utf-8")
    cut = [text[start:stop].decode() for text, start, stop in zip(texts, parts["start"], parts["stop"], strict=True)]
    word = pd.Series(cut).str.lower().str.strip(" .,!?;:")
    assert parts["attribution"][word.isin(["bad", "dull", "lacks", "too"])].mean() < 0
    assert parts["attribution"][word.isin(["best", "enjoyable", "entertaining", "funny"])].mean() > 0
    # Paths find the same words: each review is cut the same way, as the model's own tokens are.
    places = ["example_id", "start", "stop"]
    along = explanation.parts("review", method="integrated_gradients").merge(
        parts, on=places, suffixes=("", "_shapley")
    )
    assert len(along) > 0.95 * len(parts)
    assert along["attribution"].corr(along["attribution_shapley"]) > 0.9


def importance(model, rows):
    """Mean |attribution| of reviews, which are the only feature: log-odds less those of no review."""
    examples = [tf_examples.example({**row, data.REVIEW: text}) for row in rows for text in (row[data.REVIEW], b"")]
    serve = tf.saved_model.load(model).signatures["serving_default"]
    serialized = tf.constant([one.SerializeToString() for one in examples])
    probability = serve(examples=serialized)["fresh_probability"].numpy().astype(float)
    log_odds = np.log(probability / (1 - probability)).reshape(-1, 2)
    return np.abs(log_odds[:, 0] - log_odds[:, 1]).mean()


def test_the_policy_tells_a_model_that_learned_from_one_with_permuted_labels(model, examples, tmp_path):
    eval_rows = examples[2]
    untaught = train(examples, tmp_path / "model", permute=True)
    rules = yaml.safe_load((local_runner.HERE / "policy.yaml").read_text("utf-8"))["rules"]
    (demand,) = (rule["min_importance"]["value"] for rule in rules if "min_importance" in rule)
    assert 1.2 * importance(untaught, eval_rows) < demand < importance(model, eval_rows) / 1.2
