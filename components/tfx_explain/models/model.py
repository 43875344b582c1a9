"""A loaded model, whatever it was made with."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tfx_explain.errors import InputError
from tfx_explain.models.blocks import CoalitionBlocks
from tfx_explain.models.chunks import MAX_VALUES, plan_chunks
from tfx_explain.models.features import FeatureSpec, Inputs, Reader
from tfx_explain.models.lattice import Lattice
from tfx_explain.models.repeats import differing_players, enumerated_masks, is_worth_it
from tfx_explain.models.signature import Signature
from tfx_explain.models.tally import Tally

FloatArray = npt.NDArray[np.float64]


class Engine(Protocol):
    """What evaluates plain and mixed rows.

    Attributes:
      fixed_shapes: whether calls want the same number of rows each time.
      is_thread_safe: whether several threads may call at once.
      what: the model, for messages.
      rows_per_call: how many rows `predict` gives the model at a time, filled up with copies where there are fewer.
      rounding: relative rounding error of the floats that the model computes with.
    """

    fixed_shapes: bool
    is_thread_safe: bool
    what: str

    @property
    def rows_per_call(self) -> int:
        """See above."""

    @property
    def rounding(self) -> float:
        """See above."""

    def predict(self, inputs: Inputs) -> npt.NDArray[np.float64]:
        """(n, n_outputs) outputs."""

    def outputs(self, inputs: Inputs) -> npt.NDArray[np.float64]:
        """(n, n_outputs) outputs of one call on these rows and no others."""

    def bind(self, background: Inputs, players: Sequence[Sequence[str]]) -> Any:
        """Fixes what absent features become and which features form a player."""


@dataclass(frozen=True)
class OwnOutputs:
    """A SavedModel's own signature, and what our way to call the model makes of it; both before the output space.

    Attributes:
      signature: the signature.
      ours: from rows to (n, n_outputs), in one call.
    """

    signature: Signature
    ours: Callable[[Inputs], npt.NDArray[np.float64]]


class Model:
    """A model that can be asked what it predicts, with any features taken from background rows instead.

    Made by `load_model`.

    Attributes:
      features: what the model reads, sorted by name. Empty where that cannot be known (serialised examples parsed out
        of sight); then every column of the examples is taken to be read.
      output_name: the signature's key of the explained output; "output" for a Python model.
      n_outputs: number of values it has per example.
      output_space: the space the values are in: "logit", "probability" or "raw".
      output_space_note: why that is not the space asked for; empty where it is.
      access: how the model is called: "parse_cut" (feature tensors, past the parse op), "tensors" (feature tensors, as
        its signature wants them), "serialized" (re-encoded tf.Examples) or "module" (Python).
      is_thread_safe: whether several threads may call it at once; a Python model is not taken to be.
      link: where `output_space` is "logit", whether each output is a log-odds of its own ("sigmoid"), or all of a row
        are the logits of a softmax ("softmax").
      what: the model, for messages.
      rows_per_call: how many rows `predict` gives the model at a time, filled up with copies where there are fewer.
      own: its own signature, to compare with; None for a Python model, which is called as it is.
      sources: of a Python model, the files that were imported from beside its module file: path -> SHA-256.
    """

    def __init__(
        self,
        *,
        engine: Engine,
        reader: Reader,
        output_name: str,
        n_outputs: int,
        output_space: str,
        output_space_note: str,
        access: str,
        keep_alive: Any = None,
        sources: Mapping[str, bytes] | None = None,
        link: str = "",
        own: OwnOutputs | None = None,
    ) -> None:
        self._engine = engine
        self.own = own
        self.what = engine.what
        self.rows_per_call = engine.rows_per_call
        self._reader = reader
        self._keep_alive = keep_alive
        self.features: tuple[FeatureSpec, ...] = reader.specs
        self.output_name = output_name
        self.n_outputs = n_outputs
        self.output_space = output_space
        self.output_space_note = output_space_note
        self.access = access
        self.is_thread_safe = engine.is_thread_safe
        self.sources = dict(sources or {})
        self.link = link

    @property
    def loss_space(self) -> str:
        """`output_space` as `summary.losses.loss` takes it: "log_odds" of several outputs with a sigmoid each."""
        return "log_odds" if self.link == "sigmoid" and self.n_outputs > 1 else self.output_space

    def row_errors(self, batch: pa.RecordBatch) -> dict[int, str]:
        """The rows this model cannot take, each with a one-sentence reason."""
        return self._reader.row_errors(batch)

    def inputs(self, batch: pa.RecordBatch) -> Inputs:
        """What the model is fed for the rows of a batch.

        Raises:
          InputError: the batch has a row that `row_errors` names.
        """
        return self._reader.inputs(batch)

    def predict(self, inputs: Inputs) -> npt.NDArray[np.float64]:
        """(n, n_outputs) predictions in `output_space`. What the model gives is passed on, NaN and infinity included.

        Raises:
          ModelCallError: the model fails on these inputs.
        """
        return self._engine.predict(inputs) if len(inputs) else np.zeros((0, self.n_outputs))

    def outputs(self, inputs: Inputs) -> npt.NDArray[np.float64]:
        """(n, n_outputs) predictions of exactly these rows, in one call of the model.

        Raises:
          ModelError: the model fails on these inputs.
        """
        return self._engine.outputs(inputs)

    @property
    def rounding(self) -> float:
        """Relative rounding error of the coarsest floats that the model is known to compute with."""
        return self._engine.rounding

    def block_values(
        self,
        examples: Inputs,
        background: Inputs,
        players: Sequence[Sequence[str]],
        blocks: CoalitionBlocks,
        *,
        rows: npt.NDArray[np.int64] | None = None,
        typical_examples: tuple[int, ...] = (),
        tally: Tally | None = None,
    ) -> npt.NDArray[np.float64]:
        """What the model gives for coalitions of players, averaged over each block's background rows.

        A player's features all come from the example where the player is present, else from the background row, whole:
        an absent feature is missing where the background row's is. Features of no player come from the example.

        Args:
          examples: n_examples rows.
          background: the rows that `blocks.background_index` counts.
          players: per player, the names of its features; names the model does not read are no error.
          blocks: which coalitions meet which background rows.
          rows: only these of the examples, which is cheaper than to take them out of the batch; None = all.
          typical_examples: so many come at once, each number as likely as the others, so that calls can be made to
            measure; () = not known.
          tally: gets the rows that this takes.

        Returns:
          (n_rows or n_examples, n_blocks, n_coalitions, n_outputs) float64 in `output_space`, averaged with
          `blocks.background_weight` normalised in each block.

        Raises:
          InputError: the players overlap, or do not match the blocks, or there is no such background row.
          ModelCallError: the model fails on these inputs.
        """
        tally = Tally() if tally is None else tally
        coalitions, index = np.asarray(blocks.coalitions, bool), np.asarray(blocks.background_index)
        _check(coalitions, index, players, len(background))
        chosen = np.arange(len(examples)) if rows is None else rows
        out = np.empty((len(chosen), *coalitions.shape[:2], self.n_outputs))
        if not out.size:
            return out
        bound = self._engine.bind(background, players)
        n_blocks, n_coalitions, _ = coalitions.shape
        max_rows = max(min(bound.max_rows, MAX_VALUES // self.n_outputs), 1)
        plan = functools.partial(plan_chunks, n_blocks, n_coalitions, index.shape[1], max_rows)
        lattice = Lattice(bound, blocks, self.n_outputs, self._engine.fixed_shapes, self.what, tally)
        masks = enumerated_masks(coalitions)
        if masks is None:
            lattice.fill(out, examples, chosen, plan(typical_examples))
            return out
        examples = examples if rows is None else examples.take(rows)
        differing = differing_players(examples, background, players)
        repetitive = is_worth_it(differing, len(players))
        lattice.fill_distinct(out, examples, np.flatnonzero(repetitive), differing, masks)
        rest = np.flatnonzero(~repetitive)
        if len(rest):
            of_rest = np.empty((len(rest), *out.shape[1:]))
            lattice.fill(of_rest, examples, rest, plan())
            out[rest] = of_rest
        return out


def _check(
    coalitions: npt.NDArray[np.bool_], index: npt.NDArray[Any], players: Sequence[Sequence[str]], n_background: int
) -> None:
    names = [name for player in players for name in player]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(f"Feature {twice[0]!r} belongs to more than one player; give each feature to one.")
    if coalitions.shape[2] != len(players):
        raise InputError(f"The coalitions are of {coalitions.shape[2]} players, but {len(players)} were given.")
    if index.size and not 0 <= index.min() <= index.max() < n_background:
        raise InputError(f"The blocks read background row {index.max()}, but there are only {n_background} rows.")
