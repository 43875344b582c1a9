"""What the tables of an explanation must agree in: with the manifest, with each other, and with arithmetic.

Digests tell that a file was changed. Where someone computed them anew, what remains is that a table has a row for each
of the manifest's slices, outputs and players, once, and that figures which follow from others do follow from them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from tfx_explain import tables
from tfx_explain.errors import InputError
from tfx_explain.part_consistency import parts_tables
from tfx_explain.tables import Table
from tfx_explain.tables.manifest import REASONS, Manifest

_CLOSE = 1e-7
"""Relative: tables hold all digits, and sums in another order differ by far less than this."""

_MOST_NOISE = 4.0
"""In mean design errors: more than noise may move an importance from the mean |attribution|. The formula in
`summary.sizes` moves a size by 2.1 of its noise at most, which is 1 to 1.3 times the design error."""


def required_tables(manifest: Manifest) -> list[str]:
    """The files that an explanation as the manifest describes it has."""
    names, has_baseline = [tables.BACKGROUND.file], manifest["baseline_model"] is not None
    names += [tables.ATTRIBUTION_STATS] * (tables.STATISTICS_BY in manifest["versions"])
    if tables.attributing_methods(manifest):
        names += [tables.IMPORTANCE.file, tables.IMPORTANCE_COVARIANCE.file]
        names += [tables.BASELINE_IMPORTANCE.file, tables.BASELINE_IMPORTANCE_COVARIANCE.file] * has_baseline
        names += [tables.SLICE_DIFFERENCES.file] * (len(manifest["slices"]["included"]) > 1)
    if any(method in manifest["method"] for method in tables.PROFILE_METHODS):
        names.append(tables.PROFILES.file)
    names += parts_tables(manifest)
    if tables.FAITHFULNESS_METHOD in manifest["method"]:
        names += [tables.FAITHFULNESS.file, tables.FAITHFULNESS_CURVES.file]
    return names + [tables.REASONS.file] * (REASONS in manifest)


@dataclasses.dataclass(frozen=True)
class Consistency:
    """Checks of the tables of one explanation.

    Attributes:
      uri: where the explanation is, for messages.
      manifest: as `integrity.check_manifest` accepts it.
    """

    uri: str
    manifest: Manifest

    @property
    def players(self) -> list[str]:
        """Their names, in order."""
        return list(self.manifest["players"])

    @property
    def num_examples(self) -> dict[str, int]:
        """Slice with tables -> its rows."""
        return {one["slice"]: one["num_examples"] for one in self.manifest["slices"]["included"]}

    @property
    def keys(self) -> list[tuple[str, str]]:
        """(slice, output) of all tables of attributions."""
        return [(name, output) for name in self.num_examples for output in self.manifest["outputs"]]

    def importance(self, table: pd.DataFrame, described: Table) -> None:
        """A row per slice, output, method and player, with figures that follow from each other.

        Raises:
          InputError: the table is not what was written.
        """
        name = described.file
        self._need(table, described)
        if described is tables.IMPORTANCE and "difference" in table:
            raise self._broken(name, "it is of a baseline model")
        self._each_player_once(table, described)
        for method in self._attributing(table):
            ours = table[table["method"] == method]
            self._same_keys(ours, name)
            self._counts_agree(ours, name)
            self._are_numbers(ours, name)
            self._figures_agree(ours, name)

    def _counts_agree(self, ours: pd.DataFrame, name: str) -> None:
        n = ours["num_examples"]
        if (n != ours["slice"].map(self.num_examples)).any():
            raise self._broken(name, "its numbers of examples are not the manifest's")
        explained = sum(counts["explained"] for counts in self.manifest["counts"].values())
        whole = self.num_examples.get("overall", -1)
        weighted = self.manifest["config"].get("example_weight_key") is not None
        if whole > explained or (whole != explained and not weighted):
            raise self._broken(name, "its number of examples is not that of the explained rows")
        effective = _numbers(ours, "num_effective_examples")
        if not ((effective > 0) & (effective <= n.to_numpy() * (1 + _CLOSE))).all():
            raise self._broken(name, "its effective numbers of examples are not possible")

    def _are_numbers(self, ours: pd.DataFrame, name: str) -> None:
        value = _numbers(ours, "value")
        if not (np.isfinite(value) & (value >= 0)).all():
            raise self._broken(name, "an importance is not a number of 0 or more")
        cut_off = tables.cut_off_of(ours)
        if not (np.isfinite(cut_off) & (cut_off <= 0) & ((cut_off == 0) | (value == 0))).all():
            raise self._broken(name, "a `cut_off` is not a number of 0 or less, or there is an importance beside it")
        if (_numbers(ours, "mean_design_std_error") < 0).any():
            raise self._broken(name, "a `mean_design_std_error` is below 0")
        noise_known, known = _known(ours)
        for column in ("std_error", "mean_signed_std_error"):
            error = _numbers(ours, column)
            if not (np.isfinite(error[known]) & (error[known] >= 0)).all():
                raise self._broken(name, f"a `{column}` is not a number of 0 or more")
            if not np.isnan(error[~noise_known]).all():
                raise self._broken(name, f"a `{column}` is there where the noise of attributions is not known")

    def _figures_agree(self, ours: pd.DataFrame, name: str) -> None:
        value, noise = _numbers(ours, "value"), _numbers(ours, "mean_design_std_error")
        noise_known, known = _known(ours)
        total = ours.groupby(["slice", "output"], sort=False)["value"].transform("sum").to_numpy()
        share = np.divide(value, total, out=np.zeros_like(value), where=total > 0)
        low, high = (_numbers(ours, column) for column in ("ci_low", "ci_high"))
        rank = ours.groupby(["slice", "output"], sort=False)["value"].rank(method="min", ascending=False)
        size, room = np.abs(_numbers(ours, "mean_signed")), _CLOSE * total
        moved = np.where(noise_known, _MOST_NOISE * noise, np.inf) + room
        rms = _numbers(ours, "rms")
        for holds, why in (
            (np.abs(_numbers(ours, "share") - share) <= _CLOSE, "shares are not those of the importances"),
            (ours["rank"].to_numpy() == rank.to_numpy(), "ranks are not those of the importances"),
            (size <= value + moved, "a mean attribution is larger than the importance"),
            (moved >= -tables.cut_off_of(ours), "more was cut off than noise can be"),
            (rms >= value - moved, "an importance is larger than the root mean square attribution"),
            (~known | ((low <= value + room) & (high >= value - room)), "an importance is outside its interval"),
            (~known | (np.abs(np.maximum(2 * value - high, 0.0) - low) <= room), "an interval is not about its figure"),
        ):
            if not holds.all():
                raise self._broken(name, why)

    def covariance(self, table: pd.DataFrame, described: Table, importance: pd.DataFrame) -> None:
        """A row per slice, output and pair of players, which belongs to the errors in the table of importance.

        Raises:
          InputError: the table is not what was written.
        """
        name = described.file
        columns = [column.name for column in described.columns if column.name not in described.key]
        self._need(table, described)
        methods = self._attributing(importance)
        if not set(table["method"]) <= set(methods):
            raise self._broken(name, "it has methods that the table of importance does not have")
        for method in methods:
            ours, of_importance = (part[part["method"] == method] for part in (table, importance))
            self._covariance_of(ours, of_importance, name, columns)

    def _covariance_of(self, table: pd.DataFrame, importance: pd.DataFrame, name: str, columns: Sequence[str]) -> None:
        """The same for the rows of one method."""
        rows = importance.set_index(["slice", "output"]).sort_index()
        for key, matrices in self._matrices(table, name, columns).items():
            figures = rows.loc[[key]].set_index("player").loc[self.players]
            if not figures["num_effective_examples"].iloc[0] > 1 + 1e-9:
                continue
            for column, matrix in zip(columns, matrices, strict=True):
                error = figures["std_error" if column == "covariance" else "difference_std_error"].to_numpy(np.float64)
                # Those of a player whose noise is not known are not known either.
                known = np.isfinite(error)
                if (np.isfinite(matrix) != np.outer(known, known)).any() or not np.allclose(
                    np.diag(matrix), error**2, rtol=_CLOSE, atol=0, equal_nan=True
                ):
                    raise self._broken(name, f"a variance of {key[0]} is not the square of the standard error")
                if not _is_semidefinite(matrix[np.ix_(known, known)]):
                    raise self._broken(name, f"the covariances of {key[0]} are none that figures can have")
            of_shares = _share_variance(figures["value"].to_numpy(np.float64), matrices[0])
            found = figures["share_std_error"].to_numpy(np.float64) ** 2
            room = _CLOSE * (found + np.diag(matrices[0]) / max(float(figures["value"].sum()), 1e-300) ** 2) + 1e-18
            if of_shares is None:
                continue
            alike = (np.abs(found - of_shares) <= room) | (np.isnan(found) & np.isnan(of_shares))
            if not alike.all():
                raise self._broken(name, f"the covariances of {key[0]} do not give the errors of the shares")

    def differences(self, baseline: pd.DataFrame, importance: pd.DataFrame) -> None:
        """The differences in the baseline's table are those of both tables.

        Raises:
          InputError: they are not.
        """
        key = list(tables.IMPORTANCE.key)
        together = baseline.merge(importance, on=key, suffixes=("", "_ours"), how="left", validate="one_to_one")
        ours = together[together["method"].isin(self._attributing(importance))]
        expected = ours["value_ours"] - ours["value"]
        room = _CLOSE * (ours["value_ours"].abs().max() + ours["value"].abs().max())
        if not ((ours["difference"] - expected).abs() <= room).all():
            raise self._broken(tables.BASELINE_IMPORTANCE.file, "its differences are not those of the two tables")
        unknown = ours["std_error"].isna() | ours["std_error_ours"].isna()
        if (ours["difference_std_error"].isna() != unknown).any():
            raise self._broken(
                tables.BASELINE_IMPORTANCE.file, "errors of its differences are not those of the two tables"
            )

    def interactions(self, table: pd.DataFrame) -> None:
        """Each pair of players at most once per slice, output and method, the same pairs for all of them.

        Raises:
          InputError: the table is not what was written.
        """
        name = tables.INTERACTIONS.file
        self._need(table, tables.INTERACTIONS)
        pairs = self._positions(table, name)
        table = table.assign(pair=pairs.min(axis=1) * len(self.players) + pairs.max(axis=1))
        if (pairs[:, 0] == pairs[:, 1]).any() or table.duplicated(["slice", "output", "method", "pair"]).any():
            raise self._broken(name, "a pair of players is there twice, or is one player")
        ours = table[table["method"] == tables.SHAPLEY]
        if len(ours):
            self._same_keys(ours, name)
            if len(ours) != len(self.keys) * len(self.players) * (len(self.players) - 1) // 2:
                raise self._broken(name, "a pair of players is missing")
        value = ours["value"].to_numpy(np.float64)
        if not (np.isfinite(value) & (value >= 0)).all():
            raise self._broken(name, "an interaction is not a number of 0 or more")
        if (ours["std_error"] < 0).any():
            raise self._broken(name, "a standard error is below 0")

    def slice_differences(self, table: pd.DataFrame, importance: pd.DataFrame) -> None:
        """Each slice but the whole data, for each output and player, with the importance that its table has.

        Raises:
          InputError: the table is not what was written.
        """
        name = tables.SLICE_DIFFERENCES.file
        self._need(table, tables.SLICE_DIFFERENCES)
        self._each_player_once(table, tables.SLICE_DIFFERENCES)
        for method in self._attributing(importance):
            self._same_keys(table[table["method"] == method], name, without_overall=True)
        ours = table[table["method"].isin(self._attributing(importance))]
        key = list(tables.SLICE_DIFFERENCES.key)
        together = ours.merge(importance, on=key, suffixes=("", "_ours"), how="left", validate="one_to_one")
        # Where a slice is the whole data there is no rest, and no value of it.
        room = 1e-5 * together[["value", "rest_value"]].abs().max().sum()
        unknown = together["value"].isna() & together["value_ours"].isna()
        if not (unknown | ((together["value"] - together["value_ours"]).abs() <= room)).all():
            raise self._broken(name, "its importances are not those of the table of importance")
        apart = (together["value"] - together["rest_value"] - together["difference"]).abs()
        if not (apart.isna() | (apart <= room)).all():
            raise self._broken(name, "its differences are not those of slice and rest")
        error = ours["std_error"].to_numpy(np.float64)
        if (error < 0).any() or (np.isnan(error) & ours["p_value"].notna().to_numpy()).any():
            raise self._broken(name, "a standard error is not a number of 0 or more")

    def profiles(self, table: pd.DataFrame, described: Table) -> None:
        """Whole curves with steps that are the differences of their points, for each slice and output.

        Raises:
          InputError: the table is not what was written.
        """
        name = described.file
        self._need(table, described)
        curves = table[table["kind"] == "curve"].copy()
        if curves.empty:
            return
        by = ["slice", "output", "method", "feature"]
        curves = curves.sort_values([*by, "position"], kind="stable")
        groups = curves.groupby(by, sort=False)
        if (groups.cumcount() != curves["position"]).any():
            raise self._broken(name, "a point of a curve is missing, or is there twice")
        lengths = groups.size().unstack(["method", "feature"])
        if set(lengths.index) != set(self.keys) or lengths.isna().any(axis=None) or (lengths.nunique() > 1).any():
            raise self._broken(name, "curves are not there for each of the manifest's slices and outputs")
        unknown = set(curves["method"]) - set(self.manifest["method"])
        if unknown:
            raise self._broken(name, f"it has curves by {', '.join(sorted(unknown))}, which was not asked for")
        value = curves["centred_value"].to_numpy(np.float64)
        counted = curves["num_examples_of_point"].to_numpy() > 0
        if not np.isfinite(value[counted]).all():
            raise self._broken(name, "a point of a curve is not a number")
        # Tables of earlier versions have no steps.
        step, before = curves.get("step", pd.Series(np.nan, curves.index)), groups["centred_value"].shift()
        room = _CLOSE * (np.nanmax(np.abs(value), initial=0.0) + curves["value"].abs().max())
        apart = (curves["centred_value"] - before - step).abs()
        if not (step.isna() | before.isna() | (apart <= room)).all():
            raise self._broken(name, "steps are not the differences of points")
        if (curves.get("step_std_error", pd.Series(np.nan, curves.index)) < 0).any():
            raise self._broken(name, "a standard error is below 0")

    def _attributing(self, importance: pd.DataFrame) -> list[str]:
        """The methods that give attributions: importance is the mean of their sizes."""
        others = (
            importance["method"][importance["metric"] == tables.MEAN_ABS_ATTRIBUTION] if "metric" in importance else ()
        )
        known = tables.attributing_methods(self.manifest)
        return list(dict.fromkeys([*known, *others]))

    def _each_player_once(self, table: pd.DataFrame, described: Table) -> None:
        """Checks the names in all rows."""
        name = described.file
        if not set(table["method"]) <= set(self.manifest["method"]) or not set(table["slice"]) <= set(
            self.num_examples
        ):
            raise self._broken(name, "it has methods or slices that the manifest does not have")
        if table.duplicated(list(described.key)).any():
            raise self._broken(name, "a player is there twice")
        if not set(table["player"]) <= set(self.players):
            raise self._broken(name, "it has players that the manifest does not have")
        sizes = table.groupby(["slice", "output", "method"], sort=False).size()
        if (sizes != sizes.index.get_level_values("method").map(self._n_players)).any():
            raise self._broken(name, "a player is missing")

    def _n_players(self, method: str) -> int:
        """How many players a method was asked about."""
        settings = [asked[method] for asked in self.manifest["config"].get("methods", ()) if method in asked]
        named = settings[0].get("features") if settings else None
        return len(self.players if named is None else set(named))

    def _same_keys(self, ours: pd.DataFrame, name: str, *, without_overall: bool = False) -> None:
        expected = {key for key in self.keys if not (without_overall and key[0] == "overall")}
        if set(zip(ours["slice"], ours["output"], strict=True)) != expected:
            raise self._broken(name, "its slices and outputs are not the manifest's")

    def _positions(self, table: pd.DataFrame, name: str) -> npt.NDArray[np.int64]:
        """(n_rows, 2) positions of both players."""
        position = {player: index for index, player in enumerate(self.players)}
        found = np.stack([table[column].map(position).to_numpy(np.float64) for column in ("player_a", "player_b")], 1)
        if np.isnan(found).any():
            raise self._broken(name, "it has players that the manifest does not have")
        return np.asarray(found, np.int64)

    def _matrices(
        self, table: pd.DataFrame, name: str, columns: Sequence[str]
    ) -> dict[tuple[str, str], list[npt.NDArray[np.float64]]]:
        """(slice, output) -> a (d, d) matrix for each column."""
        d = len(self.players)
        self._same_keys(table, name)
        pairs = self._positions(table, name)
        cells = pairs.min(axis=1) * d + pairs.max(axis=1)
        found = {}
        for key, rows in table.groupby(["slice", "output"], sort=False).indices.items():
            if len(rows) != d * (d + 1) // 2 or len(np.unique(cells[rows])) != len(rows):
                raise self._broken(name, f"a pair of players of {key[0]} is missing, or is there twice")
            matrices = []
            for column in columns:
                matrix = np.zeros((d, d))
                first, second = pairs[rows].T
                matrix[first, second] = matrix[second, first] = table[column].to_numpy(np.float64)[rows]
                matrices.append(matrix)
            found[key] = matrices
        return found

    def _need(self, table: pd.DataFrame, described: Table) -> None:
        """Whether the columns are those of the description, names without gaps and numbers as numbers."""
        fault = described.fault(table)
        if fault:
            raise self._broken(described.file, fault)

    def _broken(self, name: str, why: str) -> InputError:
        return InputError(f"{self.uri}/{name} is not what was explained: {why}; explain the model again.")


def _is_semidefinite(matrix: npt.NDArray[np.float64]) -> bool:
    """Whether it can be a covariance, within rounding."""
    spread = np.sqrt(np.maximum(np.diag(matrix), 0.0))
    scale = np.where(spread > 0, spread, 1.0)
    correlation = matrix / np.outer(scale, scale)
    if np.abs(correlation[spread == 0]).max(initial=0.0) > _CLOSE * max(float(spread.max(initial=0.0)), 1e-300):
        return False
    return bool(np.linalg.eigvalsh(correlation).min(initial=0.0) >= -_CLOSE * len(matrix))


def _share_variance(
    value: npt.NDArray[np.float64], covariance: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64] | None:
    """(d,) of the shares, by the delta method; None where there is no total."""
    total = float(value.sum())
    if not total > 0:
        return None
    share, with_total = value / total, covariance.sum(axis=1)
    variance = np.diag(covariance) - 2 * share * with_total + share**2 * float(covariance.sum())
    return np.asarray(np.maximum(variance, 0.0) / total**2)


def _numbers(table: pd.DataFrame, column: str) -> npt.NDArray[np.float64]:
    return np.asarray(table[column].to_numpy(np.float64))


def _known(ours: pd.DataFrame) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """(n_rows,) whether the noise of a row's attributions is known, and whether its errors are."""
    noise_known = ~np.isnan(_numbers(ours, "mean_design_std_error"))
    return noise_known, (_numbers(ours, "num_effective_examples") > 1 + 1e-9) & noise_known
