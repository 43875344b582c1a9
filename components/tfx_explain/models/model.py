"""A loaded model, whatever it was made with."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tfx_explain.errors import ModelError
from tfx_explain.models.blocks import CoalitionBlocks
from tfx_explain.models.engine import Engine, Pixels
from tfx_explain.models.features import FeatureSpec, Inputs
from tfx_explain.models.mixing import Mixing, check_players
from tfx_explain.models.path_gradients import Paths, ReadTokens
from tfx_explain.models.reading import Reader
from tfx_explain.models.signature import OwnOutputs
from tfx_explain.models.tally import Tally


@dataclass(frozen=True)
class ModelOutput:
    """The output that is explained.

    Attributes:
      name: the signature's key; "output" for a Python model.
      n_outputs: number of values per example.
      space: the space the values are in: "logit", "probability" or "raw".
      note: why that is not the space asked for; empty where it is.
      link: what turns log-odds into the model's own output, "sigmoid" (of each) or "softmax" (of all); "" otherwise.
    """

    name: str
    n_outputs: int
    space: str
    note: str = ""
    link: str = ""


@dataclass(frozen=True)
class Origin:
    """Where a model comes from.

    Attributes:
      access: how it is called; see `Model`.
      own: its own signature; see `Model`.
      is_joined: whether a transform graph was put before it.
      sources: of a Python model; see `Model`.
      keep_alive: what has its tables and variables, which live as long as it does.
      with_weights: loads it again with weights drawn by a seed; None where that cannot be.
    """

    access: str
    own: OwnOutputs | None = None
    is_joined: bool = False
    sources: Mapping[str, bytes] = field(default_factory=dict)
    keep_alive: object = None
    with_weights: Callable[[int], Model] | None = None


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
      is_joined: whether a transform graph was put before it, so that its features are raw ones.
      sources: of a Python model, the files that were imported from beside its module file: path -> SHA-256.
    """

    def __init__(self, engine: Engine, reader: Reader, output: ModelOutput, origin: Origin) -> None:
        self._engine = engine
        self._reader = reader
        self._keep_alive = origin.keep_alive
        self.own = origin.own
        self.what = engine.what
        self.rows_per_call = engine.rows_per_call
        self.is_thread_safe = engine.is_thread_safe
        self.features: tuple[FeatureSpec, ...] = reader.specs
        self.output_name = output.name
        self.n_outputs = output.n_outputs
        self.output_space = output.space
        self.output_space_note = output.note
        self.link = output.link
        self.access = origin.access
        self.sources = origin.sources
        self.is_joined = origin.is_joined
        self._with_weights = origin.with_weights
        self._randomised: dict[int, Model] = {}
        self._pixels: dict[str, Pixels | None] = {}

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
        mixing = self.mixing(background, players, blocks)
        return mixing.values(examples, rows, typical_examples, Tally() if tally is None else tally)

    def mixing(self, background: Inputs, players: Sequence[Sequence[str]], blocks: CoalitionBlocks) -> Mixing:
        """What `block_values` asks, for examples that each ask for outputs of their own.

        Args:
          background: the rows that `blocks.background_index` counts.
          players: per player, the names of its features; names the model does not read are no error.
          blocks: which coalitions meet which background rows.

        Raises:
          InputError: the players overlap, or do not match the blocks, or there is no such background row.
        """
        return Mixing(self._engine, self.n_outputs, background, players, blocks)

    def with_random_weights(self, seed: int) -> Model:
        """The same model with weights drawn anew, loaded once for each seed; called as this one is.

        Raises:
          ModelError: it is a Python model, or has no trainable weights.
        """
        if self._with_weights is None:
            raise ModelError(f"{self.what} is called by a Python file, so its weights cannot be drawn anew.")
        if seed not in self._randomised:
            self._randomised[seed] = self._with_weights(seed)
        return self._randomised[seed]

    def tokens(self, rows: Inputs, feature: str) -> ReadTokens:
        """What reads texts of a feature up to the model's own tokens; made once, as it takes a while.

        Args:
          rows: to try the model on.
          feature: the text.

        Raises:
          ModelError: the model is not known to make as many tokens of every text.
        """
        return self._engine.tokens(rows, feature)

    def paths(self, background: Inputs, players: Sequence[Sequence[str]], inside: Collection[str] = ()) -> Paths:
        """The model, cut where rows can move along straight lines; made once, as it takes a while.

        Args:
          background: rows to try the model on.
          players: per player, the names of its features; names the model does not read are no error. Features of no
            player stay as they are at a path's end.
          inside: features, players of their own, to cut where their tokens or numbers are apart.

        Raises:
          InputError: the players overlap.
          ModelError: the model has no gradients for some feature; names the op and the feature that stand in the way.
        """
        check_players(players)
        return self._engine.paths(background, players, inside)

    def with_pixels(self, feature: str, background: Inputs) -> Pixels | None:
        """The model past the decoding of a feature's files, made once; None where it is not seen to decode them.

        Its rows hold the pixels that the graph makes of the files, (n, *shape), and are predicted as those of files.

        Args:
          feature: the pictures.
          background: rows to try the model on the first time.
        """
        if feature not in self._pixels:
            self._pixels[feature] = self._engine.with_pixels(feature, background)
        return self._pixels[feature]
