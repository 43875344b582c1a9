"""The parts of one long text, and which of them are looked into next."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from tfx_explain.methods.shapley.parts.budgets import RowBudget
from tfx_explain.methods.shapley.parts.feature import Given
from tfx_explain.methods.shapley.parts.unions import Union
from tfx_explain.regions.outlines import Outline

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

# Rounds of opening: every call of a model is filled up, so that many small rounds would cost more.
_N_ROUNDS = 5

Cuts = list[list[IntArray]]
"""Round by round, the (k + 1,) bounds of all that was opened, in spans; that of the text as a whole comes first."""


class OpenText:
    """The parts of one long text so far, by one model, as far as it sees the text.

    Args:
      outline: of the text.
      n_seen: how many spans the model sees, 1 or more.
      cuts: where the text is cut: its first round, or all that another model was asked about.
      figures: (c,) attributions of the text, their standard errors, and their rounding.
      budget: what its games may take.
      chooses: whether there are rounds after the given ones.
    """

    def __init__(
        self,
        outline: Outline,
        n_seen: int,
        cuts: Cuts,
        figures: tuple[FloatArray, FloatArray, FloatArray],
        budget: RowBudget,
        *,
        chooses: bool,
    ) -> None:
        self.outline, self._end, self.cuts = outline, n_seen, list(cuts)
        self.budget, self._n_left = budget, budget.model_rows
        self._round, self._n_rounds = 0, len(cuts) + _N_ROUNDS if chooses else len(cuts)
        self._bounds = np.array([0, n_seen], np.int64)
        self._values, self._errors, self._floor = figures[0][None], figures[1][None], figures[2]
        self._unions: list[tuple[Union | None, int]] = [(None, 0)]

    def next(self) -> list[Union]:
        """The games that are to be played now, inside of different parts; none once all is done."""
        while True:
            if self._round == len(self.cuts):
                chosen = self._choose()
                if not chosen:
                    return []
                self.cuts.append(chosen)
            unions = self._unions_of(self.cuts[self._round])
            self._round += 1
            if unions:
                return unions

    def put(self, union: Union, values: FloatArray, errors: FloatArray, n_model_rows: int) -> None:
        """In the place of the part that a union is inside of, the union's own parts (k, c)."""
        at = self._place(union.bounds[0])
        self._bounds = np.concatenate([self._bounds[:at], union.bounds, self._bounds[at + 2 :]])
        self._values = np.concatenate([self._values[:at], values, self._values[at + 1 :]])
        self._errors = np.concatenate([self._errors[:at], errors, self._errors[at + 1 :]])
        self._unions[at : at + 1] = [(union, place) for place in range(len(values))]
        self._n_left -= n_model_rows

    def of_part(self, union: Union) -> tuple[FloatArray, FloatArray, FloatArray]:
        """(c,) attribution of the part that a union is inside of, its standard error, and rounding."""
        at = self._place(union.bounds[0])
        return self._values[at], self._errors[at], self._floor

    @property
    def given(self) -> Given:
        """What is known of the parts that the model sees."""
        return Given(len(self._values), self._values, self._errors)

    @property
    def bounds(self) -> IntArray:
        """(k + 1,) bounds of all parts, in spans; what the model does not see is one part, the last."""
        n_spans = len(self.outline.spans)
        return self._bounds if self._end == n_spans else np.append(self._bounds, n_spans)

    def _place(self, start: int) -> int:
        return int(np.searchsorted(self._bounds, start))

    def _unions_of(self, bounds: Sequence[IntArray]) -> list[Union]:
        """Those of several players; of a single one all is known."""
        made = []
        for of_part in bounds:
            if of_part[0] >= self._end:
                continue
            above, place = self._unions[self._place(of_part[0])]
            union = Union(np.append(of_part[:-1][of_part[:-1] < self._end], min(of_part[-1], self._end)), above, place)
            if len(union.bounds) > 2:
                made.append(union)
            else:
                value, error, _ = self.of_part(union)
                self.put(union, value[None], error[None], 0)
        return made

    def _choose(self) -> list[IntArray]:
        """What is inside of the parts with the largest attributions, until half of the budget is spent; then all of it.

        Parts whose absence changes nothing are left as they are.
        """
        chosen: list[IntArray] = []
        spent, n_rounds_left = 0, self._n_rounds - self._round
        allowed = self._n_left // 2 if n_rounds_left > 1 else self._n_left * n_rounds_left
        n_parts = len(self.bounds) - 1
        moves = ((np.abs(self._values) > self._floor) | (self._errors > self._floor)).any(axis=1)
        moves &= np.diff(self._bounds) > 1
        order = np.argsort(-np.abs(self._values).max(axis=1), kind="stable")
        for at in order[moves[order]].tolist():
            room = min(self.budget.max_parts - n_parts + 1, (self._n_left - spent) // self.budget.per_inner)
            if spent >= allowed or room < 2:
                break
            inside = self.outline.inside(int(self._bounds[at]), int(self._bounds[at + 1]), room)
            if inside is not None:
                chosen.append(inside)
                spent += self.budget.per_inner * (len(inside) - 1)
                n_parts += len(inside) - 2
        return chosen
