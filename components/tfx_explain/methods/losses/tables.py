"""What methods that need labels write: rows of the tables of importance, and entries of the manifest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from tfx_explain.config import ExplainConfig
from tfx_explain.errors import InputError
from tfx_explain.methods.losses.plan import LossPlan
from tfx_explain.methods.method import BASELINE, CANDIDATE, Accumulated
from tfx_explain.slicing import OVERALL
from tfx_explain.summary.auc_importance import AucImportanceAccumulator
from tfx_explain.summary.loss_importance import LossImportanceAccumulator
from tfx_explain.summary.losses import AUC

MethodAccumulator = LossImportanceAccumulator | AucImportanceAccumulator


def loss_table(
    accumulated: Accumulated,
    players: Sequence[str],
    plan: LossPlan,
    *,
    of_baseline: bool = False,
) -> list[pd.DataFrame]:
    """The rows of `importance.parquet` that these methods add, or of `baseline_importance.parquet`.

    Args:
      accumulated: of these methods, by key.
      players: names of all of them.
      plan: says which losses were used, and for which players.
      of_baseline: whether the figures of the baseline model are meant, with paired differences to them.
    """
    frames = []
    for key, accumulator in accumulated.of.items():
        if key.side != (BASELINE if of_baseline else CANDIDATE):
            continue
        method, summary = key.what, accumulator.result()
        # A slice may have none of the few rows that meet the whole background, or rows of one class only.
        if not np.isfinite(summary.value).all():
            continue
        names = [players[i] for i in plan.players[method]]
        about = {"slice": key.slice_name, "output": key.output, "method": method, "player": names}
        columns = {**about, **summary.columns(), "metric": plan.metrics[method]}
        if of_baseline:
            change = accumulated.of[key._replace(side=CANDIDATE)].estimates() - accumulator.estimates()
            columns |= {"difference": change.value, "difference_std_error": change.std_error}
            columns["difference_ci_low"], columns["difference_ci_high"] = change.interval()
        frames.append(pd.DataFrame(columns).sort_values("rank", kind="stable"))
    return frames


def describe_losses(accumulated: Accumulated, plan: LossPlan, config: ExplainConfig) -> dict[str, dict[str, Any]]:
    """The methods' entries in the manifest: settings as resolved, and what the whole data say.

    Args:
      accumulated: of these methods, by key.
      plan: as resolved.
      config: as given.

    Raises:
      InputError: no explained row has a label, or all have the same and there is no AUC.
    """
    described = plan.describe(config)
    for method, entry in described.items():
        of_slices = {place[0]: value for place, value in accumulated.side(CANDIDATE, method).items()}
        summary = of_slices[OVERALL].result() if OVERALL in of_slices else None
        if summary is None:
            raise InputError(
                f"method `{method}` found no explained row with a usable label `{config.label_key}`; give some rows "
                "one, or leave the method out."
            )
        is_auc = plan.metrics[method] == AUC
        if is_auc:
            entry["slices_of_one_class"] = _slices_of_one_class(of_slices, method, config)
        entry |= summary.losses if is_auc else {"mean_losses": summary.losses}
        for (slice_name, _), theirs in accumulated.side(BASELINE, method).items():
            if slice_name == OVERALL:
                losses = theirs.result().losses
                entry["baseline_model"] = losses if is_auc else {"mean_losses": losses}
        entry["num_examples"] = summary.n_examples
        error = summary.relative_error
        entry["relative_error"] = error if np.isfinite(error) else None
    return described


def _slices_of_one_class(of_slices: Mapping[str, MethodAccumulator], method: str, config: ExplainConfig) -> list[str]:
    """Names of the slices that have no AUC.

    Raises:
      InputError: the whole data has none.
    """
    names = sorted(name for name, value in of_slices.items() if np.isnan(value.estimates().value).any())
    if OVERALL in names:
        raise InputError(
            f"every explained row that counts has the same label `{config.label_key}`, so method `{method}` has no "
            "AUC; explain rows of both classes, or choose `metric: log_loss`."
        )
    return names
