"""What a method needs to know of its job, whatever the rows."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence

import pyarrow as pa

from tfx_explain.config import ExplainConfig
from tfx_explain.errors import ConfigError
from tfx_explain.methods.labels import Labels
from tfx_explain.models import Model
from tfx_explain.rows import HashArray
from tfx_explain.tables import BASELINE_PREFIX

SIDE_PREFIXES = ("", BASELINE_PREFIX)
"""What the names of counts, tables and columns of each side begin with."""


@dataclasses.dataclass(frozen=True)
class JobContext:
    """One job: what is explained and how.

    Attributes:
      config: what the user asked for.
      players: name -> features that are present or absent together.
      rest: the player that holds what the configuration leaves out; None where that is nothing.
      outputs: names of the explained outputs.
      labels: where the labels of rows come from; None where there are none.
    """

    config: ExplainConfig
    players: Mapping[str, tuple[str, ...]]
    rest: str | None = None
    outputs: tuple[str, ...] = ()
    labels: Labels | None = None


def labels_of(context: JobContext) -> Labels:
    """Where the labels come from, of a job that has some.

    Raises:
      ConfigError: it has none.
    """
    if context.labels is None:
        raise ConfigError("methods that compare outputs with labels need some; set `label_key`.")
    return context.labels


@dataclasses.dataclass(frozen=True)
class FirstRows:
    """What is known of the examples before the job.

    Attributes:
      splits: the first rows of each split that is to be explained.
      features: names that rows, schema or models have, keys not among them.
    """

    splits: Mapping[str, pa.RecordBatch]
    features: frozenset[str]


@dataclasses.dataclass(frozen=True)
class Sample:
    """Rows of the background split, in random order, from which methods are planned.

    Attributes:
      rows: n of them; the models can read and predict them.
      draws: (n,) random numbers of the rows, different for copies.
    """

    rows: pa.RecordBatch
    draws: HashArray

    def first(self, n: int) -> Sample:
        """No more than the first n rows."""
        return Sample(self.rows.slice(0, n), self.draws[:n])


def features_of(model: Model, players: Mapping[str, Sequence[str]]) -> tuple[tuple[str, ...], ...]:
    """Of each player, the features that this model reads; all where that cannot be known."""
    read = {feature.name for feature in model.features} or {name for names in players.values() for name in names}
    return tuple(tuple(name for name in names if name in read) for names in players.values())


def features_read(models: Sequence[Model], seen: Iterable[str]) -> list[str]:
    """The features that at least one of the models reads, sorted: all that were seen, where a model does not say."""
    named = {feature.name for model in models for feature in model.features}
    return sorted(named if all(model.features for model in models) else named.union(seen))
