"""A case: what was explained, on what data, with which verdict, and what became of it."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Mapping, Sequence
from typing import Any

OUTCOMES = ("pass", "fail", "insufficient_evidence", "skipped")
"""Of findings; `judgement.Outcome` says what they mean."""


@dataclasses.dataclass(frozen=True)
class Explained:
    """An explanation. What is None was not recorded, as an earlier version recorded less.

    Attributes:
      uri: where it is, or was.
      created: milliseconds since 1970, UTC.
      deleted: what the store says of its being cleaned away; empty where it says nothing.
      pipeline: name of the pipeline.
      run: name of its run.
      examples: URIs of the examples.
      spans: of the examples, as ExampleGen numbers them.
      examples_digest: of the rows that were read.
      num_examples: rows explained.
      num_failed: rows that could not be explained.
      methods: names, joined by commas.
      config: the configuration as JSON; of earlier versions as the pipeline gave it. A cut one says how long it was.
      config_digest: SHA-256 of the configuration with its defaults.
      manifest_digest: SHA-256 of `manifest.json`.
      tables_digest: of the digests of all tables.
      attributions_digest: of those of all files of attributions.
      attributions_uri: where the attributions are.
      model_uri: the model as it was read.
      model_digest: of its content.
      version: of tfx-explain.
    """

    uri: str
    created: int
    deleted: str
    pipeline: str | None
    run: str | None
    examples: tuple[str, ...]
    spans: tuple[str, ...]
    examples_digest: str | None
    num_examples: int | None
    num_failed: int | None
    methods: str | None
    config: str | None
    config_digest: str | None
    manifest_digest: str | None
    tables_digest: str | None
    attributions_digest: str | None
    attributions_uri: str | None
    model_uri: str | None
    model_digest: str | None
    version: str | None


@dataclasses.dataclass(frozen=True)
class Verdict:
    """A verdict on an explanation; None as of `Explained`.

    Attributes:
      uri: the directory of the findings.
      created: milliseconds since 1970, UTC.
      deleted: as of `Explained`.
      blessed: whether the explanation meets the policy.
      explanation_uri: what was judged.
      decided_by: which rule decided, in a sentence.
      outcomes: outcome -> findings.
      refusals: the findings that refuse, with their figures, ten at most.
      num_refusals: all of them.
      findings_digest: SHA-256 of `findings.json`.
      policy: its text, as the pipeline gave it.
      policy_digest: SHA-256 of that text.
      explanation_digest: SHA-256 of the manifest that was judged.
      baseline_uri: the explanation it was compared with; empty where there was none.
      blessing_uri: the ModelBlessing that was made with it; None where there is none, as outside of TFX.
      model_blessed: whether the model was blessed, which an earlier verdict and a switch can prevent too.
      why_not_blessed: why the model was not.
    """

    uri: str
    created: int
    deleted: str
    blessed: bool | None
    explanation_uri: str | None
    decided_by: str | None
    outcomes: Mapping[str, int] | None
    refusals: Sequence[Mapping[str, Any]] | None
    num_refusals: int | None
    findings_digest: str | None
    policy: str | None
    policy_digest: str | None
    explanation_digest: str | None
    baseline_uri: str | None
    blessing_uri: str | None
    model_blessed: bool | None
    why_not_blessed: str | None


@dataclasses.dataclass(frozen=True)
class Push:
    """What Pusher did with a model.

    Attributes:
      uri: the PushedModel artifact.
      created: milliseconds since 1970, UTC.
      pushed: whether it was; None where the store does not say.
      destination: where it went.
      blessing: URI of the ModelBlessing that Pusher was given; None where it was given none.
      by: what let it through or held it back, in a sentence.
      may_be_packed: whether it may be the copy with requests for warming up that InfraValidator makes.
    """

    uri: str
    created: int
    pushed: bool | None
    destination: str | None
    blessing: str | None
    by: str
    may_be_packed: bool = False


@dataclasses.dataclass(frozen=True)
class Case:
    """A model, its explanation, one verdict on that, and what was pushed by it; any but the model may be absent.

    Attributes:
      model: URI of the Model artifact, or of the model as it was explained; None where the store does not know it.
      explanation: what was explained.
      verdict: on it.
      pushes: the oldest first.
    """

    model: str | None
    explanation: Explained | None
    verdict: Verdict | None
    pushes: tuple[Push, ...] = ()

    @property
    def times(self) -> list[int]:
        """When anything of it happened, milliseconds since 1970."""
        parts = (self.explanation, self.verdict, *self.pushes)
        return [part.created for part in parts if part is not None]


def iso(milliseconds: int) -> str:
    """A moment of a store in ISO 8601, UTC, to the second."""
    moment = datetime.datetime.fromtimestamp(milliseconds / 1000, datetime.timezone.utc)
    return moment.isoformat(timespec="seconds")
