"""Features that a model only takes together: lists that it pairs up, or values of which it refuses mixtures.

Lists of ids and of their weights are multiplied as flat arrays; where they come from different rows, their lengths
differ, and each row is given the weights of another. A player must then hold both.
"""

from __future__ import annotations

import itertools
import json
import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tfx_explain.errors import ConfigError, ModelError
from tfx_explain.models.closeness import Closeness
from tfx_explain.models.features import Inputs
from tfx_explain.models.messages import first_line
from tfx_explain.models.mixtures import Mixtures
from tfx_explain.models.model import Model
from tfx_explain.models.signature import OwnOutputs

FloatArray = npt.NDArray[np.float64]

_LOG = logging.getLogger(__name__)
_N_SWAPS = 24
_MOST_SUBSETS = 64
_MOST_NAMES = 3
_PLAIN = re.compile(r"[A-Za-z_][\w./-]*")


@dataclass(frozen=True)
class Judge:
    """Says whether rows of a batch have the outputs that they have alone, by the model's own signature where it can.

    Attributes:
      model: the model.
      own: its own signature; None where there is none, or it takes none of the rows as they are encoded.
      of_own: what its outputs may differ by, before the output space.
    """

    model: Model
    own: OwnOutputs | None = None
    of_own: Closeness | None = None

    @classmethod
    def of(cls, model: Model, rows: Inputs) -> tuple[Judge, Inputs]:
        """A judge and the rows that it takes: those that the signature refuses say nothing."""
        if model.own is None:
            return cls(model), rows
        try:
            outputs = model.own.signature.outputs(rows)
        except (tf.errors.OpError, ValueError):
            answers = model.own.signature.one_by_one(rows)
            taken = [row for row, answer in enumerate(answers) if not isinstance(answer, Exception)]
            if not taken:
                _LOG.info("%s refuses all rows as they are encoded to compare: %s", model.what, answers[0])
                return cls(model), rows
            _LOG.warning("%s refuses %d of %d rows that were tried.", model.what, len(rows) - len(taken), len(rows))
            rows = rows.take(np.array(taken))
            outputs = np.concatenate([answers[row] for row in taken])
        return cls(model, model.own, Closeness.of(outputs, model.rounding)), rows

    def wrong(self, rows: Inputs) -> str:
        """By how much our outputs of rows that the signature takes differ from its own; empty where by rounding."""
        if self.own is None or self.of_own is None:
            return ""
        ours, expected = self.own.ours(rows), self.own.signature.outputs(rows)
        return self.of_own.describe(ours, expected) if self.of_own.differing(ours, expected).any() else ""

    def complaint(self, rows: Inputs, alone_rows: npt.NDArray[np.intp], closeness: Closeness) -> str:
        """What is wrong with a batch of rows; empty where all is well.

        Args:
          rows: the batch.
          alone_rows: which of them to call alone as well.
          closeness: of the model's outputs.
        """
        own = self.own
        try:
            together = (self.model.outputs if own is None else own.ours)(rows)[alone_rows]
        except ModelError as error:
            return f"it fails on them ({first_line(error.__cause__ or error)})"
        if own is None:
            alone = np.concatenate([self.model.outputs(rows.take(np.array([row, row])))[:1] for row in alone_rows])
        else:
            answers = own.signature.one_by_one(rows.take(alone_rows))
            refused = [answer for answer in answers if isinstance(answer, Exception)]
            given = [answer for answer in answers if not isinstance(answer, Exception)]
            if refused:
                return f"it refuses {len(refused)} of {len(answers)} such rows ({first_line(refused[0])})"
            alone, closeness = np.concatenate(given), self.of_own or closeness
        if closeness.differing(together, alone).any():
            return f"rows of a batch get values of each other, {closeness.describe(together, alone)}"
        return ""


def refuse_pairing(
    model: Model,
    rows: Inputs,
    players: Sequence[Sequence[str]],
    mixtures: Mixtures,
    alone_rows: npt.NDArray[np.intp],
    judge: Judge,
    closeness: Closeness,
) -> None:
    """Refuses players that split what the model only takes together.

    Args:
      model: the model.
      rows: to mix.
      players: per player, the names of its features.
      mixtures: of the rows; one check of all of them is all there is where the model is well.
      alone_rows: which of them to call alone.
      judge: says what is wrong with a batch.
      closeness: of the model's outputs.

    Raises:
      ConfigError: naming the players to put into one group.
    """
    complaint = judge.complaint(mixtures.inputs(rows, players), alone_rows, closeness)
    if not complaint:
        return
    blocks = _Search(rows, [tuple(names) for names in players], judge, closeness).blocks()
    if not blocks:
        raise ConfigError(
            f"{model.what} cannot be asked about mixtures of rows: {complaint}; "
            "put features that only make sense together into one of `features.groups`."
        )
    groups = ", ".join(f"{_group_name(block)}: [{', '.join(map(_yaml, block))}]" for block in blocks)
    named = "; ".join(f"put {_and([f'`{name}`' for name in block])} in one group" for block in blocks)
    raise ConfigError(
        f"{model.what} cannot be asked about rows that take {_and([f'`{name}`' for name in blocks[0]])} "
        f"from different examples: {complaint}; {named}: `features: {{groups: {{{groups}}}}}`."
    )


def _group_name(block: Sequence[str]) -> str:
    return _yaml("_".join(block) if len(block) <= _MOST_NAMES else f"{block[0]}_and_{len(block) - 1}_more")


def _yaml(name: str) -> str:
    """A name as it can stand in a YAML list."""
    return name if _PLAIN.fullmatch(name) else json.dumps(name)


def _and(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


class _Search:
    """Finds which players belong together, by rows that take some of them from another row."""

    def __init__(self, rows: Inputs, players: Sequence[tuple[str, ...]], judge: Judge, closeness: Closeness) -> None:
        self._rows, self._judge, self._closeness = rows, judge, closeness
        self._players = [names for names in players if any(name in rows.columns for name in names)]
        rng = np.random.default_rng(0)
        self._own = rng.integers(0, len(rows), _N_SWAPS)
        self._other = (self._own + rng.integers(1, len(rows), _N_SWAPS)) % len(rows)

    def _is_well(self, swapped: Sequence[int]) -> bool:
        present = np.zeros((_N_SWAPS, len(self._players)), bool)
        present[:, list(swapped)] = True
        mixed = Mixtures(self._own, self._other, present).inputs(self._rows, self._players)
        return not self._judge.complaint(mixed, np.arange(_N_SWAPS), self._closeness)

    def blocks(self) -> list[list[str]]:
        """The features of each set of players that belong together."""
        unwell = [player for player in range(len(self._players)) if not self._is_well([player])]
        blocks = []
        while unwell:
            block = self._block(unwell[0], unwell[1:] or [p for p in range(len(self._players)) if p != unwell[0]])
            blocks.append(block)
            unwell = [player for player in unwell if player not in block]
        return [sorted(name for player in block for name in self._players[player]) for block in blocks]

    def _block(self, first: int, others: Sequence[int]) -> list[int]:
        """The smallest set with the first player that can be taken from another row."""
        sets = itertools.chain.from_iterable(itertools.combinations(others, size) for size in range(1, len(others)))
        for more in itertools.islice(sets, _MOST_SUBSETS):
            if self._is_well([first, *more]):
                return [first, *more]
        return [first, *others]
