"""Attributions that no record can hold."""

from types import SimpleNamespace

import numpy as np

from tfx_explain.methods.shapley.rows import output_errors


def test_rows_whose_attributions_overflow_float32_are_not_explained() -> None:
    """Finite in the arithmetic: infinite in the record, or not finite for mixtures."""
    values = np.zeros((4, 2, 1))
    values[1] = [[4e38], [-4e38]]
    values[3] = [[np.nan], [0.0]]
    errors = output_errors(SimpleNamespace(values=values))  # type: ignore[arg-type]
    assert sorted(errors) == [1, 3]
    assert "3.4e38" in errors[1]
    assert "NaN or infinite for mixtures" in errors[3]
