"""What a row comes to does not depend on the rows beside it, to the last bit."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from tfx_explain.attribution import PooledRegression, fit_surrogate, make_design, solvable
from tfx_explain.attribution.row_products import row_products

COUNTS = (1, 2, 3, 7, 8, 9, 31, 33, 64, 66)
N = 67


@pytest.mark.parametrize("width", [1, 2, 5, 10, 33])
@pytest.mark.parametrize("terms", [0, 1, 7, 100, 511])
def test_rows_are_the_products_wherever_they_stand(width, terms):
    rng = np.random.default_rng(0)
    rows, matrix = rng.normal(size=(2, N, terms)), rng.normal(size=(2, terms, width))
    made = row_products(rows, matrix)
    # Each sum is off by as many roundings as it has terms, at most.
    room = terms * np.finfo(float).eps * (np.abs(rows) @ np.abs(matrix))
    assert (np.abs(made - rows @ matrix) <= 2 * room).all()
    order = rng.permutation(N)
    np.testing.assert_array_equal(row_products(rows[:, order], matrix), made[:, order])
    for n in (0, *COUNTS):
        np.testing.assert_array_equal(row_products(rows[:, :n], matrix), made[:, :n])
        np.testing.assert_array_equal(row_products(rows[1, :n], matrix[1]), made[1, :n])


@pytest.mark.parametrize("n_outputs", [1, 3])
@pytest.mark.parametrize(
    ("estimator", "d", "budget", "interactions"),
    [
        ("exact", 4, 16, 2),
        ("exact", 8, 256, 0),
        ("leverage", 13, 300, 2),
        ("permutation", 13, 208, 0),
        ("permutation", 13, 48, 0),
        ("surrogate", 12, 8, 0),
    ],
)
def test_attributions_do_not_depend_on_the_rows_beside(
    games, estimator, d, budget, interactions, n_outputs, monkeypatch
):
    rng = np.random.default_rng(0)
    examples, background = rng.normal(size=(N, d)), rng.normal(size=(40, d))
    model = games.random_mlp(d, seed=d, n_outputs=n_outputs)
    weights, outputs = games.uniform(len(background)), model(background)
    design = make_design(
        estimator, n_players=d, budget=budget, background_weights=weights, seed=0, interactions=interactions
    )
    values, prediction = games.block_values(design, model, examples, background), model(examples)

    def solve(n, values=values, prediction=prediction, chosen=None):
        if estimator == "surrogate":
            return regression.solve(values[:n], prediction[:n], examples[:n], chosen)
        return design.solve(values[:n], prediction[:n], outputs, chosen)

    if estimator == "surrogate":

        def evaluate(rows, part):
            return games.block_values(part, model, background[rows], background)

        surrogate = fit_surrogate(np.arange(d), d, background, outputs, evaluate, 0)
        regression = PooledRegression(design, surrogate, outputs)
    whole = dataclasses.asdict(solve(N))
    per_row = [name for name, value in whole.items() if np.shape(value)[:1] == (N,)]
    assert {"values", "design_std_error", "background_std_error"} <= set(per_row)
    for n in COUNTS:
        part = dataclasses.asdict(solve(n))
        for name in per_row:
            np.testing.assert_array_equal(part[name], whole[name][:n], err_msg=f"{name} of {n} rows")
    # Nor on how many blocks are solved at once.
    monkeypatch.setattr(solvable, "_VALUES_AT_ONCE", 1)
    for name, value in dataclasses.asdict(solve(N)).items():
        np.testing.assert_array_equal(value, whole[name], err_msg=f"{name} of single blocks")
    # Nor on the outputs that other rows ask for.
    chosen = rng.integers(n_outputs, size=(N, 2))
    of_own = [np.take_along_axis(values, chosen[:, None, None], axis=3), np.take_along_axis(prediction, chosen, axis=1)]
    alone = dataclasses.asdict(solve(N, *of_own, chosen))
    for name in {"values", "design_std_error", "background_std_error", "interactions"} & set(per_row):
        expected = np.take_along_axis(whole[name], chosen[:, None], axis=2)
        np.testing.assert_array_equal(alone[name], expected, err_msg=f"{name} of chosen outputs")
    assert np.abs(alone["completeness_gap"]).max() <= 1e-9 * np.abs(prediction).max()
