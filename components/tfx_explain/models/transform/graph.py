"""Transform's saved graph: what it makes of raw examples, and how that is fed to a model."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TypeAlias

import numpy as np
import tensorflow as tf

from tfx_explain.errors import ModelError
from tfx_explain.fetched import Fetched, fetch
from tfx_explain.models.features import Array, Column, Ragged
from tfx_explain.models.graph import Port
from tfx_explain.models.messages import first_line
from tfx_explain.models.ports import PortValue
from tfx_explain.optional import optional

Transformed: TypeAlias = Mapping[str, "tf.Tensor | tf.SparseTensor | tf.RaggedTensor"]
"""Name of a transformed column -> its values for some rows."""

_NEEDED = ("transform_fn/saved_model.pb", "transformed_metadata", "metadata")


class TransformGraph:
    """Transform's saved graph.

    Args:
      graph: a TransformGraph artifact, as the Transform component writes it, or its path.

    Attributes:
      directory: where it is.
      raw: how it parses raw examples: name -> specification.
      columns: what it makes: name -> specification.
      function: from `examples`, serialised raw tf.Examples (n,), to a dictionary of all columns.

    Raises:
      ModelError: there is none, or it cannot be loaded.
      ConfigError: TensorFlow Transform is not installed.
    """

    def __init__(self, graph: str | Fetched) -> None:
        fetched = graph if isinstance(graph, Fetched) else fetch(graph)
        _check_there(fetched)
        # Takes seconds, and most jobs have no transform graph.
        tft = optional("tensorflow_transform", "Transform graphs need", "tensorflow-transform")
        output = tft.TFTransformOutput(fetched.path)
        try:
            self.raw = dict(output.raw_feature_spec())
            self.columns = dict(output.transformed_feature_spec())
            layer = output.transform_features_layer()

            def transform(*, examples: tf.Tensor) -> Transformed:
                return dict(layer(tf.io.parse_example(examples, self.raw)))

            self.function = tf.function(transform, autograph=False).get_concrete_function(examples=SERIALIZED)
        except (ValueError, TypeError, AttributeError, OSError, tf.errors.OpError) as error:
            raise ModelError(f"The transform graph at {fetched.uri} cannot be loaded: {first_line(error)}.") from error
        self.directory = fetched.uri
        self._output = output
        # The tables of a SavedModel live as long as it does.
        self._keep_alive = (layer, fetched)

    def vocabulary(self, name: str) -> str | None:
        """The file of one of its vocabularies, by the name that the preprocessing function gave it; None = no such."""
        found: str | None = self._output.vocabulary_file_by_name(name)
        return found


SERIALIZED = tf.TensorSpec([None], tf.string, name="examples")


def _check_there(graph: Fetched) -> None:
    missing = [name for name in _NEEDED if not os.path.exists(os.path.join(graph.path, name))]
    if missing:
        raise ModelError(
            f"{graph.uri} is no transform graph: it lacks {missing[0]}; name what the Transform component gives as "
            "`transform_graph`."
        )


def is_fixed(specification: object) -> bool:
    """Whether a column has the same number of values in each row."""
    return isinstance(specification, tf.io.FixedLenFeature)


def misfit(port: Port, specification: object) -> str:
    """Why a transformed column cannot be fed to a model's port; empty where it can.

    Args:
      port: of the model.
      specification: of the column.
    """
    if not isinstance(specification, tf.io.FixedLenFeature | tf.io.VarLenFeature | tf.io.RaggedFeature):
        return f"is a {type(specification).__name__}, which only the model's own parsing puts together"
    if getattr(specification, "partitions", ()):
        return "is a list of lists"
    made, taken = tf.dtypes.as_dtype(specification.dtype), tf.dtypes.as_dtype(port.spec.dtype)
    # As Keras casts what it is trained on; a model never takes floats for integers.
    casts = (made.is_integer and (taken.is_integer or taken.is_floating)) or (made.is_floating and taken.is_floating)
    if made != taken and not casts:
        return f"is {made.name}, where the model takes {taken.name}"
    if port.encoding != "dense":
        return ""
    if not is_fixed(specification):
        return f"has any number of values, where the model takes {port.spec.size}"
    size = int(np.prod(specification.shape))
    return "" if size == port.spec.size else f"has {size} values, where the model takes {port.spec.size}"


def as_lists(column: tf.Tensor | tf.SparseTensor | tf.RaggedTensor) -> tf.Tensor | tf.RaggedTensor:
    """A column as one tensor (n, ...), or as a list of values for each row."""
    if isinstance(column, tf.SparseTensor):
        rows = column.indices[:, 0]
        return tf.RaggedTensor.from_value_rowids(column.values, rows, nrows=column.dense_shape[0], validate=False)
    return column


def port_value_of(port: Port, column: tf.Tensor | tf.SparseTensor | tf.RaggedTensor) -> PortValue:
    """A transformed column as the value of a model's port that it fits."""
    dtype, shape = tf.dtypes.as_dtype(port.spec.dtype), port.spec.shape
    values = as_lists(column)
    if isinstance(values, tf.RaggedTensor):
        splits = values.row_splits // port.spec.size
        items = tf.reshape(tf.cast(values.flat_values, dtype), [-1, *shape])
        return tf.RaggedTensor.from_row_splits(items, splits, validate=False)
    values = tf.cast(values, dtype)
    if port.encoding == "dense":
        return tf.reshape(values, [-1, *shape])
    n_rows = tf.shape(values)[0]
    items = tf.reshape(values, [n_rows, tf.size(values) // (tf.maximum(n_rows, 1) * port.spec.size), *shape])
    return tf.RaggedTensor.from_tensor(items)


def as_column(value: PortValue) -> Column:
    """A port's value in NumPy, as a `Reader` gives columns."""
    if isinstance(value, tf.RaggedTensor):
        values: Array = value.flat_values.numpy()
        size = int(np.prod(values.shape[1:]))
        return Ragged(values.reshape(-1), value.row_splits.numpy().astype(np.int64) * size)
    column: Array = value.numpy()
    return column
