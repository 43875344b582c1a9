"""What the candidates read, and the network they share."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from loan_approval import data, module


class Recorded(dict):
    """Raw features that note which of them were asked for."""

    def __init__(self):
        self.asked = set()
        super().__init__()

    def __missing__(self, name):
        self.asked.add(name)
        dtype = tf.string if name == "race" else tf.int64 if name == "approve" else tf.float32
        return tf.compat.v1.sparse_placeholder(dtype, [None, None])


def test_module_and_data_agree_on_names():
    assert set(module.NUMERIC) == set(data.COLUMNS)
    assert module.LABEL == data.LABEL
    assert module.OUTCOME == data.OUTCOME
    assert module.feature_names(sees(race=True)) == (*module.NUMERIC, "race")
    assert module.feature_names(sees()) == module.NUMERIC
    assert module.feature_names(sees(outcome=True)) == (*module.NUMERIC, "lender_action")


def sees(race=False, outcome=False):
    """What a candidate is told."""
    return {"sees_race": race, "sees_outcome": outcome, "permutes_labels": False, "module_digest": "0"}


@pytest.mark.parametrize(("race", "outcome"), [(True, False), (False, False), (False, True)])
def test_a_candidate_transforms_its_own_features_only(race, outcome):
    inputs = Recorded()
    with tf.Graph().as_default():
        outputs = module.preprocessing_fn(inputs, sees(race, outcome))
    expected = {*data.COLUMNS, "approve"} | ({"race"} if race else set()) | ({"lender_action"} if outcome else set())
    assert inputs.asked == set(outputs) == expected


def test_missing_values_take_the_stated_value():
    values = tf.SparseTensor([[0, 0], [2, 0]], [5, 7], [3, 1])
    np.testing.assert_array_equal(module._dense(values, -1), [[5], [-1], [7]])
    none_at_all = tf.SparseTensor(tf.zeros([0, 2], tf.int64), tf.zeros([0], tf.float32), [2, 0])
    np.testing.assert_array_equal(module._dense(none_at_all, 0.5), [[0.5], [0.5]])


def test_the_network_reads_every_feature_and_ends_in_a_sigmoid():
    keras.utils.set_random_seed(0)
    model = module.build_model({"income": 1, "race": module.RACES})
    assert set(model.input) == {"income", "race"}
    low, high = (model({"income": tf.constant([[v]]), "race": tf.zeros([1, 3])}).numpy() for v in (-3.0, 3.0))
    logit = keras.Model(model.input, model.get_layer("logit").output)
    assert low != high
    x = {"income": tf.constant([[0.5]]), "race": tf.constant([[0.0, 1.0, 0.0]])}
    np.testing.assert_allclose(model(x), 1 / (1 + np.exp(-logit(x).numpy())), rtol=1e-6)
