"""Methods that compare outputs with labels, as methods of a job: they share labels, donors and clusters of rows."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from tfx_explain import tables
from tfx_explain.config.methods import LOSS_METHODS
from tfx_explain.errors import ModelCallError, ModelError
from tfx_explain.methods.background import JobPlan
from tfx_explain.methods.batch import Batch
from tfx_explain.methods.context import SIDE_PREFIXES, FirstRows, JobContext, Sample, labels_of
from tfx_explain.methods.losses.explainer import LossExplainer
from tfx_explain.methods.losses.plan import N_PILOT, SAGE, LossPlan, check_losses, needs_pilot, plan_losses
from tfx_explain.methods.losses.rows import LabelledMethods, paired
from tfx_explain.methods.losses.tables import describe_losses, loss_table
from tfx_explain.methods.method import Accumulated, Contributed, Earlier, Result, SliceRows
from tfx_explain.methods.profiles.plan import N_SAMPLE
from tfx_explain.models import Model
from tfx_explain.part_records import PartsOf
from tfx_explain.rows import take_rows

KEY = "losses"


@dataclasses.dataclass(frozen=True)
class Losses:
    """Permutation importance and SAGE, whichever were asked for."""

    context: JobContext
    key: str = KEY
    n_sample: int = N_SAMPLE
    needs_row_count: bool = True
    attributes: bool = False

    @property
    def parts(self) -> Mapping[str, PartsOf]:
        """None: it does not look inside features."""
        return {}

    def check(self, rows: FirstRows, models: Sequence[Model]) -> None:
        """Raises an error where a loss does not fit the output, a player is not there, or a label is none."""
        for split, of_split in rows.splits.items():
            check_losses(self.context, models[0], of_split, split)

    def plan(self, sample: Sample, models: Sequence[Model], plan: JobPlan) -> tuple[LossPlan, Mapping[str, int]]:
        """Chooses donors; a pilot forecasts how many rows SAGE needs.

        Raises:
          ModelError: there is no row for which all outputs are finite.
        """
        config, players, rows = self.context.config, self.context.players, sample.first(N_SAMPLE).rows
        predictions = [model.predict(model.inputs(rows)) for model in models]
        spent = {"prediction": rows.num_rows * len(models)}
        finite = np.flatnonzero(np.all([np.isfinite(values).all(axis=1) for values in predictions], axis=0))
        if not len(finite):
            name = next(name for name in LOSS_METHODS if config.method(name) is not None)
            raise ModelError(
                f"method `{name}` judges all outputs of the model together, but some are NaN or infinite for every row "
                f"of split `{config.background.split}`; leave the method out, or explain a model whose outputs are "
                "finite."
            )
        donors, of_donors = take_rows(rows, finite), [values[finite] for values in predictions]
        n_background = len(plan.background.weights)
        made = plan_losses(donors, of_donors, config, models[0], tuple(players), n_background)
        if not needs_pilot(config, len(players), n_background):
            return made, spent
        # The last ones, which are the least likely to be in the background.
        last = finite[-N_PILOT:]
        sampled, draws = take_rows(rows, last), sample.draws[last]
        piloted = []
        for index, (model, of_model) in enumerate(zip(models, predictions, strict=True)):
            sage = LossExplainer(model, players, config, labels_of(self.context)).sage
            try:
                found = sage.pilot(sampled, draws, plan.side(index), made, of_model[last])
            except ModelCallError:
                # Without a forecast all rows are evaluated, and those that the model refuses are found.
                return made, spent
            if found is None:
                return made, spent
            piloted.append(found)
        (pilot, _), n_pairs = piloted[0], len(piloted) * (len(players) - 1)
        spent["sage_pilot"] = pilot.n_examples * n_pairs * n_background
        cheap = tuple(of_side for _, of_side in piloted)
        if any(of_side.guesses is None for of_side in cheap):
            pilot = pilot.without_guesses()
        return dataclasses.replace(made, pilot=pilot, cheap=cheap), spent

    def for_rows(self, plan: LossPlan, n_rows: int, n_background: int) -> LossPlan:
        """As many rows and permutations as the error that SAGE is to have asks for."""
        sage = self.context.config.method(SAGE)
        return plan if sage is None else plan.for_rows(n_rows, sage.max_relative_error)

    def explainer(self, models: Sequence[Model]) -> _Explainer:
        """One of each model."""
        labels, players, config = labels_of(self.context), self.context.players, self.context.config
        return _Explainer([LossExplainer(model, players, config, labels) for model in models])

    def contributions(self, rows: LabelledMethods, side: str, part: SliceRows) -> Iterator[Contributed]:
        """What rows with a usable label add."""
        for method, figures in rows.of.items():
            contribution = figures.contribution(part.places, part.weights)
            if contribution is not None:
                yield Contributed(method, figures.output, contribution)

    def differences(self, ours: LabelledMethods, theirs: LabelledMethods, part: SliceRows) -> Iterator[Contributed]:
        """Nothing: both models' accumulators hold the same clusters of rows, from which differences are made."""
        return iter(())

    def tables(self, accumulated: Accumulated, plan: JobPlan) -> Mapping[str, pd.DataFrame]:
        """Rows of the tables of importance, of each model."""
        made: dict[str, pd.DataFrame] = {}
        for name, index in ((tables.IMPORTANCE.file, 0), (tables.BASELINE_IMPORTANCE.file, 1)):
            frames = loss_table(accumulated, tuple(self.context.players), plan.per_method[KEY], of_baseline=index == 1)
            if frames:
                made[name] = pd.concat(frames, ignore_index=True)
        return made

    def describe(self, accumulated: Accumulated, plan: JobPlan) -> Mapping[str, Mapping[str, Any]]:
        """Settings as resolved, and the losses of the whole data.

        Raises:
          InputError: no explained row has a label, or all have the same and there is no AUC.
        """
        return describe_losses(accumulated, plan.per_method[KEY], self.context.config)


class _Explainer:
    """Both methods with all models.

    Args:
      explainers: one per side.
    """

    def __init__(self, explainers: Sequence[LossExplainer]) -> None:
        self.explainers = tuple(explainers)

    def explain(self, batch: Batch, plan: JobPlan, earlier: Earlier) -> Result[LabelledMethods]:
        """Evaluates losses of rows that have a label."""
        sides: list[LabelledMethods] = []
        counts: dict[str, int] = {}
        lent = earlier.lent.get(tables.SHAPLEY, (None,) * len(self.explainers))
        for index, (explainer, side) in enumerate(zip(self.explainers, batch.sides, strict=True)):
            made = plan.per_method[KEY].of_side(index)
            rows, done = explainer.evaluate(
                batch.rows, batch.draws, plan.side(index), made, side.prediction, lent[index]
            )
            sides.append(LabelledMethods(rows))
            # Labels are those of the rows, whatever the model.
            counted = {name: n for name, n in done.items() if not index or name.endswith("_model_rows")}
            counts |= {f"{SIDE_PREFIXES[index]}{name}": n for name, n in counted.items()}
        return Result(paired(sides) if len(sides) > 1 else tuple(sides), counts=counts)
