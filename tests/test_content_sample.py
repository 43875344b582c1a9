"""Samples of rows by content: the same for any sharding and order, copies counting like any other rows."""

import itertools
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import worlds
from tfx_explain import InputError, records
from tfx_explain.content_sample import (
    ContentCounts,
    ContentSample,
    CopyNumbers,
    KeptContents,
    PlaceContents,
    SampledRows,
    SmallestDraws,
    copy_keys,
    first_keys,
    in_buckets,
    number_places,
    stream_of,
)
from tfx_explain.rows import HashArray, concat_rows, mix, mixed_types, row_hashes, take_rows

N_ROWS = 6_000
N_SAMPLE = 128


def counted(hashes: HashArray) -> tuple[HashArray, np.ndarray]:
    return np.unique(hashes, return_counts=True)


def contents(n: int, seed: int = 0) -> HashArray:
    return mix(np.arange(1, n + 1, dtype=np.uint64) + np.uint64(seed * 10**6))


def to_batch(values: np.ndarray) -> pa.RecordBatch:
    column = pa.array([[int(value)] for value in values], pa.large_list(pa.int64()))
    return pa.RecordBatch.from_arrays([column], names=["x"])


def decode(row: dict[str, Any]) -> pa.RecordBatch:
    (batch,), _ = records.decode_examples([worlds.to_example(row)])
    return batch


def repeated(copies: int | None) -> np.ndarray:
    """The content of each row: so many copies of every one; None for one that is half of the rows."""
    if copies is None:
        return np.concatenate([np.zeros(N_ROWS // 2, np.int64), np.arange(1, N_ROWS // 2 + 1)])
    return np.repeat(np.arange(N_ROWS // copies), copies)


@pytest.mark.parametrize("copies", [1, 2, 10, 60, 1_000, None])
def test_base_value_is_as_far_off_as_its_standard_error_says(copies: int | None) -> None:
    """Over 20 seeds the root mean square of a standard normal is within 0.7 to 1.3 in 95 of 100 cases."""
    content_of = repeated(copies)
    hashes, counts = counted(contents(content_of.max() + 1)[content_of])
    output = np.random.default_rng(1).normal(size=len(hashes))
    output[hashes == contents(1)[0]] += 3.0
    mean = np.average(output, weights=counts)
    off = []
    for seed in range(20):
        sample = ContentSample.choose(hashes, counts, N_SAMPLE, stream_of(seed, "background train"))
        values = output[np.searchsorted(hashes, sample.hashes)]
        off.append((values.mean() - mean) / (values.std(ddof=1) / np.sqrt(N_SAMPLE)))
        assert sample.n_rows == N_ROWS
    assert 0.7 < np.sqrt(np.mean(np.square(off))) < 1.3


@pytest.mark.parametrize("copies", [1, 60, None])
def test_parts_of_rows_have_their_share_of_each_content(copies: int | None) -> None:
    """Draws choose the rows of SAGE, its permutations, donors, clusters and the curves of single rows."""
    content_of = repeated(copies)
    hashes = contents(content_of.max() + 1)[content_of]
    numbers = np.arange(N_ROWS) - np.searchsorted(content_of, content_of)
    draws = copy_keys(hashes, numbers, stream_of(0, "explained eval"))
    assert len(np.unique(draws)) == N_ROWS
    clusters = np.bincount((draws % np.uint64(64)).astype(int), minlength=64)
    assert ((clusters - N_ROWS / 64) ** 2).sum() / (N_ROWS / 64) < 63 + 5 * np.sqrt(2 * 63)
    for fraction in (0.1, 0.5):
        chosen = draws < np.uint64(fraction * 2**64)
        for part in (content_of == 0, content_of > content_of.max() / 2):
            n = part.sum()
            assert abs(chosen[part].sum() - fraction * n) < 5 * np.sqrt(n * fraction * (1 - fraction)) + 1


def test_seeds_and_names_give_independent_samples() -> None:
    hashes, counts = counted(contents(3_000))
    one, *others = (
        set(ContentSample.choose(hashes, counts, 300, stream_of(*key)).hashes.tolist())
        for key in ((0, "explained train"), (1, "explained train"), (0, "background train"))
    )
    for other in others:
        assert 5 < len(one & other) < 60


def test_keys_are_the_same_in_every_process_and_version() -> None:
    # Pinned: a change would choose other rows than earlier runs did.
    keys = copy_keys(np.array([5, 5], np.uint64), np.array([0, 1]), stream_of(7, "background train"))
    assert keys.tolist() == [9310969999886177509, 10968401761094809411]


def sample_of(parts: list[np.ndarray], n: int) -> tuple[pa.RecordBatch, HashArray]:
    """The sample as workers make it that each see a part of the rows, and then fetch what is missing."""
    stream = 11
    buckets: dict[int, ContentCounts] = {}
    kept = KeptContents(n)
    for part in parts:
        batch = to_batch(part)
        hashes = row_hashes(batch)
        found, of_rows, counts = np.unique(hashes, return_inverse=True, return_counts=True)
        of_part = KeptContents(n)
        of_part.add(batch, hashes, first_keys(found, counts, stream)[of_rows])
        of_part.compact()
        kept.merge(of_part)
        for bucket, some in in_buckets(found, counts):
            buckets.setdefault(bucket, ContentCounts()).add(*some)
    chosen = [ContentSample.choose(*bucket.result(), n, stream) for bucket in buckets.values()]
    sample = ContentSample.merged(chosen, n)
    ((rows, hashes),) = kept.parts()
    missing = sample.missing(hashes)
    everything = np.unique(np.concatenate(parts))
    fetched = to_batch(everything[np.isin(row_hashes(to_batch(everything)), missing)])
    rows = concat_rows([rows, fetched])
    sampled = SampledRows.of(sample, [(rows, row_hashes(rows))])
    assert sampled.hashes.tolist() == row_hashes(sampled.rows).tolist()
    return sampled.rows, sampled.draws


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.integers(0, 9), min_size=1, max_size=60),
    st.lists(st.integers(0, 60), max_size=6),
    st.integers(1, 70),
    st.randoms(),
)
def test_any_split_and_order_gives_the_same_sample(values, cuts, n, order) -> None:
    whole, draws = sample_of([np.array(values)], n)
    shuffled = order.sample(values, len(values))
    parts = [part for part in np.split(np.array(shuffled), sorted(cuts)) if len(part)]
    other, other_draws = sample_of(parts, n)
    assert other.to_pydict() == whole.to_pydict()
    assert other_draws.tolist() == draws.tolist()
    assert whole.num_rows == min(n, len(values)) == len(set(draws.tolist()))
    # No content is chosen more often than it occurs.
    assert all(whole.to_pydict()["x"].count([value]) <= values.count(value) for value in set(values))


@settings(max_examples=30, deadline=None)
@given(st.lists(st.lists(st.integers(0, 5), max_size=20), min_size=1, max_size=4), st.integers(1, 7))
def test_copies_are_numbered_without_gaps_over_all_places(files, size) -> None:
    hashes = contents(6)
    buckets: dict[int, list[PlaceContents]] = {}
    for index, values in enumerate(files):
        for bucket, some in in_buckets(*counted(hashes[values])):
            buckets.setdefault(bucket, []).append(PlaceContents(("file", index), *some))
    found = [part for bucket in buckets.values() for part in number_places(bucket)]
    numbered: dict[int, list[int]] = {}
    for index, values in enumerate(files):
        numbers = CopyNumbers(part for part in found if part.place == ("file", index))
        for start in range(0, len(values), size):
            some = values[start : start + size]
            for value, number in zip(some, numbers.number(hashes[some]).tolist(), strict=True):
                numbered.setdefault(value, []).append(number)
    for numbers_of_value in numbered.values():
        assert sorted(numbers_of_value) == list(range(len(numbers_of_value)))
    # What occurs once costs no memory.
    assert all(len(numbered[int(np.flatnonzero(hashes == h)[0])]) > 1 for part in found for h in part.hashes)


def test_many_contents_are_counted_in_little_memory() -> None:
    total, hashes = ContentCounts(), contents(400_000)
    for part in np.array_split(np.concatenate([hashes, hashes[::-1]]), 50):
        total.add(part, np.ones(len(part), np.int64))
        assert sum(len(held) for held in total._hashes) < 1.5 * len(hashes) + 2**16 + len(part)
    found, counts = total.result()
    assert found.tolist() == np.sort(hashes).tolist()
    assert set(counts.tolist()) == {2}


@given(st.lists(st.integers(0, 20), max_size=5), st.integers(1, 12))
def test_any_split_and_order_keeps_the_smallest_draws(cuts: list[int], n: int) -> None:
    rows, draws = to_batch(np.arange(20)), contents(20)
    whole, merged = SmallestDraws(n), SmallestDraws(n)
    whole.add(rows, draws)
    for start, end in list(itertools.pairwise([0, *sorted(cuts), 20]))[::-1]:
        part = SmallestDraws(n)
        part.add(take_rows(rows, np.arange(start, end)), draws[start:end])
        part.compact()
        merged.merge(part)
    assert merged.result().to_pydict() == whole.result().to_pydict()
    assert whole.result().to_pydict()["x"] == [[int(i)] for i in np.argsort(draws)[:n]]


def test_nothing_to_choose_from_is_nothing_chosen() -> None:
    assert SmallestDraws(3).result() is None
    nothing = ContentSample.choose(*ContentCounts().result(), 3, 1)
    assert (nothing.n_rows, SampledRows.of(nothing, KeptContents(3).parts()).rows) == (0, None)


def test_examples_that_change_between_reads_are_refused() -> None:
    sample = ContentSample.choose(*counted(contents(3)), 3, 1)
    with pytest.raises(InputError, match="examples changed while they were read"):
        SampledRows.of(sample, [(to_batch(np.arange(2)), contents(3)[:2])])


@given(order=st.permutations(range(6)), cut=st.integers(0, 6))
def test_rows_of_mixed_types_are_kept_alike_in_any_order(order: list[int], cut: int) -> None:
    rows = [decode({"x": float(i), "y": [i, b"t", 0.5][i % 3]}) for i in range(6)]
    hashes = np.concatenate([row_hashes(row) for row in rows])
    samples = [SmallestDraws(3), SmallestDraws(3)]
    contents_kept = [KeptContents(3), KeptContents(3)]
    for place, number in enumerate(order):
        samples[place >= cut].add(rows[number], hashes[[number]])
        samples[place >= cut].compact()
        contents_kept[place >= cut].add(
            rows[number], hashes[[number]], copy_keys(hashes[[number]], np.zeros(1, int), 1)
        )
        contents_kept[place >= cut].compact()
    samples[0].merge(samples[1])
    contents_kept[0].merge(contents_kept[1])
    smallest = np.argsort(hashes)[:3]
    kept = samples[0].result()
    assert kept is not None
    assert kept.to_pydict()["x"] == [[float(i)] for i in smallest]
    sample = ContentSample.choose(hashes, np.ones(6, np.int64), 3, 1)
    selected = list(SampledRows.batches(sample, contents_kept[0].parts(), 2))
    assert all(
        not mixed_types(part.rows) and row_hashes(part.rows).tolist() == part.hashes.tolist() for part in selected
    )
    assert sorted(h for part in selected for h in part.hashes.tolist()) == sorted(sample.hashes.tolist())
    assert SampledRows.of(sample, contents_kept[0].parts()).hashes.tolist() == sample.hashes.tolist()
