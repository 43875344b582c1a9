"""The section of the card on limits: of the methods, rows that were not explained, what was not tested."""

from __future__ import annotations

from tfx_explain import tables
from tfx_explain.card.blocks import Block, Fact, Facts, Points, Section, pointer
from tfx_explain.card.validation import Validation
from tfx_explain.card.verdict import untested
from tfx_explain.reader import ExplanationReader
from tfx_explain.report.gradients import at
from tfx_explain.report.text import count, words_of
from tfx_explain.slicing import OVERALL
from tfx_explain.tables.manifest import Manifest

_MAX_NAMES = 20
_ALWAYS = (
    "Attributions say what the model does with its inputs, not what causes the outcome in the world.",
    "Strongly dependent features share or trade importance.",
    "Intervals are about the rows explained, with this background; another background moves every figure.",
)
_NEVER_TESTED = (
    "Error rates were not measured by this package, for no group of persons: equal attributions are no equal outcomes.",
    "Robustness to inputs made to deceive the model was not tested.",
)


def limit_section(explanation: ExplanationReader, validation: Validation | None) -> Section:
    """What the figures do not say."""
    blocks: list[Block] = [Points([*_ALWAYS, *_of_age(explanation)])]
    failed = _failed(explanation.manifest)
    blocks += ["Rows that were set aside, by reason:", Facts(tables.MANIFEST, failed)] if failed else []
    if not failed:
        blocks.append("Every row that was chosen was explained.")
    tested = [*_not_asked(explanation, validation), *_slices(explanation.manifest), *untested(validation)]
    blocks += ["What was not tested:", Points([*_NEVER_TESTED, *tested])]
    return Section("Limits", ("2(g)", "3"), blocks)


def _of_age(explanation: ExplanationReader) -> list[str]:
    if explanation.has_digests:
        return []
    return ["An earlier version wrote the explanation, without digests: whether it was changed since cannot be told."]


def _failed(manifest: Manifest) -> list[Fact]:
    return [
        Fact(f"{split}: {reason}", n, pointer("failures", split, reason))
        for split, reasons in manifest["failures"].items()
        for reason, n in reasons.items()
    ]


def _not_asked(explanation: ExplanationReader, validation: Validation | None) -> list[str]:
    """Tests that this package has and that were not run."""
    manifest, methods = explanation.manifest, explanation.manifest["method"]
    compared = at(manifest, "baseline_model", "uri") or (validation is not None and validation.baseline_uri)
    sliced = any(one["slice"] != OVERALL for one in manifest["slices"]["included"])
    labelled = {"permutation_importance", "sage"} & set(methods)
    absent = [
        (compared, "Nothing was compared with an earlier model or an earlier span."),
        (sliced, "Parts of the data, such as groups of persons, were not looked at."),
        (labelled, "No method compared the model's outputs with labels."),
        (
            tables.FAITHFULNESS_METHOD in methods,
            "Whether attributions tell what the model does was not tested (faithfulness).",
        ),
    ]
    return [sentence for there, sentence in absent if not there]


def _slices(manifest: Manifest) -> list[str]:
    small = [one["slice"] for one in manifest["slices"]["too_small"]]
    without = [str(one) for one in manifest["slices"]["without_examples"]]
    told = [(small, "with too few rows"), (without, "without any row")]
    return [f"{count(len(names))} slices {why}: {words_of(names, _MAX_NAMES)}." for names, why in told if names]
