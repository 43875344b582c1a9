"""What cannot be loaded gets one sentence that says why and what to do."""

from __future__ import annotations

import pytest
import tensorflow as tf

from tfx_explain.errors import ConfigError, ModelError, SignatureError, TfxExplainError
from tfx_explain.models import load_model, load_module_model


def save(path, function, *specs):
    module = tf.Module()
    module.serve = tf.function(function, input_signature=list(specs))
    tf.saved_model.save(module, str(path), signatures={"serving_default": module.serve})
    return str(path)


X = tf.TensorSpec([None, 1], tf.float32, "x")


def _one_sentence(error):
    text = str(error.value)
    assert text.endswith(".")
    assert "\n" not in text
    return text


def test_no_directory(tmp_path):
    with pytest.raises(ModelError, match="does not exist") as error:
        load_model(str(tmp_path / "nothing"))
    _one_sentence(error)


def test_no_saved_model(tmp_path):
    with pytest.raises(ModelError, match=r"holds no SavedModel.*module_file") as error:
        load_model(str(tmp_path))
    _one_sentence(error)


def test_the_latest_of_the_versions_in_a_directory_is_suggested(tmp_path):
    for version in ("9", "10", "drafts"):
        (tmp_path / version).mkdir()
        if version != "drafts":
            (tmp_path / version / "saved_model.pb").touch()
    with pytest.raises(
        ModelError, match=rf"holds no SavedModel, .*; did you mean {tmp_path}/10, which is one"
    ) as error:
        load_model(str(tmp_path))
    _one_sentence(error)


def test_broken_saved_model(tmp_path):
    (tmp_path / "saved_model.pb").write_bytes(b"no protocol buffer")
    with pytest.raises(ModelError, match="cannot be loaded") as error:
        load_model(str(tmp_path))
    _one_sentence(error)


@pytest.mark.parametrize(
    ("kwargs", "kind", "words"),
    [
        (
            {"signature": "nope"},
            SignatureError,
            "no signature 'nope'; its signatures are: multi, serving_default, whole",
        ),
        ({"output_key": "q"}, SignatureError, "has no output 'q'; its outputs are p"),
        ({"signature": "multi"}, SignatureError, r"several outputs \(class_id, p, total, twice\); choose one"),
        ({"signature": "multi", "output_key": "class_id"}, SignatureError, "'class_id'.* is int64; only floating"),
        ({"signature": "multi", "output_key": "total"}, SignatureError, "without a batch dimension"),
        ({"signature": "multi", "output_key": "twice", "output_space": "probability"}, SignatureError, "ends in Mul"),
        ({"output_space": "log"}, ConfigError, "output_space must be one of logit, probability, raw, got 'log'"),
    ],
)
def test_outputs_and_signatures(mixed_model_dir, kwargs, kind, words):
    with pytest.raises(kind, match=words) as error:
        load_model(mixed_model_dir, **kwargs)
    _one_sentence(error)


@pytest.mark.parametrize(
    ("function", "specs", "words"),
    [
        (lambda x: {"y": x}, [tf.TensorSpec([4, 1], tf.float32, "x")], "'y' .*without a batch dimension"),
        (
            lambda x: {"y": tf.tile(x[:1], [tf.cast(x[0, 0], tf.int32), 1])},
            [tf.TensorSpec([4, 1], tf.float32, "x")],
            "Input 'x' .*may vary",
        ),
        (lambda x: {"y": tf.ones([tf.size(tf.range(3)), 1])}, [X], "depends on none of its inputs|without a batch"),
        (lambda x: {"y": tf.reshape(x, [-1, 1, 1])}, [X], "only \\(batch,\\) and \\(batch, outputs\\)"),
        (lambda x: {"y": tf.cast(x > 0, tf.int32)}, [X], "no floating-point output"),
        (lambda x: {"y": tf.zeros([3, 1]) + tf.reduce_sum(x)}, [X], "without a batch dimension"),
    ],
)
def test_shapes(tmp_path, function, specs, words):
    path = save(tmp_path, function, *specs)
    with pytest.raises(SignatureError, match=words) as error:
        load_model(path)
    _one_sentence(error)


def test_an_output_without_static_width_is_asked_for_it(tmp_path):
    def serve(x):
        return {"y": tf.reshape(tf.tile(x, [1, 3]), tf.stack([-1, tf.cast(3 + 0 * tf.reduce_max(x), tf.int32)]))}

    assert load_model(save(tmp_path, serve, X)).n_outputs == 3


def test_a_model_that_fails_says_so(tmp_path, tools):
    def serve(k, x):
        return {"y": tf.gather(tf.constant([[1.0], [2.0]]), k[:, 0]) + x}

    path = save(tmp_path, serve, tf.TensorSpec([None, 1], tf.int64, "k"), X)
    model, data = load_model(path), tools.Data({"k": ("int", 1, 1, 0), "x": ("float", 1, 1, 0)})
    with pytest.raises(ModelError, match=r"failed: .*indices.* is not in") as error:
        model.predict(model.inputs(data.batch([{"k": [7], "x": [0.0]}])))
    _one_sentence(error)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("FEATURES = {'a': 'float32'}", "must define `load_model"),
        ("def load_model(d): return len", "must say which features"),
        ("FEATURES = {'a': 'decimal'}\ndef load_model(d): return len", "the type 'decimal'; it must be"),
        ("FEATURES = {'a': 'float32'}\ndef load_model(d): raise OSError('no file there')", "failed on .*no file there"),
        ("FEATURES = {'a': 'float32'}\ndef load_model(d): return lambda c: 'x'", "must give numbers"),
        ("FEATURES = {'a': 'float32'}\ndef load_model(d): return lambda c: c['b']", "'b'"),
        ("import nothing_of_that_name", "cannot be imported: No module named"),
    ],
)
def test_module_files(tmp_path, source, words):
    path = tmp_path / "model.py"
    path.write_text(source)
    with pytest.raises(TfxExplainError, match=words) as error:
        load_module_model(str(path), str(tmp_path))
    _one_sentence(error)


def test_no_module_file(tmp_path):
    with pytest.raises(ConfigError, match="Cannot read module_file") as error:
        load_module_model(str(tmp_path / "absent.py"), str(tmp_path))
    _one_sentence(error)
