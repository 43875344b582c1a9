"""Single rows of a written explanation, and its rows as shap has them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from tfx_explain import records, tables
from tfx_explain.attribution_records import RecordLayout, attribution_frames
from tfx_explain.errors import InputError
from tfx_explain.explained_row import NOT_STORED, ExplainedRow, shown_value
from tfx_explain.optional import optional
from tfx_explain.record_reader import RecordReader
from tfx_explain.rows import concat_alike
from tfx_explain.tables.manifest import is_stored


class RowReader(RecordReader):
    """A written explanation whose rows can be asked for one by one, or handed to shap."""

    def row(
        self,
        example_id: str,
        *,
        split: str | None = None,
        output: str | None = None,
        method: str | None = None,
    ) -> ExplainedRow:
        """One explained row, which a notebook shows as a waterfall.

        Args:
          example_id: its name, as `attributions` has it; the first one of that name.
          split: one of the explained splits; all of them when None.
          output: one of `outputs`; may be left out when there is one.
          method: one of `methods`; None = the first one.

        Raises:
          InputError: there is no such row, split, output or method, or no method attributes.
        """
        output = self._one_output(output)
        layout = self._attributing_layout(method)
        for batch in self.attribution_batches(split):
            ids = [records.text(value) for value in batch.column(tables.EXAMPLE_ID).flatten().to_pylist()]
            if str(example_id) in ids:
                one = batch.slice(ids.index(str(example_id)), 1)
                return self._explained_row(attribution_frames(one, layout, self.outputs, method=method)[output], output)
        raise InputError(f"{self.uri} has no explained row with the id `{example_id}`; `attributions` lists them.")

    def to_shap(self, *, split: str | None = None, output: str | None = None, method: str | None = None) -> Any:
        """The explained rows as a `shap.Explanation`, which all of `shap.plots` take.

        Args:
          split: one of the explained splits; all of them when None.
          output: one of `outputs`; None = all, as a last axis where there are several.
          method: one of `methods`; None = the first one.

        Returns:
          Rows in no particular order: `values` (rows, players[, outputs]) with `error_std`, `base_values`
          (rows[, outputs]), and `data` (rows, players): numbers where all players are numbers, else also text.

        Raises:
          ConfigError: shap is not installed.
          InputError: there is no such split, output or method, no method attributes, or there is no row.
        """
        shap = optional("shap", "Explanations of shap need", "tfx-explain[shap]")
        layout = self._attributing_layout(method)
        asked = self.outputs if output is None else (self._one_output(output),)
        batches = concat_alike(list(self.attribution_batches(split)))
        if not batches:
            raise InputError(f"{self.uri} has no explained row; explain the model again.")
        made = [attribution_frames(batch, layout, self.outputs, method=method) for batch in batches]
        frames = [pd.concat([of_batch[name] for of_batch in made], ignore_index=True) for name in asked]
        attributions = [tables.ATTRIBUTION_PREFIX + player for player in self.players]
        errors = [tables.STD_ERROR_PREFIX + player for player in self.players]
        stacked = [
            np.stack([frame[columns].to_numpy(np.float64) for frame in frames], axis=-1)
            for columns in (attributions, errors, ["base_value"])
        ]
        values, std_errors, base_values = [array[..., 0] if len(asked) == 1 else array for array in stacked]
        data = self._data(frames[0])
        return shap.Explanation(
            values,
            base_values=base_values[:, 0],
            data=data,
            display_data=data,
            feature_names=list(self.players),
            output_names=asked[0] if len(asked) == 1 else list(asked),
            error_std=std_errors,
        )

    def _attributing_layout(self, method: str | None) -> RecordLayout:
        layout = RecordLayout.of(self.manifest)
        layout.prefix(method)
        if not layout.methods:
            raise InputError(f"{self.uri} has no attributions; list a method that attributes, as `shapley`.")
        return layout

    def _explained_row(self, frame: pd.DataFrame, output: str) -> ExplainedRow:
        row = frame.iloc[0]
        found = pd.DataFrame(
            {
                "player": list(self.players),
                "value": pd.Series([self._value(row, player) for player in self.players], dtype=object),
                "attribution": [float(row[tables.ATTRIBUTION_PREFIX + player]) for player in self.players],
                "std_error": [float(row[tables.STD_ERROR_PREFIX + player]) for player in self.players],
            }
        )
        return ExplainedRow(
            example_id=str(row[tables.EXAMPLE_ID]),
            output=output,
            unit=self.manifest["model"]["output_space"],
            prediction=float(row["prediction"]),
            base_value=float(row["base_value"]),
            contributions=found.sort_values(
                "attribution", key=np.abs, ascending=False, kind="stable", ignore_index=True
            ),
        )

    def _value(self, row: pd.Series, player: str) -> object:
        """What a row has of a player: of a group a mapping."""
        features = self._stored(player)
        if not features:
            return NOT_STORED
        there = {name: row[name] for name in features if name in row}
        return there if len(features) > 1 else next(iter(there.values()), None)

    def _stored(self, player: str) -> list[str]:
        """The features of a player whose values records hold, wherever rows have some."""
        return [name for name in self.manifest["players"][player] if is_stored(self.manifest, name)]

    def _data(self, frame: pd.DataFrame) -> np.ndarray[tuple[int, ...], np.dtype[Any]]:
        """(rows, players): numbers, and text where a player is none."""
        columns = [self._data_column(frame, player) for player in self.players]
        kind = np.float64 if all(column.dtype == np.float64 for column in columns) else object
        return np.stack([column.astype(kind) for column in columns], axis=1)

    def _data_column(self, frame: pd.DataFrame, player: str) -> np.ndarray[tuple[int, ...], np.dtype[Any]]:
        features = self._stored(player)
        if len(features) == 1 and features[0] in frame and pd.api.types.is_numeric_dtype(frame[features[0]]):
            return frame[features[0]].to_numpy(np.float64, na_value=np.nan)
        there = [name for name in features if name in frame]
        told = np.full(len(frame), "missing" if features else NOT_STORED, dtype=object)
        cells = list(zip(*(frame[name] for name in there), strict=True))
        if len(features) <= 1:
            told[: len(cells)] = [shown_value(value) for (value,) in cells]
        else:
            told[: len(cells)] = [shown_value(dict(zip(there, values, strict=True))) for values in cells]
        return told
