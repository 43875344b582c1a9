"""Settings of methods that say something of the data as a whole: profiles, interactions, players and the loss."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from tfx_explain.config.base import Part

MeanMetric = Literal["auto", "log_loss", "mse", "mae"]
Metric = Literal["auto", "log_loss", "mse", "mae", "auc"]


class PartialDependenceConfig(Part):
    """Mean output with one feature set to each of its values; `features: null` = all that are explained."""

    features: tuple[str, ...] | None = None
    grid_size: int = Field(20, ge=2, le=1_000, description="points per feature: quantiles, or most frequent levels")
    num_ice: int = Field(50, ge=0, le=1_000, description="curves of single examples to keep")
    pairs: tuple[tuple[str, str], ...] = Field((), description="pairs of features to vary together, a surface each")
    pair_grid_size: int = Field(10, ge=2, le=100, description="points of each feature of a pair")

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


class AccumulatedLocalEffectsConfig(Part):
    """Mean change of the output along one numeric feature, among examples that are near each of its values."""

    features: tuple[str, ...] | None = None
    num_bins: int = Field(20, ge=1, le=1_000)


class InteractionStrengthConfig(Part):
    """Friedman's H: how much pairs of players do together that neither does by itself."""

    top_k: int = Field(5, ge=2, le=50, description="as many pairs as this many players have, the most important ones")
    players: tuple[str, ...] | None = Field(None, min_length=2, description="all pairs of these instead")
    num_rows: int = Field(
        300, ge=20, le=10_000, description="rows sampled; num_rows^2 / 4 model rows for each player and each pair"
    )


class PermutationImportanceConfig(Part):
    """How much the loss grows, or the AUC falls, when a player's features come from another row.

    `features: null` = all players.
    """

    metric: Metric = Field(
        "auto",
        description="log loss of log-odds and probabilities, squared error of other outputs; `auc` judges one output "
        "that tells two classes apart",
    )
    num_donors: int = Field(4, ge=1, le=100, description="other rows that each row takes the features from in turn")
    features: tuple[str, ...] | None = None


class SageConfig(Part):
    """Shapley values of the loss (SAGE)."""

    metric: MeanMetric = Field(
        "auto", description="log loss of log-odds and probabilities, squared error of other outputs"
    )
    max_relative_error: float | None = Field(
        0.025,
        gt=0,
        lt=1,
        description="largest standard error / (largest - smallest value) aimed at; null = every explained row once",
    )

    @field_validator("metric", mode="before")
    @classmethod
    def _a_mean(cls, metric: object) -> object:
        if metric == "auc":
            raise ValueError(
                "`auc` compares rows with each other, so it is no mean over rows, which SAGE needs; use `log_loss`"
            )
        return metric
