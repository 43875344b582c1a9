"""Sections of the card on the model, how it was explained, and the data."""

from __future__ import annotations

from collections.abc import Iterable

from tfx_explain import tables
from tfx_explain.card.blocks import Block, Cell, Fact, Facts, Name, Points, Section, cell, pointer
from tfx_explain.reader import ExplanationReader
from tfx_explain.report import story
from tfx_explain.report.comparison import METHOD_NAMES
from tfx_explain.report.gradients import at
from tfx_explain.report.text import words_of
from tfx_explain.tables.manifest import LIMITS, Manifest

MAX_NAMES = 30
_NAMES = {
    **METHOD_NAMES,
    "partial_dependence": "Partial dependence",
    "accumulated_local_effects": "Accumulated local effects",
    "interaction_strength": "Interaction strength, Friedman's H",
    "faithfulness": "Checks of the attributions themselves",
}


def facts_of(manifest: Manifest, wanted: Iterable[tuple[str, tuple[str, ...]]]) -> Facts:
    """Entries of the manifest by label and keys; what is absent or empty is left out."""
    facts = [Fact(label, _shown(at(manifest, *path)), pointer(*path)) for label, path in wanted]
    return Facts(tables.MANIFEST, [fact for fact in facts if fact.value is not None])


def _shown(value: object) -> Cell:
    if isinstance(value, dict | list | tuple):
        return Name(words_of(list(value), MAX_NAMES)) if value else None
    return None if value == "" else cell(value)


def model_section(manifest: Manifest) -> Section:
    """Which model this is about."""
    wanted = [
        ("Model", ("model", "uri")),
        ("Digest of the model", ("model", "digest")),
        ("Signature", ("model", "signature")),
        ("Output", ("model", "output")),
        ("Outputs explained", ("outputs",)),
        ("Unit of the output", ("model", "output_space")),
        ("Why not the unit asked for", ("model", "output_space_note")),
        ("Baseline model", ("baseline_model", "uri")),
        ("Digest of the baseline model", ("baseline_model", "digest")),
        ("Transform graph", ("transform_graph", "uri")),
        ("Explained", ("created",)),
    ]
    return Section("The model", ("1(a)",), [facts_of(manifest, wanted)])


def logic_section(explanation: ExplanationReader) -> Section:
    """What goes in, what comes out, and by which method the one was traced to the other."""
    manifest = explanation.manifest
    methods = Points([f"{_NAMES[name]} ({name})." if name in _NAMES else f"{name}." for name in manifest["method"]])
    settings = [
        ("Coalitions of features", ("method", "shapley", "estimator")),
        ("Coalitions per background row", ("method", "shapley", "coalitions_per_background_row")),
        ("Seed", ("seed",)),
    ]
    inputs = [
        ("Features and groups explained", ("players",)),
        ("Features the model does not read", ("unused_features",)),
        ("Label", ("label", "key")),
    ]
    bases = manifest["base_values"] if story.adds_up(manifest) and explanation.methods else {}
    base = [
        Fact(Name(name), cell(value), pointer("base_values", name)) for name, value in list(bases.items())[:MAX_NAMES]
    ]
    blocks: list[Block] = [facts_of(manifest, inputs), "Methods:", methods, facts_of(manifest, settings)]
    if base:
        blocks += ["Mean output over the background, from which attributions start:", Facts(tables.MANIFEST, base)]
    return Section("General logic, and how it was explained", ("2(b)",), blocks)


def data_section(manifest: Manifest) -> Section:
    """The rows that were explained, and those that stand in for absent features."""
    rows = [
        Fact(f"Rows {what}, split {split}", counts[key], pointer("counts", split, key))
        for split, counts in manifest["counts"].items()
        for what, key in (("read", "read"), ("chosen", "selected"), ("explained", "explained"))
        if key in counts
    ]
    wanted: list[tuple[str, tuple[str, ...]]] = [
        ("Span", ("examples", "span")),
        *((f"Files, split {split}", ("examples", "patterns", split)) for split in manifest["examples"]["patterns"]),
        *((f"Digest, split {split}", ("examples", "digests", split)) for split in manifest["examples"]["digests"]),
        ("Weight of a row", ("config", "example_weight_key")),
        ("Background: rows", ("background", "num_rows")),
        ("Background: split", ("background", "split")),
        ("Background: how it was drawn", ("background", "strategy")),
        ("Background: only rows with an output near", ("config", "background", "near", "output")),
        ("Background: near is as far as", ("config", "background", "near", "within")),
        ("Background: unit of both", ("background", "near", "unit")),
        ("Background: output that was compared", ("background", "near", "output")),
        ("Background: rows near", ("background", "near", "num_rows")),
        ("Background: of rows", ("background", "near", "of")),
        ("Background: files", ("background", "pattern")),
        ("Background: digest", ("background", "digest")),
    ]
    cut = [
        Fact(f"{name} was cut to", cell(of["used"]), pointer(LIMITS, "cut", name, "used"))
        for name, of in (at(manifest, LIMITS, "cut") or {}).items()
    ]
    shown = facts_of(manifest, wanted)
    said = "The background stands in for absent features; no other data of the training was looked at."
    return Section("Data of the tests", ("2(g)",), [Facts(shown.file, [*rows, *shown.facts, *cut]), said])


def reading_section(manifest: Manifest) -> Section:
    """What helps a person to interpret an output."""
    gaps = [
        ("Largest gap of any row", ("completeness_gap", "max_abs")),
        ("The same over 1 + |prediction|", ("completeness_gap", "max_relative")),
    ]
    points = [
        "Each explained row has the attribution of every feature with its standard error, in the records beside the "
        "explanation; the report draws single rows.",
        *(
            ["Attributions of a row add up to its output less the base value, but for the gap below."]
            if story.largest_gap(manifest) is not None
            else []
        ),
        *story.caveats(manifest),
    ]
    blocks: list[Block] = [Points(points)]
    if story.largest_gap(manifest) is not None:
        blocks.append(facts_of(manifest, gaps))
    return Section("Interpreting single outputs", ("2(e)", "3"), blocks)


def digest_section(explanation: ExplanationReader, findings: tuple[str, str] | None) -> Section:
    """What shows whether something was changed since.

    Args:
      explanation: the explanation.
      findings: where the findings are and their SHA-256; None without a verdict.
    """
    wanted = [
        ("SHA-256 of all other entries of the manifest", ("self_digest",)),
        ("Version of tfx-explain", ("tfx_explain_version",)),
        *((f"Version of {name}", ("versions", name)) for name in explanation.manifest["versions"]),
        *((f"SHA-256 of {name}", ("files", name)) for name in explanation.manifest.get("files", {})),
    ]
    own = [f"SHA-256 of {tables.MANIFEST}: {explanation.manifest_digest}."]
    own += [f"SHA-256 of {findings[0]}: {findings[1]}."] if findings else []
    return Section("Digests and versions", ("2(g)",), [Points(own), facts_of(explanation.manifest, wanted)])
