"""A card from an explanation, a verdict on it, and what the owner says."""

from __future__ import annotations

from collections.abc import Sequence

from tfx_explain.card.about import data_section, digest_section, logic_section, model_section, reading_section
from tfx_explain.card.blocks import Block, Card, Points, Section, Told
from tfx_explain.card.details import Asked, OwnerDetails
from tfx_explain.card.importance import faithfulness_sections, importance_section, slice_section
from tfx_explain.card.limits import limit_section
from tfx_explain.card.validation import Validation
from tfx_explain.card.verdict import findings_file, verdict_section
from tfx_explain.reader import ExplanationReader


def make_card(
    explanation: ExplanationReader, validation: Validation | None = None, details: OwnerDetails | None = None
) -> Card:
    """What is known of a model.

    Args:
      explanation: of the model.
      validation: a verdict on it.
      details: what the owner says.

    Raises:
      InputError: the explanation is not what was written.
    """
    if explanation.has_digests:
        explanation.verify()
    details = details or OwnerDetails()
    manifest = explanation.manifest
    findings = (findings_file(validation), validation.digest) if validation else None
    sections = [
        *_told(details),
        model_section(manifest),
        verdict_section(validation),
        importance_section(explanation),
        slice_section(explanation),
        logic_section(explanation),
        *faithfulness_sections(explanation),
        reading_section(manifest),
        data_section(manifest),
        limit_section(explanation, validation),
        *_missing(details),
        digest_section(explanation, findings),
    ]
    return Card(details.name or manifest["model"]["uri"], details.name is not None, sections)


def _told(details: OwnerDetails) -> list[Section]:
    """What the owner says of the model."""
    given = [one for one in details.asked if details.told(one.key)]
    entries = [(f"{one.what} ({one.paragraph})", details.told(one.key)) for one in given]
    blocks: list[Block] = [details.overview] if details.overview else []
    blocks += ["The owner says, and nothing here has checked:", Told(entries)] if entries else []
    return [Section("What the owner says", _paragraphs(given), blocks)] if blocks else []


def _missing(details: OwnerDetails) -> list[Section]:
    """What nobody has said."""
    missing = [one for one in details.asked if not details.told(one.key)]
    if not missing:
        return []
    points = Points([f"{one.what} ({one.paragraph})." for one in missing])
    said = "No explanation can know these; give them by --details."
    return [Section("To be filled in by the owner", _paragraphs(missing), [said, points])]


def _paragraphs(asked: Sequence[Asked]) -> list[str]:
    return sorted({one.paragraph for one in asked})
