"""TFDV's statistics of the attributions, by TFDV's own transform, for the whole data and each slice.

TFDV takes some milliseconds and kilobytes for each column of each slice, most of them for quantiles, and puts slices
together in a time that grows with their square. So there is a limit to the columns and slices that it is asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from types import ModuleType

import apache_beam as beam
import numpy as np
import numpy.typing as npt
import pyarrow as pa
from tensorflow_metadata.proto.v0 import statistics_pb2

from tfx_explain import records, storage, tables
from tfx_explain.config import ExplainConfig
from tfx_explain.job.explained import ExplainedExamples
from tfx_explain.job.request import ExplainRequest
from tfx_explain.methods.context import SIDE_PREFIXES
from tfx_explain.optional import optional
from tfx_explain.rows import example_weights, take_rows
from tfx_explain.slicing import slice_examples, slice_name

TFDV = "tensorflow_data_validation"

# No name of a column of attributions begins like these.
_SLICES = "__slices__"
_WEIGHTS = "__weights__"

_EPSILON = 0.03
"""Largest error of a quantile's rank. What TFDV keeps of each column and slice grows with the rows, and by far more at
its default of 0.01 than here."""


_MOST_COLUMNS = 1_000
"""Of more, TFDV makes no quantiles, and statistics of the whole data alone."""

_MOST_SLICES = 1_000
"""Where there may be more, TFDV makes statistics of the whole data alone."""


class WriteAttributionStats(beam.PTransform):
    """Writes the statistics of ExplainedExamples to `attribution_stats/FeatureStats.pb`.

    Args:
      request: says where, whose attributions, what to slice by, and which feature weights the rows.
    """

    def __init__(self, request: ExplainRequest) -> None:
        super().__init__()
        self.request = request

    def expand(self, explained: beam.PCollection) -> beam.PCollection:
        """Adds the steps.

        Raises:
          ConfigError: TensorFlow Data Validation cannot be imported.
        """
        config, tfdv = self.request.config, _tfdv()
        slicers = {"experimental_slice_functions": [by_slice]} if has_slices(self.request) else {}
        weighted_by = None if config.example_weight_key is None else _WEIGHTS
        options = tfdv.StatsOptions(weight_feature=weighted_by, epsilon=_EPSILON, **slicers)
        if is_wide(self.request):
            per_feature = _tfdv(".types").PerFeatureStatsConfig
            generator = _tfdv(".statistics.generators.basic_stats_generator").BasicStatsGenerator
            no_quantiles = per_feature([], per_feature.INCLUDE)
            options.generators = [generator(example_weight_map=options.example_weight_map, feature_config=no_quantiles)]
            options.add_default_generators = False
        return (
            explained
            | "Batch" >> beam.Map(attribution_columns, self.request)
            | "GenerateStatistics" >> tfdv.GenerateStatistics(options)
            | "Write" >> beam.Map(write_stats, self.request.explanation_dir, config)
        )


def _tfdv(module: str = "") -> ModuleType:
    """TFDV, or a module of it, which takes seconds to import."""
    return optional(f"{TFDV}{module}", "Statistics of attributions need", "tfx-explain[statistics]")


def is_wide(request: ExplainRequest) -> bool:
    """Whether there are too many columns for quantiles, and for slices."""
    of_method = len(request.layout.methods) * len(request.players)
    return len(request.models) * (1 + of_method) * len(request.outputs) > _MOST_COLUMNS


def has_slices(request: ExplainRequest) -> bool:
    """Whether slices have statistics of their own."""
    config = request.config
    return bool(config.slice_features) and config.max_slices <= _MOST_SLICES and not is_wide(request)


def attribution_columns(explained: ExplainedExamples, request: ExplainRequest) -> pa.RecordBatch:
    """What statistics are made of: a column per player and output, predictions, weights, and each row's slices.

    The columns are named as in attribution records; where there are several outputs, `/<output>` follows.
    """
    config, layout, columns = request.config, request.layout, dict[str, pa.Array]()
    for index, side in enumerate(SIDE_PREFIXES[: len(explained.predictions)]):
        predictions = explained.predictions[index]
        columns |= _named(side + tables.PREDICTION, predictions, request.outputs)
        for method in layout.methods:
            values = explained.found[method][index].attributions
            for place, player in enumerate(layout.players):
                name = f"{layout.prefix(method)}{side}{tables.ATTRIBUTION_PREFIX}{player}"
                columns |= _named(name, values[:, place], request.outputs)
    rows = np.arange(explained.rows.num_rows)
    if config.example_weight_key is not None:
        weights = example_weights(explained.rows, config.example_weight_key)
        columns[_WEIGHTS] = _lists(weights[:, None])[0]
        rows = np.flatnonzero(weights > 0)
    if has_slices(request):
        columns[_SLICES] = _slices_of_rows(explained.rows, config)
    return take_rows(pa.RecordBatch.from_arrays(list(columns.values()), names=list(columns)), rows)


def _named(name: str, values: npt.NDArray[np.float64], outputs: Sequence[str]) -> dict[str, pa.Array]:
    """Name -> the values (n_examples, K) of each output."""
    suffixes = [f"/{output}" for output in outputs] if len(outputs) > 1 else [""]
    return {name + suffix: column for suffix, column in zip(suffixes, _lists(values), strict=True)}


def _lists(values: npt.NDArray[np.float64]) -> list[pa.Array]:
    """List columns of one value per row, (n_examples, K), as small as TFDV takes them."""
    offsets = pa.array(np.arange(len(values) + 1, dtype=np.int32))
    return [pa.ListArray.from_arrays(offsets, pa.array(column)) for column in values.T.astype(np.float32, order="C")]


def _slices_of_rows(rows: pa.RecordBatch, config: ExplainConfig) -> pa.Array:
    """The names of the slices that each row is in."""
    specs = [spec for spec in config.slicing_specs if spec.features]
    found = {slice_name(key): members for key, members in slice_examples(rows, specs).items()}
    place = np.concatenate([np.zeros(0, np.int64), *found.values()])
    name = np.repeat(np.array(list(found), object), [len(members) for members in found.values()])
    lengths = np.bincount(place, minlength=rows.num_rows)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    names = pa.array(name[np.argsort(place, kind="stable")], pa.large_binary())
    return pa.LargeListArray.from_arrays(pa.array(offsets, pa.int64()), names)


def by_slice(batch: pa.RecordBatch) -> Iterator[tuple[str, pa.RecordBatch]]:
    """The rows of each slice, as TFDV asks for them."""
    column = batch.column(batch.schema.get_field_index(_SLICES))
    kept = [name for name in batch.schema.names if name != _SLICES]
    own = pa.RecordBatch.from_arrays([batch.column(batch.schema.get_field_index(name)) for name in kept], names=kept)
    lengths = np.diff(column.offsets.to_numpy())
    place = np.repeat(np.arange(batch.num_rows), lengths)
    names = np.array(column.flatten().to_pylist(), object)
    for name in dict.fromkeys(names.tolist()):
        yield name.decode(), take_rows(own, place[names == name])


def write_stats(statistics: statistics_pb2.DatasetFeatureStatisticsList, directory: str, config: ExplainConfig) -> None:
    """Writes the statistics without what served to make them; the whole data first, then large slices by name."""
    whole, *_ = sorted(statistics.datasets, key=lambda dataset: dataset.name not in ("", records.ALL_EXAMPLES))
    whole.name = records.ALL_EXAMPLES
    written = statistics_pb2.DatasetFeatureStatisticsList()
    large = [one for one in statistics.datasets if one is whole or one.num_examples >= config.min_slice_examples]
    for dataset in sorted(large, key=lambda dataset: (dataset is not whole, dataset.name)):
        copied = written.datasets.add(name=dataset.name, num_examples=dataset.num_examples)
        copied.weighted_num_examples = dataset.weighted_num_examples
        served = [feature for feature in dataset.features if feature.path.step[0] not in (_SLICES, _WEIGHTS)]
        copied.features.extend(sorted(served, key=lambda feature: str(feature.path.step[0])))
    content = written.SerializeToString(deterministic=True)
    storage.write_bytes(storage.join(directory, tables.ATTRIBUTION_STATS), content)
