"""What only the owner of a model knows: the YAML file that `tfx-explain card --details` reads."""

from __future__ import annotations

import dataclasses
import re
from typing import ClassVar

from pydantic import Field, field_validator

from tfx_explain.config.base import Config, Part

_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[!-~]+")


class Owner(Part):
    """Who answers for the model."""

    name: str = Field(description="person or team", examples=["Credit models"])
    contact: str | None = Field(None, description="how to reach them", examples=["credit-models@example.com"])


class Risk(Part):
    """A foreseeable risk, and what is done about it."""

    name: str = Field(description="the risk", examples=["applicants without records are refused more often"])
    mitigation: str | None = Field(None, description="what is done about it", examples=["a person decides these"])


@dataclasses.dataclass(frozen=True)
class Asked:
    """Something that technical documentation asks for and no explanation can know.

    Attributes:
      key: of `OwnerDetails`.
      what: in words.
      paragraph: of Annex IV that asks for it.
    """

    key: str
    what: str
    paragraph: str


class OwnerDetails(Config):
    """What the owner says of a model; everything may be left out, and is then listed as to be filled in."""

    name: str | None = Field(None, description="what the model is called", examples=["Loan approval"])
    overview: str | None = Field(None, description="one line on what it does", examples=["Scores loan applications."])
    version: str | None = Field(None, description="its version, and how it differs from the last", examples=["4"])
    owners: tuple[Owner, ...] = Field((), description="who answers for it", examples=[[{"name": "Credit models"}]])
    intended_purpose: str | None = Field(None, description="what it is for", examples=["Advises a clerk."])
    users: tuple[str, ...] = Field((), description="who uses it", examples=[["loan officers"]])
    use_cases: tuple[str, ...] = Field((), description="what they use it for", examples=[["mortgages of one family"]])
    affected_persons: str | None = Field(None, description="on whom it is used", examples=["applicants for a mortgage"])
    optimises_for: str | None = Field(None, description="what it was trained to get right", examples=["approval"])
    expected_output: str | None = Field(
        None, description="what it gives, and how good that is", examples=["a probability, calibrated to 2 points"]
    )
    trade_offs: tuple[str, ...] = Field((), description="what was given up for what", examples=[["recall of fraud"]])
    training_data: str | None = Field(
        None, description="where training data came from, how it was chosen, labelled and cleaned", examples=["HMDA"]
    )
    human_oversight: str | None = Field(
        None, description="who can overrule it, and how", examples=["A clerk decides; refusals are read by two."]
    )
    accuracy: str | None = Field(
        None, description="metrics of accuracy and robustness, and how groups differ in them", examples=["AUC 0.82"]
    )
    risks: tuple[Risk, ...] = Field((), description="foreseeable risks", examples=[[{"name": "automation bias"}]])
    tests_signed_by: str | None = Field(
        None, description="who is responsible for the tests, and when they signed", examples=["J. Doe, 2026-11-30"]
    )
    licenses: tuple[str, ...] = Field((), description="SPDX identifiers", examples=[["Apache-2.0"]])
    references: tuple[str, ...] = Field((), description="URIs to read on", examples=[["https://example.com/loans"]])

    asked: ClassVar[tuple[Asked, ...]] = (
        Asked("intended_purpose", "Intended purpose", "1(a)"),
        Asked("owners", "Provider", "1(a)"),
        Asked("version", "Version and its relation to previous versions", "1(a)"),
        Asked("users", "Users", "1(h)"),
        Asked("use_cases", "Use cases", "1(a)"),
        Asked("affected_persons", "Persons or groups on whom the model is to be used", "2(b)"),
        Asked("optimises_for", "What the model is designed to optimise for", "2(b)"),
        Asked("expected_output", "Expected output and its quality", "2(b)"),
        Asked("trade_offs", "Trade-offs made", "2(b)"),
        Asked("training_data", "Training data: provenance, selection, labelling, cleaning", "2(d)"),
        Asked("human_oversight", "Human oversight measures (Article 14)", "2(e)"),
        Asked("accuracy", "Accuracy, robustness and potentially discriminatory impacts", "2(g)"),
        Asked("tests_signed_by", "Who signed the tests, and when", "2(g)"),
        Asked("risks", "Foreseeable unintended outcomes and sources of risk", "3"),
    )

    @field_validator("references")
    @classmethod
    def _are_uris(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for reference in value:
            if not _URI.fullmatch(reference):
                raise ValueError("a reference is a URI without spaces, as https://example.com")
        return value

    def told(self, key: str) -> str:
        """What is said under a key, as one text; empty where nothing is."""
        value = getattr(self, key)
        if value is None or isinstance(value, str):
            return _one_line(value or "")
        return _one_line("; ".join(map(_in_words, value)))


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _in_words(entry: str | Owner | Risk) -> str:
    if isinstance(entry, Owner):
        return f"{entry.name} ({entry.contact})" if entry.contact else entry.name
    if isinstance(entry, Risk):
        return f"{entry.name} (mitigation: {entry.mitigation})" if entry.mitigation else entry.name
    return entry
