"""Graphs that are traced often are nobody's concern."""

import tensorflow as tf

from tfx_explain.models.tracing import traced


def advice(make, caplog):
    """How often TensorFlow complains about functions that are made anew, of one line, and called once each."""
    caplog.clear()
    for n in range(8):
        make(lambda x: x + 1)(tf.zeros([n]))
    return sum("retracing" in record.getMessage() for record in caplog.records)


def test_no_advice_about_frequent_tracing(caplog):
    assert advice(tf.function, caplog)
    assert not advice(traced, caplog)
