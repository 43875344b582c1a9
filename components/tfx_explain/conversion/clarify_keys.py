"""The keys of SageMaker Clarify's analysis configuration, and what becomes of each.

Source: AWS, "Analysis Configuration Files", schema version 1.0, and ANALYSIS_CONFIG_SCHEMA_V1_0 of the SageMaker Python
SDK, which has keys that the page no longer names.
"""

from __future__ import annotations

from collections.abc import Iterator

from tfx_explain.conversion.keys import Key, Kind, by_path, carried, elsewhere, lost, needless, section

_BIAS = "bias metrics are not computed here: Fairness Indicators of TensorFlow Model Analysis has them"
_JUDGED = "rule `max_slice_difference` of a policy judges what differs in parts; Fairness Indicators has bias metrics"
_ENDPOINT = "the model is read from its files, no endpoint is called"
_DETECTION = "models whose output is a number of boxes are not explained, only numbers of a fixed count for each row"
_INDEX = "an index is looked up in `headers`"
_ANSWER = "no endpoint answers: where the signature has several outputs, `model.output_key` names the one to explain"


def _data() -> Iterator[Key]:
    yield needless("version", Kind.TEXT, "it names the schema of this file")
    yield elsewhere("dataset_type", Kind.TEXT, "`examples`", "rows are tf.Examples, as CsvExampleGen and others make")
    yield elsewhere("dataset_uri", Kind.TEXT, "`examples`", "rows are tf.Examples, as CsvExampleGen and others make")
    yield needless("headers", Kind.TEXTS, "the names of columns are those of features; indices are looked up in them")
    yield carried("label", Kind.NAME, "label_key")
    yield lost("predicted_label", Kind.NAME, "predictions are the model's own, made in the run")
    yield lost("predicted_label_dataset_uri", Kind.TEXT, "predictions are the model's own, made in the run")
    yield lost("predicted_label_headers", Kind.TEXTS, "predictions are the model's own, made in the run")
    yield elsewhere("features", Kind.TEXT, "`examples`", "each feature is one of the tf.Example, by its name")
    yield needless("excluded_columns", Kind.NAMES, "the model reads the features of its signature and no other")
    yield carried("joinsource_name_or_index", Kind.NAME, "id_key")
    yield lost("label_values_or_threshold", Kind.SINGLES, _BIAS)
    yield lost("probability_threshold", Kind.NUMBER, "it makes labels for bias metrics, or chooses boxes")
    yield lost("group_variable", Kind.NAME, _BIAS)


def _slices() -> Iterator[Key]:
    yield section("facet", Kind.SECTIONS)
    yield carried("facet[].name_or_index", Kind.NAME, "slicing_specs", f"each part is explained; {_JUDGED}")
    yield carried("facet[].value_or_threshold", Kind.SINGLES, "slicing_specs", f"a part for each value; {_JUDGED}")
    yield elsewhere("facet_dataset_uri", Kind.TEXT, "`examples`", "join its columns to the examples")
    yield lost("facet_headers", Kind.TEXTS, "columns of `facet_dataset_uri` have their names in the examples")
    yield section("segment_config", Kind.SECTIONS)
    yield carried("segment_config[].name_or_index", Kind.NAME, "slicing_specs", "the explanation of each part")
    yield carried("segment_config[].segments", Kind.LISTS, "slicing_specs", "a part is all rows with one value")
    yield lost("segment_config[].config_name", Kind.TEXT, "a slice is called by its feature and value")
    yield lost("segment_config[].display_aliases", Kind.TEXTS, "a slice is called by its feature and value")


def _series() -> Iterator[Key]:
    at = "time_series_data_config"
    by_name = "one series is one feature, all its steps in one row"
    yield section(at)
    yield carried(f"{at}.target_time_series", Kind.NAME, "methods.shapley.parts", by_name)
    yield carried(f"{at}.related_time_series", Kind.NAMES, "methods.shapley.parts", by_name)
    yield needless(f"{at}.static_covariates", Kind.NAMES, "each is a feature, and a player without parts")
    yield carried(f"{at}.item_id", Kind.NAME, "id_key")
    yield lost(f"{at}.timestamp", Kind.NAME, "steps of a series are told apart by their place")
    yield elsewhere(f"{at}.dataset_format", Kind.TEXT, "`examples`", "rows are tf.Examples")


def _shap() -> Iterator[Key]:
    at = "methods.shap"
    rows = "the background is rows of examples: write these rows as such; of more than 128 in a file of their own "
    rows += "`background.num_rows` says how many are taken"
    yield section(at, to="methods.shapley")
    yield elsewhere(f"{at}.baseline", Kind.ANY, "`background_examples` (`--background`)", rows)
    medoids = (
        "the most typical rows that there are, weighted by the rows they stand for, in place of centres of clusters"
    )
    yield carried(f"{at}.num_clusters", Kind.WHOLE, "background.num_rows, background.strategy", medoids)
    exact = "up to 10 features every coalition is evaluated, whatever the number"
    yield carried(f"{at}.num_samples", Kind.WHOLE, "methods.shapley.budget", exact)
    seen = "log-odds are read off the end of the model's graph; where they are not seen there, the manifest says so"
    yield carried(f"{at}.use_logit", Kind.TRUTH, "model.output_space, model.output_is", seen)
    yield carried(f"{at}.seed", Kind.WHOLE, "seed", "the numbers that are drawn from it are others")
    yield carried(f"{at}.features_to_explain", Kind.NAMES, "features.include", "the others are one player together")
    yield needless(f"{at}.agg_method", Kind.TEXT, "importance is the mean size, as `mean_abs`")
    yield needless(f"{at}.save_local_shap_values", Kind.TRUTH, "the attributions of each row are always written")
    yield from _texts(f"{at}.text_config")
    yield from _images(f"{at}.image_config")


def _texts(at: str) -> Iterator[Key]:
    yield section(at)
    yield carried(f"{at}.granularity", Kind.TEXT, "methods.shapley.parts.<text>.unit", "a `token` is a word")
    yield needless(f"{at}.language", Kind.TEXT, "words and sentences are found by Unicode's rules, in any language")
    yield needless(f"{at}.max_top_tokens", Kind.WHOLE, "all words that enough rows have are in the tables")


def _images(at: str) -> Iterator[Key]:
    yield section(at)
    yield needless(f"{at}.model_type", Kind.TEXT, "any output of a fixed number of figures is explained")
    exactly = "exactly as many in each row: SLIC finds more, and those alike that touch are joined"
    yield carried(f"{at}.num_segments", Kind.WHOLE, "methods.shapley.parts.<image>.segments", exactly)
    yield lost(f"{at}.segment_compactness", Kind.NUMBER, "how far places count beside colours is settled here")
    yield lost(f"{at}.feature_extraction_method", Kind.TEXT, "regions are those of SLIC, where alike joined")
    yield lost(f"{at}.max_objects", Kind.WHOLE, _DETECTION)
    yield lost(f"{at}.iou_threshold", Kind.NUMBER, _DETECTION)
    yield lost(f"{at}.context", Kind.NUMBER, _DETECTION)
    yield section(f"{at}.debug")
    chosen = "rows are chosen by their content; `max_examples` says how many"
    yield lost(f"{at}.debug.image_names", Kind.TEXTS, chosen)
    yield lost(f"{at}.debug.class_ids", Kind.WHOLES, "`model.classes` says which outputs are explained")
    yield lost(f"{at}.debug.sample_from", Kind.WHOLE, chosen)
    yield lost(f"{at}.debug.sample_to", Kind.WHOLE, chosen)


def _other_methods() -> Iterator[Key]:
    for name in ("pre_training_bias", "post_training_bias"):
        yield section(f"methods.{name}")
        yield lost(f"methods.{name}.methods", Kind.ONE_OR_MORE, _BIAS)
    at = "methods.pdp"
    yield section(at, to="methods.partial_dependence")
    yield carried(f"{at}.features", Kind.NAMES, f"{_CURVES}.features")
    quantiles = "points are quantiles, not the ends of equal buckets"
    yield carried(f"{at}.grid_resolution", Kind.WHOLE, f"{_CURVES}.grid_size", quantiles)
    yield lost(
        f"{at}.top_k_features", Kind.WHOLE, "which features matter is not known before the run, so all have a curve"
    )
    at = "methods.asymmetric_shapley_value"
    yield section(at, to="methods.shapley")
    yield lost(f"{at}.direction", Kind.TEXT, "Shapley values here are symmetric: no step comes before another")
    yield lost(f"{at}.granularity", Kind.TEXT, "each series has windows of its own, and each covariate is explained")
    yield lost(f"{at}.num_samples", Kind.WHOLE, "`model_rows` of `parts` says how many rows the model may evaluate")
    yield section(f"{at}.baseline")
    series = "methods.shapley.parts.<series>.absent"
    of_all = "`mean` is over the rows of the background"
    yield carried(f"{at}.baseline.target_time_series", Kind.TEXT, series, of_all)
    yield carried(f"{at}.baseline.related_time_series", Kind.TEXT, series, of_all)
    covariates = "features without parts have their values from background rows"
    yield lost(f"{at}.baseline.static_covariates", Kind.ANY, covariates)
    yield section("methods.report")
    yield needless("methods.report.name", Kind.TEXT, "the report is `report.html` in the explanation")
    yield lost("methods.report.title", Kind.TEXT, "the report is called by its model and day")


def _predictor() -> Iterator[Key]:
    at = "predictor"
    yield section(at)
    yield elsewhere(f"{at}.model_name", Kind.TEXT, "`model`", "the directory of the model's files")
    yield elsewhere(f"{at}.endpoint_name", Kind.TEXT, "`model`", "the directory of the model's files")
    for name in ("endpoint_name_prefix", "target_model", "accelerator_type", "custom_attributes"):
        yield needless(f"{at}.{name}", Kind.TEXT, _ENDPOINT)
    workers = "Beam's arguments say how many workers there are"
    yield elsewhere(f"{at}.instance_type", Kind.TEXT, "`beam_args`", workers)
    yield elsewhere(f"{at}.initial_instance_count", Kind.WHOLE, "`beam_args`", workers)
    for name in ("content_type", "accept_type", "record_template"):
        yield needless(f"{at}.{name}", Kind.TEXT, _ENDPOINT)
    yield needless(f"{at}.content_template", Kind.ANY, _ENDPOINT)
    yield lost(f"{at}.label", Kind.NAME, _ANSWER)
    yield lost(f"{at}.probability", Kind.NAME, _ANSWER)
    yield carried(f"{at}.label_headers", Kind.NAMES, "class_names")
    yield section(f"{at}.time_series_predictor_config")
    yield lost(f"{at}.time_series_predictor_config.forecast", Kind.ANY, _ANSWER)


_CURVES = "methods.partial_dependence"
CLARIFY = by_path(*_data(), *_slices(), *_series(), section("methods"), *_shap(), *_other_methods(), *_predictor())
"""Every key, by its path."""
