"""A column that a transform graph makes of raw rows, such as a label."""

from __future__ import annotations

import contextlib
from dataclasses import replace

import numpy as np
import pyarrow as pa
import tensorflow as tf

from tfx_explain.errors import ConfigError, ModelCallError
from tfx_explain.models.calls import model_errors
from tfx_explain.models.features import Array, Inputs, numpy_dtype
from tfx_explain.models.freezing import freeze_all
from tfx_explain.models.graph import FrozenGraph
from tfx_explain.models.parsing import cut_after_parsing
from tfx_explain.models.ports import forward_function, port_types, port_values
from tfx_explain.models.reading import Reader
from tfx_explain.models.tracing import traced
from tfx_explain.models.transform.graph import SERIALIZED, TransformGraph, as_lists
from tfx_explain.rows import take_rows

_VALUES, _LENGTHS = "values", "lengths"
_ARROW = {"string": pa.large_binary(), "float32": pa.float32(), "float64": pa.float64()}


class TransformedColumn:
    """One column of a transform graph, of rows of raw examples.

    Args:
      transform: the graph.
      name: of the column.

    Raises:
      ConfigError: there is no such column, or it depends on no feature.
    """

    def __init__(self, transform: TransformGraph, name: str) -> None:
        if name not in transform.columns:
            raise ConfigError(
                f"the transform graph at {transform.directory} makes no column `{name}`; it makes "
                f"{', '.join(sorted(transform.columns))}."
            )
        self.what = f"column `{name}` of the transform graph at {transform.directory}"
        graph, lengths = _frozen(transform, name, self.what)
        self._ports = graph.ports
        self._run = traced(forward_function(graph, [lengths]), input_signature=[port_types(graph.ports)])
        self._reader = Reader([port.spec for port in graph.ports], casts_integers=False)
        self._dtype = tf.dtypes.as_dtype(transform.columns[name].dtype).name
        # What the graph holds of tables is alive as long as the graph is.
        self._transform = transform

    @property
    def features(self) -> list[str]:
        """The raw features that it is made of."""
        return [spec.name for spec in self._reader.specs]

    def of(self, rows: pa.RecordBatch) -> pa.Array:
        """A list of values for each row of raw examples; null where the graph cannot read the row, or fails on it.

        Raises:
          ModelCallError: the graph fails on all of the rows.
        """
        good = np.setdiff1d(np.arange(rows.num_rows), list(self._reader.row_errors(rows)))
        lengths, parts = np.full(rows.num_rows, -1), [np.zeros(0, numpy_dtype(self._dtype))]
        if len(good):
            for places, values, of_values in self._made(self._reader.inputs(take_rows(rows, good))):
                lengths[good[places]] = of_values
                parts.append(values)
        # A null offset makes the row null.
        offsets = np.concatenate([[0], np.cumsum(np.maximum(lengths, 0))])
        missing = pa.array(offsets, pa.int64(), mask=np.append(lengths < 0, False))
        kind = _ARROW.get(self._dtype, pa.int64())
        return pa.LargeListArray.from_arrays(missing, pa.array(np.concatenate(parts), kind))

    def _made(self, inputs: Inputs) -> list[tuple[Array, Array, Array]]:
        """(places, values, their number at each place) of rows in order, without those that the graph fails on.

        Raises:
          ModelCallError: it fails on all of them.
        """
        try:
            with model_errors(self.what):
                values, lengths = (part.numpy() for part in self._run(port_values(self._ports, inputs.columns)))
            return [(np.arange(len(inputs)), values, lengths)]
        except ModelCallError as error:
            if len(inputs) == 1:
                raise
            failed = error
        found = []
        for half in np.array_split(np.arange(len(inputs)), 2):
            with contextlib.suppress(ModelCallError):
                found += [(half[places], values, n) for places, values, n in self._made(inputs.take(half))]
        if not found:
            raise failed
        return found


def _frozen(transform: TransformGraph, name: str, what: str) -> tuple[FrozenGraph, str]:
    """The graph from raw features to the values of a column, and the name of the tensor of their number in each row."""

    def column(*, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        made = as_lists(transform.function(examples=examples)[name])
        if isinstance(made, tf.RaggedTensor):
            return {_VALUES: made.flat_values, _LENGTHS: made.row_lengths()}
        n_rows = tf.shape(made)[0]
        each = tf.size(made) // tf.maximum(n_rows, 1)
        return {_VALUES: tf.reshape(made, [-1]), _LENGTHS: tf.fill([n_rows], tf.cast(each, tf.int64))}

    function = tf.function(column, autograph=False).get_concrete_function(examples=SERIALIZED)
    graph, names, outputs = freeze_all(function)
    cut = cut_after_parsing(replace(graph, output=outputs[_VALUES]), names["examples"], also=(outputs[_LENGTHS],))
    if cut is None:
        raise ConfigError(f"{what} depends on no feature of the examples, so it says nothing of a row; name another.")
    return cut, outputs[_LENGTHS]
