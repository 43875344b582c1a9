"""What permutation importance and SAGE need to know before any row is explained, the same for all workers.

Rows are spread over `N_CLUSTERS` clusters by random numbers, which copies of a row have of their own. Each cluster has
donor rows and permutations of its own, so that the spread between clusters holds their error too. Donors are `N_SAMPLE`
rows of the background split: no row travels to another worker for them, and which they are depends on no sharding.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tfx_explain.attribution.levels import Pilot, RoughBackground, choose_levels
from tfx_explain.config import ExplainConfig
from tfx_explain.config.methods import LOSS_METHODS
from tfx_explain.errors import ConfigError, InputError
from tfx_explain.methods.context import JobContext, labels_of
from tfx_explain.methods.sage.games import CheapGames
from tfx_explain.methods.shapley.designs import evaluates_all_coalitions
from tfx_explain.models import Model
from tfx_explain.rows import HashArray
from tfx_explain.summary.losses import AUC, choose_metric, usable_labels
from tfx_explain.summary.score_bins import ScoreBins, choose_group_starts, choose_score_edges
from tfx_explain.tables import SHAPLEY

PERMUTATION_IMPORTANCE, SAGE = LOSS_METHODS

N_CLUSTERS = 64
"""Enough for Student's t to be near normal, few enough to keep sums of each."""

N_ORDERS = 4_096
"""Permutations of SAGE; rows that share one are in one cluster."""

N_PILOT = 192
"""Rows on which the number of rows that SAGE needs is forecast."""

MIN_PILOT = 32

# Two per cluster, so that nearly every cluster has one.
_MIN_ROWS = 2 * N_CLUSTERS
# Guesses along more permutations of a row lower the error where there are few rows.
_MAX_GUESSES_PER_ROW = 16
_GUESSES = 2**13
_FRACTION_STEPS = 2**20


@dataclasses.dataclass(frozen=True)
class LossPlan:
    """Settings as resolved.

    Attributes:
      metrics: method -> loss or metric, for the methods that were asked for.
      players: method -> positions of the players that it is computed for.
      donors: rows whose features others are given; None without permutation importance.
      n_clusters: clusters of rows that share donors and permutations.
      reuses_coalitions: whether SAGE is computed from the coalitions that Shapley values evaluate anyway.
      orders_per_row: permutations that SAGE evaluates for a row; every second one is the reverse of the one before.
      fraction: part of the rows that have a part in SAGE.
      cheap: what cheap games of each model need, the candidate first; none without a pilot.
      n_guesses: permutations of a row that are guessed along; 0 = nothing is guessed.
      rough: the background rows that cheap games have; None = there are no such games.
      rough_fraction: part of the rows that SAGE evaluates with these, or with all.
      full_fraction: part of the rows that SAGE evaluates with all background rows.
      pilot: what a pilot says of the cost; None where there was none.
      score_edges: of the bins that scores of each model, the candidate first, are counted in; none without AUC.
      score_groups: the first bin of each group of these bins, for the error of an AUC; likewise.
    """

    metrics: Mapping[str, str]
    players: Mapping[str, tuple[int, ...]]
    donors: pa.RecordBatch | None
    n_clusters: int
    reuses_coalitions: bool
    orders_per_row: int = 2
    fraction: float = 1.0
    cheap: tuple[CheapGames, ...] = ()
    n_guesses: int = 0
    rough: RoughBackground | None = None
    rough_fraction: float = 0.0
    full_fraction: float = 1.0
    pilot: Pilot | None = None
    score_edges: tuple[npt.NDArray[np.float64], ...] = ()
    score_groups: tuple[ScoreBins, ...] = ()

    def of_side(self, index: int) -> LossPlan:
        """The same for one of the models; all meet the same donors and permutations."""
        names = ("cheap", "score_edges", "score_groups")
        return dataclasses.replace(self, **{name: getattr(self, name)[index:] for name in names})

    @property
    def n_games(self) -> int:
        """Games that SAGE has: the real one, and those before it."""
        return 1 + bool(self.rough_fraction) + bool(self.n_guesses)

    def for_rows(self, n_rows: int, aim: float | None) -> LossPlan:
        """The plan for so many rows: part of them where fewer reach the error."""
        if self.pilot is None or aim is None or not n_rows:
            return self
        levels = choose_levels(self.pilot, n_rows, aim, _MIN_ROWS)
        counts = (levels.n_full, levels.n_rough, levels.n_guessed)
        full, rough, guessed = (min(count / n_rows, 1.0) for count in counts)
        return dataclasses.replace(
            self,
            orders_per_row=levels.n_orders,
            fraction=max(full, rough, guessed),
            n_guesses=int(np.clip(_GUESSES / levels.n_guessed, 1, _MAX_GUESSES_PER_ROW)) if guessed else 0,
            rough=levels.rough,
            rough_fraction=rough,
            full_fraction=full,
        )

    def chosen_rows(self, draws: HashArray, fraction: float) -> npt.NDArray[np.bool_]:
        """(n,) a part of the rows, which holds every smaller part."""
        # Not the upper bits: rows may have been selected by those.
        place = (draws // np.uint64(N_CLUSTERS)) % np.uint64(_FRACTION_STEPS)
        return np.asarray(place.astype(np.float64) < fraction * _FRACTION_STEPS)

    def clusters(self, draws: HashArray) -> npt.NDArray[np.int64]:
        """(n,) the cluster of each row."""
        return (draws % np.uint64(self.n_clusters)).astype(np.int64)

    def donors_of(self, draws: HashArray, num_donors: int) -> npt.NDArray[np.int64]:
        """(n, num_donors) rows of `donors`, different ones of the row's cluster while it has enough."""
        n_donors = 0 if self.donors is None else self.donors.num_rows
        clusters = self.clusters(draws)
        sizes = (n_donors - clusters + self.n_clusters - 1) // self.n_clusters
        start = (draws // np.uint64(N_CLUSTERS * _FRACTION_STEPS)).astype(np.int64) % sizes
        within = (start[:, None] + np.arange(num_donors)) % sizes[:, None]
        return np.asarray(clusters[:, None] + self.n_clusters * within)

    def order_of(self, draws: HashArray, repeat: int) -> npt.NDArray[np.int64]:
        """(n,) numbers of permutations, all of the row's cluster; those of pairs are equal."""
        first = (draws % np.uint64(N_ORDERS)).astype(np.int64)
        return np.asarray((first + self.n_clusters * (repeat // 2)) % N_ORDERS)

    def describe(self, config: ExplainConfig) -> dict[str, Any]:
        """Method -> settings as resolved, for the manifest."""
        described: dict[str, Any] = {}
        if PERMUTATION_IMPORTANCE in self.metrics and self.donors is not None:
            settings = config.method(PERMUTATION_IMPORTANCE)
            described[PERMUTATION_IMPORTANCE] = {
                "metric": self.metrics[PERMUTATION_IMPORTANCE],
                "num_donors": settings.num_donors,
                "donor_rows": self.donors.num_rows,
            }
        if SAGE in self.metrics:
            described[SAGE] = {
                "metric": self.metrics[SAGE],
                "estimator": "exact" if self.reuses_coalitions else "permutation",
                "max_relative_error": config.method(SAGE).max_relative_error,
                "pilot_rows": 0 if self.pilot is None else self.pilot.n_examples,
                "fraction_of_rows": self.fraction,
                "fraction_of_rows_evaluated": max(self.full_fraction, self.rough_fraction),
                "fraction_of_rows_on_whole_background": self.full_fraction,
                "rough_background_rows": 0 if self.rough is None else len(self.rough.rows),
                "permutations_per_row": 0 if self.reuses_coalitions else self.orders_per_row,
                "guessed_permutations_per_row": self.n_guesses,
            }
        return described


def wants_losses(config: ExplainConfig) -> bool:
    """Whether any of the methods is asked for."""
    return any(config.method(name) is not None for name in LOSS_METHODS)


def needs_pilot(config: ExplainConfig, n_players: int, n_background: int) -> bool:
    """Whether SAGE evaluates rows of its own, as many as an error asks for."""
    sage = config.method(SAGE)
    if sage is None or sage.max_relative_error is None:
        return False
    return not evaluates_all_coalitions(config, n_players, n_background)


def resolve_metrics(config: ExplainConfig, model: Model) -> dict[str, str]:
    """Method -> loss or metric, for the methods that were asked for.

    Raises:
      ConfigError: a loss does not fit the model's output.
    """
    metrics = {}
    for name in LOSS_METHODS:
        settings = config.method(name)
        if settings is not None:
            try:
                metrics[name] = choose_metric(settings.metric, model.output_space, model.n_outputs)
            except ConfigError as error:
                raise ConfigError(f"method `{name}`: {error}") from None
    return metrics


def check_losses(context: JobContext, model: Model, rows: pa.RecordBatch, split: str) -> None:
    """Refuses losses that the output does not have, players that are not there, and labels that are none.

    Args:
      context: which methods, players and labels.
      model: what is explained.
      rows: the first ones of a split.
      split: its name.

    Raises:
      ConfigError: a loss does not fit the output, or there is no such player.
      InputError: a label is of another kind than the loss needs.
    """
    config, players, source = context.config, tuple(context.players), labels_of(context)
    metrics = resolve_metrics(config, model)
    if not metrics:
        return
    for name in getattr(config.method(PERMUTATION_IMPORTANCE), "features", None) or ():
        if name not in players:
            raise ConfigError(
                f"`methods.{PERMUTATION_IMPORTANCE}.features` names `{name}`, which is no player; "
                f"players: {', '.join(players)}."
            )
    source.check(rows, f"method `{next(iter(metrics))}`", split)
    source.check_known(rows, split)
    labels = source.of(rows)
    labels = labels[np.isfinite(labels)]
    for metric in metrics.values():
        outside, last = labels[~usable_labels(metric, labels, model.n_outputs)], max(model.n_outputs, 2) - 1
        if len(outside):
            raise InputError(
                f"the metric `{metric}` needs labels that are the index of a class, 0 to {last}, but "
                f"`{source.key}` is {outside[0]:g} in split `{split}`; correct the label, or choose another "
                "metric."
            )


def plan_losses(
    donors: pa.RecordBatch,
    predictions: Sequence[npt.NDArray[np.float64]],
    config: ExplainConfig,
    model: Model,
    players: Sequence[str],
    n_background: int,
) -> LossPlan:
    """The plan before any pilot.

    Args:
      donors: sampled rows of the background split that the models can read, of finite outputs.
      predictions: (n, K) outputs of those rows by the model, then by the baseline model if there is one.
      config: which methods, and their settings.
      model: what is explained.
      players: their names.
      n_background: number of background rows.
    """
    permutes = config.method(PERMUTATION_IMPORTANCE)
    asked = None if permutes is None else permutes.features
    permuted = tuple(i for i, name in enumerate(players) if asked is None or name in asked)
    most = N_CLUSTERS if permutes is None else donors.num_rows // permutes.num_donors
    metrics = resolve_metrics(config, model)
    scores = predictions if AUC in metrics.values() else ()
    edges = tuple(choose_score_edges(one) for one in scores)
    return LossPlan(
        metrics=metrics,
        players={PERMUTATION_IMPORTANCE: permuted, SAGE: tuple(range(len(players)))},
        donors=None if permutes is None else donors,
        n_clusters=1 << (int(np.clip(most, 1, N_CLUSTERS)).bit_length() - 1),
        reuses_coalitions=config.method(SHAPLEY) is not None
        and evaluates_all_coalitions(config, len(players), n_background),
        score_edges=edges,
        score_groups=tuple(choose_group_starts(*pair) for pair in zip(edges, scores, strict=True)),
    )
