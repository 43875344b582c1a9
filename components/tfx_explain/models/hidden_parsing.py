"""What parse ops say of their features where a graph cannot be cut after them: inside loops, branches and functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf
from tensorflow.core.framework.function_pb2 import FunctionDef

from tfx_explain.models.features import Array, FeatureSpec

PARSERS = ("ParseExample", "ParseSingleExample", "ParseSequenceExample", "ParseSingleSequence", "DecodeProto")
_PASSING = ("Identity", "Reshape", "EnsureShape")


def hidden_features(function: FunctionDef) -> list[FeatureSpec] | None:
    """The features that the parse ops of a called function name; None where it does not say.

    Args:
      function: a FunctionDef.
    """
    nodes = {node.name: node for node in function.node_def}
    specs: list[FeatureSpec] = []
    for node in function.node_def:
        if node.op.startswith(PARSERS):
            parsed = _features(node, nodes)
            if parsed is None:
                return None
            specs.extend(parsed)
    return specs


def _features(node: tf.compat.v1.NodeDef, nodes: Mapping[str, tf.compat.v1.NodeDef]) -> list[FeatureSpec] | None:
    attr, values = node.attr, [_constant(name, nodes) for name in node.input]
    ragged_types: Sequence[int] = ()
    if node.op == "ParseSingleExample":
        keys = [list(attr["sparse_keys"].list.s), list(attr["dense_keys"].list.s), []]
        defaults = values[1:]
    elif node.op == "ParseExampleV2":
        named, defaults = [value for value in values[2:5] if value is not None], values[5:]
        if len(named) != 3:
            return None
        keys = [value.reshape(-1).tolist() for value in named]
        ragged_types = attr["ragged_value_types"].list.type
    elif node.op == "ParseExample":
        n_sparse, n_keys = attr["Nsparse"].i, attr["Nsparse"].i + attr["Ndense"].i
        named, defaults = [value for value in values[2 : 2 + n_keys] if value is not None], values[2 + n_keys :]
        if len(named) != n_keys:
            return None
        keys = [[value.reshape(-1)[0] for value in part] for part in (named[:n_sparse], named[n_sparse:], [])]
    else:
        return None
    lists = [*zip(keys[0], attr["sparse_types"].list.type, strict=True), *zip(keys[2], ragged_types, strict=True)]
    specs = [FeatureSpec(text(key), tf.dtypes.as_dtype(dtype).name, "ragged") for key, dtype in lists]
    shapes = [tf.TensorShape(shape) for shape in attr["dense_shapes"].list.shape]
    for key, dtype, shape, default in zip(keys[1], attr["Tdense"].list.type, shapes, defaults, strict=True):
        specs.append(dense_feature(text(key), tf.dtypes.as_dtype(dtype).name, shape, default))
    return specs


def dense_feature(name: str, dtype: str, shape: tf.TensorShape, default: Array | None) -> FeatureSpec:
    """A feature that a parse op gives as one dense tensor.

    Args:
      name: of the feature.
      dtype: TensorFlow's name of its type.
      shape: of one example's value; a first dimension that is not known means that it is padded.
      default: of a missing value, without values where there must be one; None where it is not known whether there is.
    """
    if not shape.is_fully_defined():
        return FeatureSpec(name, dtype, "ragged", tuple(shape[1:].as_list()))
    sizes = tuple(shape.as_list())
    if default is None:
        return FeatureSpec(name, dtype, "ragged", sizes)
    filler = default.reshape(sizes) if default.size == np.prod(sizes) else None
    return FeatureSpec(name, dtype, "dense", sizes, filler)


def merged(specs: Sequence[FeatureSpec]) -> list[FeatureSpec]:
    """One for each name: where a feature is parsed more than once, what all of its parse ops can take.

    A default is then left to the model, as the parse ops need not agree on it.
    """
    by_name: dict[str, list[FeatureSpec]] = {}
    for spec in specs:
        by_name.setdefault(spec.name, []).append(spec)
    return [_merged(of_name) for of_name in by_name.values()]


def agree(first: FeatureSpec, second: FeatureSpec) -> bool:
    """Whether two parse ops take a feature alike, so that one column serves both."""
    is_dense = first.kind == "dense", second.kind == "dense"
    if is_dense[0] != is_dense[1] or (first.dtype, first.shape) != (second.dtype, second.shape):
        return False
    return not is_dense[0] or repr(first.default) == repr(second.default)


def _merged(specs: Sequence[FeatureSpec]) -> FeatureSpec:
    if all(agree(specs[0], spec) for spec in specs):
        return specs[0]
    required = [spec for spec in specs if spec.kind == "dense" and spec.default is None]
    if required:
        return required[0]
    largest = max(specs, key=lambda spec: spec.size)
    return FeatureSpec(largest.name, largest.dtype, "ragged", largest.shape)


def _constant(name: str, nodes: Mapping[str, tf.compat.v1.NodeDef]) -> Array | None:
    """The value of a tensor inside a function where it is a constant."""
    node = nodes.get(name.partition(":")[0])
    while node is not None and node.op in _PASSING:
        node = nodes.get(node.input[0].partition(":")[0])
    return tf.make_ndarray(node.attr["value"].tensor) if node is not None and node.op == "Const" else None


def text(key: bytes | str) -> str:
    """A feature's name as a parse op holds it."""
    return key.decode() if isinstance(key, bytes) else str(key)
