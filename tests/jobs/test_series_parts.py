"""Shapley values of windows and channels of a series, through the whole job, where the truth is known."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
import tensorflow as tf

import tfx_explain
import worlds
from tfx_explain import errors
from tfx_explain.transforms import select

pytestmark = pytest.mark.usefixtures("without_statistics")

STEPS, CHANNELS = 12, 3
FIXED = {
    "series": tf.io.FixedLenFeature([STEPS, CHANNELS], tf.float32),
    "age": tf.io.FixedLenFeature([], tf.float32),
}
RAGGED = {"series": tf.io.RaggedFeature(tf.float32), "age": tf.io.FixedLenFeature([], tf.float32)}
LENGTHS = [7, 0, 1, 2, 12, 9]
Array = npt.NDArray[np.float64]


def fixed_series(row: int, seed: int) -> Array:
    return np.float32(np.random.default_rng([seed, row]).normal(1.0, 2.0, (STEPS, CHANNELS))).astype(np.float64)


def fixed_rows(n: int, seed: int) -> list[dict[str, Any]]:
    ages = np.float32(np.random.default_rng(seed).normal(size=n))
    return [{"series": fixed_series(i, seed).ravel().tolist(), "age": float(ages[i]), "id": i} for i in range(n)]


def ragged_series(row: int, seed: int) -> Array:
    return fixed_series(row, seed)[: LENGTHS[row % len(LENGTHS)], :2]


def ragged_rows(n: int, seed: int) -> list[dict[str, Any]]:
    return [
        {**row, "series": ragged_series(i, seed).ravel().tolist() or None} for i, row in enumerate(fixed_rows(n, seed))
    ]


@pytest.fixture(scope="module")
def fixed(tmp_path_factory: pytest.TempPathFactory) -> str:
    return worlds.write_splits(tmp_path_factory.mktemp("fixed"), fixed_rows, 20, 15, num_shards=2)


@pytest.fixture(scope="module")
def ragged(tmp_path_factory: pytest.TempPathFactory) -> str:
    return worlds.write_splits(tmp_path_factory.mktemp("ragged"), ragged_rows, 18, 15, num_shards=2)


def explained(
    directory: Path,
    examples: str,
    score: Callable[[dict[str, Any]], Any],
    spec: dict[str, Any],
    parts: dict[str, Any],
    **config: Any,
) -> Any:
    model = worlds.save_serving_model(directory / "model", score, spec)
    baseline, beam_args = config.pop("baseline", None), config.pop("beam_args", ())
    settings = {
        "background": {"num_rows": 8},
        "id_key": "id",
        "methods": [{"shapley": {"parts": {"series": parts}}}],
        **config,
    }
    output = str(directory / "out")
    return tfx_explain.explain(
        model=model,
        examples=examples,
        output_dir=output,
        config=settings,
        baseline_model=baseline,
        beam_args=beam_args,
    )


def sums_differ_by(explanation: Any) -> float:
    """The largest difference between a feature's attribution and the sum of its parts, as part of what it has."""
    sums = explanation.parts("series").groupby("example_id")["attribution"].agg(["sum", lambda of: of.abs().sum()])
    rows = explanation.attributions().set_index("example_id")["attribution_series"]
    assert set(rows.index) >= set(sums.index)
    both = sums.join(rows)
    return float((both["sum"] - both["attribution_series"]).abs().div(1 + both.iloc[:, 1]).max())


def planted(features: dict[str, Any]) -> Any:
    """Steps 4 and 5 of channel 1, and step 0 of channel 2."""
    series = features["series"]
    return 2.0 * tf.reduce_sum(series[:, 4:6, 1], axis=1) - series[:, 0, 2] + 0.5 * features["age"]


def crossed(features: dict[str, Any]) -> Any:
    series = features["series"]
    return (
        tf.tanh(tf.reduce_sum(series[:, 4:8, 1], axis=1)) * (1.0 + features["age"]) * tf.reduce_max(series[:, 9, :], 1)
    )


@pytest.mark.parametrize("by", ["time", "channel", "both"])
def test_what_the_model_reads_is_found(fixed: str, tmp_path: Path, by: str) -> None:
    parts = {"by": by} if by == "channel" else {"by": by, "windows": 6}
    explanation = explained(tmp_path, fixed, planted, FIXED, parts)
    absent = np.array(explanation.manifest["method"]["shapley"]["parts"]["series"]["absent_values"])
    background = np.stack([fixed_series(i, 0) for i in range(20)])
    assert (np.abs(absent - background.mean(axis=(0, 1))) < 1.0).all()
    table = explanation.parts("series")
    expected = []
    for row, start, stop, channel in table[["example_id", "start", "stop", "channel"]].itertuples(index=False):
        weights = np.zeros((STEPS, CHANNELS))
        weights[4:6, 1], weights[0, 2] = 2.0, -1.0
        part = slice(start, stop), slice(None) if channel < 0 else slice(channel, channel + 1)
        expected.append(((fixed_series(int(row), 1) - absent) * weights)[part].sum())
    np.testing.assert_allclose(table["attribution"], expected, atol=2e-5)
    assert (table["std_error"] <= 2e-5).all()
    assert len(table) == 15 * {"time": 6, "channel": 3, "both": 18}[by]
    assert sums_differ_by(explanation) <= 1e-6


def steps_of(features: dict[str, Any]) -> tuple[Any, Any]:
    """(n, STEPS, 2) of flat lists, zeros behind their end, and (n,) how many steps they have."""
    values = features["series"]
    padded = values.to_tensor(shape=[None, 2 * STEPS])
    return tf.reshape(padded, [-1, STEPS, 2]), tf.cast(values.row_lengths() // 2, tf.float32)


def early(features: dict[str, Any]) -> Any:
    """Steps 2 and 3 of channel 0, as far as they are there."""
    return 2.0 * tf.reduce_sum(steps_of(features)[0][:, 2:4, 0], axis=1)


def early_and_age(features: dict[str, Any]) -> Any:
    return early(features) + 0.5 * features["age"]


def scaled(features: dict[str, Any]) -> Any:
    steps, n_steps = steps_of(features)
    return tf.reduce_sum(steps[:, :, 0] * steps[:, :, 1], axis=1) * (1.0 + features["age"]) / tf.sqrt(1.0 + n_steps)


@pytest.mark.parametrize(("score", "names"), [(early, ["series"]), (early_and_age, ["series", "age"])])
def test_series_of_any_length_have_windows_and_a_length(
    ragged: str, tmp_path: Path, score: Callable[[dict[str, Any]], Any], names: list[str]
) -> None:
    """A list of no, one, or two steps is right, too; a window counts what its values are, the length that it is."""
    parts = {"by": "both", "windows": 4, "channels": 2}
    explanation = explained(tmp_path, ragged, score, {name: RAGGED[name] for name in names}, parts)
    absent = explanation.manifest["method"]["shapley"]["parts"]["series"]["absent_values"]
    background = explanation.background["series"].map(len).to_numpy() // 2
    assert len(set(background.tolist())) > 2
    of_background = explanation.background["__weight__"].to_numpy() @ np.clip(background - 2, 0, 2)
    table = explanation.parts("series")
    for row, found in table.groupby("example_id"):
        series = ragged_series(int(row), 1)
        n_steps = len(series)
        assert len(found) == 2 * min(n_steps, 4) + 1
        assert found[["start", "stop", "channel"]].iloc[-1].tolist() == [n_steps, n_steps, -1]
        effects = np.zeros((n_steps, 2))
        effects[2:4, 0] = 2.0 * (series[2:4, 0] - absent[0])
        expected = [effects[of.start : of.stop, of.channel].sum() for of in found.iloc[:-1].itertuples()]
        expected.append(2.0 * absent[0] * (min(max(n_steps - 2, 0), 2) - of_background))
        if names == ["series"]:
            np.testing.assert_allclose(found["attribution"], expected, atol=2e-5)
            assert (found["std_error"].iloc[:-1] <= 2e-5).all()
        else:
            # Contexts have eight pairs of background rows, and what their lengths miss is spread over what moves.
            assert (np.abs(found["attribution"] - expected) <= 6 * found["std_error"] + 2e-5).all()
    assert len(table["example_id"].unique()) == 15
    assert sums_differ_by(explanation) <= 1e-6


def test_shards_workers_and_batches_change_nothing_and_slices_and_a_baseline_model_are_no_hindrance(
    ragged: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = {"window_length": 2, "channels": 2, "absent": "zero"}
    # Contexts have eight pairs: with as many background rows they would be all that there are.
    some = {"max_examples": 12, "background": {"num_rows": 11}}
    first = explained(tmp_path / "first", ragged, scaled, RAGGED, parts, **some)
    other = worlds.write_splits(tmp_path / "series", ragged_rows, 18, 15, num_shards=5)
    baseline = worlds.save_serving_model(tmp_path / "baseline", early, {"series": RAGGED["series"]})
    workers = ["--direct_num_workers=2"]
    settings = {
        "baseline": baseline,
        "beam_args": workers,
        **some,
        "slicing_specs": [{}, {"feature_keys": ["id"]}],
    }
    second = explained(tmp_path / "second", other, scaled, RAGGED, parts, **settings)
    # Sums run in another order where a batch has another length.
    monkeypatch.setattr(select, "ROWS_PER_BATCH", 4)
    third = explained(tmp_path / "third", ragged, scaled, RAGGED, parts, **some)
    keys = ["example_id", "part"]
    tables = [one.parts("series").sort_values(keys, ignore_index=True) for one in (first, second, third)]
    pd.testing.assert_frame_equal(*tables[:2], check_exact=True)
    pd.testing.assert_frame_equal(tables[0], tables[2], rtol=1e-5, atol=1e-6)
    assert sums_differ_by(first) <= 1e-6
    assert tables[0]["std_error"].max() > 1e-3
    assert set(second.baseline_importance["slice"]) == set(second.importance["slice"]) > {"overall"}


def test_padding_is_no_part_and_stays(tmp_path: Path) -> None:
    """The model reads the padding: the sum over all steps counts -1 for each; a row may be nothing but padding."""
    lengths = [0, 1, 4, 12]

    def rows(n: int, seed: int) -> list[dict[str, Any]]:
        made = []
        for i in range(n):
            series = fixed_series(i, seed)
            series[lengths[i % 4] :] = -1.0
            made.append({"series": series.ravel().tolist(), "id": i})
        return made

    def total(features: dict[str, Any]) -> Any:
        return tf.reduce_sum(features["series"], axis=[1, 2])

    examples = worlds.write_splits(tmp_path / "examples", rows, 16, 8)
    spec = {"series": FIXED["series"]}
    explanation = explained(tmp_path, examples, total, spec, {"windows": 3, "padding": -1.0, "absent": 0.5})
    n_steps = np.array([lengths[i % 4] for i in range(8)])
    mean_steps = explanation.background["__weight__"] @ [
        STEPS - np.sum(np.reshape(values, (STEPS, CHANNELS))[:, 0] == -1) for values in explanation.background["series"]
    ]
    for row, found in explanation.parts("series").groupby("example_id"):
        series = fixed_series(int(row), 1)
        own = n_steps[int(row)]
        assert found["stop"].max() == own
        assert len(found) == min(own, 3) + 1
        expected = [(series[of.start : of.stop] - 0.5).sum() for of in found.iloc[:-1].itertuples()]
        expected.append(1.5 * CHANNELS * (own - mean_steps))
        np.testing.assert_allclose(found["attribution"], expected, rtol=1e-5, atol=1e-4)


def test_rows_that_are_no_series_are_dead_letters(tmp_path: Path) -> None:
    """Of channels that do not come out even, or that make the output NaN once parts are absent."""

    def rows(n: int, seed: int) -> list[dict[str, Any]]:
        odd = [{"series": [1.0] * 5, "age": 0.0}, {"series": [np.nan] * 4, "age": 0.0}, {"series": [], "age": 1.0}]
        return [*ragged_rows(n - 3, seed), *odd] if seed else ragged_rows(n, seed)

    def score(features: dict[str, Any]) -> Any:
        return tf.reduce_sum(features["series"], axis=1) + features["age"]

    examples = worlds.write_splits(tmp_path / "examples", rows, 12, 9)
    config = {"id_key": None, "max_failed_fraction": 0.5}
    explanation = explained(tmp_path, examples, score, RAGGED, {"channels": 2}, **config)
    reasons = explanation.dead_letters()["reason"].tolist()
    assert len(reasons) == 2
    assert any("`series` has 5 values, which is no multiple of its 2 channels" in reason for reason in reasons)
    assert any("NaN or infinite" in reason for reason in reasons)
    assert len(explanation.attributions()) == 7


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"windows": 50, "by": "both"}, "150 parts of a row, of 3 channels, which is more than `max_parts: 128`"),
        ({"windows": 2, "channels": 2}, r"`channels: 2` of `parts` of `series` does not fit the shape \(12, 3\)"),
        ({"windows": 2, "window_length": 3}, "both say how long windows are"),
        ({"windows": 2, "by": "channel"}, "has no windows"),
        ({"windows": 2, "unit": "word"}, "unknown key `unit` under `methods.0.shapley.parts.series`"),
        ({"window": 2}, "did you mean `windows`"),
        ({}, "set `windows` if it is a series"),
        ({"windows": 2, "absent": 1e39}, "no larger than"),
    ],
)
def test_what_cannot_be_cut_is_refused(fixed: str, tmp_path: Path, parts: dict[str, Any], message: str) -> None:
    with pytest.raises(errors.ConfigError, match=message):
        explained(tmp_path, fixed, planted, FIXED, parts)
