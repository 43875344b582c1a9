"""Asking a model about rows whose parts are taken away one after the other."""

from __future__ import annotations

import dataclasses

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
DELETED, INSERTED, RANDOM = range(3)


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
    removal: Removal, rows: IntArray, hashes: HashArray, settings: FaithfulnessConfig, seed: int, into: CheckedRows
) -> int:
    """Finds the curves of some rows; those with fewer than two parts have none.

    Args:
      removal: of n rows.
      rows: which of them.
      hashes: (n,) of all.
      settings: of the method.
      seed: of the job.
      into: gets what is found.

    Returns:
      How many rows the model was asked about.
    """
    rows = rows[(removal.sizes[rows] > 0).sum(axis=1) > 1]
    into.has_parts[rows] = True
    n_outputs, widest = removal.attributions.shape[2], max(removal.sizes.shape[1], 1)
    n_questions = (settings.num_steps + 1) * (settings.num_random + 2 * n_outputs * removal.n_references)
    at_once = max(_FIGURES // ((n_questions + settings.num_random * N_CHUNKS) * (widest + _DOUBLE * n_outputs)), 1)
    pieces = np.split(rows, range(at_once, len(rows), at_once)) if len(rows) else []
    return sum(_check(removal, piece, hashes[piece], settings, seed, into) for piece in pieces)


def _check(
    removal: Removal, rows: IntArray, hashes: HashArray, settings: FaithfulnessConfig, seed: int, into: CheckedRows
) -> int:
    sizes, attributions = removal.sizes[rows], removal.attributions[rows]
    scores = attributions / np.maximum(sizes, 1.0)[..., None]
    ties = random_ranks(hashes, sizes, 1, seed, "ties")[:, 0]
    ranks, chance = ranks_of(scores, sizes, ties), random_ranks(hashes, sizes, settings.num_random, seed, "orders")
    cuts, shares = cuts_of(ranks, sizes, settings.num_steps)
    chance_cuts, chance_shares = cuts_of(chance, sizes, settings.num_steps)
    before = ranks[:, :, None, :] < cuts[..., None]
    questions, n_references = _Questions(), removal.n_references
    along = np.stack([~before, before], axis=1)[:, None]
    along = np.broadcast_to(along, (len(rows), n_references, *along.shape[2:]))
    of_along = questions.ask(rows, along, np.arange(n_references)[:, None, None, None])
    # Each order meets one reference; rows begin with different ones, so that none is met more often on the whole.
    turns = (hashes % np.uint64(n_references)).astype(np.int64)
    references = ((turns[:, None] + np.arange(settings.num_random)) % n_references)[..., None]
    of_chance = questions.ask(rows, chance[:, :, None, :] >= chance_cuts[..., None], references)
    chunks, has_chunk = chunks_of(chance, sizes)
    if settings.mu_fidelity:
        questions.ask(rows, ~chunks, references)
    answers = questions.answers(removal)
    own, random, without = np.split(answers, np.cumsum([np.prod(of_along), np.prod(of_chance)]))
    # Of the orders by the attributions to an output, that output; the mean over references.
    own = np.einsum("nrkcsc->nksc", own.reshape(*of_along, -1)) / n_references
    random = random.reshape(*of_chance, -1)
    _add_curves(into, rows, own, shares, random, chance_shares)
    if settings.mu_fidelity:
        lost = random[:, :, :1] - without.reshape(*chunks.shape[:3], -1)
        said = np.einsum("noku,nuc->nokc", chunks.astype(np.float64), attributions)
        # Of two parts, one is always right.
        counts = has_chunk & ((sizes > 0).sum(axis=1, keepdims=True) > 2)
        into.mu_fidelity[rows] = _correlations(said, lost, counts)
    return len(answers)


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
    into.ends[rows] = own[:, DELETED][:, [0, -1]]
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
