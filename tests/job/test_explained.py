"""Rows whose label, name or weight cannot be used."""

import pyarrow as pa

from tfx_explain import ExplainConfig
from tfx_explain.job.explained import key_errors


def test_a_row_without_exactly_one_name_fails_as_the_configuration_says() -> None:
    """A name made of its content would stand among those that the owner gave."""
    names = pa.array([[7], None, [], [7, 8], [9]], pa.large_list(pa.int64()))
    batch = pa.RecordBatch.from_arrays([names], names=["application"])
    failed = key_errors(batch, ExplainConfig(id_key="application"), 1, None)
    assert failed == dict.fromkeys([1, 2, 3], "the id `application` has not exactly one value")
    assert key_errors(batch, ExplainConfig(), 1, None) == {}
    without = key_errors(batch, ExplainConfig(id_key="another"), 1, None)
    assert set(without) == set(range(5))
    told = ExplainConfig.model_fields["id_key"].description
    assert told is not None
    assert "a row without exactly one value fails" in " ".join(told.split())
