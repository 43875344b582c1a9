"""Losses against scikit-learn and by hand, and the correction for a finite background."""

import numpy as np
import pytest
from scipy import special
from sklearn import metrics

from tfx_explain.errors import ConfigError
from tfx_explain.summary.losses import choose_metric, loss, loss_of_mean, usable_labels


def test_metric_follows_from_the_output() -> None:
    assert choose_metric("auto", "logit", 1) == "log_loss"
    assert choose_metric("auto", "probability", 3) == "log_loss"
    assert choose_metric("auto", "raw", 1) == "mse"
    assert choose_metric("mse", "probability", 1) == "mse"
    assert choose_metric("mae", "raw", 1) == "mae"
    assert choose_metric("auc", "logit", 1) == choose_metric("auc", "probability", 1) == "auc"


@pytest.mark.parametrize(
    ("asked", "space", "n_outputs", "message"),
    [
        ("log_loss", "raw", 1, "nothing says that the explained output is either; set `model.output_is`"),
        ("auto", "raw", 3, "`mse` compares one output with the label, but the model has 3; set `model.output_is`"),
        ("mae", "probability", 3, "`mae` compares one output with the label, but the model has 3; choose `metric: log"),
        ("mse", "logit", 1, "the output is log-odds; choose `metric: log_loss`"),
        (
            "auc",
            "logit",
            2,
            "`auc` ranks rows by one output, .* but the model has 2 outputs; choose `metric: log_loss`",
        ),
        ("auc", "raw", 1, "the model has one that is neither log-odds nor a probability; set `model.output_is`"),
    ],
)
def test_metric_that_does_not_fit_is_one_sentence(asked: str, space: str, n_outputs: int, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        choose_metric(asked, space, n_outputs)
    assert "\n" not in str(caught.value)


def test_usable_labels() -> None:
    labels = [0.0, 1.0, 2.0, 0.5, -1.0, np.nan]
    assert usable_labels("log_loss", labels, 1).tolist() == [True, True, False, False, False, False]
    assert usable_labels("auc", labels, 1).tolist() == [True, True, False, False, False, False]
    assert usable_labels("log_loss", labels, 3).tolist() == [True, True, True, False, False, False]
    assert usable_labels("mse", labels, 1).tolist() == [True, True, True, True, True, False]


def test_log_loss_is_that_of_scikit_learn_in_both_spaces() -> None:
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(size=(40, 1)) * 3, rng.integers(0, 2, 40)
    chances = special.expit(logits)
    expected = metrics.log_loss(labels, chances[:, 0])
    assert loss("log_loss", "logit", logits, labels).mean() == pytest.approx(expected)
    assert loss("log_loss", "probability", chances, labels).mean() == pytest.approx(expected)
    many, classes = rng.normal(size=(40, 3)), rng.integers(0, 3, 40)
    expected = metrics.log_loss(classes, special.softmax(many, axis=1), labels=[0, 1, 2])
    assert loss("log_loss", "logit", many, classes).mean() == pytest.approx(expected)
    assert loss("log_loss", "probability", special.softmax(many, axis=1), classes).mean() == pytest.approx(expected)


def test_losses_keep_the_shape_between_examples_and_outputs() -> None:
    rng = np.random.default_rng(1)
    labels = np.array([0, 2])
    outputs = rng.normal(size=(2, 4, 5, 3))
    found = loss("log_loss", "logit", outputs, labels)
    assert found.shape == (2, 4, 5)
    assert found[1, 2, 3] == pytest.approx(-special.log_softmax(outputs[1, 2, 3])[2])
    np.testing.assert_allclose(loss("mse", "raw", outputs[..., :1], labels)[1], (outputs[1, ..., 0] - 2) ** 2)
    np.testing.assert_allclose(loss("mae", "raw", outputs[..., :1], labels)[1], np.abs(outputs[1, ..., 0] - 2))


def test_certain_and_wrong_is_a_finite_loss() -> None:
    assert loss("log_loss", "probability", [[0.0], [1.0]], [1, 0]) == pytest.approx(-np.log(1e-7))
    assert loss("log_loss", "logit", [[1000.0]], [0]) == pytest.approx(1000.0)


def simulated(metric: str, space: str, n_rows: int, n_blocks: int, seed: int) -> tuple[np.ndarray, np.ndarray, float]:
    """Losses of means over many drawn backgrounds: plain, corrected, and of the population's mean."""
    rng = np.random.default_rng(seed)
    n, label = 40_000, np.ones(1)
    draws = 0.7 + rng.normal(size=(n, n_rows)) if space != "probability" else rng.beta(1.2, 0.6, size=(n, n_rows))
    sizes = np.array([len(part) for part in np.array_split(np.arange(n_rows), n_blocks)])
    blocks = np.stack([part.mean(axis=1) for part in np.array_split(draws, n_blocks, axis=1)], axis=1)[..., None]
    labels = np.ones(n)
    truth = loss(metric, space, np.array([[0.7 if space != "probability" else 1.2 / 1.8]]), label)[0]
    plain = loss(metric, space, draws.mean(axis=1)[:, None], labels)
    return plain, loss_of_mean(metric, space, blocks, sizes / n_rows, labels), float(truth)


def test_squared_error_has_no_bias_left_even_of_unequal_blocks() -> None:
    plain, corrected, truth = simulated("mse", "raw", n_rows=11, n_blocks=4, seed=0)
    assert plain.mean() - truth == pytest.approx(1 / 11, rel=0.05)
    assert abs(corrected.mean() - truth) < 4 * corrected.std() / np.sqrt(len(corrected))


@pytest.mark.parametrize("space", ["logit", "probability"])
def test_log_loss_keeps_little_of_its_bias(space: str) -> None:
    plain, corrected, truth = simulated("log_loss", space, n_rows=12, n_blocks=4, seed=1)
    left, noise = abs(corrected.mean() - truth), corrected.std() / np.sqrt(len(corrected))
    assert plain.mean() - truth > 8 * noise
    assert left < 0.15 * (plain.mean() - truth) + 3 * noise


def test_absolute_error_and_a_single_block_are_left_alone() -> None:
    blocks = np.random.default_rng(2).normal(size=(5, 3, 1))
    weights, labels = np.array([0.5, 0.25, 0.25]), np.zeros(5)
    mean = np.einsum("ngk,g->nk", blocks, weights)
    uncorrected = loss_of_mean("mae", "raw", blocks, weights, labels)
    np.testing.assert_allclose(uncorrected, loss("mae", "raw", mean, labels), rtol=1e-12)
    single = loss_of_mean("mse", "raw", blocks[:, :1], [1.0], labels)
    np.testing.assert_array_equal(single, blocks[:, 0, 0] ** 2)
