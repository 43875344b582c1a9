"""Asking a model about rows whose parts are taken away one after the other."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from tfx_explain.config.faithfulness import FaithfulnessConfig
from tfx_explain.methods.faithfulness.orders import (
    N_CHUNKS,
    areas,
    at_steps,
    chunks_of,
    correlation,
    cuts_of,
    random_ranks,
    ranks_of,
)
from tfx_explain.methods.faithfulness.rows import CheckedRows
from tfx_explain.methods.removal import Removal
from tfx_explain.rows import HashArray

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

# Bytes of questions and answers that are held at a time.
_FIGURES = 2**26
_DOUBLE = 8


@dataclasses.dataclass
class _Questions:
    """What the model is asked, put together piece by piece.

    Attributes:
      rows, kept, references: as `Removal.values` takes them.
    """

    rows: list[IntArray] = dataclasses.field(default_factory=list)
    kept: list[BoolArray] = dataclasses.field(default_factory=list)
    references: list[IntArray] = dataclasses.field(default_factory=list)

    def ask(self, rows: IntArray, kept: BoolArray, references: IntArray) -> tuple[int, ...]:
        """Adds (n, ..., U) coalitions of rows (n,) with references that broadcast to (n, ...); their shape."""
        shape = kept.shape[:-1]
        self.rows.append(np.broadcast_to(rows.reshape(-1, *[1] * (len(shape) - 1)), shape).ravel())
        self.kept.append(kept.reshape(-1, kept.shape[-1]))
        self.references.append(np.broadcast_to(references, shape).ravel())
        return shape

    def answers(self, removal: Removal) -> FloatArray:
        """(m, c) of all, in order."""
        rows, references = np.concatenate(self.rows), np.concatenate(self.references)
        return removal.values(rows, np.concatenate(self.kept), references)


def check_rows(
    removal: Removal,
    said: Sequence[FloatArray],
    rows: IntArray,
    hashes: HashArray,
    settings: FaithfulnessConfig,
    seed: int,
    into: Sequence[CheckedRows],
) -> int:
    """Finds the curves of some rows; those with fewer than two parts have none.

    Args:
      removal: of n rows.
      said: what each of some methods says of their parts, (n, U, c); random orders are the same for all.
      rows: which of them.
      hashes: (n,) of all.
      settings: of the method.
      seed: of the job.
      into: of each of these methods, gets what is found.

    Returns:
      How many rows the model was asked about.
    """
    rows = rows[(removal.sizes[rows] > 0).sum(axis=1) > 1]
    for one in into:
        one.has_parts[rows] = True
    n_outputs, widest = said[0].shape[2], max(removal.sizes.shape[1], 1)
    n_questions = (settings.num_steps + 1) * (settings.num_random + 2 * n_outputs * removal.n_references * len(said))
    at_once = max(_FIGURES // ((n_questions + settings.num_random * N_CHUNKS) * (widest + _DOUBLE * n_outputs)), 1)
    pieces = np.split(rows, range(at_once, len(rows), at_once)) if len(rows) else []
    return sum(_check(removal, said, piece, hashes[piece], settings, seed, into) for piece in pieces)


def _check(
    removal: Removal,
    said: Sequence[FloatArray],
    rows: IntArray,
    hashes: HashArray,
    settings: FaithfulnessConfig,
    seed: int,
    into: Sequence[CheckedRows],
) -> int:
    sizes, questions, n_references = removal.sizes[rows], _Questions(), removal.n_references
    ties = random_ranks(hashes, sizes, 1, seed, "ties")[:, 0]
    chance = random_ranks(hashes, sizes, settings.num_random, seed, "orders")
    chance_cuts, chance_shares = cuts_of(chance, sizes, settings.num_steps)
    along = [_ask_along(questions, one[rows], rows, (sizes, ties), n_references, settings.num_steps) for one in said]
    # Each order meets one reference; rows begin with different ones, so that none is met more often on the whole.
    turns = (hashes % np.uint64(n_references)).astype(np.int64)
    references = ((turns[:, None] + np.arange(settings.num_random)) % n_references)[..., None]
    of_chance = questions.ask(rows, chance[:, :, None, :] >= chance_cuts[..., None], references)
    chunks, has_chunk = chunks_of(chance, sizes)
    if settings.mu_fidelity:
        questions.ask(rows, ~chunks, references)
    answers = questions.answers(removal)
    shapes = [*(shape for shape, _ in along), of_chance]
    *of_methods, random, without = np.split(answers, np.cumsum([np.prod(shape) for shape in shapes]))
    random = random.reshape(*of_chance, -1)
    for found, (shape, shares), own in zip(into, along, of_methods, strict=True):
        # Of the orders by the attributions to an output, that output; the mean over references.
        curves = np.einsum("nrkcsc->nksc", own.reshape(*shape, -1)) / n_references
        _add_curves(found, rows, curves, shares, random, chance_shares)
    if settings.mu_fidelity:
        lost = random[:, :, :1] - without.reshape(*chunks.shape[:3], -1)
        # Of two parts, one is always right.
        counts = has_chunk & ((sizes > 0).sum(axis=1, keepdims=True) > 2)
        for found, one in zip(into, said, strict=True):
            sums = np.einsum("noku,nuc->nokc", chunks.astype(np.float64), one[rows])
            found.mu_fidelity[rows] = _correlations(sums, lost, counts)
    return len(answers)


def _ask_along(
    questions: _Questions,
    attributions: FloatArray,
    rows: IntArray,
    parts: tuple[FloatArray, IntArray],
    n_references: int,
    n_steps: int,
) -> tuple[tuple[int, ...], FloatArray]:
    """Asks about parts that are taken away, and put back, by their attributions.

    Args:
      questions: get (k, n_references, 2, c, s + 1) coalitions.
      attributions: (k, U, c).
      rows: (k,) which rows they are of.
      parts: (k, U) their sizes, and their places among equal ones.
      n_references: each of which is met.
      n_steps: of a curve.

    Returns:
      The shape, and (k, c, s + 1) what part of the row is gone or back at each step.
    """
    sizes, ties = parts
    ranks = ranks_of(attributions / np.maximum(sizes, 1.0)[..., None], sizes, ties)
    cuts, shares = cuts_of(ranks, sizes, n_steps)
    before = ranks[:, :, None, :] < cuts[..., None]
    along = np.stack([~before, before], axis=1)[:, None]
    along = np.broadcast_to(along, (len(rows), n_references, *along.shape[2:]))
    return questions.ask(rows, along, np.arange(n_references)[:, None, None, None]), shares


def _add_curves(
    into: CheckedRows,
    rows: IntArray,
    own: FloatArray,
    shares: FloatArray,
    random: FloatArray,
    chance_shares: FloatArray,
) -> None:
    """Writes curves and areas of some rows.

    Args:
      into: gets them.
      rows: (k,) which they are.
      own: (k, 2, s + 1, c) outputs along the orders by attributions: taken away, put back.
      shares: (k, c, s + 1) of the row that is taken away or put back there.
      random: (k, o, s + 1, c) outputs along random orders.
      chance_shares: (k, o, s + 1) of the row that is taken away there.
    """
    n_points, n_outputs = own.shape[2:]
    along = np.repeat(shares[:, None], 2, axis=1)
    curves = own.transpose(0, 1, 3, 2)
    by_chance = np.repeat(chance_shares[:, :, None], n_outputs, axis=2)
    of_chance = random.transpose(0, 1, 3, 2)
    found = [areas(along, curves), areas(by_chance, of_chance).mean(axis=1, keepdims=True)]
    into.areas[rows] = np.concatenate(found, axis=1)
    into.ends[rows] = own[:, 0, [0, -1]]
    own_steps = at_steps(along.reshape(-1, n_points), curves.reshape(-1, n_points)).reshape(curves.shape)
    chance_steps = at_steps(by_chance.reshape(-1, n_points), of_chance.reshape(-1, n_points)).reshape(of_chance.shape)
    steps = np.concatenate([own_steps, chance_steps.mean(axis=1, keepdims=True)], axis=1)
    into.curves[rows] = steps.transpose(0, 1, 3, 2)


def _correlations(said: FloatArray, lost: FloatArray, counts: BoolArray) -> FloatArray:
    """(k, c) of (k, o, chunks, c) figures, with the chunks that count (k, chunks)."""
    k, n_orders, n_chunks, n_outputs = said.shape
    weights = np.broadcast_to(counts[:, None, :], (k, n_orders, n_chunks)).reshape(k, -1).astype(np.float64)
    flat = [values.reshape(k, -1, n_outputs) for values in (said, lost)]
    return np.stack([correlation(flat[0][..., c], flat[1][..., c], weights) for c in range(n_outputs)], axis=1)
