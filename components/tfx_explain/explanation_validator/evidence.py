"""From the tables of a written explanation to what rules judge."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from typing_extensions import Self

from tfx_explain import tables
from tfx_explain.config import SlicingSpec
from tfx_explain.errors import ConfigError
from tfx_explain.explanation_validator.details import Details, by_player, skewness_of
from tfx_explain.explanation_validator.parts import PartPlaces
from tfx_explain.judgement import Evidence, RuleDescription
from tfx_explain.reader import ExplanationReader
from tfx_explain.slicing import OVERALL, in_spec, spec_name, value_text
from tfx_explain.summary.ratio import Array
from tfx_explain.tables.manifest import Manifest


def evidence_in(
    explanation: ExplanationReader,
    specs: Sequence[SlicingSpec],
    rules: Iterable[RuleDescription] = (),
    method: str | None = None,
    places: PartPlaces | None = None,
) -> Iterator[Evidence]:
    """The evidence of each slice that is asked for, and output.

    Features that the examples have but the model does not read are part of it, with an importance of exactly 0: a
    policy can forbid a feature whether or not the model at hand reads it. Slices too small for tables of their own, or
    without any rows, are evidence of that many rows and unknown importance, so that no rule holds for them unseen.

    Args:
      explanation: what is judged.
      specs: the slices.
      rules: those that will judge the evidence; what none of them needs is left out.
      method: whose attributions; None = the first method that attributes. Where none does, importance is unknown.
      places: inside features, that several methods' evidence may share; None = of this one alone.

    Raises:
      ConfigError: the slices were not explained.
    """
    method = method or next(iter(explanation.methods), "")
    details = Details(explanation, rules, method)
    figures, places = _Tables.of(explanation, method), places or PartPlaces(explanation, specs)
    wanted = wanted_slices(explanation, specs)
    overall = {output: figures.evidence(OVERALL, output, 0) for output in explanation.outputs}
    # The whole data comes first, wherever the policy asks for it.
    for slice_key, n_examples in {OVERALL: 0, **wanted}.items():
        for output in explanation.outputs if slice_key in wanted else ():
            evidence = figures.evidence(slice_key, output, n_examples)
            detailed = details.added_to(evidence, figures.importance.get((slice_key, output)), overall[output])
            yield dataclasses.replace(detailed, parts=places.of(method, slice_key, output))


@dataclasses.dataclass(frozen=True, eq=False)
class _Tables:
    """What all rules read.

    Attributes:
      explanation: whose tables they are.
      method: whose attributions they are about.
      players: of the explanation, then the features that the model does not read.
      unused: those features.
      importance: (slice, output) -> a row per player.
      covariance: (slice, output) -> a row per pair of players.
    """

    explanation: ExplanationReader
    method: str
    players: tuple[str, ...]
    unused: tuple[str, ...]
    importance: Mapping[Any, pd.DataFrame]
    covariance: Mapping[Any, pd.DataFrame]

    @classmethod
    def of(cls, explanation: ExplanationReader, method: str) -> Self:
        """Those of an explanation."""
        unused = tuple(name for name in explanation.manifest["unused_features"] if name not in explanation.players)
        return cls(
            explanation,
            method,
            explanation.players + unused,
            unused,
            _by_key(explanation.importance, method) if method else {},
            _by_key(explanation.importance_covariance, method) if method else {},
        )

    def evidence(self, slice_key: str, output: str, n_examples: int) -> Evidence:
        """The evidence of one (slice, output); `n_examples` is the slice's, where it has no tables."""
        key, players = (slice_key, output), self.players
        rows, n_effective, skewness, cut_off = self.importance.get(key), None, None, np.zeros(len(players))
        mean_abs, covariance = np.full(len(players), np.nan), np.full((len(players), len(players)), np.nan)
        if rows is not None:
            mean_abs, covariance = _moments(players, rows, self.covariance[key])
            n_examples = int(rows["num_examples"].iloc[0])
            n_effective = float(rows["num_effective_examples"].iloc[0])
            skewness = skewness_of(players, rows, "skewness")
            cut_off = by_player(players, rows["player"], tables.cut_off_of(rows))
        return Evidence(
            players=players,
            n_examples=n_examples,
            mean_abs=mean_abs,
            mean_abs_covariance=covariance,
            max_relative_completeness_gap=_largest_gap(self.explanation.manifest, self.method),
            slice_key=slice_key,
            output=output,
            n_effective=self._n_effective(slice_key) if n_effective is None else n_effective,
            unused=self.unused,
            skewness=skewness,
            method=self.method,
            cut_off=cut_off,
            has_attributions=bool(self.method),
        )

    def _n_effective(self, slice_name: str) -> float | None:
        """What the rows of a slice without a table are worth; None where each counts as one, or it is not known."""
        slices = self.explanation.manifest["slices"]
        for entry in [*slices["included"], *slices["too_small"]]:
            if entry["slice"] == slice_name and "num_effective_examples" in entry:
                return float(entry["num_effective_examples"])
        return None


def _largest_gap(manifest: Manifest, method: str) -> float:
    """The largest relative completeness gap of a method; of the main one in explanations of earlier versions.

    NaN of a method whose attributions are no shares of the output.
    """
    if manifest["method"].get(method, {}).get("adds_up") is False:
        return math.nan
    gaps = manifest.get("completeness_gaps", {})
    return float(gaps.get(method, manifest["completeness_gap"])["max_relative"])


def _by_key(table: pd.DataFrame, method: str) -> dict[Any, pd.DataFrame]:
    """(slice, output) -> the method's rows."""
    return dict(list(table[table["method"] == method].groupby(["slice", "output"])))


def _moments(players: Sequence[str], rows: pd.DataFrame, pairs: pd.DataFrame) -> tuple[Array, Array]:
    """Means (d,) and their covariance (d, d); 0 for players that are not in the tables."""
    position = {name: index for index, name in enumerate(players)}
    mean_abs, covariance = np.zeros(len(players)), np.zeros((len(players), len(players)))
    mean_abs[[position[name] for name in rows["player"]]] = rows["value"]
    first = [position[name] for name in pairs["player_a"]]
    second = [position[name] for name in pairs["player_b"]]
    covariance[first, second] = covariance[second, first] = pairs["covariance"]
    return mean_abs, covariance


def wanted_slices(explanation: ExplanationReader, specs: Sequence[SlicingSpec]) -> dict[str, int]:
    """Name -> number of rows of the slices that are asked for; a specification that no row meets is one of 0 rows."""
    slices = explanation.manifest["slices"]
    explained = [SlicingSpec(), *(SlicingSpec(**spec) for spec in explanation.manifest["config"]["slicing_specs"])]
    wanted: dict[str, int] = {}
    for spec in specs:
        if not any(_covers(each, spec) for each in explained):
            raise ConfigError(
                f"`slicing_specs` asks for the slices `{spec_name(spec)}`, which {explanation.uri} does not have; "
                "add them to `slicing_specs` of the ExplainConfig and explain the model again."
            )
        found = {
            entry["slice"]: int(entry["num_examples"])
            for entry in [*slices["included"], *slices["too_small"]]
            if in_spec(tuple(entry["features"].items()), spec)
        }
        wanted |= found or {spec_name(spec): 0}
    return wanted


def _covers(explained: SlicingSpec, wanted: SlicingSpec) -> bool:
    """Whether every slice that is wanted is among those that were explained."""
    fixed = {name: value_text(value) for name, value in wanted.feature_values.items()}
    return explained.features == wanted.features and all(
        fixed.get(name) == value_text(value) for name, value in explained.feature_values.items()
    )
