"""A written explanation, opened: what `load` returns. Imports neither TensorFlow, TFX nor Beam."""

from __future__ import annotations

import difflib
import functools

import pandas as pd
from tensorflow_metadata.proto.v0 import statistics_pb2

from tfx_explain import integrity, records, storage, tables
from tfx_explain.consistency import required_tables
from tfx_explain.errors import InputError
from tfx_explain.faithfulness_consistency import check_curves, check_faithfulness
from tfx_explain.listed_files import explanation_files
from tfx_explain.notebook_html import framed
from tfx_explain.part_reader import PartReader
from tfx_explain.plots import Plots
from tfx_explain.printable import there_is
from tfx_explain.reason_consistency import check_reasons
from tfx_explain.tables.manifest import FILES, SELF_DIGEST

_MAX_LISTED = 20

_TABLES = [table for table in tables.TABLES if table not in (tables.BACKGROUND, tables.REPORT_EXAMPLES)]
"""Those that a property of a reader, of the same name, reads and checks."""


class ExplanationReader(PartReader):
    """A written explanation, read on demand: `tfx_explain.load(uri)`.

    Attributes:
      uri: the directory.
      manifest: what was explained, by what and how, as `tables` describes.
      manifest_digest: SHA-256 of `manifest.json`.
      has_digests: whether the manifest holds those of its files; an earlier version wrote none.

    Each file is checked against the manifest when it is first read; `verify` checks everything.
    """

    def __repr__(self) -> str:
        return f"ExplanationReader({self.uri!r})"

    def verify(self) -> None:
        """Whether everything that a verdict or a report rests on is what was written, attribution records aside.

        Those are checked when they are read.

        Raises:
          InputError: manifest or a file was changed, a file is missing or was added, tables do not agree with the
            manifest or with each other, or an earlier version wrote the explanation, without digests.
        """
        where = storage.join(self.uri, tables.MANIFEST)
        if not self.has_digests:
            raise InputError(
                f"{where} has format {self.manifest['format_version']}, which an earlier version wrote without the "
                "digests that show whether anything was changed since; explain the model again."
            )
        if self.manifest[SELF_DIGEST] != integrity.self_digest(self.manifest):
            raise InputError(f"{where} is not what was written (its `self_digest` differs); explain the model again.")
        files = self.manifest[FILES]
        missing = [name for name in required_tables(self.manifest) if name not in files]
        if missing:
            raise InputError(f"{where} lists no {missing[0]}, which such an explanation has; explain the model again.")
        integrity.check_files(self.uri, files, explanation_files(self.uri))
        for table in _TABLES:
            if table.file in files:
                getattr(self, table.name)

    @property
    def importance_methods(self) -> list[str]:
        """The methods that have importance, those that attribute first."""
        there = list(dict.fromkeys(self.importance["method"])) if self.has(tables.IMPORTANCE.file) else []
        return sorted(there, key=lambda name: self.methods.index(name) if name in self.methods else len(self.methods))

    @functools.cached_property
    def importance(self) -> pd.DataFrame:
        """Global importance, a row per slice, output, method and player; columns as in `importance.parquet`.

        Raises:
          InputError: no method that gives importance was asked for.
        """
        cure = "list a method that gives importance under `methods`, as `shapley`,"
        described = tables.IMPORTANCE
        return self._optional(described, cure, lambda table: self._consistency.importance(table, described))

    def importance_for(
        self, *, slice: str = "overall", output: str | None = None, method: str | None = None
    ) -> pd.DataFrame:
        """The importance of one slice and output by one method, most important first.

        Args:
          slice: its name, as in the column `slice` and in the manifest: `overall`, `sex=female`.
          output: one of `outputs`; may be left out when there is one, and for methods that judge all outputs together,
            as `permutation_importance` and `sage` do.
          method: one of the column `method`; None = the first one that has importance.

        Raises:
          InputError: there is no such method, slice or output, or there are several outputs and none was named.
        """
        # Without any, the table itself says what to do.
        method = next(iter(self.importance_methods), "") if method is None else method
        table = self.importance[self.importance["method"] == method]
        if table.empty:
            methods = ", ".join(self.importance_methods)
            raise InputError(f"{self.uri} has no importance by method `{method}`; it has {methods}.")
        if method in self.methods:
            table = table[table["output"] == self._one_output(output)]
        chosen = table[table["slice"] == slice]
        if chosen.empty:
            known = list(dict.fromkeys(table["slice"]))
            near = difflib.get_close_matches(slice, known, n=3, cutoff=0) if len(known) > _MAX_LISTED else known
            raise InputError(f"no slice `{slice}` among the {len(known)} in {self.uri}; {there_is(near)}.")
        return chosen.sort_values("rank", kind="stable").reset_index(drop=True)

    @functools.cached_property
    def importance_covariance(self) -> pd.DataFrame:
        """Covariance of the estimated importances: columns as in `importance_covariance.parquet`.

        Raises:
          InputError: no method that attributes was asked for.
        """
        cure = "list a method that attributes under `methods`, as `shapley`,"
        described, consistency = tables.IMPORTANCE_COVARIANCE, self._consistency
        return self._optional(described, cure, lambda table: consistency.covariance(table, described, self.importance))

    @functools.cached_property
    def interactions(self) -> pd.DataFrame:
        """Interactions, a row per slice, output, method and pair; columns as in `interactions.parquet`.

        Raises:
          InputError: none were asked for.
        """
        cure = "set `interactions: 2` of the method `shapley`, or list `interaction_strength` under `methods`,"
        return self._optional(tables.INTERACTIONS, cure, self._consistency.interactions)

    @functools.cached_property
    def slice_differences(self) -> pd.DataFrame:
        """Each slice against the rows outside it, a row per slice, output and player; `slice_differences.parquet`.

        Raises:
          InputError: there are no slices.
        """
        consistency = self._consistency
        return self._optional(
            tables.SLICE_DIFFERENCES,
            "set `slicing_specs`",
            lambda table: consistency.slice_differences(table, self.importance),
        )

    @functools.cached_property
    def profiles(self) -> pd.DataFrame:
        """Partial dependence, single curves and accumulated local effects; columns as in `profiles.parquet`.

        Raises:
          InputError: none were asked for.
        """
        cure, described = "list `partial_dependence` or `accumulated_local_effects` under `methods`", tables.PROFILES
        return self._optional(described, cure, lambda table: self._consistency.profiles(table, described))

    @functools.cached_property
    def faithfulness(self) -> pd.DataFrame:
        """Whether attributions tell what the model does; columns as in `faithfulness.parquet`.

        Raises:
          InputError: it was not asked for.
        """
        cure = "list `faithfulness` under `methods`"
        return self._optional(
            tables.FAITHFULNESS, cure, lambda table: check_faithfulness(table, self.uri, self.manifest)
        )

    @functools.cached_property
    def faithfulness_curves(self) -> pd.DataFrame:
        """The curves behind it; columns as in `faithfulness_curves.parquet`.

        Raises:
          InputError: it was not asked for.
        """
        cure = "list `faithfulness` under `methods`"
        return self._optional(
            tables.FAITHFULNESS_CURVES, cure, lambda table: check_curves(table, self.uri, self.manifest)
        )

    @functools.cached_property
    def reasons(self) -> pd.DataFrame:
        """What moved each row most to the adverse side, a row per reason; columns as in `reasons.parquet`.

        Raises:
          InputError: none were asked for.
        """
        cure = "set `reasons: {adverse: low}`, or `high`,"
        return self._optional(tables.REASONS, cure, lambda table: check_reasons(table, self.uri, self.manifest))

    @functools.cached_property
    def baseline_profiles(self) -> pd.DataFrame:
        """The same curves of the baseline model, and paired differences; columns as in `baseline_profiles.parquet`.

        Raises:
          InputError: there was no baseline model, or no profiles were asked for.
        """
        cure = "give a `baseline_model`, list `partial_dependence` or `accumulated_local_effects` under `methods`,"
        described = tables.BASELINE_PROFILES
        return self._optional(described, cure, lambda table: self._consistency.profiles(table, described))

    @functools.cached_property
    def baseline_importance(self) -> pd.DataFrame:
        """Importance for the baseline model on the same rows; columns as in `baseline_importance.parquet`.

        Raises:
          InputError: there was no baseline model.
        """

        def check(table: pd.DataFrame) -> None:
            self._consistency.importance(table, tables.BASELINE_IMPORTANCE)
            self._consistency.differences(table, self.importance)

        return self._optional(tables.BASELINE_IMPORTANCE, "give a `baseline_model`", check)

    @functools.cached_property
    def baseline_importance_covariance(self) -> pd.DataFrame:
        """Covariances for the baseline model, and of the paired differences of both models.

        Raises:
          InputError: there was no baseline model.
        """
        described, consistency = tables.BASELINE_IMPORTANCE_COVARIANCE, self._consistency
        return self._optional(
            described,
            "give a `baseline_model`",
            lambda table: consistency.covariance(table, described, self.baseline_importance),
        )

    @functools.cached_property
    def attribution_stats(self) -> statistics_pb2.DatasetFeatureStatisticsList:
        """TFDV's statistics of the attributions: a dataset for the whole data and one for each slice.

        What `tensorflow_data_validation.load_stats_binary` gives for `attribution_stats/FeatureStats.pb`, so that
        `visualize_statistics` shows it and `validate_statistics` compares it.

        Raises:
          InputError: the explanation was made where TensorFlow Data Validation was not installed.
        """
        name = tables.ATTRIBUTION_STATS
        if not self.has(name):
            raise InputError(
                f"{self.uri} has no statistics of the attributions, as it was made without TensorFlow Data Validation; "
                "pip install 'tfx-explain[statistics]' and explain the model again."
            )
        return records.parse_statistics(storage.join(self.uri, name), self._content(name))

    @functools.cached_property
    def background(self) -> pd.DataFrame:
        """The background rows and their weights."""
        return self._table(tables.BACKGROUND.file)

    def report(self) -> str:
        """The HTML report."""
        return storage.read_bytes(storage.join(self.uri, tables.REPORT)).decode()

    @functools.cached_property
    def plot(self) -> Plots:
        """Pictures by matplotlib: `importance`, `beeswarm`, `waterfall`, `dependence`, `profile`."""
        return Plots(self)

    def _repr_html_(self) -> str | None:
        """The report, as notebooks show it; where there is none, they show what `repr` gives."""
        there = storage.exists(storage.join(self.uri, tables.REPORT))
        return framed(self.report(), f"Explanation {self.uri}") if there else None


def load(uri: str) -> ExplanationReader:
    """Opens an explanation that Explainer, `explain` or `tfx-explain explain` wrote; imports no TensorFlow.

    Args:
      uri: its directory, a path or any URI that fsspec knows.

    Raises:
      InputError: there is no explanation, or one of another format.

    Example:
      >>> explanation = load(explanation_dir)
      >>> explanation.manifest["outputs"]
      ['score']
      >>> importance = explanation.importance.query("slice == 'overall'").sort_values("rank")
      >>> importance["player"].tolist()
      ['income', 'race', 'age', 'debt']
    """
    return ExplanationReader(uri)
