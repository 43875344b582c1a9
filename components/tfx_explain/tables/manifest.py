"""The entries of an explanation's `manifest.json`."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from tfx_explain.tables.columns import SHAPLEY
from tfx_explain.timings import COUNTED

Kinds = tuple[type, ...]

Manifest = Mapping[str, Any]
"""A manifest as JSON has it; `ENTRIES` says what is in it."""

FILES = "files"
ATTRIBUTION_FILES = "attribution_files"
ATTRIBUTION_METHODS = "attribution_methods"
PARTS = "parts"
PROCESSES = "processes"
LIMITS = "limits"
REASONS = "reasons"
STORED_FEATURES = "stored_features"
REPORT_DIGEST = "report_digest"
SELF_DIGEST = "self_digest"

_NOTHING = type(None)


@dataclasses.dataclass(frozen=True)
class Entry:
    """One entry of the manifest.

    Attributes:
      name: its keys, outermost first, with dots between them; `<split>` and the like stand for any key.
      kinds: what it may be, as Python reads JSON.
      about: what it says.
      when: when it is there; empty: always.
      since: the day it was added, where manifests were written before, which lack it.
      of: what each value in a list or an object may be, where others rely on it; empty: anything.
    """

    name: str
    kinds: Kinds
    about: str
    when: str = ""
    since: str = ""
    of: Kinds = ()

    @property
    def is_required(self) -> bool:
        """Whether every manifest has it."""
        return not self.when and not self.since and "<" not in self.name

    def fits(self, value: object) -> bool:
        """Whether a value that stands there is of its kind."""
        if not _is_of(value, self.kinds):
            return False
        inside = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()
        return not self.of or all(_is_of(one, self.of) for one in inside)


def _is_of(value: object, kinds: Kinds) -> bool:
    """Whether it is of one of some kinds; to JSON, unlike Python, true and false are no numbers."""
    return isinstance(value, kinds) and (bool in kinds or not isinstance(value, bool))


_TEXT, _WHOLE, _NUMBER, _LIST, _OBJECT = (str,), (int,), (int, float), (list,), (dict,)
_TEXT_OR_NULL, _OBJECT_OR_NULL = (str, _NOTHING), (dict, _NOTHING)

ENTRIES = (
    Entry("format_version", _WHOLE, "Number of the format that this page describes."),
    Entry("tfx_explain_version", _TEXT, "Version of the package that wrote the explanation."),
    Entry("created", _TEXT, "When, in UTC (ISO 8601)."),
    Entry(
        "method",
        _OBJECT,
        "Name of each method -> its settings as resolved, what it left out and why, and what it cost; of methods that "
        "need labels also their mean losses (`mean_losses`, `baseline_model`): values of `sage` sum to "
        "`loss_of_mean` - `loss`. `adds_up` is false of `occlusion`, and of `xrai` with `smooth_grad`, whose "
        "figures are no shares of the output. Keys differ by method.",
        of=_OBJECT,
    ),
    Entry(
        ATTRIBUTION_METHODS,
        _LIST,
        "The methods whose attributions the records hold, in the order of the configuration; the first one's columns "
        "have no prefix. Where it is missing there is `shapley` alone.",
        since="2026-11-28",
        of=_TEXT,
    ),
    Entry(
        PARTS,
        _OBJECT,
        "Method that attributes -> feature -> what the parts are that it looks at inside: `kind` (`regions`, `spans`, "
        "`windows`), `columns` (names of the whole numbers that say where a part is; a span is `start` and `stop` in "
        "bytes, and `seen`, 0 where the model cuts the text off before; a window has the step `start`, the step `stop` "
        "behind its last one, and `channel`, -1 for all; where both steps are the number of steps of the row, the part "
        "is that number; a region has its `pixels` on the map, 0 of what is left of an image without its regions), "
        "`has_maps` (whether each row has a label map of its regions), `has_pixels` (whether some rows have a map of "
        "their pixels). Methods that look inside nothing are left out.",
        since="2026-11-29",
        of=_OBJECT,
    ),
    Entry("config", _OBJECT, "The ExplainConfig as given, with defaults."),
    Entry("config.methods", _LIST, "The methods that were asked for, each with its settings.", of=_OBJECT),
    Entry("config.slicing_specs", _LIST, "Which slices were asked for.", of=_OBJECT),
    Entry("config.example_weight_key", _TEXT_OR_NULL, "The feature that says how much a row counts; null: all alike."),
    Entry(
        LIMITS,
        _OBJECT,
        "`max_model_rows` and `max_seconds` as given, what the run was forecast to take (`forecast_model_rows`, "
        "`forecast_seconds`, null where it was not timed), and `cut`: setting -> `asked` and `used`, of each that was "
        "changed to keep to them.",
        when="with `max_model_rows` or `max_seconds`",
        since="2026-11-30",
    ),
    Entry("model.uri", _TEXT, "Where the model was read."),
    Entry("model.digest", _TEXT, "Digest of its content."),
    Entry("model.signature", _TEXT, "The signature that was called."),
    Entry("model.output", _TEXT, "The output that was read."),
    Entry(
        "model.output_space",
        _TEXT,
        "What all figures in units of the output are in: `logit` (log-odds), `probability`, or `raw`: as the model "
        "gives them.",
    ),
    Entry("model.output_space_note", _TEXT, "Why that is not the space that was asked for; else empty."),
    Entry(
        "model.link",
        _TEXT,
        "What makes probabilities of log-odds: `sigmoid` of each output, or `softmax` of all that the model has; empty "
        "where figures are no log-odds.",
        since="2026-11-29",
    ),
    Entry("model.num_outputs", _WHOLE, "How many values the model's output has.", since="2026-11-29"),
    Entry("model.access", _TEXT, "How the model was fed: past its parsing of tf.Examples, or otherwise."),
    Entry(
        "baseline_model",
        _OBJECT_OR_NULL,
        "`uri` and `digest` of the model that this one is compared with, and the digest of the `transform_graph` that "
        "was put before it, if one was; null where there was none.",
    ),
    Entry(
        "transform_graph",
        _OBJECT_OR_NULL,
        "`uri` and `digest` of the transform graph, and what it was `used_for`: `model`, where it was put before one "
        "that takes transformed features, `label`, and `players`, where the examples are transformed ones, whose "
        "columns it leads back to raw features; null where there was none.",
        since="2026-11-28",
    ),
    Entry(
        "label",
        _OBJECT_OR_NULL,
        "`key` of the label, whether it came `from` the `examples` or `transform`, and `num_class_names`, how many "
        "names of classes were given; null where there was none.",
        since="2026-11-28",
    ),
    Entry("examples.splits", _LIST, "The splits that were explained, in the order asked for."),
    Entry(
        "examples.span",
        _TEXT_OR_NULL,
        "The span that ExampleGen says it read; null where it says none, as outside a pipeline.",
        since="2026-11-29",
    ),
    Entry("examples.patterns", _OBJECT, "Split -> which files were read.", of=_TEXT),
    Entry(
        "examples.digests",
        _OBJECT,
        "Split -> digest of the rows that were read, whatever their order.",
        of=_TEXT_OR_NULL,
    ),
    Entry("background.pattern", _TEXT, "Which files the background was drawn from."),
    Entry("background.split", _TEXT, "Its split."),
    Entry("background.strategy", _TEXT, "How it was drawn: `sample` or `medoids`."),
    Entry("background.num_rows", _WHOLE, "Rows in it."),
    Entry(
        "background.digest",
        _TEXT,
        "Digest of its rows and weights; explanations are compared only where it is the same.",
    ),
    Entry(
        "background.model_rows",
        _OBJECT,
        "What it took, in rows that the model evaluated: `prediction`, `references`, `surrogate`, `pilot`, "
        "`sage_pilot`, `near`.",
        of=_WHOLE,
    ),
    Entry(
        "background.near",
        _OBJECT,
        "How many rows of the split were near the cut-off (`num_rows`), `of` how many; the `output` that was compared, "
        "and the `unit` it was compared in.",
        when="with `background.near`",
        since="2026-11-30",
    ),
    Entry("players", _OBJECT, "Name of each player -> its features: itself, or those of a group.", of=_LIST),
    Entry(
        "top_players",
        _LIST,
        "The most important ones of the first output by the first method that attributes, most important first.",
        of=_TEXT,
    ),
    Entry("unused_features", _LIST, "Features that the model does not read; they are not explained."),
    Entry(
        STORED_FEATURES,
        (list, _NOTHING),
        "The features of single rows that records, background and report hold, as `store_features` says; null: all of "
        "the examples.",
        since="2026-11-30",
        of=_TEXT,
    ),
    Entry("outputs", _LIST, "Names of the outputs that were explained."),
    Entry(
        "class_names",
        _OBJECT,
        "Output -> what its class is called, as `class_names` says; empty where nothing does.",
        since="2026-11-29",
        of=_TEXT,
    ),
    Entry("base_values", _OBJECT, "Output -> the mean output over the background.", of=_NUMBER),
    Entry("counts", _OBJECT, "Split -> what was counted in it.", of=_OBJECT),
    Entry("counts.<split>.read", _WHOLE, "Rows that were read."),
    Entry("counts.<split>.selected", _WHOLE, "Rows that were chosen by `max_examples`."),
    Entry("counts.<split>.explained", _WHOLE, "Rows that were explained: as many as there are attribution records."),
    Entry("counts.<split>.model_rows", _WHOLE, "Rows that the models evaluated, by all methods together."),
    Entry("counts.<split>.padding_rows", _WHOLE, "Rows that were evaluated beside them only to fill calls."),
    Entry("counts.<split>.predicted_rows", _WHOLE, "Rows that were evaluated beside them to have their outputs."),
    Entry(
        "counts.<split>.<method>_<what>",
        _WHOLE,
        "The same of one method, with `baseline_` before it for the baseline model: `_model_rows`, `_examples`, "
        "`_without_usable_label`, `_examples_on_whole_background`, `_examples_on_rough_background`; those of `sage` on "
        "neither have a part in it by what a surrogate says of them.",
        when="for `profile` (both methods that make curves), `permutation_importance` and `sage`; "
        "`_model_rows` also for methods that follow gradients, and for `faithfulness`, where `_randomised_model_rows` "
        "are those of models with random weights, and `_other_outputs_model_rows` those of other outputs",
    ),
    Entry(
        "counts.<split>.<method>_gradient_rows",
        _WHOLE,
        "Those of the method's model rows at which gradients were taken.",
        when="for `integrated_gradients`, `expected_gradients` and `xrai`",
        since="2026-11-28",
    ),
    Entry(
        "counts.<split>.above_max_completeness_gap",
        _WHOLE,
        "Rows whose gap is still too large after `max_steps` steps, of each model.",
        when="with `integrated_gradients`",
        since="2026-11-28",
    ),
    Entry(
        "counts.<split>.xrai_above_max_completeness_gap",
        _WHOLE,
        "Rows whose gap is still too large after `num_steps` or `max_steps` steps, of each model.",
        when="with `xrai`",
        since="2026-11-29",
    ),
    Entry(
        "counts.<split>.expected_gradients_refined",
        _WHOLE,
        "Rows that got more steps, since their error was too large, of each model.",
        when="with `max_relative_error` of `expected_gradients`",
        since="2026-11-28",
    ),
    Entry(
        "counts.<split>.expected_gradients_above_max_relative_error",
        _WHOLE,
        "Rows whose error is still too large, of each model.",
        when="with `max_relative_error` of `expected_gradients`",
        since="2026-11-28",
    ),
    Entry("counts.<split>.empty_files", _WHOLE, "Files of 0 bytes among those of the split.", when="if there are any"),
    Entry(
        "counts.<split>.refined",
        _WHOLE,
        "Rows that got more coalitions, since their error was too large.",
        when="with `max_relative_error` of `shapley`",
    ),
    Entry(
        "counts.<split>.above_max_relative_error",
        _WHOLE,
        "Rows whose error is still too large.",
        when="with `max_relative_error` of `shapley`",
    ),
    Entry(
        "slices.included",
        _LIST,
        "The slices that have rows in the tables, `overall` first: `slice` (its name), `features` (feature -> value), "
        "`num_examples` and, with `example_weight_key`, `num_effective_examples` (since 2026-11-28).",
        of=_OBJECT,
    ),
    Entry("slices.too_small", _LIST, "The same of slices with fewer rows than `min_slice_examples`.", of=_OBJECT),
    Entry("slices.without_examples", _LIST, "Which of `slicing_specs` no row is in."),
    Entry(
        "failures",
        _OBJECT,
        "Split, or `<split> (background)` -> reason -> how many rows were set aside for it.",
        of=_OBJECT,
    ),
    Entry(
        "completeness_gap.max_abs",
        _NUMBER,
        "Largest |sum of attributions - (prediction - base value)| of any row, by the first method whose "
        "attributions add up to that; 0 where none's do.",
    ),
    Entry("completeness_gap.max_relative", _NUMBER, "The same over 1 + |prediction|."),
    Entry(
        "completeness_gaps",
        _OBJECT,
        "Method -> the same two figures, of each whose attributions add up.",
        since="2026-11-28",
        of=_OBJECT,
    ),
    Entry("reasons.method", _TEXT, "The method whose attributions are ranked.", "with `reasons`", "2026-11-30"),
    Entry("reasons.k", _WHOLE, "Reasons of a row and output at most.", "with `reasons`", "2026-11-30"),
    Entry("reasons.confidence", _NUMBER, "Of the intervals of attributions.", "with `reasons`", "2026-11-30"),
    Entry(
        "reasons.adverse",
        _OBJECT,
        "Output -> its adverse side, `low` or `high`.",
        "with `reasons`",
        "2026-11-30",
        _TEXT,
    ),
    Entry("reasons.players", _LIST, "The players that may be reasons.", "with `reasons`", "2026-11-30", _TEXT),
    Entry(
        "reasons.codes",
        _OBJECT,
        "Player -> its code; empty without `reasons.codes`.",
        "with `reasons`",
        "2026-11-30",
        _TEXT,
    ),
    Entry("seed", _WHOLE, "What all random choices were made from."),
    Entry("versions", _OBJECT, "Python and libraries -> their versions.", of=_TEXT),
    Entry(
        "timings_seconds",
        _OBJECT,
        "`total`: how long the job took. What -> how long its processes were at it, together (since 2026-11-29): see "
        "`processes`.",
        of=_NUMBER,
    ),
    Entry(
        PROCESSES,
        _LIST,
        "Of each process of the job, what -> `times`, how often it was done, and `seconds`: "
        + "; ".join(f"`{what}`: {counted}" for what, counted in COUNTED.items())
        + ". Time of the runner, as between steps, is in none of them.",
        since="2026-11-29",
        of=_OBJECT,
    ),
    Entry(
        "attributions_uri",
        _TEXT,
        "Where the attribution records are; relative where they are in the directory of the explanation.",
    ),
    Entry(
        FILES,
        _OBJECT,
        "Name -> SHA-256 of every file that was written beside the manifest, but for the report, which can be made "
        "again. A file that was changed since, or that the manifest does not agree with, is refused when it is read.",
        of=_TEXT,
    ),
    Entry(
        ATTRIBUTION_FILES,
        _OBJECT,
        "The same of the attribution records, by name beneath `attributions_uri`.",
        of=_TEXT,
    ),
    Entry(
        REPORT_DIGEST,
        _TEXT,
        "SHA-256 of the report as the run wrote it. An explanation whose report is another one is read all the same; "
        "`tfx-explain audit --verify` tells it.",
        since="2026-11-30",
    ),
    Entry(SELF_DIGEST, _TEXT, "SHA-256 of all other entries as JSON with sorted keys."),
)


def is_stored(manifest: Manifest, feature: str) -> bool:
    """Whether records hold a feature's values, wherever rows have some."""
    listed = manifest.get(STORED_FEATURES)
    return listed is None or feature in listed


def attributing_methods(manifest: Manifest) -> tuple[str, ...]:
    """The methods whose attributions the records of an explanation hold, the main one first."""
    earlier = [name for name in (SHAPLEY,) if name in manifest.get("method", {})]
    return tuple(manifest.get(ATTRIBUTION_METHODS, earlier))
