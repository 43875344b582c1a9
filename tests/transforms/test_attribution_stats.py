"""What TFDV is asked for: less where columns or slices are many."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pytest
import tensorflow_data_validation as tfdv

from tfx_explain.attribution_records import RecordLayout
from tfx_explain.config import ExplainConfig
from tfx_explain.job.explained import ExplainedExamples
from tfx_explain.transforms import attribution_stats
from tfx_explain.transforms.attribution_stats import WriteAttributionStats

PLAYERS, OUTPUTS, N = ("age", "debt"), ("score[0]", "score[1]", "score[2]"), 40
WEIGHTS = np.arange(N) % 4


def statistics(directory: Path, **settings: Any) -> Any:
    """Of 40 rows in two slices, 9 columns."""
    rng = np.random.default_rng(0)
    features = {"race": pa.array([[b"ab"[i % 2 : i % 2 + 1]] for i in range(N)], pa.large_list(pa.large_binary()))}
    features["w"] = pa.array([[weight] for weight in WEIGHTS], pa.large_list(pa.float32()))
    prediction, found = rng.normal(size=(N, 3)), rng.normal(size=(N, 2, 3))
    explained = ExplainedExamples(
        "eval",
        pa.RecordBatch.from_arrays(list(features.values()), list(features)),
        np.arange(N, dtype=np.uint64),
        [b""] * N,
        (prediction,),
        prediction,
        {"shapley": (SimpleNamespace(attributions=found),)},
    )
    config = ExplainConfig(slicing_specs=[{"feature_keys": ["race"]}], example_weight_key="w", **settings)
    request: Any = SimpleNamespace(
        config=config,
        layout=RecordLayout(PLAYERS, len(OUTPUTS)),
        players=dict.fromkeys(PLAYERS),
        outputs=OUTPUTS,
        models=(None,),
        explanation_dir=str(directory),
    )
    with beam.Pipeline() as pipeline:
        _ = pipeline | beam.Create([explained]) | WriteAttributionStats(request)
    made = tfdv.load_stats_binary(f"{directory}/attribution_stats/FeatureStats.pb")
    whole = {feature.path.step[0]: feature.num_stats for feature in made.datasets[0].features}
    assert len(whole) == 9
    of_debt = found[WEIGHTS > 0, 1, 2]
    assert whole["attribution_debt/score[2]"].mean == pytest.approx(of_debt.mean(), rel=1e-5)
    assert whole["attribution_debt/score[2]"].std_dev == pytest.approx(of_debt.std(), rel=1e-5)
    weighted = whole["attribution_debt/score[2]"].weighted_numeric_stats
    assert weighted.mean == pytest.approx(np.average(found[:, 1, 2], weights=WEIGHTS), rel=1e-5)
    return made


def test_few_columns_and_slices_have_everything(tmp_path: Path) -> None:
    made = statistics(tmp_path)
    assert [dataset.name for dataset in made.datasets] == ["All Examples", "race=a", "race=b"]
    assert all(len(feature.num_stats.histograms) == 2 for dataset in made.datasets for feature in dataset.features)


def test_many_slices_have_none_of_their_own(tmp_path: Path) -> None:
    made = statistics(tmp_path, max_slices=1_001)
    assert [dataset.name for dataset in made.datasets] == ["All Examples"]
    assert all(len(feature.num_stats.histograms) == 2 for feature in made.datasets[0].features)


def test_many_columns_have_no_quantiles_and_no_slices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attribution_stats, "_MOST_COLUMNS", 8)
    made = statistics(tmp_path)
    assert [dataset.name for dataset in made.datasets] == ["All Examples"]
    assert not any(feature.num_stats.histograms for feature in made.datasets[0].features)
