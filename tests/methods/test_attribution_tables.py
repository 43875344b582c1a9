"""What methods of attributions write."""

import numpy as np
import pandas as pd

from tfx_explain import tables
from tfx_explain.methods import attribution_tables
from tfx_explain.methods.attribution_tables import AttributionTables
from tfx_explain.summary import ImportanceAccumulator
from tfx_explain.summary.sizes import NoisyMoments


def test_covariances_come_a_few_pairs_at_a_time_each_pair_once(monkeypatch):
    rng, players, zeros = np.random.default_rng(3), ("a", "b", "c", "d", "e"), np.zeros((40, 5))
    summaries, differences = {}, {}
    for output in ("first", "second"):
        accumulator, moments = ImportanceAccumulator(5), NoisyMoments.empty(5, full=True)
        accumulator.add(rng.normal(size=(40, 5)), zeros, zeros, zeros[:, 0], zeros[:, 0])
        moments.add(rng.normal(size=(40, 5)), np.ones(40), zeros, zeros, np.zeros(40, np.int64))
        summaries["overall", output], differences["overall", output] = accumulator.result(), moments
    writer = AttributionTables(tables.SHAPLEY, players)
    whole = list(writer.covariance(summaries, differences))
    assert [len(frame) for frame in whole] == [15, 15]
    for frame, key in zip(whole, summaries, strict=True):
        found = frame.set_index(["player_a", "player_b"])
        assert list(found.index) == [(a, b) for place, a in enumerate(players) for b in players[place:]]
        for column, matrix in (
            ("covariance", summaries[key].mean_abs_covariance),
            ("difference_covariance", differences[key].covariance_of_mean()),
        ):
            np.testing.assert_array_equal(found[column], matrix[np.triu_indices(5)])
    monkeypatch.setattr(attribution_tables, "_PAIRS_AT_ONCE", 10)
    few = list(writer.covariance(summaries, differences))
    assert [len(frame) for frame in few] == [9, 5, 1] * 2
    pd.testing.assert_frame_equal(pd.concat(few, ignore_index=True), pd.concat(whole, ignore_index=True))
