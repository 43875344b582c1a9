"""A model in ONNX, through the page's module file: `make interop-test`."""

from pathlib import Path

import numpy as np
import pytest

import interop
import tfx_explain
import worlds
from snippets import texts
from tfx_explain import ExplainConfig

pytest.importorskip("onnxruntime", reason="ONNX Runtime has an environment of its own: make interop-test")
WEIGHTS, BIAS = np.array([0.5, -0.25], np.float32), np.float32(0.125)
FLOAT, DYNAMIC = 1, "n"


def field(number: int, content: bytes | str | int) -> bytes:
    """A field of a protocol buffer: a whole number, or anything with a length."""
    if isinstance(content, int):
        return bytes([number << 3]) + varint(content)
    content = content.encode() if isinstance(content, str) else content
    return bytes([number << 3 | 2]) + varint(len(content)) + content


def varint(value: int) -> bytes:
    low, rest = value & 0x7F, value >> 7
    return bytes([low | 0x80]) + varint(rest) if rest else bytes([low])


def tensor(name: str, values: np.ndarray) -> bytes:
    shape = b"".join(field(1, n) for n in values.shape)
    return shape + field(2, FLOAT) + field(8, name) + field(9, values.astype("<f4").tobytes())


def value(name: str, *dims: int | str) -> bytes:
    shape = b"".join(field(1, field(2 if isinstance(dim, str) else 1, dim)) for dim in dims)
    return field(1, name) + field(2, field(1, field(1, FLOAT) + field(2, shape)))


def node(kind: str, output: str, *inputs: str) -> bytes:
    return b"".join(field(1, name) for name in inputs) + field(2, output) + field(4, kind)


def logistic_regression() -> bytes:
    """A sigmoid of two features, as ONNX's `ModelProto`."""
    nodes = [node("MatMul", "m", "x", "w"), node("Add", "z", "m", "b"), node("Sigmoid", "p", "z")]
    graph = b"".join(field(1, one) for one in nodes) + field(2, "loans")
    graph += field(5, tensor("w", WEIGHTS[:, None])) + field(5, tensor("b", np.array([BIAS])))
    graph += field(11, value("x", DYNAMIC, 2)) + field(12, value("p", DYNAMIC, 1))
    return field(1, 8) + field(7, graph) + field(8, field(1, "") + field(2, 13))


def test_a_model_in_onnx_is_explained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model/model.onnx").write_bytes(logistic_regression())
    (tmp_path / "load_onnx.py").write_text(interop.program("load_onnx.py"))
    monkeypatch.chdir(tmp_path)
    config = ExplainConfig.from_yaml(texts(interop.PAGE, "yaml")[0])
    examples = worlds.write_splits(tmp_path / "examples", worlds.make_rows, 20, 12)
    explanation = tfx_explain.explain(model="model", examples=examples, output_dir="explanation", config=config)
    assert {*explanation.players} == {"age", "income"}
    rows = explanation.attributions()
    log_odds = rows["income"] * WEIGHTS[0] + rows["age"] * WEIGHTS[1] + BIAS
    np.testing.assert_allclose(rows["prediction"], 1 / (1 + np.exp(-log_odds)), rtol=1e-5)  # of float32
    total = rows["attribution_age"] + rows["attribution_income"]
    np.testing.assert_allclose(total, rows["prediction"] - rows["base_value"], atol=1e-6)
