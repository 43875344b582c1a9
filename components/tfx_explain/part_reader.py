"""The tables of what is inside features: words, windows of series, regions of images, and mean maps."""

from __future__ import annotations

import functools

import numpy as np
import numpy.typing as npt
import pandas as pd

from tfx_explain import tables
from tfx_explain.errors import InputError
from tfx_explain.part_consistency import check_images, check_parts
from tfx_explain.slicing import OVERALL
from tfx_explain.table_reader import TableReader


class PartReader(TableReader):
    """A written explanation, and what is inside its features over the whole data."""

    @functools.cached_property
    def words(self) -> pd.DataFrame:
        """What words of texts add on average; columns as in `words.parquet`.

        Raises:
          InputError: no method looks inside a text.
        """
        return self._of_parts(tables.WORDS, "let a method look inside a text, as `shapley: {parts: {<text>: {}}}`,")

    @functools.cached_property
    def series(self) -> pd.DataFrame:
        """What windows and channels of series add on average; columns as in `series.parquet`.

        Raises:
          InputError: no method looks inside a series.
        """
        cure = "let a method look inside a series, as `shapley: {parts: {<series>: {windows: 10}}}`,"
        return self._of_parts(tables.SERIES, cure)

    @functools.cached_property
    def regions(self) -> pd.DataFrame:
        """How unevenly the attribution of images lies on them; columns as in `regions.parquet`.

        Raises:
          InputError: no method finds regions of an image.
        """
        return self._of_parts(tables.REGIONS, "list a method that finds regions of an image, as `xrai`,")

    @functools.cached_property
    def image_maps(self) -> pd.DataFrame:
        """Where in the picture attributions lie, on average; columns as in `image_maps.parquet`.

        Raises:
          InputError: no method finds regions of an image.
        """
        return self._of_parts(tables.IMAGE_MAPS, "list a method that finds regions of an image, as `xrai`,")

    @functools.cached_property
    def images(self) -> pd.DataFrame:
        """The pictures in `images/`, of the rows that the report shows; columns as in `images.parquet`.

        Raises:
          InputError: no method finds regions of an image.
        """
        cure = "list a method that finds regions of an image, as `xrai`,"
        return self._optional(tables.ROW_IMAGES, cure, lambda table: check_images(table, self.uri, self.manifest))

    def words_for(
        self,
        feature: str | None = None,
        *,
        slice: str = OVERALL,
        output: str | None = None,
        method: str | None = None,
        min_examples: int = 1,
    ) -> pd.DataFrame:
        """What the words of one text add on average in one slice, the largest means first.

        Args:
          feature: a text that a method looked inside; may be left out where there is one.
          slice: its name.
          output: one of `outputs`; may be left out when there is one.
          method: one of `methods`; None = the first one that looked inside it.
          min_examples: words of fewer rows are left out, beside those that the table does not have.

        Raises:
          InputError: there is no such text, slice or output.
        """
        found = self._one_target(self.words, tables.WORDS, feature, method, slice, output)
        kept = found[found["num_examples"] >= min_examples]
        return kept.sort_values("mean", key=np.abs, ascending=False, kind="stable").reset_index(drop=True)

    def mean_image_map(
        self,
        *,
        feature: str | None = None,
        method: str | None = None,
        output: str | None = None,
        slice: str = OVERALL,
        column: str = "mean",
    ) -> npt.NDArray[np.float64]:
        """Where in the picture attributions lie, on average over the images of a slice: (rows, columns) of cells.

        A cell's value is what it adds, in units of the output: all cells add up to the mean of what the regions add.

        Args:
          feature: the image; may be left out where there is one.
          method: one of `methods`; None = the first one that looked inside it.
          output: one of `outputs`; may be left out when there is one.
          slice: its name.
          column: another column of `image_maps`, as `std_error` or `mean_abs`.

        Raises:
          InputError: there is no such image, slice, output or column.
        """
        found = self._one_target(self.image_maps, tables.IMAGE_MAPS, feature, method, slice, output)
        if column not in found or column in (*tables.IMAGE_MAPS.key, "num_examples", "num_left_out"):
            figures = [name for name in found if name not in tables.IMAGE_MAPS.key]
            raise InputError(f"{self.uri} has no mean maps of `{column}`; name one of {', '.join(figures)}.")
        made = np.full((int(found["row"].max()) + 1, int(found["column"].max()) + 1), np.nan)
        made[found["row"], found["column"]] = found[column]
        return made

    def _of_parts(self, described: tables.Table, cure: str) -> pd.DataFrame:
        return self._optional(described, cure, lambda table: check_parts(table, described, self.uri, self.manifest))

    def _one_target(
        self,
        table: pd.DataFrame,
        described: tables.Table,
        feature: str | None,
        method: str | None,
        slice_name: str,
        output: str | None,
    ) -> pd.DataFrame:
        """The rows of one feature by one method, of one slice and output."""
        is_text = described is tables.WORDS
        _, feature, of = self._parts_of(feature, method, lambda of: of.kind == "spans" if is_text else of.has_maps)
        if not (of.kind == "spans" if is_text else of.has_maps):
            what = "text" if is_text else "image with regions"
            raise InputError(f"`{feature}` is no {what}: its parts are {of.kind}; use `parts`.")
        found = table[(table["feature"] == feature) & (table["output"] == self._one_output(output))]
        methods = [name for name in self.methods if (found["method"] == name).any() and method in (None, name)]
        there = [entry["slice"] for entry in self.manifest["slices"]["included"]]
        if slice_name not in there:
            raise InputError(f"no slice `{slice_name}` in {self.uri}; there is {', '.join(there)}.")
        kept = found[(found["slice"] == slice_name) & (found["method"] == next(iter(methods), ""))]
        if kept.empty and described is tables.IMAGE_MAPS:
            raise InputError(f"no image `{feature}` of slice `{slice_name}` in {self.uri} has regions of this size.")
        return kept
