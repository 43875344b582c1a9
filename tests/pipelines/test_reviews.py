"""The pipeline of reviews: what it reads, how the graph finds words, and a model that the policy blesses."""

from collections import Counter

import numpy as np
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
    """A directory with the examples of two splits, and the rows of the training split."""
    root = tmp_path_factory.mktemp("reviews")
    order = np.random.default_rng(0).permutation(len(rows))
    splits = {"eval": order[: len(rows) // 3], "train": order[len(rows) // 3 :]}
    for split, of_split in splits.items():
        records = [tf_examples.example(rows[row]).SerializeToString() for row in of_split]
        worlds.write_records(root / f"Split-{split}", records)
    return root, [rows[row] for row in splits["train"]]


def train(examples, directory, permute=False):
    """A model trained as the pipeline does it, or on labels of other reviews."""
    _, rows = examples
    labels = np.array([row[data.LABEL] for row in rows])
    texts = np.array([row[data.REVIEW] for row in rows], dtype=object)
    model, words = module.train_model(texts, np.random.default_rng(0).permutation(labels) if permute else labels)
    module.export(model, words, str(directory))
    return str(directory)


@pytest.fixture(scope="module")
def model(examples, tmp_path_factory):
    return train(examples, tmp_path_factory.mktemp("trained") / "model")


def verdict(model, examples, directory, **changes):
    """By the pipeline's policy, on fewer rows than there."""
    config = yaml.safe_load((local_runner.HERE / "explain.yaml").read_text("utf-8"))
    explanation = tfx_explain.explain(
        model=model,
        examples=str(examples[0]),
        output_dir=str(directory),
        config={**config, "max_examples": 400, **changes},
    )
    return tfx_explain.judge(explanation, ValidationConfig.from_file(local_runner.HERE / "policy.yaml"))


def test_the_exported_graph_judges_texts_as_the_network_judges_their_words(model, rows):
    examples = [tf_examples.example(row).SerializeToString() for row in rows[:2000]]
    serve = tf.saved_model.load(model).signatures["serving_default"]
    together = serve(examples=tf.constant(examples))["fresh_probability"].numpy()
    alone = serve(examples=tf.constant(examples[:1]))["fresh_probability"].numpy()
    np.testing.assert_allclose(together[:1], alone, rtol=1e-5)
    said = together[:, 0] > 0.5
    assert np.mean(said == [row[data.LABEL] for row in rows[:2000]]) > 0.7


def test_the_policy_blesses_the_model(model, examples, tmp_path):
    judged = verdict(model, examples, tmp_path)
    assert judged.blessed, judged.findings


def test_the_policy_refuses_a_model_that_learned_from_permuted_labels(examples, tmp_path):
    untaught = train(examples, tmp_path / "model", permute=True)
    judged = verdict(untaught, examples, tmp_path / "explanation", slicing_specs=[])
    assert [finding.rule for finding in judged.findings if finding.outcome != "pass"] == ["min_importance"]
