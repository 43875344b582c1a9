"""Intervals of single attributions, as those who read records have them."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from tfx_explain import records
from tfx_explain.attribution.result import population_dof
from tfx_explain.attribution_records import MethodFigures, RecordLayout, attribution_batch, attribution_frames
from tfx_explain.errors import InputError

D = 8
PLAYERS = [f"x{i}" for i in range(D)]
OUTPUT = ["output"]
LAYOUT = RecordLayout(tuple(PLAYERS), 1)


def read_back(found, dof):
    """The frame that `attributions(confidence=0.95)` gives of the records of these attributions."""
    n = len(found.values)
    zeros = np.zeros((n, 1))
    batch = attribution_batch(
        pa.RecordBatch.from_arrays([pa.array([[1]] * n, pa.large_list(pa.int64()))], names=["row"]),
        LAYOUT,
        [b""] * n,
        [zeros],
        [MethodFigures(zeros, found.values, found.std_error, zeros, dof)],
    )
    (read,), _ = records.decode_examples(records.encode_examples(batch))
    return attribution_frames(read, LAYOUT, OUTPUT, confidence=0.95)["output"]


def columns(frame, prefix):
    return frame[[prefix + player for player in PLAYERS]].to_numpy()[..., None]


@pytest.mark.parametrize(
    ("estimator", "budget", "n_background"),
    [("exact", 2**D, 4), ("permutation", 2 * (D - 1), 4), ("permutation", 4 * (D - 1), 4), ("leverage", 4 * D, 4)],
)
def test_limits_from_few_blocks_cover_where_two_errors_do_not(games, estimator, budget, n_background):
    """Binomial errors of 3200 dependent cases are about 1 %; 1.96 errors cover 82 to 89 %."""
    rng = np.random.default_rng(4)
    model = games.random_trees(D, 3)
    examples, population = rng.normal(size=(4, D)), rng.normal(size=(800, D))
    truth = games.explain("exact", model, examples, population, budget=2**D).values
    by_reader, by_two_errors = [], []
    for seed in range(100):
        background = population[rng.integers(0, len(population), n_background)]
        found = games.explain(estimator, model, examples, background, budget=budget, seed=seed)
        dof = population_dof(found.background_std_error, found.design_dof, found.background_dof)
        frame = read_back(found, dof)
        low, high = columns(frame, "ci_low_"), columns(frame, "ci_high_")
        by_reader.append((low <= truth) & (truth <= high))
        by_two_errors.append(np.abs(columns(frame, "attribution_") - truth) <= 1.96 * columns(frame, "std_error_"))
        # Records hold standard errors as float32.
        np.testing.assert_allclose([low, high], found.interval(), rtol=0, atol=1e-7 * (high - low).max())
    assert 0.93 <= np.mean(by_reader) <= 0.98
    assert np.mean(by_two_errors) < 0.90


def test_limits_are_not_known_where_errors_are_not(games):
    rng = np.random.default_rng(5)
    found = games.explain("exact", games.random_mlp(D, 1), *rng.normal(size=(2, 3, D)), budget=2**D)
    assert np.isnan(found.std_error).all()
    frame = read_back(found, np.ones_like(found.values))
    assert np.isnan(columns(frame, "ci_low_")).all()
    assert np.isnan(columns(frame, "ci_high_")).all()


def test_rows_say_once_what_all_of_their_errors_have(games):
    rng = np.random.default_rng(6)
    found = games.explain("exact", games.random_mlp(D, 1), *rng.normal(size=(2, 4, D)), budget=2**D)
    dof = np.full_like(found.values, 3.0)
    dof[1, 2] = 1e6
    batch = read_back(found, dof)
    width = (columns(batch, "ci_high_") - columns(batch, "ci_low_")) / columns(batch, "std_error_")
    expected = np.where(dof == 3.0, 2 * 3.182446, 2 * 1.959964)
    np.testing.assert_allclose(width, expected, rtol=1e-5)
    with pytest.raises(InputError, match="how many degrees of freedom") as error:
        read_back(found, None)
    assert "\n" not in str(error.value)
