"""Loading a model and finding the fastest way to call it."""

from __future__ import annotations

import dataclasses
import glob
import importlib
import logging
import os
from collections.abc import Callable, Mapping

import tensorflow as tf

from tfx_explain import storage
from tfx_explain.errors import ModelError, SignatureError
from tfx_explain.fetched import Fetched, fetch
from tfx_explain.models.access import examples_access, takes_examples, tensors_access
from tfx_explain.models.freezing import freeze
from tfx_explain.models.graph import Change
from tfx_explain.models.messages import first_line
from tfx_explain.models.model import Model, ModelOutput, Origin
from tfx_explain.models.module_file import load_module
from tfx_explain.models.outputs import check_output_space, choose_output, in_output_space
from tfx_explain.models.probe import BLANK, Probe
from tfx_explain.models.python_sources import fetch_sources
from tfx_explain.models.random_weights import draw_weights
from tfx_explain.models.reading import Reader
from tfx_explain.models.signature import OwnOutputs, Signature
from tfx_explain.models.transform.joining import Front, join

_LOG = logging.getLogger(__name__)

# Importing one of these registers the ops and classes that some SavedModels need to load.
_REGISTRANTS = ("tf_keras", "tensorflow_text", "tensorflow_decision_forests")


def load_model(
    model_dir: str | Fetched,
    *,
    signature: str = "serving_default",
    output_key: str | None = None,
    output_space: str = "logit",
    output_is: str | None = None,
    probe: Probe = BLANK,
    transform: Front | None = None,
) -> Model:
    """Loads a model to explain.

    Args:
      model_dir: a SavedModel, or a TFX model artifact that holds one in `Format-Serving`, on any storage.
      signature: the SavedModel's signature to call.
      output_key: the output to explain; may be None where only one is floating-point.
      output_space: "logit" undoes a final sigmoid or softmax, where the graph is seen to end in one; "probability"
        insists on one; "raw" takes the output as it is.
      output_is: "logits" or "probabilities" where the user knows; the former makes a "logit" of the output as it is,
        the latter a "probability" where no sigmoid or softmax is seen.
      probe: rows to ask the model with how many outputs it has, where its graph does not say.
      transform: a graph that goes before a model that takes what it makes; models of raw examples stay as they are.

    Raises:
      ConfigError: `output_space` is unknown.
      ModelError: there is no model, or it cannot be loaded.
      SignatureError: its signature or output is absent, ambiguous or unusable.
    """
    check_output_space(output_space)
    model = model_dir if isinstance(model_dir, Fetched) else fetch(model_dir)
    saved = _saved_model(model)
    return _Asked(saved, signature, output_key, output_space, output_is, probe, transform, keep_alive=model).load()


def load_module_model(
    module_file: str | Fetched,
    model_dir: str | Fetched,
    *,
    output_space: str = "logit",
    output_is: str | None = None,
    probe: Probe = BLANK,
) -> Model:
    """Loads a model with a Python file; what that returns cannot be taken apart.

    Args:
      module_file: see `tfx_explain.models.module_file`.
      model_dir: whatever that file's `load_model` takes; it is given the path of what was fetched.
      output_space: "logit" gives "raw", "probability" takes the file's word; "raw" takes the output as it is.
      output_is: "logits" or "probabilities" where the user knows; see `load_model`.
      probe: rows to ask the model with how many outputs it has.

    Raises:
      ConfigError: `output_space` is unknown or `module_file` cannot be used.
      ModelError: the model cannot be loaded.
    """
    check_output_space(output_space)
    module = module_file if isinstance(module_file, Fetched) else fetch_sources(module_file)
    given = model_dir if isinstance(model_dir, Fetched) else Fetched(model_dir, model_dir)
    engine, specs, sources = load_module(module, given)
    space, note = output_space, ""
    if output_space == "logit" and output_is != "logits":
        space = "probability" if output_is == "probabilities" else "raw"
        note = f"{module.uri} is called as it is, so its output cannot be turned into logits."
    reader = Reader(specs, casts_integers=True)
    n_outputs = probe.width(reader, engine.outputs, f"the model of {module.uri}")
    output = ModelOutput("output", n_outputs, space, note, "softmax" if space == "logit" else "")
    return Model(engine, reader, output, Origin("module", sources=sources, keep_alive=(module, given)))


@dataclasses.dataclass(frozen=True)
class _Asked:
    """A SavedModel, and what is asked of it; see `load_model`."""

    saved_model: Fetched
    signature: str
    output_key: str | None
    output_space: str
    output_is: str | None
    probe: Probe
    transform: Front | None
    keep_alive: Fetched

    def load(self, weights: int | None = None) -> Model:
        """The model; with weights drawn anew by this seed where one is given.

        Raises:
          ModelError: it cannot be loaded, or has no weights.
          SignatureError: its signature or output is absent, ambiguous or unusable.
        """
        loaded = _load(self.saved_model)
        function = _signature(loaded, self.signature, self.saved_model.uri)
        where = f"signature {self.signature!r} of {self.saved_model.uri}"
        if weights is not None and not draw_weights(function, weights):
            raise ModelError(f"{where} has no trainable weights that could be drawn anew.")
        key = choose_output(function.structured_outputs, self.output_key, where)
        joined = None if self.transform is None else join(function, key, self.transform, where)
        served = _Served(function, function, loaded)
        if joined is not None:
            served = _Served(joined.function, joined.own, (loaded, self.transform), is_joined=True)
        return _signature_model(served, key, self, where)


@dataclasses.dataclass(frozen=True)
class _Served:
    """What is loaded.

    Attributes:
      function: what is taken apart.
      own: the model's own signature, with the transform graph before it where that was joined.
      keep_alive: what has the tables and variables.
      is_joined: whether there is a transform graph before the model.
    """

    function: tf.types.experimental.ConcreteFunction
    own: Callable[..., Mapping[str, tf.Tensor]]
    keep_alive: object
    is_joined: bool = False


def _saved_model(model: Fetched) -> Fetched:
    """The SavedModel of a model, which is there as long as the model is."""
    for inside in ("", "Format-Serving"):
        here = Fetched(storage.join(model.uri, inside), os.path.join(model.path, inside)) if inside else model
        if any(os.path.exists(os.path.join(here.path, name)) for name in ("saved_model.pb", "saved_model.pbtxt")):
            return here
    if not os.path.exists(model.path):
        raise ModelError(f"there is no model at {model.uri}: the directory does not exist.")
    # Of versions, which are numbers, the latest.
    inside = max(glob.glob("*/saved_model.pb", root_dir=model.path), key=lambda name: (len(name), name), default="")
    hint = "a model of another kind needs `module_file`"
    if inside:
        hint = f"did you mean {storage.join(model.uri, os.path.dirname(inside))}, which is one"
    raise ModelError(f"{model.uri} holds no SavedModel, neither itself nor in Format-Serving/; {hint}.")


def _load(model: Fetched) -> object:
    try:
        return tf.saved_model.load(model.path)
    except (AttributeError, ValueError, OSError, tf.errors.OpError) as error:
        first = error
    for name in _REGISTRANTS:
        try:
            importlib.import_module(name)
            return tf.saved_model.load(model.path)
        except (ImportError, AttributeError, ValueError, OSError, tf.errors.OpError) as error:
            _LOG.debug("%s does not help to load %s: %s", name, model.uri, error)
    said = first_line(first).replace(model.path, model.uri)
    raise ModelError(f"The SavedModel at {model.uri} cannot be loaded: {said}.") from first


def _signature(loaded: object, name: str, path: str) -> tf.types.experimental.ConcreteFunction:
    signatures = getattr(loaded, "signatures", {})
    if name not in signatures:
        known = ", ".join(sorted(signatures)) or "none"
        raise SignatureError(f"The model at {path} has no signature {name!r}; its signatures are: {known}.")
    return signatures[name]


def _signature_model(served: _Served, key: str, asked: _Asked, where: str) -> Model:
    function, arguments = served.function, served.function.structured_input_signature[1]
    output = f"output {key!r} of {where}"
    try:
        graph, names = freeze(function, key)
    except (ValueError, TypeError, NotImplementedError, tf.errors.OpError) as error:
        raise ModelError(f"The graph of {where} cannot be frozen: {first_line(error)}.") from error
    explained = in_output_space(graph, asked.output_space, output, asked.output_is)
    if explained.note:
        _LOG.info("%s", explained.note)
    if takes_examples(explained.graph, arguments):
        ((argument, serialized),) = names.items()
        access = examples_access(explained.graph, argument, serialized, where, asked.probe)
    else:
        access = tensors_access(explained.graph, arguments, names, where, output, asked.probe)
    engine, before_output_space = access.engine(Change.between(graph, explained.graph), where)
    return Model(
        engine,
        access.reader,
        ModelOutput(key, access.n_outputs, explained.space, explained.note, explained.link),
        Origin(
            access.name,
            OwnOutputs(Signature(served.own, key, access.feeds), before_output_space),
            is_joined=served.is_joined,
            keep_alive=served.keep_alive,
            with_weights=asked.load,
        ),
    )
