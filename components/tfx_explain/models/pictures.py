"""Models past the decoding of pictures: fed the pixels that their graphs make of files."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tfx_explain.errors import ModelCallError
from tfx_explain.models.calls import in_chunks, model_errors
from tfx_explain.models.chunks import rows_per_call
from tfx_explain.models.engine import FloatArray, Predicts
from tfx_explain.models.features import Inputs
from tfx_explain.models.graph import FrozenGraph, Port
from tfx_explain.models.hoist import Hoisted, frontier_of, players_of, rebuild, whole_tensors
from tfx_explain.models.path_choice import OneOwner, pictures
from tfx_explain.models.ports import PortValue

Pixels = npt.NDArray[Any]

_DEEP = 16
# Files that are decoded at a time; calls of fewer are filled up, so that the graph is traced once.
_ROWS = 32


def cut_behind_decoding(graph: FrozenGraph, feature: str, background: Inputs) -> Hoisted | None:
    """The graph from where a feature's files have become a picture of fixed shape; None where it is not seen there.

    Nothing else of the file may reach the output. The first such tensor is taken, which is nearest to the file.

    Args:
      graph: a graph with ports.
      feature: holds files.
      background: rows to try tensors on.
    """
    imported = graph.import_graph()
    entries = {name: port for port in graph.ports for name in port.tensors}
    own = {name for name, port in entries.items() if port.spec.name == feature and port.spec.dtype == "string"}
    used = graph.reachable([graph.output], stops=entries)
    owners = {feature: 0}
    alone = [name for name, of in players_of(imported, entries, owners, used).items() if of == {0}]
    if not own:
        return None
    try:
        shapes = whole_tensors(graph, imported, entries, alone, background)
    except (tf.errors.OpError, ValueError):
        return None
    found = pictures(OneOwner(imported, graph.output, entries, alone, shapes, []))
    for op in imported.get_operations():
        for name in (tensor.name for tensor in op.outputs if tensor.name in found):
            frontier = frontier_of(imported, graph.output, {name}, set(entries))
            if name in frontier and not own.intersection(frontier):
                return rebuild(graph, imported, frontier, shapes, {name: (0,)}, owners)
    return None


@dataclass(frozen=True, eq=False)
class PictureModel:
    """A model that is fed pixels instead of files; made by `Model.with_pixels`.

    Attributes:
      engine: of the graph behind the decoding.
      hoisted: the way there.
      ports: where features enter the whole graph.
      feature: the pictures.
      what: the model, for messages.
    """

    engine: Predicts
    hoisted: Hoisted
    ports: tuple[Port, ...]
    feature: str
    what: str

    @property
    def shape(self) -> tuple[int, ...]:
        """Of a picture: (height, width) or (height, width, channels)."""
        return self.hoisted.graph.ports[-1].spec.shape

    def inputs(self, inputs: Inputs) -> Inputs:
        """Rows with pixels instead of files.

        Raises:
          ModelCallError: the model fails on them, or makes pictures of another shape of them.
        """
        kept = (self.ports[place].spec.name for place in self.hoisted.kept)
        columns = {name: inputs.columns[name] for name in kept}
        if not len(inputs):
            return Inputs(0, {**columns, self.feature: np.zeros((0, *self.shape), np.float32)})
        with model_errors(self.what):
            n_rows = min(rows_per_call(int(np.prod(self.shape)), 0), _ROWS)
            (made,) = in_chunks(self._enter, self.ports, inputs, n_rows, self.what)
        if made.shape != (len(inputs), *self.shape):
            raise ModelCallError(f"{self.what} makes pictures of other shapes than {self.shape} of `{self.feature}`.")
        return Inputs(len(inputs), {**columns, self.feature: made})

    def predict(self, inputs: Inputs) -> FloatArray:
        """(n, n_outputs) outputs of such rows, as the model gives them for the files."""
        return self.engine.predict(inputs)

    def _enter(self, values: list[PortValue]) -> list[tf.Tensor]:
        return self.hoisted.enter(values) if self.hoisted.enter else []


def named_after(hoisted: Hoisted, feature: str) -> FrozenGraph:
    """The graph behind the decoding, whose last port, the pixels, is called as the feature is."""
    *kept, last = hoisted.graph.ports
    return replace(hoisted.graph, ports=(*kept, replace(last, spec=replace(last.spec, name=feature))))


def decoded_picture(file: bytes, channels: int = 0) -> Pixels | None:
    """The pixels (H, W, C) of a file as graphs read them, in 8 or 16 bits; None where TensorFlow cannot read it.

    Args:
      file: PNG, JPEG, GIF, of which the first picture, or BMP.
      channels: 0 as stored; 1 grey, 3 colours, 4 with alpha.
    """
    depth = tf.uint16 if len(file) > _DEEP + 8 and file[1:4] == b"PNG" and file[24] == _DEEP else tf.uint8
    try:
        made = tf.io.decode_image(file, channels=channels, dtype=depth, expand_animations=False).numpy()
    except (tf.errors.OpError, ValueError):
        return None
    return np.asarray(made)
