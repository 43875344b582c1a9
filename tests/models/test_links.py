"""The log-odds behind probabilities, in every form that a person would recognise, are exact; other outputs stay raw."""

import numpy as np
import pytest
import tensorflow as tf
from scipy import special

from tfx_explain.errors import SignatureError
from tfx_explain.models import load_model

N = 40


def log_odds(z, k):
    """Of class k of a softmax."""
    return z[:, k] - special.logsumexp(np.delete(z, k, axis=1), axis=1)


def of_each(z):
    return np.stack([log_odds(z, k) for k in range(z.shape[1])], axis=1)


def softmax_by_hand(z):
    e = tf.exp(z - tf.reduce_max(z, axis=1, keepdims=True))
    return e / tf.reduce_sum(e, axis=-1, keepdims=True)


def half_of_tanh(z):
    return 0.5 * (1 + tf.tanh(z / 2))


# name -> (from z (n,) to probabilities, from z to log-odds)
ONE = {
    "sigmoid": (tf.sigmoid, lambda z: z),
    "expand_dims": (lambda z: tf.expand_dims(tf.sigmoid(z), 1), lambda z: z),
    "newaxis": (lambda z: tf.sigmoid(z)[:, None], lambda z: z),
    "column": (lambda z: tf.sigmoid(tf.stack([z, -2 * z], 1))[:, 1], lambda z: -2 * z),
    "clip": (lambda z: tf.clip_by_value(tf.sigmoid(z), 1e-7, 1 - 1e-7), lambda z: np.clip(z, -16.1181, 15.9424)),
    "wide_clip": (lambda z: tf.clip_by_value(tf.sigmoid(z), 0.1, 1.0), lambda z: np.maximum(z, np.log(1 / 9))),
    "one_minus": (lambda z: 1 - tf.sigmoid(z), lambda z: -z),
    "minus_plus_one": (lambda z: -tf.sigmoid(z) + 1, lambda z: -z),
    "ones_minus": (lambda z: tf.ones_like(z) - tf.sigmoid(z), lambda z: -z),
    "twice": (lambda z: 1 - (1 - tf.sigmoid(z)), lambda z: z),
    "float64": (lambda z: tf.cast(tf.sigmoid(z), tf.float64), lambda z: z),
    "written_out": (lambda z: 1 / (1 + tf.exp(-z)), lambda z: z),
    "other_sign": (lambda z: 1 / (tf.exp(z) + 1), lambda z: -z),
    "reciprocal": (lambda z: tf.math.reciprocal(1 + tf.exp(-z)), lambda z: z),
    "one_exponential": (lambda z: (lambda e: e / (1 + e))(tf.exp(z)), lambda z: z),
    "exp_log_sigmoid": (lambda z: tf.exp(tf.math.log_sigmoid(z)), lambda z: z),
    "tanh": (half_of_tanh, lambda z: z),
    "half_plus": (lambda z: 0.5 * tf.tanh(z / 2) + 0.5, lambda z: z),
    "softmax_of_two": (lambda z: tf.nn.softmax(tf.stack([tf.zeros_like(z), z], 1))[:, 1], lambda z: z),
    "one_minus_softmax": (lambda z: 1 - tf.nn.softmax(tf.stack([tf.zeros_like(z), z], 1))[:, 1], lambda z: -z),
    "split": (lambda z: tf.split(tf.sigmoid(tf.stack([z, -z], 1)), 2, axis=1)[1], lambda z: -z),
}


def three(z):
    return tf.stack([z, 1 - z, 0.5 * z * z], 1)


def three_by_numpy(z):
    return np.stack([z, 1 - z, 0.5 * z * z], 1)


MANY = {
    "softmax": (lambda z: tf.nn.softmax(three(z)), three_by_numpy),
    "log_softmax": (lambda z: tf.nn.log_softmax(three(z)), three_by_numpy),
    "softmax_by_hand": (lambda z: softmax_by_hand(three(z)), three_by_numpy),
    "reordered": (
        lambda z: tf.gather(tf.nn.softmax(three(z)), [2, 0, 1], axis=1),
        lambda z: three_by_numpy(z)[:, [2, 0, 1]],
    ),
    "close_clip": (lambda z: tf.clip_by_value(tf.nn.softmax(three(z)), 1e-7, 1.0), three_by_numpy),
    "one_of_three": (lambda z: tf.nn.softmax(three(z))[:, 1], lambda z: log_odds(three_by_numpy(z), 1)),
    "two_of_three": (lambda z: tf.nn.softmax(three(z))[:, 1:], lambda z: of_each(three_by_numpy(z))[:, 1:]),
    "gathered_twice": (
        lambda z: tf.gather(tf.nn.softmax(three(z)), [0, 0, 1], axis=1),
        lambda z: of_each(three_by_numpy(z))[:, [0, 0, 1]],
    ),
    "two_columns": (lambda z: tf.stack([1 - tf.sigmoid(z), tf.sigmoid(z)], 1), lambda z: np.stack([-z, z], 1)),
    "heads": (
        lambda z: tf.concat([tf.sigmoid(z)[:, None], tf.sigmoid(1 - z)[:, None]], 1),
        lambda z: np.stack([z, 1 - z], 1),
    ),
    "two_softmaxes": (
        lambda z: tf.reshape(tf.nn.softmax(tf.stack([three(z), three(-z)], 1)), [-1, 6]),
        lambda z: np.concatenate([of_each(three_by_numpy(z)), of_each(three_by_numpy(-z))], 1),
    ),
    "one_of_forty": (
        lambda z: tf.nn.softmax(z[:, None] * tf.linspace(-1.0, 1.0, 40))[:, 7],
        lambda z: log_odds(z[:, None] * np.linspace(-1, 1, 40), 7),
    ),
}
NONE = {
    "over_the_batch": tf.nn.softmax,
    "over_the_batch_of_three": lambda z: tf.nn.softmax(three(z), axis=0),
    "sum": lambda z: 0.3 * tf.sigmoid(z) + 0.7 * tf.sigmoid(2 * z),
    "square": lambda z: tf.square(tf.sigmoid(z)),
    "best": lambda z: tf.math.top_k(tf.nn.softmax(three(z)), 2).values,
    "largest": lambda z: tf.reduce_max(tf.nn.softmax(three(z)), axis=1),
    "product": lambda z: tf.sigmoid(z) * tf.sigmoid(-z),
    "two_minus": lambda z: 2 - tf.sigmoid(z),
    "other_constant": lambda z: 1 / (2 + tf.exp(-z)),
    "other_exponent": lambda z: tf.exp(z) / (1 + tf.exp(2 * z)),
    "other_sum": lambda z: tf.exp(three(z)) / (1 + tf.reduce_sum(tf.exp(three(z)), 1, keepdims=True)),
    "over_rows": lambda z: (lambda e: e / tf.reduce_sum(e, axis=0, keepdims=True))(tf.exp(three(z))),
    "flat": lambda z: tf.clip_by_value(tf.sigmoid(z), 0.6, 1.0),
    "broadcast": lambda z: tf.ones([1, 2]) - tf.sigmoid(z)[:, None],
}


@pytest.fixture
def logits_of(tmp_path, tools):
    """The loaded model, what it gives in logits, the probabilities it gives itself, and z."""

    def load(function, scale=3.0, **options):
        module = tf.Module()
        spec = tf.TensorSpec([None], tf.float32, name="z")
        module.serve = tf.function(lambda z: {"p": function(z)}, input_signature=[spec], autograph=False)
        tf.saved_model.save(module, str(tmp_path), signatures={"serving_default": module.serve})
        model = load_model(str(tmp_path), **options)
        z = (scale * np.random.default_rng(0).normal(size=N)).astype(np.float32)
        batch = tools.Data({"z": ("float", 1, 1, 0.0)}).batch([{"z": [value]} for value in z.tolist()])
        return model, model.predict(model.inputs(batch)), function(tf.constant(z)).numpy(), z.astype(np.float64)

    return load


@pytest.mark.parametrize("name", list(ONE))
@pytest.mark.parametrize("scale", [3.0, 300.0])
def test_one_probability(logits_of, name, scale):
    function, expected = ONE[name]
    model, logits, _, z = logits_of(function, scale)
    assert (model.output_space, model.loss_space, model.n_outputs) == ("logit", "logit", 1)
    # Clipped ends are where float32 has the probability.
    np.testing.assert_allclose(logits[:, 0], expected(z), rtol=1e-5, atol=2e-5)
    assert ("clip" in name) == bool(model.output_space_note)


@pytest.mark.parametrize("name", list(MANY))
@pytest.mark.parametrize("scale", [3.0, 100.0])
def test_several_probabilities(logits_of, name, scale):
    function, expected = MANY[name]
    model, logits, p, z = logits_of(function, scale)
    wanted = expected(z).reshape(N, -1)
    assert (model.output_space, model.n_outputs) == ("logit", wanted.shape[1])
    np.testing.assert_allclose(logits, wanted, rtol=1e-5, atol=1e-4)
    whole = name in ("softmax", "log_softmax", "softmax_by_hand", "reordered", "close_clip")
    assert model.loss_space == ("logit" if whole or wanted.shape[1] == 1 else "log_odds")
    again = special.softmax(logits, axis=1) if whole else special.expit(logits)
    np.testing.assert_allclose(again, np.exp(p) if name == "log_softmax" else p.reshape(N, -1), rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("name", list(NONE))
def test_what_is_no_probability_to_be_undone_stays_as_it_is(logits_of, name):
    model, outputs, p, _ = logits_of(NONE[name])
    assert model.output_space == "raw"
    assert "no sigmoid or softmax is seen" in model.output_space_note
    if not name.startswith("over_"):  # the rows that fill up a call count there
        np.testing.assert_allclose(outputs, p.reshape(N, -1), rtol=1e-5)


@pytest.mark.parametrize("squash", [tf.nn.softmax, tf.nn.log_softmax])
@pytest.mark.parametrize("last", [lambda p: p, lambda p: tf.squeeze(p, 1)], ids=["column", "squeezed"])
def test_a_softmax_of_a_single_value_has_no_log_odds(logits_of, squash, last):
    with pytest.raises(SignatureError, match="of a single value, which is the same for every row") as error:
        logits_of(lambda z: last(squash(z[:, None])))
    assert "\n" not in str(error.value)
    assert logits_of(lambda z: last(squash(z[:, None])), output_space="raw")[0].output_space == "raw"


def test_what_the_user_says(logits_of):
    model, outputs, p, _ = logits_of(NONE["square"], output_is="probabilities")
    assert (model.output_space, bool(model.output_space_note)) == ("probability", True)
    np.testing.assert_allclose(outputs[:, 0], p, rtol=1e-5)
    assert logits_of(NONE["square"], output_is="probabilities", output_space="probability")[0].output_space_note == ""
    with pytest.raises(SignatureError, match=r"set `model\.output_is: probabilities`"):
        logits_of(NONE["square"], output_space="probability")
    model, outputs, p, _ = logits_of(three, output_is="logits")
    assert (model.output_space, model.loss_space, model.output_space_note) == ("logit", "logit", "")
    np.testing.assert_allclose(outputs, p, rtol=1e-5)
    for name in ("sigmoid", "written_out"):
        with pytest.raises(SignatureError, match="as probabilities do") as error:
            logits_of(ONE[name][0], output_is="logits")
        assert "\n" not in str(error.value)
        assert logits_of(ONE[name][0], output_is="probabilities")[0].output_space == "logit"


def test_a_model_that_cannot_be_opened_says_why(logits_of, monkeypatch):
    from tfx_explain.models import freezing

    def too_large(*_, **__):
        raise ValueError("Message tensorflow.GraphDef exceeds maximum protobuf size of 2GB")

    monkeypatch.setattr(freezing, "_replace_variables_by_constants", too_large)
    model, *_ = logits_of(tf.sigmoid)
    assert model.output_space == "raw"
    assert "2 GB" in model.output_space_note


def test_a_wrong_number_of_rows_is_called_that(logits_of):
    from tfx_explain.errors import ModelError

    with pytest.raises(ModelError, match=r"shape \(1,\) for \d+ rows"):
        logits_of(lambda z: tf.gather(z, tf.zeros([1 + 0 * tf.shape(z)[0]], tf.int32)), output_space="raw")
