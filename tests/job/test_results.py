"""What a run writes at its end."""

import pandas as pd
import pytest

from tfx_explain import records, tables
from tfx_explain.job.results import _write


@pytest.mark.parametrize("in_frames", [(), (0,), (1,), (0, 1)])
def test_rows_of_methods_follow_each_other_whether_they_come_in_frames_or_not(tmp_path, in_frames):
    file = tables.IMPORTANCE_COVARIANCE.file
    of_methods = [
        pd.DataFrame({"method": [method] * 3, "player_a": list("aab"), "player_b": list("abb"), "covariance": numbers})
        for method, numbers in (("shapley", [1.0, 0.5, 2.0]), ("integrated_gradients", [4.0, 0.1, 3.0]))
    ]
    made = [iter([rows[:1], rows[1:]]) if place in in_frames else rows for place, rows in enumerate(of_methods)]
    _write(str(tmp_path), [{file: rows} for rows in made])
    pd.testing.assert_frame_equal(records.read_table(str(tmp_path / file)), pd.concat(of_methods, ignore_index=True))
