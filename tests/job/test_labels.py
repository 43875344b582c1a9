"""What the classes of a job are called."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
import tensorflow as tf

from tfx_explain import ExplainConfig
from tfx_explain.errors import ConfigError, InputError
from tfx_explain.job.labels import choose_labels, read_vocabulary


def test_a_vocabulary_names_the_classes_in_its_order(tmp_path: Path) -> None:
    terms = (b"Adelie", b"Gentoo Penguin", "Zügel".encode())
    (tmp_path / "vocabulary").write_bytes(b"\n".join([*terms, b""]))
    with tf.io.TFRecordWriter(str(tmp_path / "vocabulary.tfrecord.gz"), "GZIP") as writer:
        for term in terms:
            writer.write(term)
    for name in ("vocabulary", "vocabulary.tfrecord.gz"):
        labels = choose_labels(ExplainConfig(label_key="species", class_names=str(tmp_path / name)), 3, {})
        assert labels is not None
        assert (labels.key, labels.class_names) == ("species", terms)


def test_a_vocabulary_that_names_nothing_or_one_twice_is_refused(tmp_path: Path) -> None:
    for content in (b"", b"\n", b"a\nb\na\n"):
        (tmp_path / "vocabulary").write_bytes(content)
        with pytest.raises(InputError, match="is empty or holds a term twice"):
            read_vocabulary(str(tmp_path / "vocabulary"))
    with gzip.open(tmp_path / "damaged.gz", "wb") as file:
        file.write(b"no record")
    with pytest.raises(InputError, match="cannot be read"):
        read_vocabulary(str(tmp_path / "damaged.gz"))


def test_more_names_than_classes_are_refused() -> None:
    names = ExplainConfig(label_key="species", class_names=["a", "b", "c"])
    assert choose_labels(names, 4, {}) is not None
    for n_outputs, told in ((1, "one output, which tells 2 classes apart"), (2, "2 outputs")):
        with pytest.raises(ConfigError, match=f"names 3 classes, but the model has {told}"):
            choose_labels(names, n_outputs, {})


def test_a_label_from_transform_needs_a_transform_graph() -> None:
    with pytest.raises(ConfigError, match="what Transform makes of raw examples; give `transform_graph`"):
        choose_labels(ExplainConfig(label_key="y", label_from="transform"), 1, {})
    with pytest.raises(ConfigError, match="`label_from` says where the label comes from; set `label_key`"):
        ExplainConfig(label_from="transform")


def test_names_of_classes_differ_and_need_no_label() -> None:
    # Without labels they are names of outputs for readers alone.
    assert ExplainConfig(class_names=["a", "b"]).class_names == ("a", "b")
    for names in ([], ["a", "a"], ""):
        with pytest.raises(ConfigError, match="lists the name of each class once"):
            ExplainConfig(label_key="y", class_names=names)
