"""Loading a model and finding the fastest way to call it."""

from __future__ import annotations

import importlib
import logging
import posixpath
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tfx_explain.errors import ModelError, SignatureError
from tfx_explain.models.engine import GraphEngine
from tfx_explain.models.features import FeatureSpec, Inputs, Reader
from tfx_explain.models.graph import Change, FrozenGraph, Port, freeze, with_nodes
from tfx_explain.models.host import HostEngine
from tfx_explain.models.messages import first_line
from tfx_explain.models.model import Model, OwnOutputs
from tfx_explain.models.module_file import load_module
from tfx_explain.models.outputs import check_output_space, choose_output, in_output_space
from tfx_explain.models.parsing import cut_after_parsing, other_messages, parsed_features, parses
from tfx_explain.models.ports import forward_function, port_values
from tfx_explain.models.probe import BLANK, Probe
from tfx_explain.models.serialized import serialized_call
from tfx_explain.models.signature import Signature, examples_feeds, tensors_feeds
from tfx_explain.models.tracing import traced

_LOG = logging.getLogger(__name__)

# Importing one of these registers the ops and classes that some SavedModels need to load.
_REGISTRANTS = ("tf_keras", "tensorflow_text", "tensorflow_decision_forests")


def load_model(
    model_dir: str,
    *,
    signature: str = "serving_default",
    output_key: str | None = None,
    output_space: str = "logit",
    module_file: str | None = None,
    output_is: str | None = None,
    probe: Probe = BLANK,
) -> Model:
    """Loads a model to explain.

    Args:
      model_dir: a SavedModel, or a TFX model artifact that holds one in `Format-Serving`; with `module_file`, whatever
        that file's `load_model` takes.
      signature: the SavedModel's signature to call.
      output_key: the output to explain; may be None where only one is floating-point.
      output_space: "logit" undoes a final sigmoid or softmax, where the graph is seen to end in one; "probability"
        insists on one; "raw" takes the output as it is.
      module_file: a Python file that loads the model; see `tfx_explain.models.module_file`. What it returns cannot be
        taken apart: "logit" gives it "raw", "probability" takes its word.
      output_is: "logits" or "probabilities" where the user knows; the former makes a "logit" of the output as it is,
        the latter a "probability" where no sigmoid or softmax is seen.
      probe: rows to ask the model with how many outputs it has, where its graph does not say.

    Raises:
      ConfigError: `output_space` is unknown or `module_file` cannot be used.
      ModelError: there is no model, or it cannot be loaded.
      SignatureError: its signature or output is absent, ambiguous or unusable.
    """
    check_output_space(output_space)
    if module_file is not None:
        return _module_model(module_file, model_dir, output_space, output_is, probe)
    saved_model_dir = _saved_model_dir(model_dir)
    loaded = _load(saved_model_dir)
    function = _signature(loaded, signature, saved_model_dir)
    where = f"signature {signature!r} of {saved_model_dir}"
    key = choose_output(function.structured_outputs, output_key, where)
    return _signature_model(loaded, function, key, output_space, where, output_is, probe)


def _module_model(module_file: str, model_dir: str, output_space: str, output_is: str | None, probe: Probe) -> Model:
    engine, specs, sources = load_module(module_file, model_dir)
    space, note = output_space, ""
    if output_space == "logit" and output_is != "logits":
        space = "probability" if output_is == "probabilities" else "raw"
        note = f"{module_file} is called as it is, so its output cannot be turned into logits."
    reader = Reader(specs, casts_integers=True)
    n_outputs = probe.width(reader, engine.outputs, f"the model of {module_file}")
    return Model(
        engine=engine,
        reader=reader,
        output_name="output",
        n_outputs=n_outputs,
        output_space=space,
        output_space_note=note,
        access="module",
        link="softmax" if space == "logit" else "",
        sources=sources,
    )


def _saved_model_dir(model_dir: str) -> str:
    for path in (model_dir, posixpath.join(model_dir, "Format-Serving")):
        if any(tf.io.gfile.exists(posixpath.join(path, name)) for name in ("saved_model.pb", "saved_model.pbtxt")):
            return path
    if not tf.io.gfile.exists(model_dir):
        raise ModelError(f"There is no model at {model_dir}: the directory does not exist.")
    hint = "a model of another kind needs `module_file`"
    raise ModelError(f"{model_dir} holds no SavedModel, neither itself nor in Format-Serving/; {hint}.")


def _load(path: str) -> Any:
    try:
        return tf.saved_model.load(path)
    except (AttributeError, ValueError, OSError, tf.errors.OpError) as error:
        first = error
    for name in _REGISTRANTS:
        try:
            importlib.import_module(name)
            return tf.saved_model.load(path)
        except (ImportError, AttributeError, ValueError, OSError, tf.errors.OpError) as error:
            _LOG.debug("%s does not help to load %s: %s", name, path, error)
    raise ModelError(f"The SavedModel at {path} cannot be loaded: {first_line(first)}.") from first


def _signature(loaded: Any, name: str, path: str) -> Any:
    signatures = getattr(loaded, "signatures", {})
    if name not in signatures:
        there = ", ".join(sorted(signatures)) or "none"
        raise SignatureError(f"The model at {path} has no signature {name!r}; its signatures are: {there}.")
    return signatures[name]


def _signature_model(
    loaded: Any, function: Any, key: str, output_space: str, where: str, output_is: str | None, probe: Probe
) -> Model:
    arguments = function.structured_input_signature[1]
    output = f"output {key!r} of {where}"
    try:
        graph, names = freeze(function, key)
    except (ValueError, TypeError, NotImplementedError, tf.errors.OpError) as error:
        raise ModelError(f"The graph of {where} cannot be frozen: {first_line(error)}.") from error
    before = graph
    explained = in_output_space(graph, output_space, output, output_is)
    graph = explained.graph
    change = Change.between(before, graph)
    if explained.note:
        _LOG.info("%s", explained.note)
    if len(arguments) == 1 and _is_serialized(next(iter(arguments.values()))) and parses(graph):
        ((argument, serialized),) = names.items()
        graph, reader, n_outputs, access = _examples_access(graph, serialized, where, probe)
        feeds = examples_feeds(argument, graph.unread)
    else:
        serialized = ""
        graph = _with_tensors(graph, arguments, names, where)
        reader, access = Reader(_specs(graph), casts_integers=True), "tensors"
        n_outputs = _graph_width(graph, reader, probe, output)
        feeds = tensors_feeds(graph, arguments)

    engine, before_output_space = _engine(graph, serialized, n_outputs, change, where)
    return Model(
        engine=engine,
        reader=reader,
        output_name=key,
        n_outputs=n_outputs,
        output_space=explained.space,
        output_space_note=explained.note,
        access=access,
        link=explained.link,
        keep_alive=loaded,
        own=OwnOutputs(Signature(function, key, feeds), before_output_space),
    )


def _engine(
    graph: FrozenGraph, serialized: str, n_outputs: int, change: Change | None, where: str
) -> tuple[GraphEngine | HostEngine, Callable[[Inputs], npt.NDArray[np.float64]]]:
    """What runs a graph, and what gives its outputs without the change for the sake of the output space."""
    if graph.ports:
        engine = GraphEngine(graph, n_outputs, where, change)
        return engine, engine.outputs_before

    def before_output_space(inputs: Inputs) -> npt.NDArray[np.float64]:
        undone = graph if change is None else with_nodes(graph, change.nodes, change.output)
        return _examples_engine(undone, serialized, where).outputs(inputs)

    return _examples_engine(graph, serialized, where), before_output_space


def _is_serialized(spec: Any) -> bool:
    return bool(spec.dtype == tf.string and spec.shape.rank == 1)


def _examples_access(
    graph: FrozenGraph, serialized: str, where: str, probe: Probe
) -> tuple[FrozenGraph, Reader, int, str]:
    """Past the parse op where the graph can be cut there, else through re-encoded examples."""
    other = other_messages(graph, serialized)
    if other:
        raise SignatureError(
            f"{where} parses {other}, where the examples are tf.Examples; name a signature that takes tf.Examples or "
            "feature tensors, or call the model with `module_file`."
        )
    ported = cut_after_parsing(graph, serialized)
    if ported is not None:
        reader = Reader(_specs(ported), casts_integers=False)
        return ported, reader, _graph_width(ported, reader, probe, where), "parse_cut"
    _LOG.warning("The graph of %s cannot be cut after its parse op; rows are re-encoded, which is slower.", where)
    reader = Reader(parsed_features(graph), casts_integers=False)
    n_outputs = _known_width(graph) or probe.width(reader, _examples_engine(graph, serialized, where).outputs, where)
    return graph, reader, n_outputs, "serialized"


def _examples_engine(graph: FrozenGraph, serialized: str, where: str) -> HostEngine:
    """Runs a graph on re-encoded examples."""
    one_string_per_row = [tf.TensorSpec([None], tf.string)]
    run = traced(graph.function([serialized], [graph.output]), input_signature=one_string_per_row)
    return HostEngine(serialized_call(lambda examples: run(examples)[0], where), where)


def _with_tensors(graph: FrozenGraph, arguments: Any, names: dict[str, str], where: str) -> FrozenGraph:
    """A port for each argument of a signature that takes feature tensors and uses them."""
    used = graph.reachable([graph.output])
    ports = []
    for name, spec in arguments.items():
        shape = spec.shape
        if shape.rank is None or shape.rank == 0 or shape[0] is not None:
            got = "of unknown shape" if shape.rank is None else f"of shape {tuple(shape)}"
            raise SignatureError(f"Input {name!r} of {where} is {got}, without a batch dimension that may vary.")
        if names[name] not in used:
            continue
        if shape[1:].is_fully_defined():
            feature = FeatureSpec(name, spec.dtype.name, "dense", tuple(shape[1:].as_list()))
            ports.append(Port(feature, "dense", (names[name],)))
        elif shape.rank >= 2 and shape[2:].is_fully_defined():
            padding = b"" if spec.dtype == tf.string else 0
            feature = FeatureSpec(name, spec.dtype.name, "ragged", tuple(shape[2:].as_list()))
            ports.append(Port(feature, "padded", (names[name],), padding=padding))
        else:
            raise SignatureError(
                f"Input {name!r} of {where} has shape {tuple(shape)}: only its first two sizes may vary."
            )
    if not ports:
        raise SignatureError(f"The output of {where} depends on none of its inputs.")
    return replace(graph, ports=tuple(ports))


def _specs(graph: FrozenGraph) -> list[FeatureSpec]:
    return list({port.spec.name: port.spec for port in reversed(graph.ports)}.values())


def _graph_width(graph: FrozenGraph, reader: Reader, probe: Probe, what: str) -> int:
    """The number of outputs, asked of the model itself where its graph does not say."""
    known = _known_width(graph)
    if known is not None:
        return _some(known, what)
    forward = traced(forward_function(graph))
    ports = graph.ports
    return _some(probe.width(reader, lambda inputs: forward(port_values(ports, inputs.columns))[0].numpy(), what), what)


def _some(n_outputs: int, what: str) -> int:
    if not n_outputs:
        raise SignatureError(f"{what} has no outputs: its shape is (batch, 0); choose another output.")
    return n_outputs


def _known_width(graph: FrozenGraph) -> int | None:
    shape = graph.import_graph().get_tensor_by_name(graph.output).shape
    if shape.rank in (1, 2) and shape[1:].is_fully_defined():
        return int(shape[1]) if shape.rank == 2 else 1
    return None
