"""Parts of a total."""

import numpy as np

from tfx_explain.summary.ratio import parts_of


def test_parts_are_at_most_all_and_none_where_there_is_no_total():
    np.testing.assert_array_equal(parts_of([1.0, 3.0, 0.0], 4.0), [0.25, 0.75, 0.0])
    np.testing.assert_array_equal(
        parts_of([[1.0, 3.0], [1.0, 3.0], [0.0, 0.0]], [[2.0], [-1.0], [0.0]]), [[0.5, 1.0], [0.0, 0.0], [0.0, 0.0]]
    )
