"""Which features have profiles."""

from __future__ import annotations

import pyarrow as pa

import pictures
from tfx_explain import ExplainConfig
from tfx_explain.methods.profiles.plan import plan_profiles


def test_files_have_no_profile_and_texts_in_any_encoding_do() -> None:
    files = [pictures.png(pixels) for pixels in pictures.pixels_of(4, 0)]
    columns = {
        "image": [*files[:3], b"not a file"],
        "latin": ["größe".encode("latin-1"), b"a", b"b", b"a"],
        "ended": [b"a\x00", b"b\x00", b"a\x00", b"b\x00"],
    }
    arrays = [pa.array([[value] for value in values], pa.large_list(pa.large_binary())) for values in columns.values()]
    rows = pa.RecordBatch.from_arrays(arrays, names=list(columns))
    config = ExplainConfig.from_dict({"methods": ["partial_dependence", "accumulated_local_effects"]})
    plan = plan_profiles(rows, config, list(columns), list(columns))
    assert [grid.feature for grid in plan.grids] == ["latin", "ended"]
    for left_out in plan.left_out.values():
        assert "holds files" in left_out["image"]
