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
      Keys: `format_version`, `tfx_explain_version`, `method` (per method, settings as resolved; of a baseline model
      what differs is in its `baseline_model`), `config` (as given), `model` (uri, digest, signature, output_key,
      output_space, access), `examples` (uri, spans, splits), `background` (uri, split, num_rows, digest, strategy,
      model_rows: what settling it took, as `prediction`, `surrogate`, `pilot`, `sage_pilot`), `players` (name ->
      features), `unused_features`, `outputs` (names), `base_values` (output -> value, in units of `output_space`),
      `counts` (split -> read, selected, explained, failed; model_rows that were evaluated in all, and of each method:
      `<method>_model_rows`, `baseline_<method>_model_rows`; beside these predicted_rows, and padding_rows, which fill
      calls of Shapley values), `failures` (reason -> count), `completeness_gap` (max_abs, max_relative), `seed`,
      `versions`, `timings_seconds`, `attributions_uri`, `dead_letters`, `slices` (`included` and `too_small`: slice,
      features, num_examples of each slice with and without tables; `without_examples`: what was asked for and has no
      rows), `files` and `attribution_files` (name -> SHA-256 of everything that was written, but for the manifest and
      the report, which can be made again; names of the second are beneath `attributions_uri`), `self_digest` (SHA-256
      of the other entries). What was changed since, or does not agree with the manifest, is refused when it is read,
      and before anything is judged. Format 1 has no digests: it can be read, not judged.
    * `importance.parquet`: one row per (slice, output, method, player): `value` = mean |attribution| without the bias
      that the noise of sampled coalitions gives it, not below 0, `std_error`, `ci_low`, `ci_high` (95 %, Student t; the
      spread over examples, the noise, also as far as examples share it, and what bias may be left; NaN where the noise
      of an attribution is unknown), `rank` (1 = most important), `share`, `share_std_error`, `mean_signed`,
      `mean_signed_std_error`, `rms`, `num_examples`; `skewness` of sizes of attributions and `signed_skewness`
      of attributions over examples, by which the validator widens bounds; NaN below three of them, and for players of
      less than a millionth of all importance.
      Slices are named by their values, features in alphabetical order: `overall`, `sex=female`,
      `island=Biscoe,sex=female`. With `example_weight_key` every mean is weighted, `num_examples` counts rows of
      positive weight, and `num_effective_examples` = (sum w)^2 / sum w^2.
      `metric` says what `value` is: `mean_abs_attribution`, or for the methods below the loss (`log_loss` in nats,
      `mse`, `mae`) of the whole output vector, so that `output` is the output's name without a class, or `auc`.
      `permutation_importance`: mean increase of the loss when the player's features come from `num_donors` other rows;
      for `auc` how far the AUC falls, over all of their scores. A slice with labels of one class only has no rows then.
      `sage`: Shapley values of -loss(mean output over the background, taken in `output_space`), corrected for the size
      of a sampled background. Their `std_error` is over clusters of rows that share donors and permutations, and
      includes the error of both; it is given the background. Rows without a usable label are left out and counted
      (`counts`); shares, signed and squared figures are NaN. The manifest's `method` has their mean losses: SAGE values
      sum to `loss_of_mean` - `loss`. For AUC it has `auc` of the model, `max_binning_error` (scores are counted in
      bins; no value is off by more, ties included) and `slices_of_one_class`.
    * `importance_covariance.parquet`: `slice`, `output`, `method`, `player_a`, `player_b`, `covariance` of the means
      above (a <= b in the order of the players), from which the validator bounds shares and compares ranks.
    * `baseline_importance.parquet`: as `importance.parquet`, of the baseline model on the same rows, designs, donors
      and permutations, with `difference` = `value` of the model - of the baseline model, `difference_std_error`,
      `difference_ci_low` and `difference_ci_high` (95 %), paired by row; only if there was a baseline model.
      `baseline_importance_covariance.parquet`: `covariance` as above, of the baseline model, and
      `difference_covariance`, of those differences.
    * `slice_differences.parquet`: each slice against all rows outside it, one row per (slice, output, method, player):
      `value` = mean |attribution| in the slice, `rest_value` = outside it, `difference`, `std_error` (Welch's),
      `pooled_std_error` (Student's), `degrees_of_freedom` of the smaller side, `statistic` (Welch's t), `p_value` (the
      larger one of Welch's and Student's t tests, two-sided), `q_value` (Benjamini and Hochberg's, over the whole
      table: among all with q_value < 0.05 about 5 % are no differences), `num_examples`, `num_rest_examples`; only
      if there are slices. NaN where slice or rest have fewer than 10 effective rows.
    * `profiles.parquet`: the model's output as one feature varies, only if `partial_dependence` or
      `accumulated_local_effects` was asked for. A row per (slice, output, method, feature, `kind`, `example_id`,
      `position`); `kind` is `curve`, the mean over examples, or `ice`, one example's, with `example_id` as below (none
      for a curve). `position` counts a feature's points from 0. What the feature is set to is in `grid_value` where it
      is a number and in `level` (text) where it is a level of its own; the missing value is the level `(missing)` with
      `is_missing` true. `value`, `std_error`, `ci_low`, `ci_high` (95 %, Student t over examples) are in units of
      `output_space`; the same with `centred_` before them is less the mean over the feature's distribution: all that
      accumulated local effects have, so both are the same there. `num_examples` of the curve; `num_examples_of_point`:
      of the bin below an edge, 0 for the first edge. `step` is the difference to the point before, where both lie on a
      line, and `step_std_error` its error, paired by example; NaN at the first point, for levels and the missing value.
      `step_skewness`: that of the examples' own steps, likewise.
      Single curves have no errors (NaN). `kind` `surface` is a pair of features varied together: `feature_b`,
      `position_b`, `grid_value_b`, `level_b`, `is_missing_b` say what the second one is set to; `position_b` is -1 in
      all other rows. Features left out and why, and how many rare levels, are in the manifest's `method`.
    * `baseline_profiles.parquet`: as `profiles.parquet`, of the baseline model at the same points for the same rows,
      without single curves, and `difference` = `value` of the model - of the baseline model, paired by row, with
      `difference_std_error`, `difference_ci_low`, `difference_ci_high`; the same with `centred_` before them is the
      difference of the centred curves. Only if there was a baseline model.
    * `interactions.parquet`: one row per (slice, output, method, `player_a`, `player_b`): `index` names what was
      measured, `value`, `std_error`, `ci_low`, `ci_high` (95 %), `num_examples`; only if any was asked for. Method
      `shapley`, `index` `SII` or `Faith-SHAP`: `value` = mean |interaction| of single rows, `mean_signed`,
      `mean_signed_std_error`. Method `interaction_strength`, `index` `H`, of the whole data: `value` = standard
      deviation over rows of the joint partial dependence less those of the players alone, without the bias of noise, in
      units of `output_space`; `h`, `h_ci_low`, `h_ci_high` the same as a part of the joint one's (Friedman's H), NaN
      where that is too small. Columns that another method has are NaN.
    * `attribution_stats/FeatureStats.pb`: statistics by TensorFlow Data Validation, as `tfdv.load_stats_binary` reads
      them: a dataset `All Examples`, then one for each slice in the tables, over all splits. Features are
      `attribution_<player>` and `prediction`, with `baseline_` before the baseline model's, and `/<output>` behind them
      where there are several outputs; with `example_weight_key` they have weighted statistics too. Quantiles and
      histograms are TFDV's approximations; they alone may depend on how the data is sharded.
    * `background.parquet`: the background rows as they were in the examples, plus `__weight__`.
    * `dead_letters/`: gzipped TFRecords of tf.Examples with `reason`, `split` and `record`: the bytes as read, but of
      rows that a model refused or had no finite output for their features and values encoded anew, without features
      that have no value; only if there were any.
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

    * `findings.json`: `{"blessed": bool, "explanation_uri": ..., "manifest_digest": SHA-256 of the `manifest.json` that
      was judged, "baseline_uri": ..., "baseline_manifest_digest": ..., "promise": how sure the findings are,
      "findings": [...]}`; a finding per rule, slice and output with `outcome` (pass, fail,
      insufficient_evidence, or skipped for want of a baseline), `value`, `ci_low`, `ci_high`, `threshold`, `message`,
      `about` (the players) and `confidence` (of the outcome; null where the figure is exact or unknown).
      `baseline_uri` is null without a baseline explanation.
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
