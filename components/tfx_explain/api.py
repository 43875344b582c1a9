"""Explaining a model without a TFX pipeline: the same job, the same artifact."""

from __future__ import annotations

import dataclasses
import itertools
import tempfile
from collections.abc import Mapping, Sequence
from typing import Any

from tfx_explain import records, storage, tables
from tfx_explain.claims import claimed
from tfx_explain.config import ExplainConfig
from tfx_explain.errors import InputError
from tfx_explain.job.model_handle import ModelHandle
from tfx_explain.job.request import ExplainRequest
from tfx_explain.job.transforming import graphs_of
from tfx_explain.models.transform.handle import TransformHandle
from tfx_explain.reader import ExplanationReader, load
from tfx_explain.tables.manifest import Manifest
from tfx_explain.transforms.job import run_explanation, run_job
from tfx_explain.transforms.limits import within_limits
from tfx_explain.transforms.places import check_places
from tfx_explain.transforms.portable_runners import check_servers
from tfx_explain.transforms.runner import new_pipeline, pipeline_args
from tfx_explain.transforms.trial import Forecast, forecast
from tfx_explain.unfinished import unfinished


def explain(
    *,
    model: str,
    examples: str | Mapping[str, str],
    output_dir: str,
    config: ExplainConfig | Mapping[str, Any] | str | None = None,
    background: str | None = None,
    baseline_model: str | None = None,
    schema: str | None = None,
    transform_graph: str | None = None,
    baseline_transform_graph: str | None = None,
    beam_args: Sequence[str] = (),
) -> ExplanationReader:
    """Explains a model on examples, as the Explainer component does.

    Args:
      model: directory of a SavedModel, or of what `config.model.module_file` loads.
      examples: TFRecords of tf.Examples: a pattern of files, a directory (one with `Split-*` directories, as ExampleGen
        writes, or one of files), or a mapping from split to pattern. Where there is only one pattern it is every split.
      output_dir: where the explanation goes; must not exist yet, or be empty. One run at a time may write into it.
      config: an ExplainConfig, the same as a mapping, or the path of a YAML or JSON file; None for the defaults.
      background: like `examples`: where the background is drawn from; default: `examples`.
      baseline_model: a second model, explained on the same rows and designs, for comparison.
      schema: path of a TFDV schema (text), which tells of features that the first rows lack.
      transform_graph: what the Transform component wrote: goes before a model of transformed features, and makes labels
        that raw examples lack.
      baseline_transform_graph: what the baseline model was trained with; default: `transform_graph`.
      beam_args: Apache Beam's pipeline options; default: in this process.

    Returns:
      The explanation, opened.

    Raises:
      TfxExplainError: configuration, model or examples cannot be used; `output_dir` is then left as it was.

    Example:
      >>> few = {"max_examples": 20, "background": {"num_rows": 10}}
      >>> explanation = explain(model=model_dir, examples=examples_dir, output_dir=output_dir, config=few)
      >>> explanation.importance.sort_values("rank")["player"].tolist()
      ['income', 'race', 'debt', 'age']
    """
    settings = _config(config)
    output_dir = storage.absolute(output_dir)
    args = pipeline_args(beam_args)
    sides = (model, transform_graph), (baseline_model, baseline_transform_graph)
    _check_places(args, settings, [output_dir, *itertools.chain(*sides)], examples, background)
    # A failed run has removed what it wrote: what others put there meanwhile is theirs.
    with claimed(output_dir, [tables.ATTRIBUTIONS]):
        request = _request(settings, output_dir, _models(settings, *sides), examples, background, schema)
        run_explanation(request, lambda: new_pipeline(args))
    return load(output_dir)


def estimate(
    *,
    model: str,
    examples: str | Mapping[str, str],
    config: ExplainConfig | Mapping[str, Any] | str | None = None,
    background: str | None = None,
    baseline_model: str | None = None,
    schema: str | None = None,
    transform_graph: str | None = None,
    baseline_transform_graph: str | None = None,
    beam_args: Sequence[str] = (),
) -> Forecast:
    """What `explain` with the same arguments will take: model rows, time, memory of this process, bytes.

    Jobs on few of the rows are tried, four or more, each of which reads all examples; nothing of them is left. Times
    are those of this machine as busy as it is now. For the arguments see `explain`.

    Raises:
      TfxExplainError: configuration, model or examples cannot be used.
    """
    settings, args = _config(config), pipeline_args(beam_args)
    sides = (model, transform_graph), (baseline_model, baseline_transform_graph)
    _check_places(args, settings, list(itertools.chain(*sides)), examples, background)
    with tempfile.TemporaryDirectory(prefix="tfx-explain-") as directory, unfinished(lambda: storage.remove(directory)):
        request = _request(settings, directory, _models(settings, *sides), examples, background, schema)

        def run(tried: ExplainRequest) -> Manifest:
            return run_job(tried, lambda: new_pipeline(args))

        request = within_limits(request, run)
        return dataclasses.replace(forecast(request, run, timed=True), limits=request.limits)


def _models(settings: ExplainConfig, *sides: tuple[str | None, str | None]) -> list[ModelHandle]:
    """Handles of the models that there are.

    Args:
      settings: how they are called.
      sides: the model, and the baseline model if there is one, each with its transform graph.
    """
    graphs = graphs_of(*(_transform(graph) for _, graph in sides))
    return [
        ModelHandle(storage.absolute(path), settings.model, transform=graph)
        for (path, _), graph in zip(sides, graphs, strict=True)
        if path is not None
    ]


def _check_places(
    args: Sequence[str],
    settings: ExplainConfig,
    places: Sequence[str | None],
    examples: str | Mapping[str, str],
    background: str | Mapping[str, str] | None,
) -> None:
    """Refuses servers that do not answer, and files in memory that other processes are to read or write."""
    check_servers(args)
    sources = [pattern for given in (examples, background) for pattern in _all_patterns(given)]
    check_places(args, [*places, settings.model.module_file, *sources])


def _all_patterns(examples: str | Mapping[str, str] | None) -> list[str]:
    if isinstance(examples, Mapping):
        return [str(pattern) for pattern in examples.values()]
    return [] if examples is None else [str(examples)]


def _transform(directory: str | None) -> TransformHandle | None:
    return None if directory is None else TransformHandle(storage.absolute(directory))


def _request(
    config: ExplainConfig,
    output_dir: str,
    models: Sequence[ModelHandle],
    examples: str | Mapping[str, str],
    background: str | None,
    schema: str | None,
) -> ExplainRequest:
    sources = example_patterns(examples)
    background_sources = sources if background is None else example_patterns(background)
    return ExplainRequest.build(
        config=config,
        models=models,
        example_patterns={split: _pattern(sources, split, "splits") for split in config.splits},
        background_pattern=_pattern(background_sources, config.background.split, "background.split"),
        explanation_dir=output_dir,
        attributions_dir=storage.join(output_dir, tables.ATTRIBUTIONS),
        schema_features=None if schema is None else records.schema_features(schema),
    )


def _config(config: ExplainConfig | Mapping[str, Any] | str | None) -> ExplainConfig:
    if isinstance(config, ExplainConfig):
        return config
    if config is None:
        return ExplainConfig()
    return ExplainConfig.from_dict(config) if isinstance(config, Mapping) else ExplainConfig.from_file(config)


_EVERY_SPLIT = "*"


def example_patterns(examples: str | Mapping[str, str]) -> dict[str, str]:
    """Split -> pattern of its files; the one key `*` where no splits are told apart."""
    if isinstance(examples, Mapping):
        return {str(split): storage.absolute(pattern) for split, pattern in examples.items()}
    examples = storage.absolute(examples)
    names = storage.names(examples)
    splits = [name.removeprefix("Split-") for name in names if name.startswith("Split-")]
    if splits:
        return {split: storage.join(examples, f"Split-{split}", "*") for split in splits}
    return {_EVERY_SPLIT: examples}


def _pattern(sources: Mapping[str, str], split: str, key: str) -> str:
    if split not in sources and _EVERY_SPLIT not in sources:
        raise InputError(
            f"`{key}` names split `{split}`, which the examples do not have; they have {', '.join(sources)}."
        )
    return sources.get(split, sources.get(_EVERY_SPLIT, ""))
