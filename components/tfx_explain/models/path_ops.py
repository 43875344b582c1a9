"""What is known of single ops on the way of a path: whether gradients pass, and whether numbers stay the numbers."""

from __future__ import annotations

from enum import Enum

import tensorflow as tf

SHAPE_ONLY = frozenset(["Shape", "ShapeN", "Size", "Rank", "ZerosLike", "OnesLike"])
"""Ops that read no value: what they give is the same for all rows of a shape."""

JUMPING = frozenset(["FloorMod", "Mod", "TruncateMod"])
"""Ops with a gradient that misses their jumps."""

_FLAT = frozenset(["Sign"])
_CALLS = ("PartitionedCall", "StatefulPartitionedCall")
_OPAQUE = frozenset(["While", "StatelessWhile", "If", "StatelessIf", "Case", "StatelessCase", *_CALLS])
_FEW = 64

# Which inputs an op hands on as they are; a negative number counts from the last.
_KEPT_INPUTS = {
    **dict.fromkeys(["BroadcastTo", "Cast", "EnsureShape", "ExpandDims", "GatherNd", "GatherV2", "Identity"], (0,)),
    **dict.fromkeys(["Pad", "PadV2", "Reshape", "Slice", "Squeeze", "StridedSlice", "Tile", "Transpose"], (0,)),
    **dict.fromkeys(["RaggedTensorToTensor", "ScatterNd", "Split"], (1,)),
    **dict.fromkeys(["Select", "SelectV2"], (1, 2)),
    "SparseToDense": (2, 3),
    "SplitV": (0,),
    "Unpack": (0,),
}
# Inputs that only say where, never what: an id there is no number.
_PLACES = {
    **dict.fromkeys(["GatherV2", "SegmentMean", "SegmentSum", "SparseSegmentMean", "SparseSegmentSqrtN"], (1, 2)),
    **dict.fromkeys(["SparseSegmentSum", "UnsortedSegmentMax", "UnsortedSegmentSum"], (1, 2)),
    **dict.fromkeys(["Gather", "GatherNd", "TensorScatterAdd", "TensorScatterUpdate", "Tile"], (1,)),
    **dict.fromkeys(["ScatterNd", "Select", "SelectV2", "SparseReduceSum"], (0,)),
    **dict.fromkeys(["Bincount", "DenseBincount", "SparseToDense"], (0, 1)),
    "RaggedBincount": (0, 1, 2),
    "SparseBincount": (0, 1, 2, 3),
    "SparseTensorDenseMatMul": (0, 2),
    **dict.fromkeys(["StridedSlice", "Slice"], (1, 2, 3)),
    "OneHot": (0, 1),
}
# Ops from text to numbers that mean something.
_NUMBERS_OF_TEXT = ("StringToNumber", "StringLength", "Decode")
# Beginnings of the types of ops that make pixels of files.
_DECODERS = ("DecodeAndCrop", "DecodeBmp", "DecodeGif", "DecodeImage", "DecodeJpeg", "DecodePng", "DecodeWebP")


class Pass(Enum):
    """Whether a gradient passes an op."""

    YES = "yes"
    NO = "no"
    UNKNOWN_TO_TENSORFLOW = "unknown"


def moves(tensor: tf.Tensor) -> bool:
    """Whether a tensor may have a gradient: floats, and lists of tensors as loops have them."""
    return bool(tensor.dtype.is_floating or tensor.dtype == tf.variant)


class OpGradients:
    """Asks TensorFlow which inputs of an op its outputs have gradients by, one op at a time."""

    def __init__(self) -> None:
        self._graph = tf.Graph()
        self._known: dict[str, tuple[Pass, ...]] = {}

    def by_input(self, op: tf.Operation) -> tuple[Pass, ...]:
        """Per input. What ops with functions inside do is not seen here; they are taken to pass on floats."""
        if op.name not in self._known:
            self._known[op.name] = self._ask(op)
        return self._known[op.name]

    def _ask(self, op: tf.Operation) -> tuple[Pass, ...]:
        floats = [i for i, out in enumerate(op.outputs) if out.dtype.is_floating]
        moved = [moves(tensor) and op.type not in _FLAT for tensor in op.inputs]
        # Lists of tensors in loops are variants; their gradients need more of the graph than one op.
        if op.type in _OPAQUE or any(tensor.dtype == tf.variant for tensor in (*op.inputs, *op.outputs)):
            return tuple(Pass.YES if move else Pass.NO for move in moved)
        if not floats or not any(moved):
            return (Pass.NO,) * len(op.inputs)
        attributes = {name: value for name, value in op.node_def.attr.items() if name != "_class"}
        with self._graph.as_default():
            inputs = [_stand_in(tensor) for tensor in op.inputs]
            copied = self._graph.create_op(op.type, inputs, [out.dtype for out in op.outputs], attrs=attributes)
            try:
                made = tf.gradients([copied.outputs[i] for i in floats], inputs)
            except (LookupError, NotImplementedError, TypeError, ValueError):
                return tuple(Pass.UNKNOWN_TO_TENSORFLOW if move else Pass.NO for move in moved)
        return tuple(
            Pass.YES if move and gradient is not None else Pass.NO for move, gradient in zip(moved, made, strict=True)
        )


def _stand_in(tensor: tf.Tensor) -> tf.Tensor:
    """A tensor of the same type and shape; small constants (axes, shapes) themselves, as gradients look at them."""
    if tensor.op.type == "Const" and (tensor.shape.num_elements() or 0) <= _FEW:
        return tf.constant(tf.get_static_value(tensor), tensor.dtype)
    return tf.compat.v1.placeholder(tensor.dtype, tensor.shape)


def kept_inputs(op: tf.Operation, place: int) -> tuple[int, ...]:
    """The inputs whose values the output at a place consists of, as they are; () where it is made of them otherwise."""
    n = len(op.inputs)
    if op.type == "Cast" and op.inputs[0].dtype.is_floating and not op.outputs[0].dtype.is_floating:
        return ()
    if op.type in ("ConcatV2", "Pack", "IdentityN", "SparseFillEmptyRows"):
        all_kept = tuple(range(n - 1 if op.type == "ConcatV2" else n))
        one_kept = (place,) if op.type == "IdentityN" else (1, 3) if place == 1 else ()
        return all_kept if op.type in ("ConcatV2", "Pack") else one_kept
    return _KEPT_INPUTS.get(op.type, ())


def is_decoder(op_type: str) -> bool:
    """Whether ops of a type make pixels of the bytes of a picture's file."""
    return op_type.startswith(_DECODERS)


def names_things(op: tf.Operation) -> bool:
    """Whether an op gives integers that stand for names: positions in a vocabulary, hash buckets."""
    if op.outputs and not any(out.dtype.is_integer for out in op.outputs):
        return False
    if op.type.startswith("LookupTableFind"):
        return True
    reads_text, gives_text = (any(t.dtype == tf.string for t in tensors) for tensors in (op.inputs, op.outputs))
    return reads_text and not gives_text and not op.type.startswith(_NUMBERS_OF_TEXT) and op.type not in SHAPE_ONLY


def hands_on_names(op: tf.Operation, index: int) -> bool:
    """Whether what an op gives is a name's number where its input is: not where that only says which or where."""
    return index not in _PLACES.get(op.type, ()) and op.type not in SHAPE_ONLY and not op.outputs[0].dtype.is_bool
