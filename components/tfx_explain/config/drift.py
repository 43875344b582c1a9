"""Rules that compare with a baseline explanation, and the set of them for those who ask for `drift: default`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, model_validator
from typing_extensions import Self

from tfx_explain.config.rules import AttributionRule
from tfx_explain.judgement.drift.measure import Measure
from tfx_explain.judgement.rules.attribution_drift import DISTRIBUTION_MEASURES
from tfx_explain.judgement.rules.drift import DRIFT_MEASURES

Against = Literal["explanation", "model"]


class DriftRule(AttributionRule, json_schema_extra={"examples": [{"measure": "total_variation", "max": 0.1}]}):
    """Importance may not have moved further from the baseline than `max`, by the measure that is named."""

    measure: Literal[
        "total_variation",
        "l_infinity",
        "ndcg",
        "kendall_tau",
        "top_k_overlap",
        "rank_reversal",
        "sign_flips",
        "importance_ratio",
        "z_score",
    ] = Field(
        description="`total_variation` (share of the importance that moved to other players), `l_infinity` (largest "
        "change of a share), `ndcg` (1 - nDCG of the order), `kendall_tau` (part of the pairs that changed their "
        "order), `top_k_overlap` (part of the `k` most important ones that are no longer among them), `rank_reversal` "
        "(share by which two players changed places), `sign_flips` (largest mean effect that changed its direction, "
        "as a share), `importance_ratio` (factor by which all importance grew or shrank), `z_score` (number of "
        "players that changed at all)",
        examples=["rank_reversal"],
    )
    max: float = Field(
        ge=0,
        description="largest value of `measure`: below 1; of `importance_ratio` 1 or more, of `z_score` any",
        examples=[0.1],
    )
    players: tuple[str, ...] | None = Field(
        None, min_length=1, description="players that are measured; null = all", examples=[["income", "debt"]]
    )
    k: int = Field(3, ge=1, description="size of the top, for `top_k_overlap`", examples=[5])
    against: Against | None = Field(
        None,
        description="what is compared with: a baseline `explanation`, or the Explainer's baseline `model` on the same "
        "rows; null = the first that there is",
        examples=["model"],
    )

    @model_validator(mode="after")
    def _reachable(self) -> Self:
        _check_reach(DRIFT_MEASURES[self.measure], self.measure, self.max)
        return self


class AttributionDriftRule(
    AttributionRule,
    json_schema_extra={
        "examples": [
            {"measure": "jensen_shannon", "max": 0.1},
            {"measure": "disagreement", "max": 0.2, "against": "model"},
        ]
    },
):
    """The distribution of no player's attributions may have moved further from the baseline's than `max`."""

    measure: Literal["jensen_shannon", "l_infinity", "wasserstein", "classifier", "disagreement"] = Field(
        description="`jensen_shannon` (divergence in bits), `l_infinity` (largest part of the rows that moved into "
        "one bin or out of it), `wasserstein` (mean distance moved, as part of the total importance), each of the "
        "player that moved most; of all players together `classifier` (AUC of one that tells the attributions from "
        "the baseline's) and `disagreement` (part of the attributions on which two models differ, row by row; needs "
        "`against: model`)",
        examples=["wasserstein"],
    )
    max: float = Field(
        ge=0,
        description="largest value of `measure`: below 1; of `classifier` from 0.5 on, of `wasserstein` any",
        examples=[0.1],
    )
    players: tuple[str, ...] | None = Field(
        None, min_length=1, description="players that are measured; null = all", examples=[["income", "debt"]]
    )
    against: Against | None = Field(
        None,
        description="what is compared with: a baseline `explanation`, or the Explainer's baseline `model` on the same "
        "rows; null = the first that there is",
        examples=["model"],
    )

    @model_validator(mode="after")
    def _reachable(self) -> Self:
        measure = DISTRIBUTION_MEASURES[self.measure]
        if measure.is_paired and self.against != "model":
            raise ValueError(f"`{self.measure}` compares two models on the same rows; set `against: model`")
        _check_reach(measure, self.measure, self.max)
        return self


def _check_reach(measure: Measure, name: str, limit: float) -> None:
    if not measure.reach.holds(limit):
        raise ValueError(f"`{name}` {measure.reach.says}")


DEFAULT_DRIFT_RULES: tuple[Mapping[str, Mapping[str, Any]], ...] = (
    {"drift": {"measure": "total_variation", "max": 0.1}},
    {"drift": {"measure": "rank_reversal", "max": 0.02}},
    {"drift": {"measure": "sign_flips", "max": 0.05}},
    {"drift": {"measure": "importance_ratio", "max": 2.0}},
    {"attribution_drift": {"measure": "jensen_shannon", "max": 0.1}},
)
"""What `rules: [drift: default]` stands for. Each sees what the others do not: shares that moved, players that changed
places, effects that changed direction, importance that grew or shrank as a whole, and distributions that changed while
their means did not."""


def expand_default(rules: object) -> object:
    """The rules with `drift: default` replaced by what it stands for; anything else as it is."""
    if not isinstance(rules, list | tuple):
        return rules
    expanded: list[Any] = []
    for rule in rules:
        is_default = isinstance(rule, Mapping) and rule.get("drift") == "default" and len(rule) == 1
        expanded += DEFAULT_DRIFT_RULES if is_default else [rule]
    return expanded
