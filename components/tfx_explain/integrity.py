"""Whether an explanation is as it was written: digests of its files, and of its manifest.

The manifest names every file of the explanation with its SHA-256: `files`, by name, and `attribution_files`, by name
beneath `attributions_uri`. Left out are the manifest itself and the report, which `tfx-explain report` writes again and
no verdict rests on; `report_digest` is that of the page that the run wrote. `self_digest` is the SHA-256 of the
manifest's other entries: it finds damage, not intent, since who edits a manifest can compute it. Intent is found by the
digest of the whole file, which the Explainer puts into ML Metadata and a verdict into `findings.json`.

`consistency` is the other half: what tables must agree in, whoever computed their digests.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from tfx_explain import storage, tables
from tfx_explain.config import SlicingSpec
from tfx_explain.errors import InputError
from tfx_explain.listed_files import differences, explanation_files
from tfx_explain.tables.manifest import (
    ATTRIBUTION_FILES,
    ATTRIBUTION_METHODS,
    ENTRIES,
    FILES,
    PARTS,
    REPORT_DIGEST,
    SELF_DIGEST,
    Manifest,
    attributing_methods,
)


def with_digests(manifest: Manifest, explanation_dir: str, attributions_dir: str) -> dict[str, Any]:
    """The manifest of a finished run with the digests of everything it wrote.

    Args:
      manifest: all other entries.
      explanation_dir: what it describes; only the manifest is missing, and the report where none was made.
      attributions_dir: where the records are, beneath the explanation or elsewhere.
    """
    attribution_files = {
        name: storage.sha256(storage.join(attributions_dir, name))
        for split in manifest["examples"]["splits"]
        for name in storage.names_beneath(attributions_dir, f"Split-{split}")
    }
    files = {name: storage.sha256(storage.join(explanation_dir, name)) for name in explanation_files(explanation_dir)}
    report = storage.join(explanation_dir, tables.REPORT)
    of_report = {REPORT_DIGEST: storage.sha256(report)} if storage.exists(report) else {}
    whole = {**manifest, FILES: files, ATTRIBUTION_FILES: attribution_files, **of_report}
    return {**whole, SELF_DIGEST: self_digest(whole)}


def without_digests(manifest: Manifest) -> dict[str, Any]:
    """The entries that were there before `with_digests`."""
    added = (FILES, ATTRIBUTION_FILES, REPORT_DIGEST, SELF_DIGEST)
    return {name: value for name, value in manifest.items() if name not in added}


def self_digest(manifest: Manifest) -> str:
    """SHA-256 of all entries but the digest itself, whatever their order."""
    entries = {name: value for name, value in manifest.items() if name != SELF_DIGEST}
    return hashlib.sha256(json.dumps(entries, sort_keys=True).encode()).hexdigest()


def check_content(uri: str, content: bytes, expected: str) -> None:
    """Whether a file that was read is the one that was written.

    Raises:
      InputError: it is not.
    """
    if hashlib.sha256(content).hexdigest() != expected:
        raise changed(uri)


def check_files(directory: str, expected: Mapping[str, str], there: Collection[str]) -> None:
    """Whether a directory holds these files, unchanged, and no others.

    Args:
      directory: path or URI.
      expected: name -> SHA-256.
      there: the names of the files that it holds.

    Raises:
      InputError: a file is missing, was added, or was changed.
    """
    for uri, what in differences(directory, expected, there):
        if what == "gone":
            raise InputError(f"{uri} is gone; explain the model again.")
        if what == "added":
            raise InputError(
                f"{uri} was added after the explanation was written; remove it or explain the model again."
            )
        raise changed(uri)


def changed(uri: str) -> InputError:
    """What is said of a file that is not the one that was written."""
    return InputError(f"{uri} is not the file that was written (its SHA-256 differs); explain the model again.")


def check_manifest(uri: str, manifest: Manifest) -> None:
    """Whether the entries that others rely on are there and of their kinds.

    Raises:
      InputError: one is not.
    """
    for entry in ENTRIES:
        there = list(_values_at(manifest, entry.name.split(".")))
        if (entry.is_required and not there) or not all(map(entry.fits, there)):
            raise _unusable(uri, f"`{entry.name}` is missing or of another kind")
    players, outputs, splits = manifest["players"], manifest["outputs"], manifest["examples"]["splits"]
    unused = manifest["unused_features"]
    names = [*players, *unused]
    if not players or not all(features and _are_names(features) for features in players.values()):
        raise _unusable(uri, "a player has no features, or what are no names")
    if not _are_names(outputs) or not _are_names(splits) or not outputs or not splits or not _are_names(names):
        raise _unusable(uri, "outputs, splits, players and unused features must be names, each once")
    counts = manifest["counts"]
    if set(counts) != set(splits) or not all(_is_count(of_split.get("explained")) for of_split in counts.values()):
        raise _unusable(uri, "`counts` must hold the explained rows of each split")
    if not all(_is_finite(value) for value in manifest["base_values"].values()):
        raise _unusable(uri, "`base_values` must hold numbers")
    _check_methods(uri, manifest)
    gaps = [manifest["completeness_gap"], *manifest.get("completeness_gaps", {}).values()]
    if not all(_is_finite(gap.get(name)) for gap in gaps for name in ("max_abs", "max_relative")):
        raise _unusable(uri, "`completeness_gap` and `completeness_gaps` must hold numbers")
    if not all(_is_count(n) for reasons in manifest["failures"].values() for n in reasons.values()):
        raise _unusable(uri, "`failures` must hold numbers of rows")
    _check_slices(uri, manifest)


_ROUNDING = 1e-9


def _values_at(value: object, keys: Sequence[str]) -> Iterator[object]:
    """What stands in nested objects under some keys, where it is there; `<split>` and the like stand for any key."""
    if not keys:
        yield value
    elif isinstance(value, Mapping):
        pattern = "".join(".+" if part[:1] == "<" else re.escape(part) for part in _PLACEHOLDER.split(keys[0]))
        wanted = re.compile(pattern, re.DOTALL)
        for key, inside in value.items():
            if wanted.fullmatch(key):
                yield from _values_at(inside, keys[1:])


_PLACEHOLDER = re.compile(r"(<\w+>)")


def _unusable(uri: str, why: str) -> InputError:
    return InputError(f"{uri} is damaged: {why}; explain the model again.")


def _are_names(values: Sequence[object]) -> bool:
    return all(isinstance(value, str) for value in values) and len(set(values)) == len(values)


def _check_slices(uri: str, manifest: Manifest) -> None:
    """The part of `check_manifest` that is about slices."""
    try:
        for spec in manifest["config"]["slicing_specs"]:
            SlicingSpec(**spec)
    except (ValueError, TypeError):
        raise _unusable(uri, "`config.slicing_specs` must say which slices were asked for") from None
    slices = [one for part in ("included", "too_small") for one in manifest["slices"][part]]
    if not all(
        isinstance(one.get("slice"), str)
        and isinstance(one.get("features"), dict)
        and _is_count(one.get("num_examples"))
        and _is_finite(one.get("num_effective_examples", 0))
        and 0 <= one.get("num_effective_examples", 0) <= one["num_examples"] * (1 + _ROUNDING)
        for one in slices
    ) or not _are_names([one["slice"] for one in slices]):
        raise _unusable(uri, "`slices` must name each slice once, with its features and number of rows")


def _check_methods(uri: str, manifest: Manifest) -> None:
    """The part of `check_manifest` that is about methods of attributions."""
    if not all(isinstance(of, Mapping) for asked in manifest["config"]["methods"] for of in asked.values()):
        raise _unusable(uri, "`config.methods` must hold the settings of each method")
    methods = list(attributing_methods(manifest))
    if (methods and not _are_names(methods)) or not set(methods) <= set(manifest["method"]):
        raise _unusable(uri, f"`{ATTRIBUTION_METHODS}` must name methods that were computed, each once")
    if not _are_parts(manifest.get(PARTS, {}), set(methods), set(manifest["players"])):
        raise _unusable(uri, f"`{PARTS}` must say of methods that attribute, and of players, what parts are")


def _are_parts(entry: object, methods: Collection[str], players: Collection[str]) -> bool:
    """Whether it says, by method and feature, what parts are."""
    if not isinstance(entry, Mapping) or not set(entry) <= set(methods):
        return False
    for features in entry.values():
        if not isinstance(features, Mapping) or not set(features) <= set(players):
            return False
        for of in features.values():
            columns = of.get("columns") if isinstance(of, Mapping) else None
            if not isinstance(columns, list) or not columns or not _are_names(columns):
                return False
            if not isinstance(of.get("kind"), str) or not isinstance(of.get("has_maps"), bool):
                return False
    return True


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63


def _is_finite(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max
