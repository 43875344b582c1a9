"""What a transform graph is to a job: it goes before the model, makes the label, or leads columns to raw features."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

import pyarrow as pa

from tfx_explain.config import ExplainConfig
from tfx_explain.errors import ConfigError, InputError
from tfx_explain.job.model_handle import ModelHandle
from tfx_explain.methods.labels import Labels
from tfx_explain.models import Model
from tfx_explain.models.transform.graph import TransformGraph
from tfx_explain.models.transform.handle import TransformHandle
from tfx_explain.models.transform.origins import origins_of
from tfx_explain.rows import column_or_nulls, has_type, list_lengths

_LOG = logging.getLogger(__name__)


def are_raw_examples(
    config: ExplainConfig,
    transform: TransformHandle | None,
    splits: Mapping[str, pa.RecordBatch],
    background: pa.RecordBatch,
) -> bool:
    """Whether examples are what goes into the transform graph, not what comes out; True where there is none.

    Args:
      config: may say so.
      transform: the graph.
      splits: the first rows of each split.
      background: the first rows of the background.

    Raises:
      ConfigError: nothing tells, or there is something to say only where there is a graph.
      InputError: some are, and some are not.
    """
    if transform is None:
        for key, value in (("examples_are", config.examples_are), ("model.takes", config.model.takes)):
            if value is not None:
                raise ConfigError(
                    f"`{key}` says what is on which side of the transform graph; give `transform_graph`, or remove it."
                )
        return True
    if config.examples_are is not None:
        return config.examples_are == "raw"
    graph = transform.acquire()
    found = {split: _is_raw(rows, graph) for split, rows in splits.items()}
    found[f"{config.background.split} (background)"] = _is_raw(background, graph)
    known = {name: is_raw for name, is_raw in found.items() if is_raw is not None}
    if not known:
        raise ConfigError(
            "nothing tells whether the examples are raw or transformed ones: the transform graph at "
            f"{transform.directory} leaves names and types of features as they are; set `examples_are`."
        )
    if len(set(known.values())) > 1:
        raw, made = (next(name for name, is_raw in known.items() if is_raw == side) for side in (True, False))
        raise InputError(
            f"split `{raw}` has raw examples and split `{made}` transformed ones, by the transform graph at "
            f"{transform.directory}; explain one or the other."
        )
    return next(iter(known.values()))


def _is_raw(rows: pa.RecordBatch, graph: TransformGraph) -> bool | None:
    """Whether rows are raw ones, by features that only these have, or else by their types; None where nothing tells."""
    there = {name for name in rows.schema.names if list_lengths(column_or_nulls(rows, name)).any()}
    raw, made = there & set(graph.raw), there & set(graph.columns)
    if raw - made or made - raw:
        return bool(raw - made)
    for name in sorted(raw):
        kinds = [graph.raw[name].dtype, graph.columns[name].dtype]
        if kinds[0] != kinds[1] and has_type(rows, name):
            return _family(rows.schema.field(name).type) == _of_dtype(kinds[0].name)
    return None


def _family(dtype: pa.DataType) -> str:
    values = dtype.value_type
    return "float" if pa.types.is_floating(values) else "int" if pa.types.is_integer(values) else "string"


def _of_dtype(name: str) -> str:
    return name.rstrip("0123456789")


def column_origins(
    transform: TransformHandle, handles: Sequence[ModelHandle], models: Sequence[Model]
) -> Mapping[str, tuple[str, ...]]:
    """Column -> the raw features that it comes from, for models that are to be fed transformed examples.

    Args:
      transform: what made the examples.
      handles: of the models, with the transform graph of each.
      models: loaded without them.

    Raises:
      ConfigError: a model reads something that the graph does not make, or was trained with another graph.
    """
    if len({handle.transform.identity for handle in handles if handle.transform is not None}) > 1:
        raise ConfigError(
            "the examples are transformed ones, which models of two transform graphs cannot share; give raw examples."
        )
    graph = transform.acquire()
    for name in (feature.name for model in models for feature in model.features):
        if name not in graph.columns:
            raise ConfigError(
                f"the examples are transformed ones, but the model reads `{name}`, which the transform graph at "
                f"{transform.directory} does not make; give raw examples, or a model that takes transformed ones."
            )
    return origins_of(graph)


def graphs_of(transform: TransformHandle | None, baseline: TransformHandle | None) -> list[TransformHandle | None]:
    """The transform graph of the model, and that of the baseline model, which is the same where nothing else is given.

    Raises:
      ConfigError: only the baseline model has one.
    """
    if transform is None and baseline is not None:
        raise ConfigError(
            "`baseline_transform_graph` says what the baseline model was trained with where that is not the model's "
            "`transform_graph`; give that, too."
        )
    return [transform, baseline or transform]


def check_use(handles: Sequence[ModelHandle], models: Sequence[Model], labels: Labels | None) -> None:
    """Refuses a transform graph that is of no use; says what is taken for granted of one that is.

    Args:
      handles: of the model, and of the baseline model if there is one.
      models: the same, loaded.
      labels: where the labels of rows come from.

    Raises:
      ConfigError: no model takes what the graph makes, and it makes no label.
    """
    transform = handles[0].transform
    if transform is None:
        return
    if not any(model.is_joined for model in models) and (labels is None or labels.transform is None):
        raise ConfigError(
            f"the transform graph at {transform.directory} is of no use: the model takes raw examples already, as one "
            "does whose serving graph holds Transform's layer, and no label is made of them; leave it out."
        )
    for handle, model in zip(handles[1:], models[1:], strict=True):
        if model.is_joined and handle.transform == transform:
            _LOG.warning(
                "The baseline model at %s is taken to be trained with the transform graph at %s, too; give "
                "`baseline_transform_graph` where that was another one, as of an earlier run.",
                handle.model_dir,
                transform.directory,
            )
