"""Graphs that are traced often are nobody's concern."""

import functools

import tensorflow as tf

from tfx_explain.models.tracing import traced, traced_by_shapes


def advice(make, caplog):
    """How often TensorFlow complains about functions that are made anew, of one line, and called once each."""
    caplog.clear()
    for n in range(8):
        make(lambda x: x + 1)(tf.zeros([n]))
    return sum("retracing" in record.getMessage() for record in caplog.records)


def test_no_advice_about_frequent_tracing(caplog):
    assert advice(tf.function, caplog)
    assert not advice(traced, caplog)


def test_each_shape_and_type_is_traced_once_and_ragged_tensors_go_the_usual_way():
    seen = []

    def total(first, others, times):
        seen.append((first.dtype.name, *first.shape))
        return times * tf.add_n([tf.reduce_sum(tf.cast(values, tf.float64)) for values in (first, *others)])

    call = traced_by_shapes(functools.partial(total, times=1))
    for _ in range(2):
        for first in (tf.ones([2]), tf.ones([3]), tf.ones([3], tf.int64)):
            assert call(first, [2 * tf.ones([4])]) == 8 + len(first)
        for rows in ([[1.0], [2.0, 3.0]], [[1.0, 2.0, 4.0], []]):
            assert call(tf.ones([2]), [tf.ragged.constant(rows)]) == 2 + sum(map(sum, rows))
    assert seen == [("float32", 2), ("float32", 3), ("int64", 3), ("float32", 2)]
