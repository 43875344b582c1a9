"""Long tables as frames, one after the other."""

import numpy as np
import pandas as pd
import pytest

from tfx_explain import frames


@pytest.mark.parametrize("lengths", [[25], [4, 3, 8], [0], [10, 10], [1] * 23, [0, 7, 0, 13, 0]])
def test_parts_have_the_rows_of_all_frames_in_their_order(lengths, monkeypatch):
    monkeypatch.setattr(frames, "_FRAMES_AT_ONCE", 3)
    whole = pd.DataFrame({"number": np.arange(sum(lengths)), "text": [f"row {i}" for i in range(sum(lengths))]})
    ends = np.cumsum(lengths).tolist()
    parts = list(frames.in_parts((whole.iloc[end - n : end] for end, n in zip(ends, lengths, strict=True)), 10))
    assert [len(part) for part in parts[:-1]] == [10] * (max(len(whole) - 1, 0) // 10)
    pd.testing.assert_frame_equal(pd.concat(parts, ignore_index=True), whole)
