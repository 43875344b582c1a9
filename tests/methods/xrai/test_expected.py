"""Expected gradients of pixels, against what the places of steps make of a quadratic, and the method for features."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from attributing import Attributing, batch_of, model_of
from tfx_explain.errors import ConfigError
from tfx_explain.methods.path_gradients.draws import stratified_alphas
from tfx_explain.methods.xrai import expected
from tfx_explain.methods.xrai.pixels import combined
from tfx_explain.models import Model
from tfx_explain.regions import decode_labels
from tfx_explain.rows import row_hashes

N, N_BACKGROUND, SIZE = 5, 12, 8
SAMPLES = 48
WEIGHTS = np.random.default_rng(1).normal(size=(SIZE, SIZE)).astype(np.float32)
SQUARE = (slice(2, 5), slice(3, 7))
SPECS = {"image": tf.TensorSpec([None, SIZE, SIZE], tf.float32), "x": tf.TensorSpec([None], tf.float32)}


def quadratic(image: Any, x: Any) -> Any:
    return tf.reduce_sum(WEIGHTS * image**2, [1, 2])[:, None] + x[:, None]


def planted(image: Any, x: Any) -> Any:
    inside = image[:, SQUARE[0], SQUARE[1]]
    return (tf.tanh(tf.reduce_mean(inside, [1, 2])) * (1.0 + x))[:, None]


def rows_of(n: int, seed: int) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    return {"image": list(rng.normal(size=(n, SIZE**2)).astype("f4")), "x": rng.normal(size=n).astype("f4")}


def at_work(model: Model, method: str, **settings: Any) -> Attributing:
    of_image = {"feature": "image", "gradients": "expected_gradients"} if method == "xrai" else {}
    return Attributing([model], rows_of(N_BACKGROUND, 1), {method: {"num_samples": SAMPLES, **of_image, **settings}})


def test_a_quadratic_has_what_the_places_of_steps_make_of_it(tmp_path: Path) -> None:
    of = at_work(model_of(tmp_path, quadratic, SPECS), "xrai")
    rows = rows_of(N, 2)
    batch = of.explain(rows)
    found, parts = batch.sides[0], batch.sides[0].parts["image"]
    assert batch.counts["xrai_gradient_rows"] == N * SAMPLES
    references, numbers = np.stack(rows_of(N_BACKGROUND, 1)["image"]).astype(np.float64), np.arange(N_BACKGROUND)
    alphas = stratified_alphas(row_hashes(batch_of(rows)), numbers, SAMPLES // N_BACKGROUND, 0).mean(axis=2)
    way = np.stack(rows["image"])[:, None] - references
    each = 2.0 * WEIGHTS.ravel() * way * (references + alphas[..., None] * way)
    np.testing.assert_allclose(found.attributions[:, 0, 0], each.mean(axis=1).sum(axis=1), rtol=1e-5, atol=1e-4)
    starts = np.cumsum(parts.lengths) - parts.lengths
    for row in range(N):
        labels = decode_labels(parts.maps[row]).ravel()
        own = slice(starts[row], starts[row] + parts.lengths[row])
        # Groups of references, every eighth together: four of two and four of one.
        groups = [np.bincount(labels, each[row, group::8].mean(axis=0)) for group in range(8)]
        shares = np.repeat([2 / 12, 1 / 12], 4)
        mean = shares @ groups
        error = np.sqrt(np.square(shares) @ np.square(groups - mean) / (1 - np.square(shares).sum()))
        np.testing.assert_allclose(parts.attributions[own, 0], mean, rtol=1e-5, atol=1e-4)
        np.testing.assert_allclose(parts.std_errors[own, 0], error, rtol=1e-5, atol=1e-4)
        assert parts.attributions[own, 0].sum() == pytest.approx(found.attributions[row, 0, 0], rel=1e-6, abs=1e-6)


def test_few_rows_at_a_time_are_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    of, rows = at_work(model_of(tmp_path, planted, SPECS), "xrai"), rows_of(N, 2)
    whole = of.explain(rows).sides[0]
    monkeypatch.setattr(expected, "_FIGURES", 2 * SAMPLES * 2)
    in_parts = of.explain(rows).sides[0]
    for name in ("attributions", "background_std_error", "design_std_error"):
        np.testing.assert_array_equal(getattr(in_parts, name), getattr(whole, name), err_msg=name)


def test_the_image_has_what_the_method_for_features_says(tmp_path: Path) -> None:
    model, rows = model_of(tmp_path, planted, SPECS), rows_of(N, 2)
    ours, theirs = (at_work(model, method).explain(rows).sides[0] for method in ("xrai", "expected_gradients"))
    for name in ("attributions", "base_value", "completeness_gap", "background_std_error", "design_std_error"):
        np.testing.assert_allclose(getattr(ours, name), getattr(theirs, name), rtol=1e-4, atol=1e-6, err_msg=name)
    for name in ("design_dof", "background_dof"):
        np.testing.assert_array_equal(getattr(ours, name), getattr(theirs, name))
    assert (ours.background_std_error[:, 0] > 0).all()


def test_it_is_found_where_the_model_looks_whatever_the_batch(tmp_path: Path) -> None:
    of, rows = at_work(model_of(tmp_path, planted, SPECS), "xrai", pixel_maps=N), rows_of(N, 2)
    whole, some = of.explain(rows).sides[0], of.explain(rows, [3, 1]).sides[0]
    kept = whole.take(np.array([3, 1]))
    np.testing.assert_array_equal(kept.attributions, some.attributions)
    for row in range(N):
        np.testing.assert_array_equal(of.explain(rows, [row]).sides[0].attributions[0], whole.attributions[row])
    np.testing.assert_array_equal(kept.parts["image"].attributions, some.parts["image"].attributions)
    np.testing.assert_array_equal(kept.parts["image"].std_errors, some.parts["image"].std_errors)
    looked_at = np.zeros((SIZE, SIZE), bool)
    looked_at[SQUARE] = True
    parts = whole.parts["image"]
    starts = np.cumsum(parts.lengths) - parts.lengths
    for row in range(N):
        labels = decode_labels(parts.maps[row])
        own = slice(starts[row], starts[row] + parts.lengths[row])
        outside = np.setdiff1d(labels, labels[looked_at])
        assert np.abs(parts.attributions[own, 0][outside]).max(initial=0.0) <= 1e-6


def test_errors_of_groups_of_any_shares_are_right_on_average() -> None:
    shares = np.array([0.25, 0.25, 0.125, 0.125, 0.125, 0.125])
    rng = np.random.default_rng(0)
    # Groups of twice the weight have half the variance, as of twice as many references.
    estimates = rng.normal(size=(6, 20_000)) / np.sqrt(shares)[:, None]
    mean, error = combined(estimates, shares)
    # Of 5 degrees of freedom: the standard error of the mean square over as many cases is 0.5 %.
    assert np.square(error).mean() == pytest.approx(mean.var(), rel=0.05)
    halves = np.array([[1.0, -2.0], [3.0, 5.0]])
    np.testing.assert_allclose(combined(halves, np.full(2, 0.5)), [[2.0, 1.5], [1.0, 3.5]])


def test_a_single_reference_is_no_sample(tmp_path: Path) -> None:
    model = model_of(tmp_path, planted, SPECS)
    with pytest.raises(
        ConfigError, match=r"`expected_gradients` of `xrai` takes the mean over images of two background"
    ):
        at_work(model, "xrai", num_samples=4)


def test_means_are_the_same_to_the_bit_whatever_comes_together() -> None:
    estimates, shares = np.random.default_rng(0).normal(size=(21, 8, 63, 1)), np.arange(1.0, 9) / 36
    whole = combined(estimates.swapaxes(0, 1), shares)
    for row in (0, 5, 20):
        alone = combined(estimates[row : row + 1].swapaxes(0, 1), shares)
        for one, other in zip(alone, whole, strict=True):
            np.testing.assert_array_equal(one[0], other[row])
