"""Settling where the labels of a job come from, and what its classes are called."""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa

from tfx_explain import records, storage
from tfx_explain.config import ExplainConfig
from tfx_explain.errors import ConfigError, InputError, MissingFeatureError
from tfx_explain.methods.labels import Labels
from tfx_explain.models.transform.handle import TransformHandle
from tfx_explain.rows import column_or_nulls, list_lengths
from tfx_explain.tfrecords import Fault


def choose_labels(
    config: ExplainConfig,
    n_outputs: int,
    rows: Mapping[str, pa.RecordBatch],
    transform: TransformHandle | None = None,
    *,
    are_raw: bool = True,
) -> Labels | None:
    """The labels of a job; None where it has none.

    Args:
      config: says which column they are, and what classes are called.
      n_outputs: of the model.
      rows: the first ones of each split.
      transform: may have a vocabulary, and make the labels.
      are_raw: whether the rows are what it makes labels of.

    Raises:
      ConfigError: see `class_names_of`, or the transform graph does not make the label.
      InputError: see `class_names_of`, or the rows have nothing that the label is made of.
    """
    if config.label_key is None:
        return None
    named = class_names_of(config, n_outputs, transform)
    if not are_raw:
        transform = None
    if not _is_transformed(config, config.label_key, rows, transform):
        return Labels(config.label_key, named)
    if transform is None:
        raise ConfigError(
            "`label_from: transform` takes the label from what Transform makes of raw examples; give `transform_graph` "
            "and raw examples, or remove it."
        )
    _check_made(config.label_key, transform, rows)
    return Labels(config.label_key, named, transform)


def class_names_of(
    config: ExplainConfig, n_outputs: int, transform: TransformHandle | None = None
) -> tuple[bytes, ...]:
    """What the classes of a job are called, in the order of the model's outputs; nothing where that is not said.

    Args:
      config: lists them, or names a vocabulary.
      n_outputs: of the model.
      transform: may have the vocabulary.

    Raises:
      ConfigError: there are names of more classes than the model has.
      InputError: the vocabulary cannot be read.
    """
    names = config.class_names
    named = _vocabulary(names, transform) if isinstance(names, str) else tuple(name.encode() for name in names or ())
    if len(named) > max(n_outputs, 2):
        outputs = f"{n_outputs} outputs" if n_outputs > 1 else "one output, which tells 2 classes apart"
        raise ConfigError(
            f"`class_names` names {len(named)} classes, but the model has {outputs}; name one for each output."
        )
    return named


def _is_transformed(
    config: ExplainConfig, key: str, rows: Mapping[str, pa.RecordBatch], transform: TransformHandle | None
) -> bool:
    if config.label_from is not None or transform is None:
        return config.label_from == "transform"
    if any(list_lengths(column_or_nulls(of_split, key)).any() for of_split in rows.values()):
        return False
    columns = transform.acquire().columns
    if key not in columns:
        raise MissingFeatureError(
            f"`label_key: {key}` names neither a feature of the examples nor a column that the transform graph at "
            f"{transform.directory} makes; it makes {', '.join(sorted(columns))}."
        )
    return True


def _check_made(key: str, transform: TransformHandle, rows: Mapping[str, pa.RecordBatch]) -> None:
    """Refuses rows without a feature that the label is made of: Transform fills in what is missing, for every row."""
    for feature in transform.column(key).features:
        for split, of_split in rows.items():
            if not list_lengths(column_or_nulls(of_split, feature)).any():
                raise MissingFeatureError(
                    f"the transform graph makes the label `{key}` of `{feature}`, which no example of split `{split}` "
                    f"has; they have {', '.join(sorted(of_split.schema.names))}."
                )


def _vocabulary(name: str, transform: TransformHandle | None) -> tuple[bytes, ...]:
    """The terms of a file, or of a vocabulary of the transform graph."""
    if transform is not None and not storage.exists(name):
        return read_vocabulary(transform.acquire().vocabulary(name) or name)
    return read_vocabulary(name)


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
