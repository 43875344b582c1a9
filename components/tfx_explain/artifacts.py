"""The artifact types of tfx-explain, as ML Metadata knows them.

Neither declares PROPERTIES: Kubeflow v2 cannot compile a custom type that has them. Everything is a custom property,
read through the accessors below. Cross references are URIs, because Kubeflow turns integer ids into doubles.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from tfx.types import artifact, system_artifacts

FOUND_PROPERTY = "found"
"""Custom property of what BlessedModelFinder gives: 0 where there is nothing behind it."""


def found(artifacts: Iterable[artifact.Artifact]) -> list[artifact.Artifact]:
    """Those that are there.

    Where a resolver finds nothing it gives no artifact. A step of Kubeflow always gives one, which then says so itself.
    """
    return [one for one in artifacts if not _is_missing(one)]


def _is_missing(one: artifact.Artifact) -> bool:
    return bool(one.has_custom_property(FOUND_PROPERTY)) and int(one.get_int_custom_property(FOUND_PROPERTY)) == 0


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

    A directory of Parquet tables, a manifest, statistics of the attributions, and a report; the attributions themselves
    are a standard Examples artifact. `docs/format.md` says what is in every file, column by column, and what readers
    may rely on; it is made from `tfx_explain.tables`. `tfx_explain.load(explanation.uri)` reads it.
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
        """The most important players, most important first; none where no method attributes."""
        return tuple(filter(None, self.get_string_custom_property("top_features").split(",")))

    @property
    def completeness_gap(self) -> float:
        """Largest `|sum(attributions) - (prediction - base_value)|` of any row."""
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
    * `history.parquet`: this run and those before it; `findings.json` has its SHA-256 as `history_digest`.
    * `BLESSED` or `NOT_BLESSED`: an empty file.
    * `verdict.html`: the findings for a person to read, and `report.html`, the report of the explanation with them;
      `findings.json` has their SHA-256 as `page_digests`.

    Custom properties say of the verdict what an audit asks: outcomes counted (`num_pass`, `num_fail`,
    `num_insufficient_evidence`, `num_skipped`), `decided_by`, up to ten `refusals` with their figures as JSON and
    `num_refusals`, `findings_digest` and `policy_digest` (SHA-256 of the file and of the policy's text), URI and digest
    of the model, and the baseline's URI.
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

    @property
    def decided_by(self) -> str:
        """Which rule decided, in a sentence; empty of verdicts of earlier versions."""
        return str(self.get_string_custom_property("decided_by"))
