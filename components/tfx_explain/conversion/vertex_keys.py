"""The keys of Vertex AI's ExplanationSpec, and of what came before it, and what becomes of each.

Sources: `google/cloud/aiplatform/v1beta1/explanation.proto` and `explanation_metadata.proto`; for the older
`explanation_metadata.json` of AI Platform, the Explainable AI SDK; for its `explanationConfig`, the API of AI Platform.
"""

from __future__ import annotations

from collections.abc import Iterator

from tfx_explain.conversion.keys import Key, Kind, by_path, carried, elsewhere, lost, needless, section

_NEIGHBOURS = "examples like a row are not looked for; attributions say what moved its output"
_LOOKS = "the report has maps of its own"
_SPARSE = "a feature that not every row has all values of is read as the model parses it"
_EMBEDDED = "attributions are of the feature itself, along the path of what the model's graph makes of it"
_WHOLE = "a tensor that is no dense bag of features is explained as a whole; the places of one are its parts"


def _methods() -> Iterator[Key]:
    at = "parameters.sampled_shapley_attribution"
    yield section(at, to="methods.shapley")
    players = "methods.shapley.estimator, methods.shapley.budget"
    even = "permutations are drawn in pairs of opposite order, for each background row; without `estimator` up to 10 "
    even += "features are explained without error"
    for name in ("path_count", "num_paths"):
        yield carried(f"{at}.{name}", Kind.WHOLE, players, even)
    at = "parameters.integrated_gradients_attribution"
    yield section(at, to="methods.integrated_gradients")
    gap = "the most that are taken: fewer where `max_completeness_gap` is reached before"
    for name in ("step_count", "num_integral_steps"):
        yield carried(f"{at}.{name}", Kind.WHOLE, "methods.integrated_gradients.max_steps", gap)
    yield from _noise(at, "`expected_gradients` averages over paths, from rows of the background")
    yield section(f"{at}.blur_baseline_config")
    yield lost(
        f"{at}.blur_baseline_config.max_blur_sigma", Kind.NUMBER, "of images, `xrai: {gradients: blur_ig}` blurs"
    )
    at = "parameters.xrai_attribution"
    yield section(at, to="methods.xrai")
    rounded = "rounded up to a multiple of 16"
    for name in ("step_count", "num_integral_steps"):
        yield carried(f"{at}.{name}", Kind.WHOLE, "methods.xrai.num_steps", rounded)
    yield from _noise(at, "`gradients: smooth_grad` is of gradients alone, not of integrals along paths")
    yield section(f"{at}.blur_baseline_config")
    path = "methods.xrai.gradients, methods.xrai.max_sigma"
    blurred = "the path goes through images that are blurred less and less, not straight from the blurred one"
    yield carried(f"{at}.blur_baseline_config.max_blur_sigma", Kind.NUMBER, path, blurred)


def _noise(method: str, why: str) -> Iterator[Key]:
    at = f"{method}.smooth_grad_config"
    yield section(at)
    yield lost(f"{at}.noise_sigma", Kind.NUMBER, why)
    yield section(f"{at}.feature_noise_sigma")
    yield section(f"{at}.feature_noise_sigma.noise_sigma", Kind.SECTIONS)
    yield lost(f"{at}.feature_noise_sigma.noise_sigma[].name", Kind.TEXT, why)
    yield lost(f"{at}.feature_noise_sigma.noise_sigma[].sigma", Kind.NUMBER, why)
    yield lost(f"{at}.noisy_sample_count", Kind.WHOLE, why)


def _outputs_and_neighbours() -> Iterator[Key]:
    yield carried("parameters.top_k", Kind.WHOLE, "model.classes")
    yield carried("parameters.output_indices", Kind.LIST, "model.classes")
    at = "parameters.examples"
    yield section(at)
    yield lost(f"{at}.neighbor_count", Kind.WHOLE, _NEIGHBOURS)
    yield lost(f"{at}.nearest_neighbor_search_config", Kind.ANY, _NEIGHBOURS)
    yield section(f"{at}.presets")
    yield lost(f"{at}.presets.query", Kind.CHOICE, _NEIGHBOURS)
    yield lost(f"{at}.presets.modality", Kind.CHOICE, _NEIGHBOURS)
    for source in ("example_gcs_source.gcs_source", "gcs_source"):
        yield section(f"{at}.{source}")
        yield lost(f"{at}.{source}.uris", Kind.TEXTS, _NEIGHBOURS)
    yield section(f"{at}.example_gcs_source")
    yield lost(f"{at}.example_gcs_source.data_format", Kind.CHOICE, _NEIGHBOURS)


def _inputs() -> Iterator[Key]:
    at = "metadata.inputs.*"
    yield section("metadata.inputs")
    yield section(at, to="features")
    named = "features are called as in the examples; the report calls this one by its name here"
    yield carried(f"{at}.input_tensor_name", Kind.TEXT, "feature_names", named)
    rows = "write rows of these values as examples: they are the background"
    yield elsewhere(f"{at}.input_baselines", Kind.LIST, "`background_examples` (`--background`)", rows)
    yield needless(f"{at}.encoding", Kind.CHOICE, "a feature is read as the model parses it")
    yield needless(f"{at}.modality", Kind.TEXT, "what a feature is, is seen in the model's graph")
    yield lost(f"{at}.index_feature_mapping", Kind.TEXTS, _WHOLE)
    yield carried(f"{at}.group_name", Kind.TEXT, "features.groups")
    for name in ("encoded_tensor_name", "encoded_layer_name"):
        yield needless(f"{at}.{name}", Kind.TEXT, _EMBEDDED)
    yield lost(f"{at}.encoded_baselines", Kind.LIST, _EMBEDDED)
    for name in ("indices_tensor_name", "dense_shape_tensor_name"):
        yield needless(f"{at}.{name}", Kind.TEXT, _SPARSE)
    shown = "the report shows values as the examples have them"
    for domain, low, high in (("feature_value_domain", "min_value", "max_value"), ("domain", "min", "max")):
        yield section(f"{at}.{domain}")
        for name in (low, high, "original_mean", "original_stddev"):
            yield needless(f"{at}.{domain}.{name}", Kind.NUMBER, shown)
    yield from _visualization(f"{at}.visualization")


def _visualization(at: str) -> Iterator[Key]:
    yield section(at)
    for name in ("type", "type_", "polarity", "color_map", "overlay_type"):
        yield needless(f"{at}.{name}", Kind.CHOICE, _LOOKS)
    bounds = ("clip_percent_upperbound", "clip_percent_lowerbound", "clip_above_percentile", "clip_below_percentile")
    for name in (*bounds, "overlay_multiplier"):
        yield needless(f"{at}.{name}", Kind.NUMBER, _LOOKS)


def _rest_of_metadata() -> Iterator[Key]:
    at = "metadata.outputs.*"
    yield section("metadata.outputs")
    yield section(at, to="model")
    yield carried(f"{at}.output_tensor_name", Kind.TEXT, "model.output_key")
    yield carried(f"{at}.index_display_name_mapping", Kind.LIST, "class_names")
    field = "names of classes are those of `class_names`, the same for all rows"
    yield lost(f"{at}.display_name_mapping_key", Kind.TEXT, field)
    described = "the files of an explanation are described in docs/format.md"
    yield needless("metadata.feature_attributions_schema_uri", Kind.TEXT, described)
    yield lost("metadata.latent_space_source", Kind.TEXT, _NEIGHBOURS)
    yield needless("metadata.framework", Kind.TEXT, "a SavedModel is read by its signature")
    yield needless("metadata.tags", Kind.ANY, "they name the program that wrote the file")


VERTEX = by_path(
    section("parameters"),
    *_methods(),
    *_outputs_and_neighbours(),
    section("metadata"),
    *_inputs(),
    *_rest_of_metadata(),
)
"""Every key, by its path, in snake case."""
