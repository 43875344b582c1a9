"""Settling where the labels of a job come from, and what its classes are called."""

from __future__ import annotations

from tfx_explain import records, storage
from tfx_explain.config import ExplainConfig
from tfx_explain.errors import ConfigError, InputError
from tfx_explain.methods.labels import Labels
from tfx_explain.tfrecords import Fault


def choose_labels(config: ExplainConfig, n_outputs: int) -> Labels | None:
    """The labels of a job; None where it has none.

    Args:
      config: says which column they are, and what classes are called.
      n_outputs: of the model.

    Raises:
      ConfigError: there are names of more classes than the model has.
      InputError: the vocabulary cannot be read.
    """
    if config.label_key is None:
        return None
    names = config.class_names
    if isinstance(names, str):
        named = read_vocabulary(names)
    else:
        named = tuple(name.encode() for name in names or ())
    if len(named) > max(n_outputs, 2):
        outputs = f"{n_outputs} outputs" if n_outputs > 1 else "one output, which tells 2 classes apart"
        raise ConfigError(
            f"`class_names` names {len(named)} classes, but the model has {outputs}; name one for each output."
        )
    return Labels(config.label_key, named)


def read_vocabulary(uri: str) -> tuple[bytes, ...]:
    """The terms of a vocabulary file, as Transform writes them: lines of text, or records of a `.gz` file.

    Raises:
      InputError: the file is not there, is damaged, or holds no terms or one twice.
    """
    if uri.endswith(".gz"):
        faults: list[Fault] = []
        terms = tuple(records.read_records(uri, faults))
        if faults:
            raise InputError(f"the vocabulary {uri} cannot be read: {faults[0].reason}; write it again.")
    else:
        terms = tuple(line.rstrip(b"\r") for line in storage.read_bytes(uri).removesuffix(b"\n").split(b"\n"))
    if not any(terms) or len(set(terms)) < len(terms):
        raise InputError(f"the vocabulary {uri} is empty or holds a term twice; it names each class once, in order.")
    return terms
