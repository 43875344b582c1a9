"""A verdict that was written: what ExplanationValidator or `tfx-explain validate --output` left in a directory."""

from __future__ import annotations

import dataclasses
import hashlib
from typing import Any

from typing_extensions import Self

from tfx_explain import documents, storage, tables
from tfx_explain.errors import InputError
from tfx_explain.judgement import Finding
from tfx_explain.reader import ExplanationReader


@dataclasses.dataclass(frozen=True)
class Validation:
    """A verdict and what it rests on.

    Attributes:
      uri: its directory.
      blessed: the verdict.
      findings: in the order of `findings.json`.
      promise: how sure they are, in a sentence.
      baseline_uri: what was compared with; None where nothing was.
      evaluation_uri: an Evaluator's metrics of the model; None where none were wired.
      digest: SHA-256 of `findings.json`.
    """

    uri: str
    blessed: bool
    findings: tuple[Finding, ...]
    promise: str
    baseline_uri: str | None
    evaluation_uri: str | None
    digest: str

    @classmethod
    def read(cls, uri: str, explanation: ExplanationReader) -> Self:
        """Reads the verdict on an explanation.

        Args:
          uri: the directory.
          explanation: what the verdict must be on.

        Raises:
          InputError: there is no verdict, it is unusable, or it is on another explanation.
        """
        where = storage.join(uri, tables.FINDINGS)
        if not storage.exists(where):
            raise InputError(
                f"{uri} holds no verdict ({tables.FINDINGS}); name what ExplanationValidator or "
                "`tfx-explain validate --output` wrote."
            )
        content = storage.read_bytes(where)
        try:
            read: Any = documents.parse_json(content, max_values=None)
            blessed, findings = read["blessed"], tuple(map(Finding.from_dict, read["findings"]))
            on, promise, baseline, evaluation = (
                read.get(key) for key in ("manifest_digest", "promise", "baseline_uri", "evaluation_uri")
            )
        except (documents.DocumentError, InputError, AttributeError, KeyError, TypeError, ValueError) as error:
            raise InputError(f"{where} is no verdict ({type(error).__name__}); judge the explanation again.") from None
        if on != explanation.manifest_digest:
            raise InputError(
                f"the verdict in {uri} is not on the explanation in {explanation.uri} (the SHA-256 of the manifest "
                "differs); name the explanation that was judged, or judge this one."
            )
        names = storage.names(uri)
        told = {True: "BLESSED", False: "NOT_BLESSED"}.get(blessed)
        if told is None or told not in names or {"BLESSED", "NOT_BLESSED"} <= set(names):
            raise InputError(f"the files in {uri} disagree on the verdict; judge the explanation again.")
        digest = hashlib.sha256(content).hexdigest()
        return cls(uri, blessed, findings, promise or "", baseline, evaluation, digest)
