"""Attributions that no record can hold."""

from types import SimpleNamespace

import numpy as np

from tfx_explain.methods.shapley.rows import output_errors


def test_rows_whose_attributions_overflow_float32_are_not_explained() -> None:
    """Finite in the arithmetic, infinite in the record: row 1 by its prediction, row 2 by an attribution alone."""
    prediction = np.array([[3e38], [-4e38], [0.0], [np.nan], [np.inf], [1.0]])
    values = np.zeros((6, 2, 1))
    values[2] = [[4e38], [-4e38]]
    background = SimpleNamespace(asked=lambda array: array)
    estimates = SimpleNamespace(prediction=prediction, values=values)
    errors = output_errors(estimates, background, np.zeros((6, 1), int))  # type: ignore[arg-type]
    assert sorted(errors) == [1, 2, 3, 4]
    assert all("3.4e38" in errors[row] for row in (1, 2))
    assert all("NaN or infinite for this row" in errors[row] for row in (3, 4))
