"""What a run needs to know, settled before Beam starts: every mistake that can be known by then is raised here."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping, Sequence

import numpy as np
import pyarrow as pa

from tfx_explain import tables
from tfx_explain.attribution_records import RecordLayout
from tfx_explain.config import ExplainConfig, FeaturesConfig
from tfx_explain.errors import ConfigError, InputError, MissingFeatureError, ModelError
from tfx_explain.job.labels import choose_labels, class_names_of
from tfx_explain.job.model_handle import ModelHandle
from tfx_explain.job.near import Near, settle_near
from tfx_explain.job.peeking import first_rows_of
from tfx_explain.job.players import REST, choose_players, choose_players_by_origin
from tfx_explain.job.reasons import Named, Reasons, settle_reasons
from tfx_explain.job.transforming import are_raw_examples, check_use, column_origins
from tfx_explain.job.trust import check_models, even_lists
from tfx_explain.methods.context import FirstRows, JobContext, features_read
from tfx_explain.methods.labels import Labels
from tfx_explain.methods.outputs import check_positive_rate, output_names
from tfx_explain.methods.registry import attributing_methods_of, methods_of, second_passes_of
from tfx_explain.models import Model
from tfx_explain.models.transform.handle import TransformHandle
from tfx_explain.rows import column_or_nulls, example_weights, list_lengths, name_errors
from tfx_explain.slicing import check_slice_count, slice_examples

BACKGROUND_NAMES = frozenset([tables.BACKGROUND_WEIGHT])
"""Names that the table of the background adds to those of the examples."""


@dataclasses.dataclass(frozen=True)
class ExplainRequest:
    """One run: what is read, what is computed, where it goes.

    Attributes:
      config: what the user asked for.
      models: how each side is loaded: the model, and the baseline model that is explained on the same rows and designs.
      example_patterns: split -> files to explain.
      background_pattern: files that the background is drawn from.
      explanation_dir: where tables and manifest go.
      attributions_dir: where the attribution records go, a `Split-<name>` directory each.
      players: name -> features that are present or absent together.
      unused_features: features of the examples that no model reads.
      outputs: names of the explained outputs.
      labels: where the labels of rows come from; None where there are none.
      class_names: what the classes are called, in the order of the model's outputs; empty where that is not said.
      transform: the transform graph, wherever it is used; None where there is none.
      near: the cut-off that background rows are near; None where they are drawn from all.
      reasons: what may be a reason; None where none are asked for.
      span: of the examples, for people; empty where it is not known.
      even_lists: lists that are of one length in all of the first rows; see `job.trust`.
      n_planned: how many rows plans are made for, where they are not those that are explained.
      asked: the configuration before it was cut to its limits; None where it has none.
      limits: what the manifest says of them.
      loaded: the models, so that they stay loaded in the process that made the request; not sent to others.
    """

    config: ExplainConfig
    models: tuple[ModelHandle, ...]
    example_patterns: Mapping[str, str]
    background_pattern: str
    explanation_dir: str
    attributions_dir: str
    players: Mapping[str, tuple[str, ...]]
    unused_features: tuple[str, ...]
    outputs: tuple[str, ...] = ()
    labels: Labels | None = None
    class_names: tuple[bytes, ...] = ()
    transform: TransformHandle | None = None
    near: Near | None = None
    reasons: Reasons | None = None
    span: str = ""
    even_lists: frozenset[str] = frozenset()
    n_planned: int | None = None
    asked: ExplainConfig | None = None
    limits: Mapping[str, object] | None = None
    loaded: tuple[Model, ...] = dataclasses.field(default=(), compare=False, repr=False)

    def __getstate__(self) -> dict[str, object]:
        """What is sent to workers."""
        return {**self.__dict__, "loaded": ()}

    @property
    def context(self) -> JobContext:
        """What methods need to know."""
        return JobContext(self.config, self.players, self.rest, self.outputs, self.labels)

    @property
    def rest(self) -> str | None:
        """The player that holds what the configuration leaves out; None where that is nothing."""
        features, members = self.config.features, self.players.get(REST, ())
        left_out = REST in features.exclude or (features.include is not None and REST not in features.include)
        named = REST in features.groups or (REST in members and not left_out)
        return REST if members and not named else None

    @property
    def layout(self) -> RecordLayout:
        """What attribution records hold."""
        methods = attributing_methods_of(self.context)
        parts = {method.key: dict(method.parts) for method in methods_of(self.context) if method.parts}
        players, has_baseline = tuple(self.players), len(self.models) > 1
        return RecordLayout(players, len(self.outputs), methods, has_baseline, parts, self.stored_features)

    @property
    def stored_features(self) -> frozenset[str] | None:
        """The features whose values files may hold; None = all."""
        if self.config.store_features == "all":
            return None
        named = (members for player, members in self.players.items() if player != self.rest)
        kept = {name for members in named for name in members}
        return frozenset(kept if self.config.store_features == "explained" else ())

    @classmethod
    def build(
        cls,
        *,
        config: ExplainConfig,
        models: Sequence[ModelHandle],
        example_patterns: Mapping[str, str],
        background_pattern: str,
        explanation_dir: str,
        attributions_dir: str,
        schema_features: Sequence[str] | None = None,
    ) -> ExplainRequest:
        """Loads the model, looks at the first rows of each split, and settles who the players are.

        Raises:
          ConfigError: the configuration names features that the model does not read.
          InputError: a split is empty, or lacks a feature that is needed.
          ModelError: the model cannot be used.
        """
        handles = [handle.identified((explanation_dir, attributions_dir)) for handle in models]
        given, transform = handles, handles[0].transform
        peeked, background = first_rows_of(example_patterns, background_pattern, config)
        first_rows = [background, *peeked.values()]
        if not (are_raw := are_raw_examples(config, transform, peeked, background)):
            handles = [dataclasses.replace(handle, transform=None) for handle in handles]
        handles, loaded = _load(handles, config, first_rows)
        keys = {config.label_key, config.id_key, config.example_weight_key, *config.mask_features}
        seen = {name for rows in first_rows for name in rows.schema.names}.union(schema_features or ())
        read = features_read(loaded, seen - keys)
        origins = None if are_raw or transform is None else column_origins(transform, given, loaded)
        players = _players(read, config.features, origins)
        request = cls(
            config=config,
            models=tuple(handles),
            example_patterns=dict(example_patterns),
            background_pattern=background_pattern,
            explanation_dir=explanation_dir,
            attributions_dir=attributions_dir,
            players=players,
            # A group may have the name of a feature that no model reads, as of the one it was made of.
            unused_features=tuple(sorted(seen - set(read) - keys - set(players))),
            outputs=output_names(loaded[0], config),
            labels=choose_labels(config, loaded[0].n_outputs, peeked, transform, are_raw=are_raw),
            class_names=class_names_of(config, loaded[0].n_outputs, transform),
            transform=transform,
            near=settle_near(config, loaded[0]),
            even_lists=even_lists(loaded, first_rows),
            loaded=tuple(loaded),
        )
        request = request._with_reasons(Named.of(players, seen, request.outputs, origins or {}))
        offered = frozenset((seen - keys).union(read))
        _check_rows(request, FirstRows(peeked, offered), background, schema_features or ())
        return request

    def _with_reasons(self, named: Named) -> ExplainRequest:
        """The same with what may be a reason, by the names that there are."""
        return dataclasses.replace(
            self, reasons=settle_reasons(self.config, attributing_methods_of(self.context), named)
        )


def _load(
    handles: Sequence[ModelHandle], config: ExplainConfig, rows: Sequence[pa.RecordBatch]
) -> tuple[list[ModelHandle], list[Model]]:
    """The models, and handles that know how many outputs they have; rows are there to ask them with."""
    loaded = [handle.acquire(rows) for handle in handles]
    _check_comparable(loaded, config)
    check_positive_rate(loaded[0], config)
    known = [dataclasses.replace(h, n_outputs=m.n_outputs) for h, m in zip(handles, loaded, strict=True)]
    return known, loaded


def _players(
    read: Sequence[str], features: FeaturesConfig, origins: Mapping[str, tuple[str, ...]] | None
) -> dict[str, tuple[str, ...]]:
    """The players, by the raw features that columns come from where a transform graph made the examples."""
    return choose_players(read, features) if origins is None else choose_players_by_origin(read, origins, features)


def _check_comparable(models: Sequence[Model], config: ExplainConfig) -> None:
    n_outputs = {model.n_outputs for model in models}
    spaces = sorted({model.output_space for model in models})
    if len(n_outputs) > 1 or len(spaces) > 1:
        raise ModelError(
            f"model and baseline model cannot be compared: their outputs have {sorted(n_outputs)} values in "
            f"{' and '.join(spaces)} space; leave `baseline_model` out or choose a comparable output."
        )
    classes = config.model.classes
    if isinstance(classes, tuple) and max(classes) >= models[0].n_outputs:
        raise ConfigError(
            f"`model.classes` asks for output {max(classes)}, but the model has {models[0].n_outputs}, counted from 0."
        )


def _check_rows(
    request: ExplainRequest, rows: FirstRows, background: pa.RecordBatch, schema_features: Sequence[str]
) -> None:
    """Refuses what cannot be explained as asked for, by the first rows of all splits; models are tried last."""
    config, models, players = request.config, request.loaded, request.players
    check_use(request.models, models, request.labels)
    _check_features(background, config.background.split, models)
    _check_names(background, config.background.split, BACKGROUND_NAMES)
    for split, of_split in rows.splits.items():
        _check_examples(of_split, split, request, schema_features)
        if request.labels is not None and config.model.classes == "label":
            request.labels.check(of_split, "`model.classes: label`", split)
    for method in methods_of(request.context):
        method.check(rows, models)
    for second_pass in second_passes_of(request.context):
        second_pass.check(rows, models)
    check_models(models, list(rows.splits.values()), background, players)


def _check_examples(rows: pa.RecordBatch, split: str, request: ExplainRequest, schema_features: Sequence[str]) -> None:
    """Refuses rows that cannot be explained as asked for, by the first ones of a split."""
    _check_features(rows, split, request.loaded)
    _check_names(rows, split, request.layout.names)
    _check_keys(rows, split, request.config, request.labels)
    _check_slices(rows, split, request.config, schema_features)


def _check_features(rows: pa.RecordBatch, split: str, models: Sequence[Model]) -> None:
    for feature in (feature for model in models for feature in model.features):
        needed = feature.kind == "dense" and feature.default is None
        if needed and not _has_values(rows, feature.name):
            there = ", ".join(sorted(rows.schema.names))
            raise MissingFeatureError(
                f"the model needs feature `{feature.name}`, which no example of split `{split}` has; they have {there}."
            )


def _check_names(rows: pa.RecordBatch, split: str, reserved: Collection[str]) -> None:
    """The same for the first rows, before anything is computed, that `CheckExamples` finds in any row."""
    for reason in name_errors(rows, reserved).values():
        raise InputError(f"in split `{split}`, {reason}.")


def _check_keys(rows: pa.RecordBatch, split: str, config: ExplainConfig, labels: Labels | None) -> None:
    keys = ["label_key", "id_key", "example_weight_key"]
    if labels is not None and labels.transform is not None:
        keys.remove("label_key")
    for key, name in ((key, getattr(config, key)) for key in keys):
        if name is not None and not _has_values(rows, name):
            there = ", ".join(sorted(rows.schema.names))
            raise MissingFeatureError(
                f"`{key}: {name}` names a feature that no example of split `{split}` has; they have {there}."
            )

    weight = config.example_weight_key
    if weight is not None and np.isnan(example_weights(rows, weight)).all():
        raise InputError(
            f"`example_weight_key: {weight}` names a feature that is one finite number of 0 or more in none of the "
            f"first {rows.num_rows} examples of split `{split}`; name a feature that is."
        )


def _check_slices(rows: pa.RecordBatch, split: str, config: ExplainConfig, schema_features: Sequence[str]) -> None:
    """A feature that is merely rare may be absent from the first rows, which is why the schema counts too."""
    there = sorted({*rows.schema.names, *schema_features})
    for name in config.slice_features:
        if name not in there:
            raise MissingFeatureError(
                f"`slicing_specs` names feature `{name}`, which no example of split `{split}` has; "
                f"they have {', '.join(there)}."
            )
    check_slice_count(len(slice_examples(rows, [s for s in config.slicing_specs if s.features])), config.max_slices)


def _has_values(rows: pa.RecordBatch, name: str) -> bool:
    return bool(list_lengths(column_or_nulls(rows, name)).any())
