"""The artifact types of tfx-explain, as ML Metadata knows them.

Neither declares PROPERTIES: Kubeflow v2 cannot compile a custom type that has them. Everything is a custom property,
read through the accessors below. Cross references are URIs, because Kubeflow turns integer ids into doubles.
"""

from __future__ import annotations

from collections.abc import Mapping

from tfx.types import artifact, system_artifacts


class _Described(artifact.Artifact):
    """An artifact whose description lives in custom properties."""

    def describe(self, description: Mapping[str, str | int | float]) -> None:
        """Writes each entry as a custom property of the matching type; no booleans, Kubeflow v2 crashes on them."""
        for key, value in description.items():
            if isinstance(value, int):
                self.set_int_custom_property(key, value)
            elif isinstance(value, float):
                self.set_float_custom_property(key, value)
            else:
                self.set_string_custom_property(key, value)


class Explanation(_Described):
    """What a model's outputs depend on.

    The directory holds:

    * `manifest.json`: what was explained, by what, how; written last, so a directory without it is not an explanation.
      Keys: `format_version`, `tfx_explain_version`, `method` (per method, settings as resolved), `config` (as given),
      `model` (uri, digest, signature, output_key, output_space, access), `examples` (uri, spans, splits), `background`
      (uri, split, num_rows, digest, strategy), `players` (name -> features), `unused_features`, `outputs` (names),
      `base_values` (output -> value, in units of `output_space`), `counts` (split -> read, selected, explained, failed;
      model_rows), `failures` (reason -> count), `completeness_gap` (max_abs, max_relative), `seed`, `versions`,
      `timings_seconds`, `attributions_uri`, `dead_letters`, `slices` (`included` and `too_small`: slice, features,
      num_examples of each slice with and without tables; `without_examples`: what was asked for and has no rows).
    * `importance.parquet`: one row per (slice, output, method, player): `value` = mean |attribution|, `std_error`,
      `ci_low`, `ci_high` (95 %, Student t over examples), `rank` (1 = most important), `share`, `share_std_error`,
      `mean_signed`, `mean_signed_std_error`, `rms`, `num_examples`. Slices are named by their values, features in
      alphabetical order: `overall`, `sex=female`, `island=Biscoe,sex=female`. With `example_weight_key` every mean is
      weighted, `num_examples` counts rows of positive weight, and `num_effective_examples` = (sum w)^2 / sum w^2.
    * `importance_covariance.parquet`: `slice`, `output`, `method`, `player_a`, `player_b`, `covariance` of the means
      above (a <= b in the order of the players), from which the validator bounds shares and compares ranks.
    * `baseline_importance.parquet`: as `importance.parquet`, of the baseline model on the same rows and designs, with
      `difference` = mean |attribution| of the model - of the baseline model and `difference_std_error`, paired by row;
      only if there was a baseline model. `baseline_importance_covariance.parquet`: `covariance` as above, of the
      baseline model, and `difference_covariance`, of those differences.
    * `slice_differences.parquet`: each slice against all rows outside it, one row per (slice, output, method, player):
      `value` = mean |attribution| in the slice, `rest_value` = outside it, `difference`, `std_error`, `statistic`
      (Welch's t), `p_value` (the larger one of Welch's and Student's t tests, two-sided), `q_value` (Benjamini and
      Hochberg's, over the whole table: among all with q_value < 0.05 about 5 % are no differences), `num_examples`,
      `num_rest_examples`; only if there are slices. NaN where slice or rest have fewer than 10 effective rows.
    * `profiles.parquet`: the model's output as one feature varies, only if `partial_dependence` or
      `accumulated_local_effects` was asked for; of the model, not of the baseline model. A row per (slice, output,
      method, feature, `kind`, `example_id`, `position`); `kind` is `curve`, the mean over examples, or `ice`, one
      example's, with `example_id` as below (none for a curve). `position` counts a feature's points from 0. What the
      feature is set to is in `grid_value` where it is a number and in `level` (text) where it is a level of its own;
      the missing value is the level `(missing)` with `is_missing` true. `value`, `std_error`, `ci_low`, `ci_high`
      (95 %, Student t over examples) are in units of `output_space`; the same with `centred_` before them is less the
      mean over the feature's distribution: all that accumulated local effects have, so both are the same there.
      `num_examples` of the curve; `num_examples_of_point`: of the bin below an edge, 0 for the first edge. Single
      curves have no errors (NaN). Features left out and why, and how many rare levels, are in the manifest's `method`.
    * `background.parquet`: the background rows as they were in the examples, plus `__weight__`.
    * `dead_letters/`: gzipped TFRecords of tf.Examples with `reason`, `split` and `record` (the bytes as read); only if
      there were any.
    * `report.html`: self-contained; opens offline.

    The attributions themselves are a standard Examples artifact: one tf.Example per explained row, with the row's own
    features and `attribution_<player>`, `std_error_<player>`, `prediction`, `base_value`, `completeness_gap` (floats,
    one value per output) and `example_id` (the value of `id_key`, else the row's content hash).
    """

    TYPE_NAME = "tfx_explain.Explanation"
    TYPE_ANNOTATION = system_artifacts.Statistics

    @property
    def methods(self) -> tuple[str, ...]:
        """Names of the methods that were computed."""
        return tuple(self.get_string_custom_property("methods").split(","))

    @property
    def num_examples(self) -> int:
        """Rows explained, over all splits."""
        return int(self.get_int_custom_property("num_examples"))

    @property
    def output_space(self) -> str:
        """Unit of every number: `logit`, `probability` or `raw`."""
        return str(self.get_string_custom_property("output_space"))

    @property
    def top_features(self) -> tuple[str, ...]:
        """The most important players, most important first."""
        return tuple(self.get_string_custom_property("top_features").split(","))

    @property
    def completeness_gap(self) -> float:
        """Largest |sum(attributions) - (prediction - base_value)| of any row."""
        return float(self.get_float_custom_property("completeness_gap"))

    @property
    def model_uri(self) -> str:
        """Where the explained model was read."""
        return str(self.get_string_custom_property("model_uri"))

    @property
    def attributions_uri(self) -> str:
        """Where the attributions were written."""
        return str(self.get_string_custom_property("attributions_uri"))


class ExplanationValidation(_Described):
    """The verdict on an explanation.

    The directory holds:

    * `findings.json`: `{"blessed": bool, "explanation_uri": ..., "baseline_uri": ..., "findings": [...]}`; one finding
      per rule, slice and output with `outcome` (pass, fail, insufficient_evidence, or skipped for want of a baseline),
      `value`, `ci_low`, `ci_high`, `threshold`, `message`, `about` (the players that decide a rule about drift; empty
      for others). `baseline_uri` is null without a baseline explanation.
    * `BLESSED` or `NOT_BLESSED`: an empty file.
    * `verdict.html`: the findings for a person to read.
    """

    TYPE_NAME = "tfx_explain.ExplanationValidation"
    TYPE_ANNOTATION = system_artifacts.Metrics

    @property
    def blessed(self) -> bool:
        """Whether the explanation meets the policy."""
        return bool(self.get_int_custom_property("blessed") == 1)

    @property
    def explanation_uri(self) -> str:
        """The explanation that was judged."""
        return str(self.get_string_custom_property("explanation_uri"))
