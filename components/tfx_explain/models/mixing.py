"""What a model gives for blocks of coalitions: which mixtures it is asked for, some of them once for many."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tfx_explain.errors import InputError
from tfx_explain.models.blocks import CoalitionBlocks
from tfx_explain.models.chunks import MAX_VALUES, plan_chunks
from tfx_explain.models.engine import Engine, FloatArray, RowNumbers
from tfx_explain.models.features import Inputs
from tfx_explain.models.lattice import Lattice
from tfx_explain.models.repeats import differing_players, enumerated_masks, is_worth_it
from tfx_explain.models.tally import Tally

IntArray = npt.NDArray[np.int64]


def check_players(players: Sequence[Sequence[str]]) -> None:
    """Refuses a feature of two players.

    Raises:
      InputError: there is one.
    """
    names = [name for player in players for name in player]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(f"Feature {twice[0]!r} belongs to more than one player; give each feature to one.")


@dataclass(frozen=True, eq=False)
class Mixing:
    """Players of examples, present or absent together as blocks of coalitions say, and the rows to mix with.

    Attributes:
      engine: what evaluates mixed rows.
      n_outputs: K values that it gives per row.
      background: the rows that `blocks.background_index` counts.
      players: per player, the names of its features.
      blocks: which coalitions meet which background rows.
    """

    engine: Engine
    n_outputs: int
    background: Inputs
    players: Sequence[Sequence[str]]
    blocks: CoalitionBlocks

    def __post_init__(self) -> None:
        """Checks that the parts fit.

        Raises:
          InputError: the players overlap, or do not match the blocks, or there is no such background row.
        """
        check_players(self.players)
        n_players, index = self.blocks.coalitions.shape[2], np.asarray(self.blocks.background_index)
        if n_players != len(self.players):
            raise InputError(f"The coalitions are of {n_players} players, but {len(self.players)} were given.")
        n_background = len(self.background)
        if index.size and not 0 <= index.min() <= index.max() < n_background:
            raise InputError(f"The blocks read background row {index.max()}, but there are only {n_background} rows.")

    def values(
        self,
        examples: Inputs,
        rows: RowNumbers | None,
        typical_examples: tuple[int, ...],
        tally: Tally,
        outputs: IntArray | None = None,
    ) -> FloatArray:
        """(n, n_blocks, n_coalitions, K or c) of all examples, or of some `rows` of them; see `Model.block_values`.

        Args:
          examples: n_examples rows.
          rows: see there.
          typical_examples: see there.
          tally: see there.
          outputs: (n_examples, c) which outputs are kept of each example; None = all.
        """
        coalitions = self.blocks.coalitions
        chosen = np.arange(len(examples)) if rows is None else rows
        n_blocks, n_coalitions, n_players = coalitions.shape
        n_kept = self.n_outputs if outputs is None else outputs.shape[1]
        out = np.empty((len(chosen), n_blocks, n_coalitions, n_kept))
        if not out.size:
            return out
        bound = self.engine.bind(self.background, self.players)
        max_rows = max(min(bound.max_rows, MAX_VALUES // self.n_outputs), 1)
        n_block_rows = np.shape(self.blocks.background_index)[1]
        plan = functools.partial(plan_chunks, n_blocks, n_coalitions, n_block_rows, max_rows)
        lattice = Lattice(
            bound, self.blocks, self.n_outputs, self.engine.fixed_shapes, self.engine.what, tally, outputs
        )
        masks = enumerated_masks(coalitions)
        if masks is None:
            lattice.fill(out, examples, chosen, plan(typical_examples))
            return out
        if rows is not None:
            examples = examples.take(rows)
            lattice = dataclasses.replace(lattice, outputs=None if outputs is None else outputs[rows])
        differing = differing_players(examples, self.background, self.players)
        repetitive = is_worth_it(differing, n_players)
        lattice.fill_distinct(out, examples, np.flatnonzero(repetitive), differing, masks)
        others = np.flatnonzero(~repetitive)
        if len(others):
            of_others = np.empty((len(others), *out.shape[1:]))
            lattice.fill(of_others, examples, others, plan())
            out[others] = of_others
        return out
