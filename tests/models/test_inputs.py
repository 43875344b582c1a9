"""Rows of two batches, one of which lacks a feature."""

import numpy as np

from tfx_explain.models.features import Inputs, Ragged


def test_lists_that_a_batch_does_not_have_are_empty_there() -> None:
    numbers = Ragged.from_lengths(np.array([1.0, 2.0, 3.0]), np.array([2, 1]))
    texts = Ragged.from_lengths(np.array([b"a"], object), np.array([1]))
    both = Inputs(2, {"n": numbers}).followed_by(Inputs(1, {"t": texts}))
    assert len(both) == 3
    assert both.columns["n"].lengths.tolist() == [2, 1, 0]
    assert both.columns["t"].lengths.tolist() == [0, 0, 1]
    assert both.columns["t"].values.tolist() == [b"a"]
    assert both.columns["n"].values.dtype == np.float64
