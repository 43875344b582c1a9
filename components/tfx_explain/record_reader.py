"""The rows of a written explanation: attributions, what is inside features, and rows that could not be explained."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from tfx_explain import integrity, records, storage, tables
from tfx_explain.attribution_records import CI_HIGH_PREFIX, CI_LOW_PREFIX, RecordLayout, attribution_frames
from tfx_explain.errors import InputError
from tfx_explain.image_maps import image_map, pixel_map
from tfx_explain.part_records import PartsOf, part_frame
from tfx_explain.rows import concat_alike, concat_rows
from tfx_explain.tables.manifest import ATTRIBUTION_FILES, STORED_FEATURES, Manifest


class RecordReader:
    """The manifest of a written explanation, and its rows.

    Attributes:
      uri: the directory.
      manifest: what was explained, by what and how, as `tables` describes.
      manifest_digest: SHA-256 of `manifest.json`.
      has_digests: whether the manifest holds those of its files; an earlier version wrote none.
    """

    def __init__(self, uri: str) -> None:
        self.uri = str(uri)
        where = storage.join(self.uri, tables.MANIFEST)
        if not storage.exists(where):
            raise InputError(_no_explanation(self.uri))
        content = storage.read_bytes(where)
        self.manifest = records.parse_json(where, content)
        self.manifest_digest = hashlib.sha256(content).hexdigest()
        found = self.manifest.get("format_version")
        self.has_digests = found == records.FORMAT_VERSION
        if self.has_digests:
            integrity.check_manifest(where, self.manifest)
        elif found not in records.OLDER_FORMATS:
            raise InputError(
                f"{uri} has format {found}, this package reads {records.FORMAT_VERSION}; explain the model again."
            )
        self._checked: set[str] = set()

    @property
    def players(self) -> tuple[str, ...]:
        """What the attributions belong to: features, or groups of features."""
        return tuple(self.manifest["players"])

    @property
    def outputs(self) -> tuple[str, ...]:
        """The outputs that were explained."""
        return tuple(self.manifest["outputs"])

    @property
    def methods(self) -> tuple[str, ...]:
        """The methods whose attributions the records hold, the main one first."""
        return tables.attributing_methods(self.manifest)

    def attribution_batches(self, split: str | None = None) -> Iterator[pa.RecordBatch]:
        """The explained rows as Arrow RecordBatches of list columns, as they are on disk.

        Raises:
          InputError: there is no such split, or its files are not those that were written.
        """
        root = attributions_root(self.uri, self.manifest)
        splits = self.manifest["examples"]["splits"]
        if split is not None and split not in splits:
            raise InputError(f"split `{split}` was not explained; there are {splits}.")
        for name in splits if split is None else [split]:
            directory = storage.join(root, f"Split-{name}")
            if not storage.exists(directory):
                raise InputError(
                    f"the attribution records of {self.uri} ({self.manifest['attributions_uri']}) are gone; explain "
                    "again, or leave out the rules `attribution_drift`."
                )
            if self.has_digests:
                self._check_attributions(root, f"Split-{name}")
            n_rows = 0
            for batch in records.read_example_batches(directory):
                n_rows += batch.num_rows
                self._check_attribution_columns(directory, batch)
                yield batch
            explained = self.manifest["counts"][name]["explained"]
            if self.has_digests and n_rows != explained:
                raise InputError(
                    f"{directory} holds {n_rows} rows, but {explained} were explained; explain the model again."
                )

    def _check_attributions(self, root: str, part: str) -> None:
        """Whether the files of a split are those that were written; once is enough."""
        if part not in self._checked:
            listed = self.manifest[ATTRIBUTION_FILES]
            expected = {name: digest for name, digest in listed.items() if name.startswith(f"{part}/")}
            integrity.check_files(root, expected, storage.names_beneath(root, part))
            self._checked.add(part)

    def _check_attribution_columns(self, directory: str, batch: pa.RecordBatch) -> None:
        faults = RecordLayout.of(self.manifest).faults(batch)
        if faults:
            raise InputError(f"{directory} lacks a value of `{faults[0]}` for each output; explain the model again.")

    def attributions(
        self,
        *,
        split: str | None = None,
        output: str | None = None,
        confidence: float | None = None,
        method: str | None = None,
    ) -> pd.DataFrame:
        """The explained rows, in no particular order, with the figures as they were computed, in float64.

        Args:
          split: one of the explained splits; all of them when None.
          output: one of `outputs`; may be left out when there is one.
          confidence: of the limits `ci_low_<player>` and `ci_high_<player>`, between 0 and 1: 0.95 for those that hold
            the attribution of the background's population in 95 % of all cases. They are by Student's t: where errors
            come from few blocks or permutations, 1.96 of them to either side hold much less. NaN where an error is not
            known. None = no limits.
          method: one of `methods`; None = the first one.

        Returns:
          A row per example: its own features, `example_id`, and for the output `prediction`, `base_value`,
          `completeness_gap`, `attribution_<player>` and `std_error_<player>`, whatever the method; without the last
          three where no method attributes.

        Raises:
          InputError: there is no such split, output or method, the files are not those that were written, or limits
            were asked for that cannot be given.
        """
        output = self._one_output(output)
        if confidence is not None and not 0 < confidence < 1:
            raise InputError(f"`confidence` must be between 0 and 1, got {confidence}; 0.95 is usual.")
        layout = RecordLayout.of(self.manifest)
        layout.prefix(method)
        if confidence is not None and not layout.methods:
            raise InputError(f"{self.uri} has no attributions that `confidence` could be of; leave it out.")
        batches = concat_alike(list(self.attribution_batches(split)))
        limits = {p + name for p in (CI_LOW_PREFIX, CI_HIGH_PREFIX) for name in self.players}
        taken = sorted({name for batch in batches for name in batch.schema.names} & limits)
        if confidence is not None and taken:
            raise InputError(
                f"the rows have a feature `{taken[0]}` of their own; rename it, or leave out `confidence`."
            )
        frames = [
            attribution_frames(batch, layout, self.outputs, method=method, confidence=confidence)[output]
            for batch in batches
        ]
        return pd.concat(frames, ignore_index=True) if len(frames) > 1 else (frames or [pd.DataFrame()])[0]

    def parts(
        self, feature: str, *, method: str | None = None, split: str | None = None, output: str | None = None
    ) -> pd.DataFrame:
        """What is inside a feature of each explained row: regions of an image, spans of a text, windows of a series.

        Args:
          feature: that a method looked inside.
          method: one of `methods`; None = the first one that looked inside it.
          split: one of the explained splits; all of them when None.
          output: one of `outputs`; may be left out when there is one.

        Returns:
          A row per part: `example_id`, `part` (its place in the row), where it is (`start` and `stop` of a span, in
          bytes; the manifest's `parts` names these columns), `attribution` and `std_error`, as 32-bit floats have them.
          Attributions of a row's parts add up to `attribution_<feature>` of `attributions`, but those of `occlusion`.

        Raises:
          InputError: the method did not look inside the feature; also as of `attributions`.
        """
        prefix, _, of = self._parts_of(feature, method)
        output = self._one_output(output)
        frames = [
            part_frame(batch, prefix, feature, of, self.outputs, output) for batch in self.attribution_batches(split)
        ]
        return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()

    def image_map(
        self,
        row: str,
        *,
        feature: str | None = None,
        method: str | None = None,
        output: str | None = None,
        split: str | None = None,
        pixels: bool = False,
    ) -> npt.NDArray[np.float64]:
        """Where in the image of a row its attribution lies: (height, width), at the image's own size.

        A pixel's value is the attribution of its region over the number of the region's pixels, as the model gets the
        image: whatever size the model makes of it, values are of one scale.

        Args:
          row: its `example_id`.
          feature: the image; may be left out where there is one.
          method: one of `methods`; None = the first one that looked inside it.
          output: one of `outputs`; may be left out when there is one.
          split: one of the explained splits; all of them when None.
          pixels: whether each pixel has its own figure in place of its region's mean, of rows that `pixel_maps` of
            `xrai` kept them of.

        Raises:
          InputError: there is no such row, or nothing is known of regions of its image; also as of `parts`.
        """
        prefix, feature, of = self._parts_of(feature, method, lambda of: of.has_maps)
        output = self._one_output(output)
        for batch in self.attribution_batches(split):
            ids = [records.text(value) for value in batch.column(tables.EXAMPLE_ID).flatten().to_pylist()]
            if row in ids:
                one = batch.slice(ids.index(row), 1)
                if pixels:
                    return pixel_map(one, prefix, feature, self.outputs.index(output))
                return image_map(one, prefix, feature, of, self.outputs, output)
        raise InputError(f"{self.uri} has no explained row with the id `{row}`; `attributions` lists them.")

    def _parts_of(
        self, feature: str | None, method: str | None, fits: Callable[[PartsOf], bool] = lambda of: True
    ) -> tuple[str, str, PartsOf]:
        """What columns begin with, the feature, and what its parts are: of the first method that looked inside it.

        Args:
          feature: None = the only one.
          method: None = any.
          fits: which parts are meant, where there are such.
        """
        layout = RecordLayout.of(self.manifest)
        layout.prefix(method)
        there = [(of_method, name) for of_method in layout.methods for name in layout.parts.get(of_method, {})]
        asked = [
            (of_method, name) for of_method, name in there if method in (None, of_method) and feature in (None, name)
        ]
        found = [pair for pair in asked if fits(layout.parts[pair[0]][pair[1]])] or asked
        listed = ", ".join(f"`{name}` by {of_method}" for of_method, name in there)
        if not found:
            what = "a feature" if feature is None else f"`{feature}`"
            cure = f"it does of {listed}" if there else "use a method that looks inside features"
            raise InputError(f"{self.uri} does not say what is inside {what}; {cure}.")
        if len({name for _, name in found}) > 1:
            raise InputError(f"{self.uri} says what is inside several features; name one of {listed}.")
        of_method, name = found[0]
        return layout.prefix(of_method), name, layout.parts[of_method][name]

    def dead_letters(self) -> pd.DataFrame:
        """The rows that could not be explained: `reason`, `split` and `record`; see `tables.OTHER_FILES`.

        Where values of features are not stored, `example_id` stands in place of `record`.
        """
        root = storage.join(self.uri, tables.DEAD_LETTERS)
        hidden = self.manifest.get(STORED_FEATURES) is not None
        what = tables.EXAMPLE_ID if hidden else records.DEAD_RECORD
        batches = list(records.read_example_batches(root)) if storage.exists(root) else []
        if not batches:
            return pd.DataFrame({"reason": [], "split": [], what: []})
        batch = concat_rows(batches)
        return pd.DataFrame(
            {
                name: [
                    value if name == records.DEAD_RECORD else records.text(value)
                    for value in batch.column(name).flatten().to_pylist()
                ]
                for name in ("reason", "split", what)
            }
        )

    def _one_output(self, output: str | None) -> str:
        if output is None and len(self.outputs) == 1:
            return self.outputs[0]
        if output not in self.outputs:
            asked = "no output was named" if output is None else f"there is no output `{output}`"
            raise InputError(f"{asked} for {self.uri}; name one of {list(self.outputs)}.")
        return output


def _no_explanation(uri: str) -> str:
    """What is said of a directory without a manifest, which a verdict may be."""
    findings = storage.join(uri, tables.FINDINGS)
    if not storage.exists(findings):
        return f"{uri} holds no explanation: it has no {tables.MANIFEST}; name the directory that Explainer wrote."
    judged = records.parse_json(findings, storage.read_bytes(findings)).get("explanation_uri", "")
    return (
        f"{uri} holds a verdict, not an explanation; open its verdict.html, or load the explanation that it judged: "
        f"{judged or 'that of the same run'}."
    )


def attributions_root(uri: str, manifest: Manifest) -> str:
    """Where the attributions of an explanation are: beneath it, or elsewhere on the same storage.

    A manifest may come from anybody. It cannot lead to other hosts, buckets or protocols than whoever opened the
    explanation named, nor, by `..` or by names of splits, to other directories than it says.

    Raises:
      InputError: it would.
    """
    root = str(manifest["attributions_uri"])
    names = [root, *map(str, manifest["examples"]["splits"])]
    steps = [part for name in names for part in name.replace("\\", "/").split("/")]
    if any("::" in name for name in names) or ".." in steps or any("/" in name for name in names[1:]):
        raise InputError(f"the manifest of {uri} leads to no place of attributions ({root}); explain the model again.")
    if "://" not in root and not root.startswith("/"):
        return storage.join(uri, root)
    if storage.place(root) != storage.place(uri):
        raise InputError(
            f"the attributions of {uri} are said to be on another storage, {root}; open the explanation there, or "
            "copy both."
        )
    return root
