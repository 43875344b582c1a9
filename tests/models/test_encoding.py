"""Codes of players: every kind of feature has some, in a scale of its own, and none that says nothing."""

from __future__ import annotations

import numpy as np
import pytest

from tfx_explain.models import Inputs
from tfx_explain.models.encoding import Encoder
from tfx_explain.models.features import Ragged

N = 200


def columns(seed=0, n=N):
    rng = np.random.default_rng(seed)
    lengths = rng.integers(0, 4, size=n)
    words = np.array([b"a", b"b", b"c"], dtype=object)
    return Inputs(
        n,
        {
            "number": (1000 + 5 * rng.normal(size=n)).astype(np.float32),
            "gaps": np.where(rng.uniform(size=n) < 0.3, np.nan, rng.normal(size=n)),
            "vector": rng.normal(size=(n, 6)) @ np.diag([10.0, 5.0, 0.1, 0.1, 0.1, 0.1]),
            "count": rng.integers(0, 1000, size=n),
            "level": rng.integers(0, 3, size=n),
            "switch": rng.integers(0, 2, size=n),
            "word": words[rng.integers(0, 3, size=n)],
            "numbers": Ragged.from_lengths(rng.normal(size=lengths.sum()), lengths),
            "words": Ragged.from_lengths(words[rng.integers(0, 3, size=lengths.sum())], lengths),
            "constant": np.full(n, 7.0),
        },
    )


PLAYERS = [[name] for name in columns().columns]
NAMES = [name for (name,) in PLAYERS]


@pytest.fixture(scope="module")
def encoder():
    return Encoder.fit(columns(), PLAYERS)


def test_every_player_that_varies_has_one_or_two_codes_of_variance_one(encoder):
    counts = dict(zip(NAMES, np.bincount(encoder.owners, minlength=len(NAMES)), strict=True))
    assert counts["constant"] == 0
    assert counts["number"] == counts["count"] == counts["switch"] == 1
    assert all(1 <= n <= 2 for name, n in counts.items() if name != "constant")
    codes = encoder.encode(columns())
    np.testing.assert_allclose(codes.mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(codes.std(axis=0), 1, rtol=1e-6)


@pytest.mark.parametrize("name", [name for name in NAMES if name != "constant"])
def test_codes_follow_the_values(encoder, name):
    """Rows with equal values have equal codes, and where the values differ the codes (nearly always) do."""
    inputs = columns(seed=1)
    own = np.flatnonzero(encoder.owners == NAMES.index(name))
    codes = encoder.encode(inputs)[:, own]
    again = Inputs(N, {**columns(seed=2).columns, name: inputs.columns[name]})
    np.testing.assert_array_equal(encoder.encode(again)[:, own], codes)
    shifted = inputs.take(np.roll(np.arange(N), 1))
    other = Inputs(N, {**inputs.columns, name: shifted.columns[name]})
    assert (encoder.encode(other)[:, own] != codes).any(axis=1).mean() > 0.3


def test_the_main_directions_of_a_vector_are_kept(encoder):
    inputs = columns(seed=3)
    own = np.flatnonzero(encoder.owners == NAMES.index("vector"))
    fitted = np.linalg.lstsq(
        np.column_stack([np.ones(N), encoder.encode(inputs)[:, own]]), inputs.columns["vector"][:, :2], rcond=None
    )
    assert len(own) == 2
    assert fitted[1].sum() < 0.5 * np.square(inputs.columns["vector"][:, :2]).sum()


def test_what_was_never_seen_does_no_harm(encoder):
    inputs = columns(seed=4, n=3)
    strange = {
        **inputs.columns,
        "number": np.array([np.inf, -1e30, np.nan], np.float32),
        "gaps": np.array([1.7e308, -1.7e308, 0.0]),
        "word": np.array([b"zebra", b"", b"a"], dtype=object),
        "words": Ragged.from_lengths(np.array([b"zebra"] * 5, dtype=object), np.array([5, 0, 0])),
    }
    codes = encoder.encode(Inputs(3, strange))
    assert np.isfinite(codes).all()
    assert (codes <= encoder.high + 1).all()
    assert (codes >= encoder.low - 1).all()


def test_a_feature_that_no_row_of_a_batch_has_is_missing(encoder):
    inputs = columns(seed=5, n=4)
    without = Inputs(4, {name: column for name, column in inputs.columns.items() if name not in {"gaps", "words"}})
    codes = encoder.encode(without)
    assert np.isfinite(codes).all()
    gaps = Inputs(4, {**inputs.columns, "gaps": np.full(4, np.nan)})
    own = np.flatnonzero(encoder.owners == NAMES.index("gaps"))
    np.testing.assert_array_equal(codes[:, own], encoder.encode(gaps)[:, own])


def test_one_huge_number_leaves_the_others_their_codes():
    inputs = columns()
    strange = Inputs(N, {**inputs.columns, "gaps": np.r_[np.full(N - 1, 1.7e308), 0.0]})
    assert np.isfinite(Encoder.fit(strange, PLAYERS).encode(strange)).all()


def test_a_feature_that_changes_its_type_is_missing(encoder):
    inputs = columns(seed=6, n=4)
    changed = {**inputs.columns, "numbers": Ragged.from_lengths(np.array([b"a"] * 4, dtype=object), np.ones(4, int))}
    assert np.isfinite(encoder.encode(Inputs(4, changed))).all()


def test_groups_share_their_codes():
    encoder = Encoder.fit(columns(), [["number", "word", "constant"], ["absent"], []])
    assert set(encoder.owners) == {0}
    assert len(encoder.owners) == 2
