"""The background: reference rows that stand in for absent features, chosen once and the same everywhere."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tfx_explain import records
from tfx_explain.attribution import medoids, row_distances
from tfx_explain.config import BackgroundConfig, ModelConfig
from tfx_explain.errors import ModelError
from tfx_explain.methods.losses.plan import LossPlan
from tfx_explain.methods.outputs import check_space, explained_outputs
from tfx_explain.methods.profiles.plan import ProfilePlan
from tfx_explain.methods.shapley.surrogates import ModelSurrogate
from tfx_explain.models import Model
from tfx_explain.rows import column_or_nulls, list_lengths, row_hashes, take_rows

_MEDOID_POOL_PER_ROW = 16
_MAX_MEDOID_POOL = 4_096

LARGEST_OUTPUT = float(np.finfo(np.float32).max)
"""Larger outputs are in no tf.Example, and their squares in no sum."""


@dataclasses.dataclass(frozen=True)
class Background:
    """Reference rows, their weights, and what the models say of them.

    Attributes:
      rows: n_background of them.
      weights: (n_background,), sum 1.
      predictions: (n_background, n_outputs) of the model, in its output space.
      baseline_predictions: the same of the baseline model, if there is one.
      digest: identifies rows and weights.
      budget: coalitions per background row that a pilot found to be needed; None = as configured.
      profiles: where features are varied for profiles; None where none were asked for.
      losses: what permutation importance and SAGE need; None where neither was asked for.
      outputs: (K',) indices of the outputs that Shapley values are of; the models may have more.
      surrogate: of the model, where the estimator is `surrogate`.
      baseline_surrogate: of the baseline model.
      model_rows: what was spent to settle all this -> rows that the models were asked about.
    """

    rows: pa.RecordBatch
    weights: npt.NDArray[np.float64]
    predictions: npt.NDArray[np.float64]
    digest: str
    outputs: npt.NDArray[np.int64]
    baseline_predictions: npt.NDArray[np.float64] | None = None
    budget: int | None = None
    profiles: ProfilePlan | None = None
    losses: LossPlan | None = None
    surrogate: ModelSurrogate | None = None
    baseline_surrogate: ModelSurrogate | None = None
    model_rows: Mapping[str, int] = dataclasses.field(default_factory=dict)

    def of_baseline(self) -> Background:
        """The same as the baseline model, which there must be, has it."""
        losses = None if self.losses is None else self.losses.of_baseline()
        predictions = self.predictions if self.baseline_predictions is None else self.baseline_predictions
        return dataclasses.replace(
            self,
            predictions=predictions,
            baseline_predictions=None,
            losses=losses,
            surrogate=self.baseline_surrogate,
            baseline_surrogate=None,
        )

    @property
    def base_values(self) -> npt.NDArray[np.float64]:
        """(K',) mean predictions of the model."""
        return np.asarray(self.weights @ self.asked(self.predictions))

    def asked(self, values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """(..., K') of (..., n_outputs): of `outputs` alone."""
        if np.array_equal(self.outputs, np.arange(values.shape[-1])):
            return values
        return np.asarray(values[..., self.outputs])


def pool_size(config: BackgroundConfig) -> int:
    """How many rows the background is chosen from."""
    if config.strategy == "sample":
        return config.num_rows
    return max(config.num_rows, min(_MEDOID_POOL_PER_ROW * config.num_rows, _MAX_MEDOID_POOL))


def choose_background(
    model: Model,
    rows: pa.RecordBatch,
    config: BackgroundConfig,
    features: Sequence[str],
    baseline_model: Model | None = None,
    explained: ModelConfig | None = None,
) -> Background:
    """A background from candidate rows.

    Args:
      model: what is explained.
      rows: candidates in random order.
      config: `sample` takes the first `num_rows`, equally weighted; `medoids` the rows nearest to all candidates, each
        weighted by the share of candidates it stands for.
      features: what rows are compared by.
      baseline_model: explained on the same background.
      explained: says which outputs are explained; None = all.

    Raises:
      ModelError: a model's output is finite for none of the rows, or is no probability where it should be.
    """
    models = [model] if baseline_model is None else [model, baseline_model]
    predictions = [one.predict(one.inputs(rows)) for one in models]
    for one, of_one in zip(models, predictions, strict=True):
        check_space(one, of_one)
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
    background = take_rows(rows, kept)
    values = [array[kept] for array in predictions]
    return Background(
        rows=background,
        weights=weights,
        predictions=values[0],
        baseline_predictions=values[1] if baseline_model is not None else None,
        digest=background_digest(background, weights),
        outputs=outputs,
    )


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
