"""Means by word, against sums over all rows at once."""

import numpy as np

from tfx_explain.summary.words import WordSums


def rows_of(n: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    rows = np.sort(rng.integers(0, n, 4 * n))
    words = np.array(["a", "b", "c", "rare"], object)[rng.choice(4, 4 * n, p=[0.4, 0.3, 0.295, 0.005])]
    values = (words == "a") + rng.normal(size=n)[rows] + 0.1 * rng.normal(size=4 * n)
    return words, rows, values, rng.integers(0, 3, n).astype(float)


def test_batches_add_up_to_a_ratio_of_sums_over_rows() -> None:
    words, rows, values, weights = rows_of(300, 0)
    whole, parts = WordSums(), WordSums()
    whole.add(words, rows, values, weights)
    for first in range(0, 300, 100):
        inside = (rows >= first) & (rows < first + 100)
        parts.add(words[inside], rows[inside] - first, values[inside], weights[first : first + 100])
    found = whole.result(10)
    assert found["word"][0] == "a"
    assert "rare" not in found["word"]
    for name, column in parts.result(10).items():
        if name == "word":
            assert column.tolist() == found[name].tolist()
        else:
            np.testing.assert_allclose(column, found[name], rtol=1e-10)
    for word, mean, error, n in zip(*found.values(), strict=True):
        number, total = (np.bincount(rows, (words == word) * by, minlength=300) * weights for by in (1.0, values))
        there = number > 0
        assert n == there.sum()
        np.testing.assert_allclose(mean, total.sum() / number.sum(), rtol=1e-10)
        left = (total - mean * number)[there]
        np.testing.assert_allclose(error, np.sqrt((left**2).sum() * n / (n - 1)) / number.sum(), rtol=1e-9)


def test_errors_are_those_of_repeated_draws() -> None:
    means, errors = [], []
    for seed in range(300):
        sums = WordSums()
        words, rows, values, _ = rows_of(200, seed)
        sums.add(words, rows, values, np.ones(200))
        found = sums.result(10)
        place = found["word"].tolist().index("b")
        means.append(found["mean"][place])
        errors.append(found["std_error"][place])
    # The spread of 300 draws is known to about 4 %.
    assert abs(np.std(means) / np.sqrt(np.mean(np.square(errors))) - 1) < 0.16


def test_nothing_and_single_rows() -> None:
    sums = WordSums()
    assert len(sums.result(1)["word"]) == 0
    sums.add(np.array(["one"], object), np.array([0]), np.array([2.0]), np.ones(1))
    sums.add(np.zeros(0, object), np.zeros(0, np.int64), np.zeros(0), np.zeros(0))
    found = sums.result(1)
    assert found["mean"].tolist() == [2.0]
    assert np.isnan(found["std_error"]).all()
