"""Figures of records as they were computed: what float32 leaves stands beside it, at any scale of the outputs."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf

import tfx_explain
import worlds
from tfx_explain import InputError, records, rests, tables
from tfx_explain.attribution_records import MethodFigures, RecordLayout, attribution_batch, attribution_frames
from tfx_explain.explanation_validator.sides import Side

PLAYERS = ["a", "b", "c"]
EDGES = [0.0, -0.0, 1.5, -3e38, 1e-38, -1.1e-38, 1e-45, -1e-50, 5e-324, 1 / 3, 2e10 + 1 / 3, np.inf, np.nan]
MODULE = """import pathlib
import numpy as np
FEATURES = {name: 'float64' for name in 'abc'}
def load_model(directory):
    factor = float((pathlib.Path(directory) / 'factor').read_text())
    def model(columns):
        a, b, c = (np.asarray(columns[name], np.float64) for name in 'abc')
        effect = factor * (1e4 * a + 3e4 * c)
        return np.stack([2.08e10 + effect + np.where(b > 5, np.nan, 0), 1e-50 * effect], axis=1)
    return model
"""


def layout_of(n_outputs: int, *, baseline: bool = False) -> RecordLayout:
    return RecordLayout(tuple(PLAYERS), n_outputs, has_baseline=baseline)


def batch_of(values: Any, errors: Any, prediction: Any, base: Any, theirs: Any = None) -> pa.RecordBatch:
    baseline = theirs is not None
    return attribution_batch(
        pa.RecordBatch.from_arrays([pa.array([[1.0]] * len(values), pa.large_list(pa.float32()))], names=["a"]),
        layout_of(values.shape[2], baseline=baseline),
        [str(i).encode() for i in range(len(values))],
        [prediction, theirs.sum(axis=1)] if baseline else [prediction],
        [MethodFigures(base, values, errors, np.zeros_like(base), baseline_attributions=theirs)],
    )


def written(batch: pa.RecordBatch) -> tuple[pa.RecordBatch, list[Any]]:
    """The batch as a reader has it, and the features of each record."""
    serialized = records.encode_examples(batch)
    (read,), _ = records.decode_examples(serialized)
    return read, [tf.train.Example.FromString(one).features.feature for one in serialized]


def test_float64_comes_back_to_the_bit_at_any_scale() -> None:
    rng = np.random.default_rng(0)
    values = np.concatenate([EDGES, rng.normal(size=2_000) * 10.0 ** rng.uniform(-320, 38, 2_000)])
    with np.errstate(over="ignore"):
        back = rests.with_rests(values.astype(np.float32), rests.rests_of(values))
    assert back.tobytes() == values.tobytes()
    assert (rests.rests_of(values) >= 0).all()
    normal = np.abs(values) > 1e-37
    assert rests.rests_of(values)[normal & np.isfinite(values)].max() < 2**30  # five bytes of a record at most
    assert not rests.rests_of(values.astype(np.float32)).any()
    assert not rests.rests_of_tiny(values[normal]).any()


def test_values_are_rounded_as_float32_but_at_any_scale() -> None:
    rng = np.random.default_rng(2)
    values = np.concatenate([[0.0, -0.0, np.inf, np.nan], rng.normal(size=500) * 10.0 ** rng.uniform(-36, 37, 500)])
    np.testing.assert_array_equal(rests.rounded(values), values.astype(np.float32).astype(np.float64))
    np.testing.assert_array_equal(rests.rounded(values * 2.0**-200), rests.rounded(values) * 2.0**-200)


def test_lists_of_rests_leave_out_what_is_zero() -> None:
    table = np.array([[0, 7, 0], [0, 0, 0], [1, 2, 3]])
    column = rests.to_lists(table)
    assert column is not None
    assert column.to_pylist() == [[0, 7], [], [1, 2, 3]]
    np.testing.assert_array_equal(rests.from_lists(column, 3), table)
    assert rests.to_lists(np.zeros((2, 3), int)) is None


@pytest.mark.parametrize("baseline", [False, True])
@pytest.mark.parametrize("scale", [2.08e10, 1.0, 1e-30, 1e-50, 1e-200])
def test_what_is_read_is_what_was_computed(scale: float, baseline: bool) -> None:
    rng = np.random.default_rng(1)
    values, errors, theirs = rng.normal(size=(3, 5, 3, 2)) * scale
    base = np.tile(rng.normal(size=2) * scale, (5, 1))
    computed = {
        "prediction": base + values.sum(axis=1),
        "base_value": base,
        **{f"attribution_{player}": values[:, i] for i, player in enumerate(PLAYERS)},
    }
    if baseline:
        computed |= {f"baseline_attribution_{player}": theirs[:, i] for i, player in enumerate(PLAYERS)}
        computed["baseline_prediction"] = theirs.sum(axis=1)
    read, features = written(
        batch_of(values, np.abs(errors), computed["prediction"], base, theirs if baseline else None)
    )
    frames = attribution_frames(read, layout_of(2, baseline=baseline), ["first", "second"])
    for index, output in enumerate(frames):
        for name, expected in computed.items():
            np.testing.assert_array_equal(frames[output][name].to_numpy(), expected[:, index], strict=True)
        for index_of_player, player in enumerate(PLAYERS):
            expected = np.abs(errors[:, index_of_player, index])
            np.testing.assert_allclose(frames[output][f"std_error_{player}"], expected, rtol=1e-7)
    # Other tools find the float32 that were always there.
    for row, feature in enumerate(features):
        for name, expected in computed.items():
            np.testing.assert_array_equal(feature[name].float_list.value, expected[row].astype(np.float32))


def test_records_without_rests_are_read_as_float32_has_them() -> None:
    values = np.full((2, 3, 1), 1 / 3)
    batch = batch_of(values, values, values.sum(axis=1), values[:, 0])
    old = batch.schema.names
    old.remove(tables.REST)
    older = pa.RecordBatch.from_arrays([batch.column(name) for name in old], names=old)
    frame = attribution_frames(older, layout_of(1), ["only"])["only"]
    np.testing.assert_array_equal(frame["attribution_b"].to_numpy(), np.full(2, np.float32(1 / 3), np.float64))
    assert layout_of(1).faults(older) == []
    assert tables.REST not in batch_of(*np.ones((2, 2, 3, 1)), *np.ones((2, 2, 1))).schema.names


def test_lists_that_are_too_long_are_named() -> None:
    values = np.full((2, 3, 1), 1 / 3)
    batch = batch_of(values, values, values.sum(axis=1), values[:, 0])
    assert layout_of(1).faults(batch) == []
    assert "prediction" in layout_of(2).faults(batch)
    columns = dict(zip(batch.schema.names, batch.columns, strict=True))
    columns[tables.REST] = pa.array([[1] * 9] * 2, pa.large_list(pa.int64()))
    longer = pa.RecordBatch.from_arrays(list(columns.values()), names=list(columns))
    assert layout_of(1).faults(longer) == [tables.REST]


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, list[dict[str, Any]], list[bytes]]:
    """Outputs near 2e10 and near 1e-46 of two models, a row that cannot be read and one whose output is NaN."""
    root = tmp_path_factory.mktemp("rests")
    for name, factor in (("model", 1.0), ("baseline", 2.0)):
        (root / name).mkdir()
        (root / name / "factor").write_text(str(factor))
    (root / "module.py").write_text(MODULE)
    rng = np.random.default_rng(17)
    rows: list[dict[str, Any]] = [
        {"id": i, **{name: float(np.float32(value)) for name, value in zip("abc", rng.normal(size=3), strict=True)}}
        for i in range(40)
    ]
    bad = [{"id": 90, "a": [1.0, 2.0], "b": 0.0, "c": 0.0, "mine": b"x"}, {"id": 91, "a": 1.0, "b": 9.0, "c": 0.0}]
    # A float that no program writes so, but that is one: not packed.
    odd = worlds.to_example(bad[0]) + worlds.to_example({"more": 1.0})
    encoded = [*map(worlds.to_example, rows), odd, worlds.to_example(bad[1])]
    explanation = tfx_explain.explain(
        model=str(root / "model"),
        baseline_model=str(root / "baseline"),
        examples=worlds.write_records(root / "rows", encoded),
        background=worlds.write_records(root / "background", [worlds.to_example(row) for row in rows[:20]]),
        output_dir=str(root / "out"),
        config={
            "model": {"module_file": str(root / "module.py")},
            "background": {"num_rows": 6},
            "id_key": "id",
            "max_failed_fraction": 0.5,
        },
    )
    return explanation, rows, encoded[-2:]


def test_a_job_is_read_as_it_was_computed(job: Any) -> None:
    explanation, rows, _ = job
    for output, scale, unit in zip(explanation.outputs, (2.08e10, 1e-46), (1.0, 1e-50), strict=True):
        frame = explanation.attributions(output=output).set_index("id").sort_index()
        assert len(frame) == len(rows)
        for side, factor in (("", 1.0), ("baseline_", 2.0)):
            found = frame[[f"{side}attribution_{player}" for player in PLAYERS]].to_numpy()
            effects = factor * unit * np.array([[1e4 * row["a"], 0.0, 3e4 * row["c"]] for row in rows])
            # Of a sum, attributions are the effects less their means over the background.
            change = found - effects
            np.testing.assert_allclose(change - change[0], 0.0, atol=1e-14 * scale)
            if not side:
                gap = frame["base_value"] + found.sum(axis=1) - frame["prediction"]
                np.testing.assert_allclose(gap, 0.0, atol=1e-14 * scale)
                assert frame["base_value"].iloc[0] == explanation.manifest["base_values"][output]
            sample = Side(explanation, (), of_baseline_model=bool(side)).attributions(("overall", output), PLAYERS)
            np.testing.assert_allclose(np.sort(sample.values[:, 2]), np.sort(found[:, 2]), rtol=2.0**-24)


def test_limits_are_given_where_asked_for_or_refused_in_a_sentence(job: Any) -> None:
    explanation, _, _ = job
    output = explanation.outputs[0]
    frame = explanation.attributions(output=output, confidence=0.95)
    assert not set(explanation.attributions(output=output)) & {"ci_low_a", "ci_high_a"}
    # Six background rows, all coalitions: five degrees of freedom.
    width = frame["ci_high_c"] - frame["ci_low_c"]
    np.testing.assert_allclose(width, 2 * 2.570582 * frame["std_error_c"], rtol=1e-5)
    for confidence in (0, 1, 95, float("nan")):
        with pytest.raises(InputError, match="between 0 and 1"):
            explanation.attributions(output=output, confidence=confidence)


def test_limits_hide_no_feature_of_the_rows(job: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    explanation, _, _ = job
    (batch,) = explanation.attribution_batches()
    own = pa.RecordBatch.from_arrays([*batch.columns, batch.column("a")], names=[*batch.schema.names, "ci_low_a"])
    monkeypatch.setattr(explanation, "attribution_batches", lambda split: iter([own]))
    assert "ci_low_a" in explanation.attributions(output=explanation.outputs[0])
    with pytest.raises(InputError, match="`ci_low_a` of their own"):
        explanation.attributions(output=explanation.outputs[0], confidence=0.9)


def test_dead_letters_hold_what_was_read_and_never_what_others_had(job: Any) -> None:
    explanation, _, (unreadable, nan) = job
    letters = explanation.dead_letters()
    assert len(letters) == 2
    by_reason = {"NaN" in reason: record for reason, record in zip(letters["reason"], letters["record"], strict=True)}
    assert by_reason[False] == unreadable
    assert tf.train.Example.FromString(by_reason[True]) == tf.train.Example.FromString(nan)


def test_rows_are_encoded_without_the_features_of_others() -> None:
    rows: list[dict[str, Any]] = [{"a": 1.0}, {"b": b"x", "c": 2}, {"a": 2.0, "c": [1, 2]}, {"b": b"y", "c": 3}]
    encoded = [worlds.to_example(row) for row in rows]
    (batch,), _ = records.decode_examples(encoded)
    again = [tf.train.Example.FromString(record) for record in records.encode_own_features(batch)]
    assert again == [tf.train.Example.FromString(record) for record in encoded]


def test_records_stay_with_the_rows_of_their_batch() -> None:
    encoded = [worlds.to_example(row) for row in ({"a": 1.0}, {"a": 2}, {"a": 3.0}, {"a": 4})]
    decoded, failed = records.decode_records([encoded[0], b"", *encoded[1:]])
    assert [(batch.column("a").to_pylist(), kept) for batch, kept in decoded] == [
        ([[1.0], [3.0]], [encoded[0], encoded[2]]),
        ([[2], [4]], [encoded[1], encoded[3]]),
    ]
    assert [record for record, _ in failed] == [b""]
