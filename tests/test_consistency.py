"""Tables must agree with themselves, with each other and with the manifest."""

import numpy as np
import pytest

from tfx_explain import InputError, tables
from tfx_explain.consistency import Consistency
from tfx_explain.methods.attribution_tables import AttributionTables
from tfx_explain.summary import ImportanceAccumulator
from tfx_explain.summary.sizes import NoisyMoments, debiased_sizes


@pytest.mark.parametrize("known", [True, False])
def test_tables_of_noisy_attributions_agree_with_themselves(known):
    """Sizes without the bias of noise are below those of means, below 0 by chance, and may have no known error."""
    rng, players = np.random.default_rng(7), ("used", "a", "b", "c", "d")
    writer, of_model, key = AttributionTables(tables.SHAPLEY, players), [], ("overall", "out")
    differences = NoisyMoments.empty(5, full=True)
    for effect in (1.0, 1.5):
        noise = np.full((40, 5), 0.3)
        noise[:, 4] = 0.3 if known else np.nan
        # All examples share the noise, which is not near 0 then, as means of it would be.
        phi = effect * rng.normal(size=(40, 5)) * [1, 0, 0, 0, 0] + 0.3 * np.array([0.1, 0.8, -0.9, 0.05, 1.1])
        accumulator = ImportanceAccumulator(5)
        accumulator.add(phi, noise, np.zeros((40, 5)), np.zeros(40), np.zeros(40))
        of_model.append(accumulator.result())
        sizes, doubt = debiased_sizes(phi, noise)
        differences.add(sizes, np.ones(40), noise**2, doubt, np.zeros(40, np.int64))
    theirs, ours = of_model
    assert (ours.cut_off < 0).any()
    table, baseline = writer.importance({key: ours}), writer.importance({key: theirs}, {key: ours}, {key: differences})
    manifest = {
        "players": players,
        "outputs": ["out"],
        "method": [tables.SHAPLEY],
        "slices": {"included": [{"slice": "overall", "num_examples": 40}]},
        "counts": {"eval": {"explained": 40}},
        "config": {},
    }
    found = Consistency("here", manifest)
    found.importance(table, tables.IMPORTANCE)
    found.importance(baseline, tables.BASELINE_IMPORTANCE)
    found.differences(baseline, table)
    cut_off = table["cut_off"]
    for impossible, why in (
        (10 * cut_off, "more was cut off than noise can be"),
        (-cut_off, "is not a number of 0 or less"),
        (cut_off.where(cut_off < 0, -1e-6), "there is an importance beside it"),
    ):
        with pytest.raises(InputError, match=why):
            found.importance(table.assign(cut_off=impossible), tables.IMPORTANCE)
    found.importance(table.drop(columns="cut_off"), tables.IMPORTANCE)
    (covariance,), (of_both,) = writer.covariance({key: ours}), writer.covariance({key: theirs}, {key: differences})
    found.covariance(covariance, tables.IMPORTANCE_COVARIANCE, table)
    found.covariance(of_both, tables.BASELINE_IMPORTANCE_COVARIANCE, baseline)
    assert (table["value"] < table["mean_signed"].abs()).any()
    assert (table["value"] == 0).any()
    assert table.set_index("player")["std_error"].isna().to_dict() == {p: not known and p == "d" for p in players}
    table.loc[table["player"] == "d", "std_error"] = np.nan if known else 0.1
    with pytest.raises(InputError, match="`std_error` is"):
        found.importance(table, tables.IMPORTANCE)
