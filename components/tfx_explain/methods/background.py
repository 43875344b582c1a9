"""The background: reference rows that stand in for absent features; and the plan of a job, which holds it."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tfx_explain import records
from tfx_explain.attribution import medoids, row_distances
from tfx_explain.config import BackgroundConfig, ModelConfig
from tfx_explain.errors import ModelError
from tfx_explain.methods.outputs import check_space, explained_outputs
from tfx_explain.models import Model
from tfx_explain.rows import column_or_nulls, list_lengths, row_hashes, take_rows

_MEDOID_POOL_PER_ROW = 16
_MAX_MEDOID_POOL = 4_096

LARGEST_OUTPUT = float(np.finfo(np.float32).max)
"""Larger outputs are in no tf.Example, and their squares in no sum."""


@dataclasses.dataclass(frozen=True)
class Background:
    """Reference rows that stand in for absent features.

    Attributes:
      rows: n_background of them.
      weights: (n_background,), sum 1.
      digest: identifies rows and weights.
    """

    rows: pa.RecordBatch
    weights: npt.NDArray[np.float64]
    digest: str


@dataclasses.dataclass(frozen=True)
class SideBackground(Background):
    """The background as one of the models sees it.

    Attributes:
      predictions: (n_background, n_outputs) of the model, in its output space.
      outputs: (K',) indices of the outputs that are explained; the model may have more.
    """

    predictions: npt.NDArray[np.float64]
    outputs: npt.NDArray[np.int64]

    @property
    def base_values(self) -> npt.NDArray[np.float64]:
        """(K',) mean predictions of the model."""
        return np.asarray(self.weights @ self.asked(self.predictions))

    def asked(self, values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """(..., K') of (..., n_outputs): of `outputs` alone."""
        if np.array_equal(self.outputs, np.arange(values.shape[-1])):
            return values
        return np.asarray(values[..., self.outputs])


@dataclasses.dataclass(frozen=True)
class JobPlan:
    """What all workers need before they explain, settled once and the same everywhere.

    Attributes:
      background: reference rows.
      outputs: (K',) indices of the outputs that are explained.
      predictions: (n_background, n_outputs) of each side for the background rows.
      per_method: name of a method -> what it has settled for itself; only the method knows what that is.
      model_rows: what was spent to settle all this -> rows that the models were asked about.
      absent: series that is looked into -> what absent values of each channel are; image of numbers -> what all become
        where that is one number, else nothing.
    """

    background: Background
    outputs: npt.NDArray[np.int64]
    predictions: tuple[npt.NDArray[np.float64], ...]
    per_method: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    model_rows: Mapping[str, int] = dataclasses.field(default_factory=dict)
    absent: Mapping[str, tuple[float, ...]] = dataclasses.field(default_factory=dict)

    def side(self, index: int) -> SideBackground:
        """The background as a model sees it: 0 for the one that is explained, 1 for the baseline model."""
        return SideBackground(**vars(self.background), predictions=self.predictions[index], outputs=self.outputs)


def pool_size(config: BackgroundConfig) -> int:
    """How many rows the background is chosen from."""
    if config.strategy == "sample":
        return config.num_rows
    return max(config.num_rows, min(_MEDOID_POOL_PER_ROW * config.num_rows, _MAX_MEDOID_POOL))


def choose_background(
    models: Sequence[Model],
    rows: pa.RecordBatch,
    config: BackgroundConfig,
    features: Sequence[str],
    explained: ModelConfig | None = None,
) -> JobPlan:
    """A plan that has a background from candidate rows, and nothing of any method yet.

    Args:
      models: what is explained, and the baseline model if there is one.
      rows: candidates in random order.
      config: `sample` takes the first `num_rows`, equally weighted; `medoids` the rows nearest to all candidates, each
        weighted by the share of candidates it stands for.
      features: what rows are compared by.
      explained: says which outputs are explained; None = all.

    Raises:
      ModelError: a model's output is finite for none of the rows, or is no probability where it should be.
    """
    predictions = [model.predict(model.inputs(rows)) for model in models]
    for model, of_model in zip(models, predictions, strict=True):
        check_space(model, of_model)
    outputs = explained_outputs(explained or ModelConfig(), predictions)
    sizes = [np.abs(values[:, outputs]) for values in predictions]
    finite = np.flatnonzero(np.all([(size <= LARGEST_OUTPUT).all(axis=1) for size in sizes], axis=0))
    if not len(finite):
        raise ModelError(
            f"the model's output is NaN or infinite for every background row (split `{config.split}`), or larger than "
            "the 3.4e38 that tf.Examples hold; check the model."
        )
    if config.strategy == "medoids":
        chosen, weights = medoids(feature_distances(take_rows(rows, finite), features), config.num_rows)
        kept = finite[chosen]
    else:
        kept = finite[: config.num_rows]
        weights = np.full(len(kept), 1 / len(kept))
    chosen_rows = take_rows(rows, kept)
    background = Background(chosen_rows, weights, background_digest(chosen_rows, weights))
    return JobPlan(background, outputs, tuple(values[kept] for values in predictions))


def feature_distances(rows: pa.RecordBatch, features: Sequence[str]) -> npt.NDArray[np.float32]:
    """Distances between rows by these features: numbers by rank, anything else by being equal or not. Shape (n, n)."""
    numeric, categorical = [], []
    for name in features:
        column = column_or_nulls(rows, name)
        if list_lengths(column).max(initial=0) <= 1 and not pa.types.is_large_binary(column.type.value_type):
            cells = records.rows_to_frame(pa.RecordBatch.from_arrays([column], names=[name]))[name]
            numeric.append(cells.to_numpy(np.float64, na_value=np.nan))
        else:
            categorical.append(row_hashes(pa.RecordBatch.from_arrays([column], names=[name])))
    return row_distances(numeric, categorical)


def background_digest(rows: pa.RecordBatch, weights: npt.NDArray[np.float64]) -> str:
    """Identifies a background by content, whatever the order of its rows."""
    hashes = row_hashes(rows)
    order = np.argsort(hashes, kind="stable")
    return hashlib.sha256(hashes[order].tobytes() + weights[order].tobytes()).hexdigest()[:32]
