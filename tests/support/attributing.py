"""Methods of attributions at work on rows given as columns, without a job around them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import tensorflow as tf

from tfx_explain.config import BackgroundConfig, ExplainConfig
from tfx_explain.methods.background import choose_background
from tfx_explain.methods.batch import Batch
from tfx_explain.methods.context import FirstRows, JobContext, Sample
from tfx_explain.methods.method import Accumulated, Earlier, Result
from tfx_explain.methods.outputs import output_names
from tfx_explain.methods.registry import methods_of
from tfx_explain.models import Model, load_model
from tfx_explain.rows import row_hashes, take_rows

Columns = Mapping[str, Any]


def model_of(directory: Path, score: Callable[..., Any], specs: Mapping[str, tf.TensorSpec]) -> Model:
    """A model whose signature takes a tensor per feature, explained in its own units."""
    module = tf.Module()
    signature = [tf.TensorSpec(spec.shape, spec.dtype, name) for name, spec in specs.items()]
    module.serve = tf.function(lambda *tensors: {"y": score(*tensors)}, input_signature=signature)
    tf.saved_model.save(module, str(directory), signatures={"serving_default": module.serve})
    return load_model(str(directory), output_space="raw")


def floats(*names: str) -> dict[str, tf.TensorSpec]:
    """Features of one float each."""
    return {name: tf.TensorSpec([None], tf.float32) for name in names}


def batch_of(columns: Columns) -> pa.RecordBatch:
    """Rows as tf.Examples decode: a list per cell."""
    made = {}
    for name, values in columns.items():
        cells = [cell if isinstance(cell, list) else np.atleast_1d(cell).tolist() for cell in values]
        kinds = {type(value) for cell in cells for value in cell}
        kind = pa.large_binary() if kinds & {bytes} else pa.int64() if kinds <= {int} and kinds else pa.float32()
        made[name] = pa.array(cells, pa.large_list(kind))
    return pa.RecordBatch.from_arrays(list(made.values()), names=list(made))


@dataclasses.dataclass
class Attributing:
    """One method of attributions, planned.

    Attributes:
      models: what is explained, and the baseline model if there is one.
      background: rows.
      settings: of the method, as `methods` of the configuration lists it.
      config: further settings.
    """

    models: Sequence[Model]
    background: Columns
    settings: Any
    config: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        rows = batch_of(self.background)
        names = sorted(self.background)
        settings = {"background": {"num_rows": rows.num_rows}, **self.config, "methods": [self.settings]}
        self.explain_config = ExplainConfig(**settings)
        players = {name: (name,) for name in names}
        context = JobContext(
            self.explain_config, players, outputs=tuple(output_names(self.models[0], self.explain_config))
        )
        self.method = methods_of(context)[0]
        self.method.check(FirstRows({"eval": rows}, frozenset(names)), self.models)
        background = BackgroundConfig(num_rows=rows.num_rows, strategy=self.explain_config.background.strategy)
        chosen = choose_background(self.models, rows, background, names, self.explain_config.model)
        made, self.spent = self.method.plan(Sample(rows, row_hashes(rows)), self.models, chosen)
        self.plan = dataclasses.replace(chosen, per_method={self.method.key: made})
        self.explainer = self.method.explainer(self.models)

    def explain(self, columns: Columns, kept: Sequence[int] | None = None) -> Result[Any]:
        """What the method says of rows, or of some of them."""
        rows = batch_of(columns)
        if kept is not None:
            rows = take_rows(rows, np.array(kept))
        hashes = row_hashes(rows)
        batch = Batch.of(self.models, rows, hashes, hashes, self.plan.outputs, self.explain_config)
        return self.explainer.explain(batch, self.plan, Earlier())

    def described(self) -> Mapping[str, Any]:
        """The method's entry in the manifest."""
        return self.method.describe(Accumulated({}), self.plan)[self.method.key]
