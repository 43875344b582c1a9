"""From the tables of a written explanation to what some rules need beside importance."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from tfx_explain import tables
from tfx_explain.errors import InputError
from tfx_explain.judgement import Evidence, RuleDescription
from tfx_explain.judgement.details import Check, Faithfulness, Interactions, SignedMeans, SliceContrast, Steps
from tfx_explain.reader import ExplanationReader
from tfx_explain.slicing import OVERALL
from tfx_explain.summary.ratio import Array
from tfx_explain.tables.manifest import PARTS

_TABLES = {
    "interactions": tables.INTERACTIONS,
    "steps": tables.PROFILES,
    "contrast": tables.SLICE_DIFFERENCES,
    "faithfulness": tables.FAITHFULNESS,
}
"""Field of the evidence that a rule needs -> the table that it is read from."""


class Details:
    """What the rules of one policy need of an explanation beside importance; tables that no rule reads stay unread.

    Args:
      explanation: what is judged.
      rules: those that will judge it.
      method: whose attributions.
    """

    def __init__(self, explanation: ExplanationReader, rules: Iterable[RuleDescription], method: str) -> None:
        needed = {need.detail for rule in rules for need in rule.needs}
        self._signed = "signed" in needed
        self._manifest = explanation.manifest
        self._tables: dict[str, dict[Any, pd.DataFrame]] = {}
        for detail in sorted(needed & set(_TABLES)):
            if explanation.has(_TABLES[detail].file):
                table = getattr(explanation, _TABLES[detail].name)
                is_curve = detail == "steps"
                table = table[table["kind"] == "curve"] if is_curve else table[table["method"] == method]
                self._tables[detail] = dict(list(table.groupby(["slice", "output"])))

    def added_to(self, evidence: Evidence, importance: pd.DataFrame | None, overall: Evidence) -> Evidence:
        """The evidence of one (slice, output) with its details.

        Args:
          evidence: what all rules read.
          importance: its rows of the importance table; None where the slice is too small for tables.
          overall: the evidence of the whole data for the same output.

        Raises:
          InputError: the explanation was written by an earlier version and lacks a column.
        """
        return dataclasses.replace(
            evidence,
            signed=_signed(evidence.players, importance) if self._signed and importance is not None else None,
            interactions=self._interactions(evidence),
            steps=self._steps(evidence),
            contrast=self._contrast(evidence, overall),
            faithfulness=self._faithfulness(evidence),
        )

    def _rows(self, detail: str, evidence: Evidence) -> pd.DataFrame | None:
        """The slice's rows; empty where the slice has none, None where the explanation has no such table."""
        by_place = self._tables.get(detail)
        if by_place is None:
            return None
        rows = by_place.get((evidence.slice_key, evidence.output))
        return next(iter(by_place.values())).head(0) if rows is None and by_place else rows

    def _interactions(self, evidence: Evidence) -> Interactions | None:
        rows = self._rows("interactions", evidence)
        if rows is None:
            return None
        pairs = tuple(zip(rows["player_a"], rows["player_b"], strict=True))
        return Interactions(pairs, rows["value"].to_numpy(float), rows["std_error"].to_numpy(float))

    def _steps(self, evidence: Evidence) -> Mapping[tuple[str, str], Steps] | None:
        rows = self._rows("steps", evidence)
        if rows is None:
            return None
        _require(rows, ("step", "step_std_error"), tables.PROFILES.file)
        curves = {key: _ordered(curve, evidence) for key, curve in rows.groupby(["method", "feature"])}
        return {key: steps for key, steps in curves.items() if steps is not None}

    def _contrast(self, evidence: Evidence, overall: Evidence) -> SliceContrast | None:
        rows = self._rows("contrast", evidence)
        if rows is None or rows.empty or evidence.slice_key == OVERALL:
            return None
        _require(rows, ("pooled_std_error", "degrees_of_freedom"), tables.SLICE_DIFFERENCES.file)
        error = np.maximum(rows["std_error"], rows["pooled_std_error"]).where(rows["p_value"].notna())
        return SliceContrast(
            difference=by_player(evidence.players, rows["player"], rows["difference"]),
            std_error=by_player(evidence.players, rows["player"], error),
            degrees_of_freedom=float(rows["degrees_of_freedom"].iloc[0]),
            total=overall.total,
            total_std_error=overall.total_std_error,
        )

    def _faithfulness(self, evidence: Evidence) -> Faithfulness | None:
        if "faithfulness" not in self._tables:
            return None
        rows = self._rows("faithfulness", evidence)
        asked = self._manifest["method"][tables.FAITHFULNESS_METHOD]
        if evidence.method not in asked["methods"]:
            return None
        measures = [*asked["curves"], *(["mu_fidelity"] if asked["mu_fidelity"] else [])]
        measures += ["randomisation"] if asked["num_randomised_models"] else []
        measures += ["random_logit"] if asked.get("random_logit") else []
        measures += ["pointing_game"] if asked.get("boxes") else []
        parts = self._manifest.get(PARTS, {}).get(evidence.method, {})
        images = tuple(feature for feature, of in parts.items() if of["has_maps"])
        return Faithfulness(() if rows is None else _checks(rows), tuple(measures), tuple(parts), images)


def _checks(rows: pd.DataFrame) -> tuple[Check, ...]:
    names = ["measure", "feature", "value", "std_error", "degrees_of_freedom", "num_examples", "num_left_out", "chance"]
    # Tables from before the pointing game have no `chance`.
    return tuple(Check(*row) for row in rows.reindex(columns=names).itertuples(index=False))


def _signed(players: Sequence[str], rows: pd.DataFrame) -> SignedMeans:
    names = ("mean_signed", "mean_signed_std_error", "mean_design_std_error")
    mean, std_error, design_error = (by_player(players, rows["player"], rows[name]) for name in names)
    return SignedMeans(mean, std_error, design_error, skewness_of(players, rows, "signed_skewness"))


def skewness_of(players: Sequence[str], rows: pd.DataFrame, column: str) -> Array | None:
    """(d,) from a row per player; None where an earlier version wrote the table, without the column."""
    return by_player(players, rows["player"], rows[column]) if column in rows else None


def by_player(players: Sequence[str], names: pd.Series, values: npt.ArrayLike) -> Array:
    """(d,) values in the order of the players; 0 for those that the model does not read."""
    return pd.Series(np.asarray(values, np.float64), names).reindex(list(players), fill_value=0.0).to_numpy()


def _ordered(curve: pd.DataFrame, evidence: Evidence) -> Steps | None:
    """The steps of a curve; None where its points are levels without an order."""
    points = curve[curve["grid_value"].notna()].sort_values("position")
    if points.empty or (len(points) > 1 and points["step"].isna().all()):
        return None
    skewness = points["step_skewness"].to_numpy(float)[1:] if "step_skewness" in points else None
    # Weighted examples tell as much as fewer that weigh the same; how many in each bin is not in the table.
    worth = evidence.weighed_examples / evidence.n_examples if evidence.n_examples else 0.0
    return Steps(
        points=points["grid_value"].to_numpy(float),
        step=points["step"].to_numpy(float)[1:],
        std_error=points["step_std_error"].to_numpy(float)[1:],
        degrees_of_freedom=points["num_examples_of_point"].to_numpy(float)[1:] * worth - 1,
        skewness=skewness,
    )


def _require(rows: pd.DataFrame, columns: Sequence[str], file: str) -> None:
    absent = [name for name in columns if name not in rows]
    if absent:
        raise InputError(
            f"{file} has no column `{absent[0]}`, since an earlier version wrote it; explain the model again."
        )
