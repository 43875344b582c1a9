"""How columns are fed to a graph."""

import numpy as np
import tensorflow as tf

from tfx_explain.models.features import FeatureSpec
from tfx_explain.models.graph import Port
from tfx_explain.models.ports import PackedPorts


def port(name: str, dtype: str, shape: tuple[int, ...] = ()) -> Port:
    return Port(FeatureSpec(name, dtype, "dense", shape), "dense", (f"{name}:0",))


def test_numbers_of_one_type_are_fed_as_one_tensor_and_come_out_as_they_were() -> None:
    ports = [
        port("age", "float32"),
        port("id", "int64"),
        port("grid", "float32", (2, 3)),
        port("word", "string"),
        port("year", "int64", (1,)),
        port("image", "float32", (8, 9)),
        port("alone", "float64"),
    ]
    rng = np.random.default_rng(0)
    columns = {
        "age": rng.normal(size=5).astype(np.float32),
        # Not to be told apart as floats.
        "id": 2**53 + np.arange(5),
        "grid": rng.normal(size=(5, 2, 3)).astype(np.float32),
        "word": np.array([b"a", b"", b"c", b"d", b"e"], object),
        "year": rng.integers(9, size=(5, 1)),
        "image": rng.normal(size=(5, 8, 9)).astype(np.float32),
        "alone": rng.normal(size=5),
    }
    packed = PackedPorts.of(ports)
    assert packed.groups == ((0, 2), (1, 4), (3,), (5,), (6,))
    fed = packed.values(columns)
    assert [tuple(value.shape) for value in fed] == [(5, 7), (5, 2), (5,), (5, 8, 9), (5,)]
    for one, value in zip(ports, tf.function(packed.unpacked)(fed), strict=True):
        np.testing.assert_array_equal(value.numpy(), columns[one.spec.name])
        assert value.dtype == one.spec.dtype
