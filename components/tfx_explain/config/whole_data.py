"""Settings of methods that say something of the data as a whole: profiles, interactions, players and the loss."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from tfx_explain.config.base import Part

MeanMetric = Literal["auto", "log_loss", "mse", "mae"]
Metric = Literal["auto", "log_loss", "mse", "mae", "auc"]


class PartialDependenceConfig(
    Part, json_schema_extra={"examples": [{"grid_size": 10, "pairs": [["age", "income"]], "pair_grid_size": 6}]}
):
    """Mean output with one feature set to each of its values."""

    features: tuple[str, ...] | None = Field(
        None,
        description="features, not groups, that have a curve; null = all that are explained",
        examples=[["age", "income"]],
    )
    grid_size: int = Field(
        20,
        ge=2,
        le=1_000,
        description="points per feature at most: quantiles of numbers, or the most frequent levels",
        examples=[10],
    )
    num_ice: int = Field(
        50, ge=0, le=1_000, description="curves of single examples to keep, per feature", examples=[20]
    )
    pairs: tuple[tuple[str, str], ...] = Field(
        (), description="pairs of features to vary together, a surface each", examples=[[["age", "income"]]]
    )
    pair_grid_size: int = Field(
        10, ge=2, le=100, description="points of each feature of a pair at most; a surface has its square", examples=[6]
    )

    @field_validator("pairs")
    @classmethod
    def _different(cls, pairs: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
        seen: set[frozenset[str]] = set()
        for first, second in pairs:
            if first == second:
                raise ValueError(f"a pair names `{first}` twice; name two features")
            if frozenset((first, second)) in seen:
                raise ValueError(f"the pair of `{first}` and `{second}` is listed twice; list it once")
            seen.add(frozenset((first, second)))
        return pairs


class AccumulatedLocalEffectsConfig(Part, json_schema_extra={"examples": [{"features": ["age"], "num_bins": 10}]}):
    """Mean change of the output along one numeric feature, among examples that are near each of its values."""

    features: tuple[str, ...] | None = Field(
        None,
        description="features, not groups, that have a curve; null = all numeric ones that are explained",
        examples=[["age"]],
    )
    num_bins: int = Field(
        20, ge=1, le=1_000, description="bins of a feature at most, of about equally many rows", examples=[10]
    )


class InteractionStrengthConfig(Part, json_schema_extra={"examples": [{"top_k": 4}]}):
    """Friedman's H: how much pairs of players do together that neither does by itself."""

    top_k: int = Field(
        5,
        ge=2,
        le=50,
        description="players whose pairs are measured, the most important ones; with `interactions: 2` of `shapley` "
        "as many pairs, the strongest",
        examples=[4],
    )
    players: tuple[str, ...] | None = Field(
        None,
        min_length=2,
        description="players all of whose pairs are measured instead; null = as `top_k` says",
        examples=[["age", "income"]],
    )
    num_rows: int = Field(
        300,
        ge=20,
        le=10_000,
        description="rows sampled; each player and each pair takes num_rows^2 / 4 model rows",
        examples=[500],
    )


class PermutationImportanceConfig(Part, json_schema_extra={"examples": [{"metric": "auc", "num_donors": 8}]}):
    """How much the loss grows, or the AUC falls, when a player's features come from another row."""

    metric: Metric = Field(
        "auto",
        description="the loss, or `auc`, which judges one output that tells two classes apart; auto = log loss of "
        "log-odds and probabilities, squared error of other outputs",
        examples=["auc"],
    )
    num_donors: int = Field(
        4,
        ge=1,
        le=100,
        description="rows of the background split that each row takes a player's features from in turn",
        examples=[8],
    )
    features: tuple[str, ...] | None = Field(
        None,
        description="players, features or groups, whose importance is measured; null = all",
        examples=[["age", "income"]],
    )


class SageConfig(Part, json_schema_extra={"examples": [{"metric": "mse", "max_relative_error": 0.05}]}):
    """Shapley values of the loss (SAGE)."""

    metric: MeanMetric = Field(
        "auto",
        description="the loss; auto = log loss of log-odds and probabilities, squared error of other outputs",
        examples=["mse"],
    )
    max_relative_error: float | None = Field(
        0.025,
        gt=0,
        lt=1,
        description="largest standard error / (largest - smallest value) aimed at, where not every coalition is "
        "evaluated anyway; null = every explained row once",
        examples=[0.05],
    )

    @field_validator("metric", mode="before")
    @classmethod
    def _a_mean(cls, metric: object) -> object:
        if metric == "auc":
            raise ValueError(
                "`auc` compares rows with each other, so it is no mean over rows, which SAGE needs; use `log_loss`"
            )
        return metric
