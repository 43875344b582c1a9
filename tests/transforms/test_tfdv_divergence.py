"""The divergence that drift of attributions is measured by is the one that TFDV's comparators use."""

import numpy as np
import pytest
import tensorflow_data_validation as tfdv
from tensorflow_metadata.proto.v0 import schema_pb2, statistics_pb2

from tfx_explain.judgement.drift import histograms


def test_jensen_shannon_is_that_of_tfdv_on_the_same_bins() -> None:
    fractions = np.random.default_rng(0).dirichlet(np.ones(6), size=2)
    ours, theirs = (_numeric_statistics(np.round(part * 10_000)) for part in fractions)
    counts = [np.round(part * 10_000) for part in fractions]
    schema = schema_pb2.Schema()
    feature = schema.feature.add(name="attribution_income", type=schema_pb2.FLOAT)
    feature.drift_comparator.jensen_shannon_divergence.threshold = 1e-4
    found = tfdv.validate_statistics(ours, schema, previous_statistics=theirs)
    (measurement,) = found.drift_skew_info[0].drift_measurements
    expected = histograms.jensen_shannon(*[part / part.sum() for part in counts])
    assert measurement.value == pytest.approx(expected, rel=1e-6)


def _numeric_statistics(counts: np.ndarray) -> statistics_pb2.DatasetFeatureStatisticsList:
    """TFDV's statistics of one numeric feature with these counts in bins of width 1."""
    statistics = statistics_pb2.DatasetFeatureStatisticsList()
    dataset = statistics.datasets.add(num_examples=int(counts.sum()))
    feature = dataset.features.add(type=statistics_pb2.FeatureNameStatistics.FLOAT)
    feature.path.step.append("attribution_income")
    numeric = feature.num_stats
    numeric.min, numeric.max = 0.0, float(len(counts))
    numeric.common_stats.num_non_missing = int(counts.sum())
    numeric.common_stats.min_num_values = numeric.common_stats.max_num_values = 1
    histogram = numeric.histograms.add(type=statistics_pb2.Histogram.STANDARD)
    for i, count in enumerate(counts):
        histogram.buckets.add(low_value=i, high_value=i + 1, sample_count=count)
    return statistics
